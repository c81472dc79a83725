//! Access lists of a peer: which accounts may upload files to it or request remote downloads on it.
//!
//! As text: `*` for every account except guests, or a comma-separated list of account names and,
//! with a leading `@`, space names: `ana,@lab`. Order is kept. The empty text allows nobody.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Problem;
use crate::names::{SpaceName, UserName, from_text};

/// The maximum number of names on an access list.
pub const ACCESS_LIST_MAX: usize = 100;

/// An access list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AccessList {
    /// Allows no account, not even the account of the peer.
    #[default]
    Nobody,
    /// Allows every account that is not a guest.
    Everyone,
    /// Allows the account of the peer, these accounts, and the members of these spaces.
    Only {
        /// Account names.
        users: Vec<UserName>,
        /// Space names.
        spaces: Vec<SpaceName>,
    },
}

impl AccessList {
    /// Returns whether the list contains `space` by name.
    pub fn lists_space(&self, space: &SpaceName) -> bool {
        matches!(self, Self::Only { spaces, .. } if spaces.contains(space))
    }

    /// Returns whether the list allows `user`, a member of `spaces`. `owner` is the account of the
    /// peer, if known.
    pub fn allows(&self, owner: Option<&UserName>, user: &UserName, spaces: &[SpaceName]) -> bool {
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

impl FromStr for AccessList {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "" => return Ok(Self::Nobody),
            "*" => return Ok(Self::Everyone),
            _ => {}
        }
        if text.split(',').count() > ACCESS_LIST_MAX {
            return Err(Problem::invalid(format!(
                "an access list has at most {ACCESS_LIST_MAX} names"
            ))
            .hint("add the accounts to a space and list the space"));
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

impl fmt::Display for AccessList {
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

impl Serialize for AccessList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AccessList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// The sharing policy of a peer, as it reports it to the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharingPolicy {
    /// Accounts that may upload files to the peer.
    #[serde(default)]
    pub uploads: AccessList,
    /// Accounts that may request remote downloads, besides the account of the peer.
    #[serde(default)]
    pub loads: AccessList,
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
            let list: AccessList = list.parse().unwrap();
            list.allows(Some(&user("owner")), &user(name), &spaces(of))
        };
        assert!(!lets("", "owner", &["lab"]));
        assert!(lets("*", "eve", &[]));
        assert!(lets("Ana,@lab", "ana", &[]));
        assert!(lets("ana,@lab", "bob", &["club", "lab"]));
        assert!(lets("ana,@lab", "owner", &[]));
        // A space and an account with the same name are different entries.
        assert!(!lets("ana,@lab", "lab", &["ana"]));
        assert!(!lets("@lab", "bob", &["club"]));
    }

    #[test]
    fn lists_are_what_they_were_and_bad_ones_are_refused() {
        for text in ["", "*", "ana", "@lab", "ana,bob,@lab,@club"] {
            assert_eq!(text.parse::<AccessList>().unwrap().to_string(), text);
        }
        for text in ["ana,", "@", "*,ana", "a b", "a;b", "@@lab"] {
            assert!(text.parse::<AccessList>().is_err(), "{text}");
        }
        let long = vec!["a"; ACCESS_LIST_MAX + 1].join(",");
        assert!(long.parse::<AccessList>().is_err());
    }
}
