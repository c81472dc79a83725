//! The objects of the directory as plain values.
//!
//! The store returns them and the service passes them on. The REST interface serializes them
//! directly, the gRPC interface converts them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::address::PeerAddress;
use crate::entry_kind::EntryKind;
use crate::error::Problem;
use crate::hash::ContentHash;
use crate::manifest::{FILES_MAX, FOLDER_SIZE_MAX};
use crate::names::{PeerId, SpaceName, UserName};
use crate::path::SafePath;

/// The role of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Can share, search, fetch and administer.
    Admin,
    /// Can share, search and fetch.
    Member,
    /// Can search and fetch, but not share.
    Guest,
}

impl Role {
    /// Returns the name used in the database and the protocol.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Guest => "guest",
        }
    }
}

impl FromStr for Role {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "admin" => Ok(Self::Admin),
            "member" => Ok(Self::Member),
            "guest" => Ok(Self::Guest),
            _ => {
                let shown = crate::display::escape(text);
                Err(Problem::invalid(format!("'{shown}' is not a role"))
                    .hint("the roles are admin, member and guest"))
            }
        }
    }
}

/// A file or folder that a peer shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileEntry {
    /// Path of the file or folder: the name of the share, then the path inside it.
    pub path: SafePath,
    /// Whether it is a file or a folder.
    #[serde(default, skip_serializing_if = "EntryKind::is_file")]
    pub kind: EntryKind,
    /// Size in bytes; of a folder, the total size of all files below it.
    #[schema(maximum = 9_223_372_036_854_775_807i64)]
    pub size: u64,
    /// Number of files below a folder; 0 for a file.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schema(maximum = 5_000_000)]
    pub files: u64,
    /// Content hash of a file, folder hash of a folder.
    pub hash: ContentHash,
    /// Time of last modification of a file, in seconds since 1970; 0 for a folder.
    #[serde(default)]
    pub modified: i64,
    /// Whether the owner of the file may execute it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// The space whose members may see the file; absent if everyone may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceName>,
}

impl FileEntry {
    /// Returns a file that everyone may see, with modification time 0.
    pub fn file(path: SafePath, size: u64, hash: ContentHash) -> Self {
        Self {
            path,
            kind: EntryKind::File,
            size,
            files: 0,
            hash,
            modified: 0,
            executable: false,
            space: None,
        }
    }

    /// Returns a folder that everyone may see, with `size` bytes in `files` files.
    pub fn folder(path: SafePath, size: u64, files: u64, hash: ContentHash) -> Self {
        Self {
            kind: EntryKind::Folder,
            files,
            ..Self::file(path, size, hash)
        }
    }

    /// Checks that the fields agree with the kind.
    ///
    /// # Errors
    /// Returns `invalid_argument` for a file that contains files or cannot have its size
    /// ([`ContentHash::allows_size`]), and for a folder with more than [`FILES_MAX`] files or
    /// [`FOLDER_SIZE_MAX`] bytes, with a size but no files, or that is executable.
    pub fn check(&self) -> Result<(), Problem> {
        let wrong = match self.kind {
            EntryKind::File if self.files != 0 => "is a file, so it contains no files",
            EntryKind::File if !self.hash.allows_size(self.size) => {
                "has the size or the hash of an empty file, but not both"
            }
            EntryKind::File => return Ok(()),
            EntryKind::Folder if self.files > FILES_MAX => "contains too many files",
            EntryKind::Folder if self.size > FOLDER_SIZE_MAX => "is too large a folder",
            EntryKind::Folder if self.files == 0 && self.size != 0 => {
                "is a folder without files, so its size is 0"
            }
            EntryKind::Folder if self.executable => "is a folder, so it is not executable",
            EntryKind::Folder => return Ok(()),
        };
        let path: String = crate::display::escape(self.path.as_str())
            .chars()
            .take(200)
            .collect();
        let problem = Problem::invalid(format!("'{path}' {wrong}"));
        Err(match self.kind {
            EntryKind::File => problem,
            EntryKind::Folder => problem.hint(format!(
                "a folder has the number of files below it, at most {FILES_MAX}, and their total \
                 size, at most {FOLDER_SIZE_MAX} bytes"
            )),
        })
    }
}

/// An entry of a folder, one level: a file or a sub-folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FolderEntry {
    /// Name of the file or sub-folder.
    pub name: String,
    /// Whether it is a file or a folder.
    pub kind: EntryKind,
    /// Size in bytes; of a folder, the total size of all files below it.
    pub size: u64,
    /// Number of files below a folder; absent for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Content hash of a file, folder hash of a folder.
    pub hash: ContentHash,
    /// Time of last modification of a file at one of the peers, in seconds since 1970. Absent if it
    /// is 0, as for a folder.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub modified: i64,
    /// Whether the owner of the file at this peer may execute it. Absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

/// An online peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerSummary {
    /// Id of the peer.
    pub id: PeerId,
    /// The account that the peer belongs to.
    pub user: UserName,
    /// Addresses to connect to, best first.
    pub addresses: Vec<PeerAddress>,
    /// Number of shared files, without folders.
    pub files: u64,
    /// Start of the current online period, in seconds since 1970.
    pub since: i64,
    /// Whether the peer accepts uploads from the caller.
    #[serde(default)]
    pub uploads: bool,
    /// Whether the peer accepts load requests from the caller.
    #[serde(default)]
    pub loads: bool,
    /// File bytes sent per second at the moment, as far as this replica knows.
    #[serde(default)]
    pub sent_rate: u64,
    /// File bytes received per second at the moment, including the peer's own downloads.
    #[serde(default)]
    pub received_rate: u64,
}

