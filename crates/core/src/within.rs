//! Which of the files that an account sees are looked at.

use crate::error::Problem;
use crate::names::SpaceName;

/// Which of the files that an account sees are looked at. What comes to lie in a space must be fetched
/// from nobody but those who hold it there: else a claim in one space would draw bytes out of another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Within {
    /// All that it sees.
    #[default]
    Seen,
    /// What everyone sees, and nothing else.
    Everyone,
    /// What lies in one space, and nothing else.
    Space(SpaceName),
}

impl Within {
    /// Where the copy of a file belongs that lies in this space, or in that of everyone.
    pub fn lying_in(space: Option<&SpaceName>) -> Self {
        space.cloned().map_or(Self::Everyone, Self::Space)
    }

    /// Reads what [`Self::sent`] gave.
    ///
    /// # Errors
    /// `invalid_argument` for what no space can be called.
    pub fn from_sent(sent: Option<&str>) -> Result<Self, Problem> {
        match sent {
            None => Ok(Self::Seen),
            Some("") => Ok(Self::Everyone),
            Some(name) => name.parse().map(Self::Space),
        }
    }

    /// As it is sent: none for all, nothing in it for everyone.
    pub fn sent(&self) -> Option<&str> {
        match self {
            Self::Seen => None,
            Self::Everyone => Some(""),
            Self::Space(name) => Some(name.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_arrives() {
        let lab = Within::Space("lab".parse().unwrap());
        for within in [Within::Seen, Within::Everyone, lab] {
            assert_eq!(Within::from_sent(within.sent()), Ok(within.clone()));
        }
        assert!(Within::from_sent(Some("no such/name")).is_err());
    }
}
