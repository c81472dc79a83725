//! Spaces in which the directory refuses this peer's files: unknown spaces, and spaces that its
//! account is not a member of.
//!
//! Files in a refused space are not published at all, and what was published of them before is
//! withdrawn. The refusals of all spaces are forgotten, so that the directory is asked again, when
//! the directory resets the peer's index (as it does when its account joins a space) and when the
//! peer registers again. One space's refusal is forgotten when a share is assigned to that space.

use std::collections::BTreeMap;

use convite_core::{Problem, SpaceName};
use parking_lot::Mutex;

/// The refused spaces, each with the directory's error.
#[derive(Default)]
pub struct RefusedSpaces(Mutex<BTreeMap<SpaceName, Problem>>);

impl RefusedSpaces {
    /// Records that the directory refused files in `space`. Returns whether this is new.
    pub fn record(&self, space: SpaceName, problem: Problem) -> bool {
        self.0.lock().insert(space, problem).is_none()
    }

    /// Returns the directory's error for `space`, if it was refused.
    pub fn problem_for(&self, space: &SpaceName) -> Option<Problem> {
        self.0.lock().get(space).cloned()
    }

    /// Returns whether files in `space` may be published. `None` is the space of everyone.
    pub fn allows(&self, space: Option<&SpaceName>) -> bool {
        space.is_none_or(|space| !self.0.lock().contains_key(space))
    }

    /// Forgets the refusal of `space`.
    pub fn forget(&self, space: &SpaceName) {
        self.0.lock().remove(space);
    }

    /// Forgets all refusals. Returns whether there were any.
    pub fn forget_all(&self) -> bool {
        !std::mem::take(&mut *self.0.lock()).is_empty()
    }
}
