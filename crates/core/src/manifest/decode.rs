//! Decoding a manifest from another peer.

use super::encode::{FILE, FOLDER, HEADER, MAGIC};
use super::entry::{EntryRef, ManifestSummary};
use super::rules::LevelCheck;
use crate::entry_kind::EntryKind;
use crate::error::Problem;
use crate::hash::ContentHash;

/// Decodes a manifest in parts that end between entries, and hashes it.
///
/// Entries are checked one by one, but proven only when the hash in the summary is the expected
/// one. Memory does not depend on the number of entries.
#[derive(Debug)]
pub struct ManifestDecoder {
    /// Absent until the header is decoded.
    check: Option<LevelCheck>,
    hasher: blake3::Hasher,
}

impl Default for ManifestDecoder {
    fn default() -> Self {
        Self {
            check: None,
            hasher: ContentHash::manifest_hasher(),
        }
    }
}

impl ManifestDecoder {
    /// Creates the decoder of one manifest.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes the next part, and calls `each` with its entries in order. The first part begins
    /// with the header.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the part is malformed, ends within an entry, or breaks a rule
    /// of manifests; `too_large` if the totals exceed the limits of a folder; or the first error
    /// of `each`. After an error, the decoder must not be used again.
    pub fn push(
        &mut self,
        part: &[u8],
        mut each: impl FnMut(EntryRef<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.hasher.update(part);
        let mut rest = part;
        let check = match &mut self.check {
            Some(check) => check,
            none => {
                let entries = read_header(&mut rest)?;
                none.insert(LevelCheck::new(entries)?)
            }
        };
        while !rest.is_empty() {
            let entry = read_entry(&mut rest)?;
            check.add(&entry)?;
            each(entry)?;
        }
        Ok(())
    }

    /// Returns the number of entries that the header announces, once it is decoded.
    pub fn announced(&self) -> Option<usize> {
        self.check.as_ref().map(LevelCheck::announced)
    }

    /// Returns the number of files and of bytes of the entries so far.
    pub fn totals(&self) -> (u64, u64) {
        self.check.as_ref().map_or((0, 0), LevelCheck::totals)
    }

    /// Returns the summary of the whole manifest.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the header or entries are missing.
    pub fn finish(self) -> Result<ManifestSummary, Problem> {
        let hash = ContentHash::from_bytes(*self.hasher.finalize().as_bytes());
        match self.check {
            Some(check) => check.finish(hash),
            None => Err(truncated()),
        }
    }
}

fn truncated() -> Problem {
    Problem::invalid("a manifest ends too early")
}

/// Removes the first `count` bytes of `rest`.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Problem> {
    let (taken, after) = rest.split_at_checked(count).ok_or_else(truncated)?;
    *rest = after;
    Ok(taken)
}

/// Removes the first `N` bytes of `rest`.
fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Problem> {
    let (taken, after) = rest.split_first_chunk().ok_or_else(truncated)?;
    *rest = after;
    Ok(*taken)
}

/// Returns the announced number of entries.
fn read_header(rest: &mut &[u8]) -> Result<usize, Problem> {
    let mut header = take(rest, HEADER)?;
    if take_array(&mut header)? != MAGIC {
        return Err(Problem::invalid(
            "this is not a manifest of a known version",
        ));
    }
    let entries = u32::from_le_bytes(take_array(&mut header)?);
    Ok(usize::try_from(entries).unwrap_or(usize::MAX))
}

fn read_entry<'a>(rest: &mut &'a [u8]) -> Result<EntryRef<'a>, Problem> {
    let [kind, name_len] = take_array(rest)?;
    let name = take(rest, usize::from(name_len))?;
    let name = std::str::from_utf8(name)
        .map_err(|_| Problem::invalid("a name in a manifest is not valid UTF-8"))?;
    let kind = match kind {
        FILE => EntryKind::File,
        FOLDER => EntryKind::Folder,
        other => {
            return Err(Problem::invalid(format!(
                "a manifest has an entry of the unknown kind {other}"
            )));
        }
    };
    let size = u64::from_le_bytes(take_array(rest)?);
    let (files, crc32) = match kind {
        EntryKind::File => (1, u32::from_le_bytes(take_array(rest)?)),
        EntryKind::Folder => (u64::from_le_bytes(take_array(rest)?), 0),
    };
    Ok(EntryRef {
        name,
        kind,
        size,
        files,
        crc32,
        hash: ContentHash::from_bytes(take_array(rest)?),
    })
}
