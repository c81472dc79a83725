//! Conversions between protocol messages and the types of `convite_core`.
//!
//! Conversions to messages cannot fail. Conversions from messages return an error for invalid
//! values.

use convite_core::address::{AddressInput, with_port};
use convite_core::model::{
    FileEntry, FolderEntry, HitPeer, IndexEntry, LocatedFile, PeerSummary, Provider, SearchHit,
};
use convite_core::{ContentHash, EntryKind, PeerAddress, Problem, SafePath};

use crate::v1;

/// Returns the bytes of a hash for a message field.
pub fn hash_bytes(hash: &ContentHash) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(hash.as_bytes())
}

/// Formats addresses.
pub fn address_texts(addresses: &[PeerAddress]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// Parses addresses.
///
/// # Errors
/// Returns `invalid_argument` if any address is not valid.
pub fn addresses(texts: &[String]) -> Result<Vec<PeerAddress>, Problem> {
    texts.iter().map(|text| text.parse()).collect()
}

/// Parses addresses; `port` is used for IP addresses without a port.
///
/// # Errors
/// Returns `invalid_argument` if any address is not valid.
pub fn addresses_at(texts: &[String], port: u16) -> Result<Vec<PeerAddress>, Problem> {
    let given = texts.iter().map(|text| text.parse::<AddressInput>());
    let given: Vec<AddressInput> = given.collect::<Result<_, _>>()?;
    with_port(&given, port)
}

/// Converts an optional text field, where the empty text means absent.
pub fn some_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Converts a 32-bit port field.
///
/// # Errors
/// Returns `invalid_argument` if the number is 0 or too large for a port.
pub fn port(number: u32) -> Result<u16, Problem> {
    u16::try_from(number)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| Problem::invalid(format!("{number} is not a port")))
}

impl From<EntryKind> for v1::EntryKind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::File => Self::File,
            EntryKind::Folder => Self::Folder,
        }
    }
}

/// Returns the value of a field for a kind.
pub fn kind_number(kind: EntryKind) -> i32 {
    v1::EntryKind::from(kind).into()
}

/// Converts a field for a kind.
///
/// # Errors
/// Returns `invalid_argument` for an unknown value.
pub fn kind(number: i32) -> Result<EntryKind, Problem> {
    match v1::EntryKind::try_from(number) {
        Ok(v1::EntryKind::File) => Ok(EntryKind::File),
        Ok(v1::EntryKind::Folder) => Ok(EntryKind::Folder),
        Err(_) => Err(Problem::invalid(format!(
            "{number} is not a kind of an entry"
        ))),
    }
}

impl From<&FileEntry> for v1::FileEntry {
    fn from(file: &FileEntry) -> Self {
        Self {
            path: file.path.as_str().to_owned(),
            size: file.size,
            hash: hash_bytes(&file.hash),
            modified: file.modified,
            space: file
                .space
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            kind: kind_number(file.kind),
            files: file.files,
            executable: file.executable,
        }
    }
}

impl TryFrom<v1::FileEntry> for FileEntry {
    type Error = Problem;

    fn try_from(file: v1::FileEntry) -> Result<Self, Problem> {
        Ok(Self {
            path: file.path.parse()?,
            kind: kind(file.kind)?,
            size: file.size,
            files: file.files,
            hash: ContentHash::from_slice(&file.hash)?,
            modified: file.modified,
            executable: file.executable,
            space: some_text(file.space).map(|name| name.parse()).transpose()?,
        })
    }
}

impl From<&IndexEntry> for v1::IndexEntry {
    fn from(entry: &IndexEntry) -> Self {
        Self {
            peer: entry.peer.to_string(),
            file: Some((&entry.file).into()),
        }
    }
}

impl TryFrom<v1::IndexEntry> for IndexEntry {
    type Error = Problem;

    fn try_from(entry: v1::IndexEntry) -> Result<Self, Problem> {
        let file = entry
            .file
            .ok_or_else(|| Problem::invalid("an index entry has no file"))?;
        Ok(Self {
            peer: entry.peer.parse()?,
            file: file.try_into()?,
        })
    }
}

impl From<&PeerSummary> for v1::PeerSummary {
    fn from(peer: &PeerSummary) -> Self {
        Self {
            id: peer.id.to_string(),
            user: peer.user.to_string(),
            addresses: address_texts(&peer.addresses),
            files: peer.files,
            since: peer.since,
            uploads: peer.uploads,
            loads: peer.loads,
            sent_rate: peer.sent_rate,
            received_rate: peer.received_rate,
        }
    }
}

impl TryFrom<v1::PeerSummary> for PeerSummary {
    type Error = Problem;

