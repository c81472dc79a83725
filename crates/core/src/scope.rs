//! Search scopes: which of the files visible to an account an operation considers.

use crate::error::Problem;
use crate::names::SpaceName;

/// The search scope of an operation. A file that is copied into a space must be fetched only from
/// peers that hold it in that space: otherwise a false claim in one space could draw contents from
/// another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum SearchScope {
    /// All files that the account may see.
    #[default]
    Visible,
    /// Only files that everyone may see.
    Everyone,
    /// Only files of one space.
    Space(SpaceName),
}

impl SearchScope {
    /// Returns the scope that contains only this space, or only the files for everyone if `None`.
    pub fn of_space(space: Option<&SpaceName>) -> Self {
        space.cloned().map_or(Self::Everyone, Self::Space)
    }

    /// Parses the protocol form, as returned by [`Self::as_wire`].
    ///
    /// # Errors
    /// Returns `invalid_argument` if the text is not a valid space name.
    pub fn from_wire(sent: Option<&str>) -> Result<Self, Problem> {
        match sent {
            None => Ok(Self::Visible),
            Some("") => Ok(Self::Everyone),
            Some(name) => name.parse().map(Self::Space),
        }
    }

    /// Returns the protocol form: `None` for all files, an empty text for those of everyone.
    pub fn as_wire(&self) -> Option<&str> {
        match self {
            Self::Visible => None,
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
        let lab = SearchScope::Space("lab".parse().unwrap());
        for within in [SearchScope::Visible, SearchScope::Everyone, lab] {
            assert_eq!(SearchScope::from_wire(within.as_wire()), Ok(within.clone()));
        }
        assert!(SearchScope::from_wire(Some("no such/name")).is_err());
    }
}
