//! Whether an entry is a file or a folder.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Problem;

/// Whether an entry of a manifest, of the index or of a search result is a file or a folder.
///
/// No file has the hash of a folder, but anyone can claim any hash for any kind. So the
/// directory identifies contents by hash and kind.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A file; its hash is the BLAKE3 hash of its contents.
    #[default]
    File,
    /// A folder with everything below it; its hash is the BLAKE3 hash of its manifest.
    Folder,
}

impl EntryKind {
    /// Returns the name used in the database and the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "folder",
        }
    }

    /// Returns whether this is [`Self::File`]; for serde, which omits the kind of files.
    pub const fn is_file(&self) -> bool {
        matches!(self, Self::File)
    }

    /// Returns the number of files of a folder; `None` for a file.
    pub fn files(self, number: u64) -> Option<u64> {
        (self == Self::Folder).then_some(number)
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EntryKind {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "file" => Ok(Self::File),
            "folder" => Ok(Self::Folder),
            _ => {
                let shown = crate::display::escape(text);
                Err(
                    Problem::invalid(format!("'{shown}' is not a kind of entry"))
                        .hint("the kinds are file and folder"),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_as_text_and_as_json() {
        for kind in [EntryKind::File, EntryKind::Folder] {
            assert_eq!(kind.name().parse(), Ok(kind));
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{kind}\""));
            assert_eq!(serde_json::from_str::<EntryKind>(&json).unwrap(), kind);
        }
        assert!("directory".parse::<EntryKind>().is_err());
        assert!(EntryKind::default().is_file());
    }
}
