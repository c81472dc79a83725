//! Checked conversions between the protocol's messages and the words of the core.
//!
//! To a message they cannot fail; from one they refuse what breaks a rule.

use convite_core::model::{
    FileEntry, HitPeer, IndexEntry, LocatedFile, PeerSummary, Provider, SearchHit,
};
use convite_core::{ContentHash, PeerAddress, Problem};

use crate::v1;

/// The bytes of a hash as the messages carry them.
pub fn hash_bytes(hash: &ContentHash) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(hash.as_bytes())
}

/// Addresses as text.
pub fn address_texts(addresses: &[PeerAddress]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

/// Addresses from text.
///
/// # Errors
/// `invalid_argument` for the first that is none.
pub fn addresses(texts: &[String]) -> Result<Vec<PeerAddress>, Problem> {
    texts.iter().map(|text| text.parse()).collect()
}

/// Empty text is how a message says that an optional text is not there.
pub fn some_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A port out of a message's 32-bit number.
///
/// # Errors
/// `invalid_argument` if it is 0 or too large.
pub fn port(number: u32) -> Result<u16, Problem> {
    u16::try_from(number)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| Problem::invalid(format!("{number} is not a port")))
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
        }
    }
}

impl TryFrom<v1::FileEntry> for FileEntry {
    type Error = Problem;

    fn try_from(file: v1::FileEntry) -> Result<Self, Problem> {
        Ok(Self {
            path: file.path.parse()?,
            size: file.size,
            hash: ContentHash::from_slice(&file.hash)?,
            modified: file.modified,
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
        }
    }
}

impl TryFrom<v1::LocateReply> for LocatedFile {
    type Error = Problem;

    fn try_from(file: v1::LocateReply) -> Result<Self, Problem> {
        let providers = file.providers.into_iter().map(TryInto::try_into);
        Ok(Self {
            hash: ContentHash::from_slice(&file.hash)?,
            size: file.size,
            names: file.names,
            providers: providers.collect::<Result<_, _>>()?,
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
            size: hit.size,
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
        Ok(Self {
            hash: ContentHash::from_slice(&hit.hash)?,
            name: hit.name,
            names: hit.names,
            folder: hit.folder,
            size: hit.size,
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
