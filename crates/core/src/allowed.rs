//! Whom a peer lets do what its owner did not ask for: leave files with it, have it fetch some.
//!
//! As text, in the order given: `*` for every member, else names of accounts and, with an `@`
//! before them, of spaces: `ana,@lab`. Nothing at all is nobody.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Problem;
use crate::names::{SpaceName, UserName, from_text};

/// The most names on one list.
pub const ALLOWED_MAX: usize = 100;

/// Who may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Allowed {
    /// Not even the peer's own account.
    #[default]
    Nobody,
    /// Every account that is not a guest.
    Everyone,
    /// The peer's own account, these accounts, and the members of these spaces.
    Only {
        /// Accounts by name.
        users: Vec<UserName>,
        /// Spaces by name.
        spaces: Vec<SpaceName>,
    },
}

impl Allowed {
    /// Whether the members of a space are on the list by its name.
    pub fn names(&self, space: &SpaceName) -> bool {
        matches!(self, Self::Only { spaces, .. } if spaces.contains(space))
    }

    /// Whether `user`, who is in `spaces`, may at a peer of `owner`, if that is known.
    pub fn lets(&self, owner: Option<&UserName>, user: &UserName, spaces: &[SpaceName]) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everyone => true,
            Self::Only {
                users,
                spaces: listed,
            } => {
                Some(user) == owner
                    || users.contains(user)
                    || spaces.iter().any(|space| listed.contains(space))
            }
        }
    }
}

impl FromStr for Allowed {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "" => return Ok(Self::Nobody),
            "*" => return Ok(Self::Everyone),
            _ => {}
        }
        if text.split(',').count() > ALLOWED_MAX {
            return Err(
                Problem::invalid(format!("more than {ALLOWED_MAX} names on one list"))
                    .hint("put the accounts into a space, and name that"),
            );
        }
        let (mut users, mut spaces) = (Vec::new(), Vec::new());
        for name in text.split(',').map(str::trim) {
            match name.strip_prefix('@') {
                Some(space) => spaces.push(space.parse()?),
                None => users.push(name.parse()?),
            }
        }
        Ok(Self::Only { users, spaces })
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => Ok(()),
            Self::Everyone => f.write_str("*"),
            Self::Only { users, spaces } => {
                let spaces = spaces.iter().map(|space| format!("@{space}"));
                let names: Vec<_> = users
                    .iter()
                    .map(ToString::to_string)
                    .chain(spaces)
                    .collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// What a peer does for others, as it tells its directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Who may leave files with it.
    #[serde(default)]
    pub uploads: Allowed,
    /// Who may have it fetch files, besides its own account.
    #[serde(default)]
    pub loads: Allowed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_lets_its_owner_those_on_it_and_nobody_else() {
        let user = |name: &str| name.parse::<UserName>().unwrap();
        let spaces = |names: &[&str]| -> Vec<SpaceName> {
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        let lets = |list: &str, name: &str, of: &[&str]| {
            let allowed: Allowed = list.parse().unwrap();
            allowed.lets(Some(&user("owner")), &user(name), &spaces(of))
        };
        assert!(!lets("", "owner", &["lab"]));
        assert!(lets("*", "eve", &[]));
        assert!(lets("Ana,@lab", "ana", &[]));
        assert!(lets("ana,@lab", "bob", &["club", "lab"]));
        assert!(lets("ana,@lab", "owner", &[]));
        // A space and an account of one name are two.
        assert!(!lets("ana,@lab", "lab", &["ana"]));
        assert!(!lets("@lab", "bob", &["club"]));
    }

    #[test]
    fn lists_are_what_they_were_and_bad_ones_are_refused() {
        for text in ["", "*", "ana", "@lab", "ana,bob,@lab,@club"] {
            assert_eq!(text.parse::<Allowed>().unwrap().to_string(), text);
        }
        for text in ["ana,", "@", "*,ana", "a b", "a;b", "@@lab"] {
            assert!(text.parse::<Allowed>().is_err(), "{text}");
        }
        let long = vec!["a"; ALLOWED_MAX + 1].join(",");
        assert!(long.parse::<Allowed>().is_err());
    }
}