    fn try_from(peer: v1::PeerSummary) -> Result<Self, Problem> {
        Ok(Self {
            id: peer.id.parse()?,
            user: peer.user.parse()?,
            addresses: addresses(&peer.addresses)?,
            files: peer.files,
            since: peer.since,
            uploads: peer.uploads,
            loads: peer.loads,
            sent_rate: peer.sent_rate,
            received_rate: peer.received_rate,
        })
    }
}

impl From<&Provider> for v1::Provider {
    fn from(provider: &Provider) -> Self {
        Self {
            peer: provider.peer.to_string(),
            addresses: address_texts(&provider.addresses),
            size: provider.size,
            ticket: provider.ticket.clone(),
            partial: provider.partial,
            host: provider.peer.certificate_name(),
        }
    }
}

impl TryFrom<v1::Provider> for Provider {
    type Error = Problem;

    fn try_from(provider: v1::Provider) -> Result<Self, Problem> {
        Ok(Self {
            peer: provider.peer.parse()?,
            addresses: addresses(&provider.addresses)?,
            size: provider.size,
            ticket: provider.ticket,
            partial: provider.partial,
        })
    }
}

impl From<&LocatedFile> for v1::LocateReply {
    fn from(file: &LocatedFile) -> Self {
        Self {
            hash: hash_bytes(&file.hash),
            size: file.size,
            names: file.names.clone(),
            providers: file.providers.iter().map(Into::into).collect(),
            kind: kind_number(file.kind),
            files: file.files.unwrap_or(0),
        }
    }
}

impl TryFrom<v1::LocateReply> for LocatedFile {
    type Error = Problem;

    fn try_from(file: v1::LocateReply) -> Result<Self, Problem> {
        let providers = file.providers.into_iter().map(TryInto::try_into);
        let kind = kind(file.kind)?;
        Ok(Self {
            hash: ContentHash::from_slice(&file.hash)?,
            kind,
            size: file.size,
            files: kind.files(file.files),
            names: file.names,
            providers: providers.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&FolderEntry> for v1::FolderEntry {
    fn from(entry: &FolderEntry) -> Self {
        Self {
            name: entry.name.clone(),
            kind: kind_number(entry.kind),
            size: entry.size,
            files: entry.files.unwrap_or(0),
            hash: hash_bytes(&entry.hash),
            modified: entry.modified,
            executable: entry.executable,
        }
    }
}

impl TryFrom<v1::FolderEntry> for FolderEntry {
    type Error = Problem;

    fn try_from(entry: v1::FolderEntry) -> Result<Self, Problem> {
        let kind = kind(entry.kind)?;
        // The name of a file or folder inside another.
        let name: SafePath = entry.name.parse()?;
        if name.parts().count() != 1 {
            return Err(Problem::invalid("a folder entry has a path for a name"));
        }
        Ok(Self {
            name: entry.name,
            kind,
            size: entry.size,
            files: kind.files(entry.files),
            hash: ContentHash::from_slice(&entry.hash)?,
            modified: entry.modified,
            executable: entry.executable,
        })
    }
}

impl From<&SearchHit> for v1::SearchHit {
    fn from(hit: &SearchHit) -> Self {
        let peer = |peer: &HitPeer| v1::HitPeer {
            id: peer.id.to_string(),
            addresses: address_texts(&peer.addresses),
        };
        Self {
            hash: hash_bytes(&hit.hash),
            name: hit.name.clone(),
            names: hit.names.clone(),
            folder: hit.folder.clone(),
            kind: kind_number(hit.kind),
            size: hit.size,
            files: hit.files.unwrap_or(0),
            providers: hit.providers,
            peers: hit.peers.iter().map(peer).collect(),
            score: hit.score,
            spaces: hit.spaces.iter().map(ToString::to_string).collect(),
            matches: hit
                .matches
                .iter()
                .map(|[begin, end]| v1::Match {
                    begin: *begin,
                    end: *end,
                })
                .collect(),
        }
    }
}

impl TryFrom<v1::SearchHit> for SearchHit {
    type Error = Problem;

    fn try_from(hit: v1::SearchHit) -> Result<Self, Problem> {
        let peer = |peer: v1::HitPeer| {
            Ok::<_, Problem>(HitPeer {
                id: peer.id.parse()?,
                addresses: addresses(&peer.addresses)?,
            })
        };
        let kind = kind(hit.kind)?;
        Ok(Self {
            hash: ContentHash::from_slice(&hit.hash)?,
            kind,
            name: hit.name,
            names: hit.names,
            folder: hit.folder,
            size: hit.size,
            files: kind.files(hit.files),
            providers: hit.providers,
            peers: hit.peers.into_iter().map(peer).collect::<Result<_, _>>()?,
            score: hit.score,
            spaces: hit
                .spaces
                .iter()
                .map(|space| space.parse())
                .collect::<Result<_, _>>()?,
            matches: hit.matches.iter().map(|m| [m.begin, m.end]).collect(),
        })
    }
}
