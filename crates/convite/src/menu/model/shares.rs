//! The shares of this home.

use convite_wire::v1::ShareStatus;

use super::selection::Selection;

/// The state of the shares screen.
#[derive(Debug, Default)]
pub struct Shares {
    pub all: Vec<ShareStatus>,
    pub chosen: Selection,
}

impl Shares {
    pub fn take(&mut self, shares: Vec<ShareStatus>) {
        self.all = shares;
        self.chosen.clamp(self.all.len());
    }

    pub fn share(&self) -> Option<&ShareStatus> {
        self.all.get(self.chosen.at())
    }
}
