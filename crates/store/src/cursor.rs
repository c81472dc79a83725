//! Cursors of paged lists.
//!
//! A cursor is the last key of the previous page. So every page costs the same, and rows that are
//! added or removed meanwhile cause neither gaps nor repeats.

use convite_core::model::Page;
use data_encoding::BASE64URL_NOPAD;

use crate::error::{DbError, DbResult};
use crate::rows::Row;

/// Prefix of the key, so that a list rejects the cursor of another list.
pub(crate) const PEERS: &str = "peers";
pub(crate) const INDEX: &str = "index";
pub(crate) const FOLDER: &str = "folder";
pub(crate) const ACCOUNTS: &str = "accounts";
pub(crate) const AUDIT: &str = "audit";
pub(crate) const INVITES: &str = "invites";
pub(crate) const LOADS: &str = "loads";
pub(crate) const MEMBERS: &str = "members";
pub(crate) const SESSIONS: &str = "sessions";
pub(crate) const SPACES: &str = "spaces";

pub(crate) fn encode(parts: &[&str]) -> String {
    // No part contains a NUL.
    BASE64URL_NOPAD.encode(parts.join("\0").as_bytes())
}

/// Returns the `N` parts of a cursor, or `None` if it has another number of parts or is not for
/// `list`.
pub(crate) fn decode<const N: usize>(cursor: &str, list: &str) -> Option<[String; N]> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let parts: Vec<String> = text.split('\0').map(str::to_owned).collect();
    let parts: [String; N] = parts.try_into().ok()?;
    (parts.first()? == list).then_some(parts)
}

/// Returns the key after which a page starts, for lists whose keys have one part; empty for the
/// first page.
///
/// # Errors
/// Returns `invalid_argument` if the cursor is invalid or belongs to another list.
pub(crate) fn after(
    cursor: Option<&str>,
    list: &str,
    valid: impl FnOnce(&str) -> bool,
) -> DbResult<String> {
    match cursor.map(|cursor| decode::<2>(cursor, list)) {
        None => Ok(String::new()),
        Some(Some([_, key])) if valid(&key) => Ok(key),
        Some(_) => Err(DbError::InvalidCursor),
    }
}

/// Returns the cursor after a remote fetch, from its creation time and its number.
pub(crate) fn of_load(created: i64, id: i64) -> String {
    encode(&[LOADS, &created.to_string(), &id.to_string()])
}

/// Returns the creation time and number before which a page starts: the maximum without a cursor.
///
/// # Errors
/// Returns the errors of [`after`].
pub(crate) fn before_load(cursor: Option<&str>) -> DbResult<(i64, i64)> {
    let Some(cursor) = cursor else {
        return Ok((i64::MAX, i64::MAX));
    };
    let [_, created, id] = decode::<3>(cursor, LOADS).ok_or(DbError::InvalidCursor)?;
    match (created.parse(), id.parse()) {
        (Ok(created), Ok(id)) => Ok((created, id)),
        _ => Err(DbError::InvalidCursor),
    }
}

/// Builds a page from up to `limit` + 1 items.
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

/// Returns the number of rows to read for a page: one more than `limit`, to see whether there is
/// another page.
pub(crate) fn rows_of(limit: u32) -> i64 {
    i64::from(limit.max(1)) + 1
}

/// Builds a page from [`rows_of`] a limit.
pub(crate) fn page_of<T>(
    rows: &[Row],
    limit: u32,
    read: impl Fn(&Row) -> DbResult<T>,
    cursor: impl FnOnce(&T) -> String,
) -> DbResult<Page<T>> {
    let items = rows.iter().map(read).collect::<DbResult<_>>()?;
    Ok(page(items, limit.max(1) as usize, cursor))
}
