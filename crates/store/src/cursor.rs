//! Cursors of lists that come in pages.
//!
//! A cursor is the last key of the page before, so that a page costs the same wherever it lies and
//! what comes and goes meanwhile makes no gaps and no repeats.

use convite_core::Problem;
use convite_core::model::Page;
use data_encoding::BASE64URL_NOPAD;

/// Stands before the key, so that the cursor of one list is refused by the other.
pub(crate) const PEERS: &str = "peers";
pub(crate) const INDEX: &str = "index";
pub(crate) const ACCOUNTS: &str = "accounts";
pub(crate) const AUDIT: &str = "audit";
pub(crate) const INVITES: &str = "invites";
pub(crate) const LOADS: &str = "loads";
pub(crate) const MEMBERS: &str = "members";
pub(crate) const SESSIONS: &str = "sessions";
pub(crate) const SPACES: &str = "spaces";

pub(crate) fn encode(parts: &[&str]) -> String {
    // No part holds a NUL.
    BASE64URL_NOPAD.encode(parts.join("\0").as_bytes())
}

/// The parts of a cursor, if it has as many as `N` and the first is `list`.
pub(crate) fn decode<const N: usize>(cursor: &str, list: &str) -> Option<[String; N]> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let parts: Vec<String> = text.split('\0').map(str::to_owned).collect();
    let parts: [String; N] = parts.try_into().ok()?;
    (parts.first()? == list).then_some(parts)
}

/// The key after which a page of a list with keys of one part begins: empty for the first page.
///
/// # Errors
/// `invalid_argument` for a cursor of another list, or of no list.
pub(crate) fn after(
    cursor: Option<&str>,
    list: &str,
    valid: impl FnOnce(&str) -> bool,
) -> Result<String, Problem> {
    match cursor.map(|cursor| decode::<2>(cursor, list)) {
        None => Ok(String::new()),
        Some(Some([_, key])) if valid(&key) => Ok(key),
        Some(_) => Err(refuse()),
    }
}

/// The cursor behind a load, by when it was asked for and its number.
pub(crate) fn of_load(created: i64, id: i64) -> String {
    encode(&[LOADS, &created.to_string(), &id.to_string()])
}

/// When the load was asked for, and its number, before which a page begins: the newest without a
/// cursor.
///
/// # Errors
/// As [`after`].
pub(crate) fn before_load(cursor: Option<&str>) -> Result<(i64, i64), Problem> {
    let Some(cursor) = cursor else {
        return Ok((i64::MAX, i64::MAX));
    };
    let [_, created, id] = decode::<3>(cursor, LOADS).ok_or_else(refuse)?;
    match (created.parse(), id.parse()) {
        (Ok(created), Ok(id)) => Ok((created, id)),
        _ => Err(refuse()),
    }
}

pub(crate) fn refuse() -> Problem {
    Problem::invalid("the cursor is not one that this list returned")
        .hint("leave it out to begin with the first page")
}

/// The items of a page of which one more than `limit` was asked for.
pub(crate) fn page<T>(
    mut items: Vec<T>,
    limit: usize,
    cursor: impl FnOnce(&T) -> String,
) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(cursor);
    Page { items, next_cursor }
}