/// An entry of the whole index: a file or folder of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexEntry {
    /// The peer that shares the file or folder.
    pub peer: PeerId,
    /// The file or folder.
    #[serde(flatten)]
    pub file: FileEntry,
}

/// A peer that holds a file, with the ticket needed to fetch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ProviderBody", into = "ProviderBody")]
pub struct Provider {
    /// Id of the peer.
    pub peer: PeerId,
    /// Addresses to connect to, best first.
    pub addresses: Vec<PeerAddress>,
    /// Claimed size of the file in bytes; proven only when the last piece is verified.
    pub size: u64,
    /// Ticket of the account for this peer; empty if none is issued.
    pub ticket: String,
    /// Whether the peer is still downloading the file and holds only a part of it.
    pub partial: bool,
}

/// A provider in the REST interface, with the name in its certificate, which follows from its id.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Provider)]
pub(crate) struct ProviderBody {
    /// Id of the peer.
    peer: PeerId,
    /// Name in the certificate of the peer, for any of the addresses.
    #[serde(default)]
    host: String,
    /// Addresses to connect to, best first.
    addresses: Vec<PeerAddress>,
    /// Claimed size of the file in bytes; proven only when the last piece is verified.
    size: u64,
    /// Ticket of the account for this peer; empty if none is issued.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    ticket: String,
    /// Whether the peer is still downloading the file and holds only a part of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

impl From<Provider> for ProviderBody {
    fn from(provider: Provider) -> Self {
        Self {
            host: provider.peer.certificate_name(),
            peer: provider.peer,
            addresses: provider.addresses,
            size: provider.size,
            ticket: provider.ticket,
            partial: provider.partial,
        }
    }
}

impl From<ProviderBody> for Provider {
    fn from(body: ProviderBody) -> Self {
        Self {
            peer: body.peer,
            addresses: body.addresses,
            size: body.size,
            ticket: body.ticket,
            partial: body.partial,
        }
    }
}

/// A file or folder and its providers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LocatedFile {
    /// Content hash of a file, folder hash of a folder.
    pub hash: ContentHash,
    /// Whether it is a file or a folder.
    #[serde(default)]
    pub kind: EntryKind,
    /// The size claimed by most providers, in bytes.
    pub size: u64,
    /// The number of files below a folder, as claimed by most providers; absent for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// Up to ten names of the file or folder, most common first.
    pub names: Vec<String>,
    /// The providers that are online.
    #[schema(value_type = Vec<ProviderBody>)]
    pub providers: Vec<Provider>,
}

/// A provider in a search result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HitPeer {
    /// Id of the peer.
    pub id: PeerId,
    /// Addresses to connect to, best first.
    pub addresses: Vec<PeerAddress>,
}

/// A search result: one content with all its names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    /// Content hash of a file, folder hash of a folder.
    pub hash: ContentHash,
    /// Whether it is a file or a folder.
    #[serde(default)]
    pub kind: EntryKind,
    /// The name that matches best; among equal ones, the one that most peers use.
    pub name: String,
    /// The matching ranges of `name`, each with start and exclusive end, counted in Unicode scalar
    /// values from 0. Sorted and without overlaps.
    #[serde(default)]
    pub matches: Vec<[u32; 2]>,
    /// Up to ten names of the file or folder, most common first.
    pub names: Vec<String>,
    /// The folder that contains `name`, as its peer publishes it; among several the first in
    /// alphabetical order. Absent if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub folder: String,
    /// Size in bytes; of a folder, the total size of all files below it.
    pub size: u64,
    /// Number of files below a folder; absent for a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// The names of the caller's spaces that contain it; absent if everyone may see it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spaces: Vec<SpaceName>,
    /// Number of online peers that hold it.
    pub providers: u64,
    /// Up to ten of these peers.
    pub peers: Vec<HitPeer>,
    /// Relevance, comparable only within one result list; 0 if the results are sorted by another
    /// key.
    pub score: f32,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Cursor of the next page; `None` on the last page.
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: EntryKind, size: u64, files: u64) -> FileEntry {
        let hash = match size {
            0 => ContentHash::EMPTY,
            _ => ContentHash::of(b"contents"),
        };
        FileEntry {
            kind,
            files,
            ..FileEntry::file("share/a".parse().unwrap(), size, hash)
        }
    }

    #[test]
    fn the_fields_of_an_entry_agree_with_its_kind() {
        let (file, folder) = (EntryKind::File, EntryKind::Folder);
        for good in [
            entry(file, 0, 0),
            entry(file, 9, 0),
            entry(folder, 0, 0),
            entry(folder, 0, 3),
            entry(folder, 9, FILES_MAX),
        ] {
            assert_eq!(good.check(), Ok(()), "{good:?}");
        }
        let executable = FileEntry {
            executable: true,
            ..entry(folder, 9, 1)
        };
        for bad in [
            entry(file, 9, 1),
            FileEntry {
                size: 1,
                ..entry(file, 0, 0)
            },
            FileEntry {
                size: 0,
                ..entry(file, 9, 0)
            },
            entry(folder, 9, 0),
            entry(folder, 9, FILES_MAX + 1),
            entry(folder, FOLDER_SIZE_MAX + 1, 1),
            executable,
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_default_is_absent_in_json() {
        let text = serde_json::to_string(&entry(EntryKind::File, 1, 0)).unwrap();
        for field in ["kind", "files", "executable"] {
            assert!(!text.contains(field), "{text}");
        }
        let folder = entry(EntryKind::Folder, 5, 2);
        let text = serde_json::to_string(&folder).unwrap();
        assert!(text.contains(r#""kind":"folder""#) && text.contains(r#""files":2"#));
        assert_eq!(serde_json::from_str::<FileEntry>(&text).unwrap(), folder);
    }
}
