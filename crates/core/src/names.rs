//! Names of peers, users and spaces: short, printable everywhere, safe in a URL, a path and a log line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Problem;

/// The longest peer id, user name or space name, in bytes.
pub const NAME_MAX: usize = 64;

/// Tells the ids of peers that are there for one download from others,
const DOWNLOAD_MARK: &str = "-get-";
/// with so many digits behind it.
const DOWNLOAD_DIGITS: usize = 8;

/// Letters, digits, `.`, `_` and `-`, beginning with a letter or digit, 1 to 64 of them.
fn check(what: &str, text: &str) -> Result<(), Problem> {
    let hint = "use up to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit";
    if text.is_empty() {
        return Err(Problem::invalid(format!("the {what} is empty")).hint(hint));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if text.len() > NAME_MAX || !begins_well || !text.chars().all(allowed) {
        let shown = crate::display::escape(text);
        return Err(Problem::invalid(format!("'{shown}' is not a valid {what}")).hint(hint));
    }
    Ok(())
}

/// Reads any type that parses from text out of a serde string.
pub(crate) fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = Problem>,
{
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $what:literal, $normalise:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Problem;

            fn from_str(text: &str) -> Result<Self, Problem> {
                check($what, text)?;
                let normalise: fn(&str) -> String = $normalise;
                Ok(Self(normalise(text)))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer)
            }
        }
    };
}

name_type!(
    /// The id of a peer, unique in its directory. Case matters.
    PeerId, "peer id", |text| text.to_owned()
);
name_type!(
    /// The name of an account. Case does not matter: it is kept in lower case, so that nobody
    /// passes for another by a capital letter.
    UserName, "user name", |text| text.to_ascii_lowercase()
);

name_type!(
    /// The name of a space. Case does not matter: it is kept in lower case.
    SpaceName, "name of a space", |text| text.to_ascii_lowercase()
);

impl PeerId {
    /// The name in this peer's certificate, under a suffix that no real host has.
    ///
    /// A hash, because ids may hold characters (and lengths) that host names may not.
    pub fn certificate_name(&self) -> String {
        let digest = blake3::hash(self.0.as_bytes());
        let label = data_encoding::HEXLOWER.encode(&digest.as_bytes()[..16]);
        format!("{label}.peer.convite")
    }

    /// The id of a peer that is there for one download of this one.
    pub fn for_download(&self, random: [u8; 4]) -> Self {
        let random = data_encoding::HEXLOWER.encode(&random);
        Self(format!("{}{DOWNLOAD_MARK}{random}", self.download_name()))
    }

    /// What the ids of this peer's downloads begin with.
    pub fn download_name(&self) -> &str {
        let long = NAME_MAX - DOWNLOAD_MARK.len() - DOWNLOAD_DIGITS;
        // Ids are ASCII.
        self.0.get(..long).unwrap_or(&self.0)
    }

    /// The [`Self::download_name`] of the peer for one of whose downloads this one is there, if its
    /// id is of that form.
    pub fn downloads_for(&self) -> Option<&str> {
        let (name, random) = self.0.rsplit_once(DOWNLOAD_MARK)?;
        let is_random =
            random.len() == DOWNLOAD_DIGITS && random.bytes().all(|b| b.is_ascii_hexdigit());
        (is_random && !name.is_empty()).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_ids_that_scripts_use_are_accepted() {
        for good in ["peer_1", "a", "ana-laptop.local", "7", &"x".repeat(64)] {
            assert_eq!(good.parse::<PeerId>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn the_id_of_a_download_says_whose_it_is() {
        for id in ["ana-1", "a-get-b", &"x".repeat(64)] {
            let peer: PeerId = id.parse().unwrap();
            let download = peer.for_download([0, 1, 0xab, 0xff]);
            assert_eq!(download.as_str().parse::<PeerId>().unwrap(), download);
            assert!(download.as_str().ends_with("-get-0001abff"));
            assert_eq!(download.downloads_for(), Some(peer.download_name()));
        }
        for id in ["ana-1", "a-get-b", "a-get-0001abf", "a-get-0001abfg"] {
            assert_eq!(id.parse::<PeerId>().unwrap().downloads_for(), None, "{id}");
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = "x".repeat(65);
        for bad in [
            "",
            ".",
            "..",
            "../etc",
            "-rf",
            "a/b",
            "a b",
            "a\0",
            "a\n",
            "añ",
            "\u{202e}a",
            &long,
        ] {
            assert!(bad.parse::<PeerId>().is_err(), "{bad:?}");
            assert!(bad.parse::<UserName>().is_err(), "{bad:?}");
            assert!(bad.parse::<SpaceName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn users_differ_by_more_than_case() {
        assert_eq!("Ana".parse::<UserName>(), "ana".parse::<UserName>());
        assert_ne!("Ana".parse::<PeerId>(), "ana".parse::<PeerId>());
    }
}
