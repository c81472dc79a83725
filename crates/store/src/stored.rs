//! Conversion of stored values to core types, for statements that are not written over
//! [`crate::rows`]. A row with an invalid value is damaged.

use convite_core::{
    ContentHash, EntryKind, PeerAddress, PeerId, SafePath, SharingPolicy, SpaceName, UserName,
};

use crate::error::{DbError, DbResult};

/// Converts a stored count or size.
pub(crate) fn unsigned(number: i64) -> DbResult<u64> {
    u64::try_from(number).map_err(|_| DbError::Damaged("a negative number"))
}

/// Returns the stored form of a kind.
pub(crate) fn kind_number(kind: EntryKind) -> i64 {
    match kind {
        EntryKind::File => 0,
        EntryKind::Folder => 1,
    }
}

/// Converts a stored kind.
pub(crate) fn kind(number: i64) -> DbResult<EntryKind> {
    match number {
        0 => Ok(EntryKind::File),
        1 => Ok(EntryKind::Folder),
        _ => Err(DbError::Damaged("a kind")),
    }
}

/// Parses a stored user name.
pub(crate) fn user_name(text: &str) -> DbResult<UserName> {
    text.parse().map_err(|_| DbError::Damaged("a user name"))
}

/// Parses a stored peer id.
pub(crate) fn peer_id(text: &str) -> DbResult<PeerId> {
    text.parse().map_err(|_| DbError::Damaged("a peer id"))
}

/// Parses a stored path.
pub(crate) fn path(text: &str) -> DbResult<SafePath> {
    text.parse().map_err(|_| DbError::Damaged("a path"))
}

/// Parses the stored name of a space.
pub(crate) fn space_name(text: &str) -> DbResult<SpaceName> {
    let name = text.parse();
    name.map_err(|_| DbError::Damaged("the name of a space"))
}

/// Converts a stored content hash.
pub(crate) fn content_hash(bytes: &[u8]) -> DbResult<ContentHash> {
    ContentHash::from_slice(bytes).map_err(|_| DbError::Damaged("a hash"))
}

/// Parses stored addresses.
pub(crate) fn addresses(text: &str) -> DbResult<Vec<PeerAddress>> {
    serde_json::from_str(text).map_err(|_| DbError::Damaged("addresses"))
}

/// Returns addresses as they are stored.
pub(crate) fn addresses_text(addresses: &[PeerAddress]) -> DbResult<String> {
    serde_json::to_string(addresses).map_err(|_| DbError::Damaged("addresses"))
}

/// Parses a stored sharing policy.
pub(crate) fn terms(uploads: &str, loads: &str) -> DbResult<SharingPolicy> {
    let list = |text: &str| {
        let allowed = text.parse();
        allowed.map_err(|_| DbError::Damaged("a list of accounts"))
    };
    Ok(SharingPolicy {
        uploads: list(uploads)?,
        loads: list(loads)?,
    })
}
