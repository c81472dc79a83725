//! Encoding and hashing a manifest.

use super::entry::{EntryRef, ManifestSummary};
use super::rules::LevelCheck;
use crate::entry_kind::EntryKind;
use crate::error::Problem;
use crate::hash::ContentHash;

/// The first bytes of a manifest: its format and version.
pub(super) const MAGIC: [u8; 4] = *b"CVM1";
/// The length of the magic and of the number of entries, in bytes.
pub(super) const HEADER: usize = 8;
/// The code of a file.
pub(super) const FILE: u8 = 0;
/// The code of a folder.
pub(super) const FOLDER: u8 = 1;

/// Hashed bytes are dropped when there are this many.
const HASH_RUN: usize = 64 << 10;

/// Encodes a manifest entry by entry, in parts that end between entries, and hashes it.
///
/// The parts in order are the encoded manifest. A level of 1,000,000 entries need not be in memory
/// as a whole.
#[derive(Debug)]
pub struct ManifestEncoder {
    check: LevelCheck,
    hasher: blake3::Hasher,
    part: Vec<u8>,
}

impl ManifestEncoder {
    /// Creates the encoder of a manifest with `entries` entries.
    ///
    /// # Errors
    /// Returns `too_large` above [`LEVEL_MAX`](super::LEVEL_MAX) entries.
    pub fn new(entries: usize) -> Result<Self, Problem> {
        Ok(Self {
            check: LevelCheck::new(entries)?,
            hasher: ContentHash::manifest_hasher(),
            part: header(entries),
        })
    }

    /// Adds the next entry.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the name is not allowed, if names are not strictly ascending,
    /// if there are more entries than announced, or if values contradict each other; `too_large`
    /// if the totals exceed the limits of a folder.
    pub fn push(&mut self, entry: EntryRef<'_>) -> Result<(), Problem> {
        self.check.add(&entry)?;
        write_entry(&mut self.part, &entry);
        Ok(())
    }

    /// Returns the length in bytes of the part so far: what [`Self::take_part`] returns.
    pub fn part_len(&self) -> usize {
        self.part.len()
    }

    /// Returns the bytes since the last part. They end between two entries.
    pub fn take_part(&mut self) -> Vec<u8> {
        self.hasher.update(&self.part);
        std::mem::take(&mut self.part)
    }

    /// Returns the last part and the summary of the manifest.
    ///
    /// # Errors
    /// Returns `invalid_argument` if there are fewer entries than announced.
    pub fn finish(mut self) -> Result<(Vec<u8>, ManifestSummary), Problem> {
        let part = self.take_part();
        let hash = ContentHash::from_bytes(*self.hasher.finalize().as_bytes());
        Ok((part, self.check.finish(hash)?))
    }
}

/// Computes the hash of a manifest entry by entry, without keeping its bytes.
#[derive(Debug)]
pub struct ManifestHasher(ManifestEncoder);

impl ManifestHasher {
    /// Creates the hasher of a manifest with `entries` entries.
    ///
    /// # Errors
    /// As [`ManifestEncoder::new`].
    pub fn new(entries: usize) -> Result<Self, Problem> {
        ManifestEncoder::new(entries).map(Self)
    }

    /// Adds the next entry.
    ///
    /// # Errors
    /// As [`ManifestEncoder::push`].
    pub fn push(&mut self, entry: EntryRef<'_>) -> Result<(), Problem> {
        self.0.push(entry)?;
        if self.0.part.len() >= HASH_RUN {
            self.0.hasher.update(&self.0.part);
            self.0.part.clear();
        }
        Ok(())
    }

    /// Returns the summary of the manifest.
    ///
    /// # Errors
    /// As [`ManifestEncoder::finish`].
    pub fn finish(self) -> Result<ManifestSummary, Problem> {
        self.0.finish().map(|(_, summary)| summary)
    }
}

/// Returns the header of a manifest with `entries` entries, at most
/// [`LEVEL_MAX`](super::LEVEL_MAX).
pub(crate) fn header(entries: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&(entries as u32).to_le_bytes());
    bytes
}

/// Appends an entry that keeps the rules.
pub(crate) fn write_entry(out: &mut Vec<u8>, entry: &EntryRef<'_>) {
    let name = entry.name.as_bytes();
    let kind = match entry.kind {
        EntryKind::File => FILE,
        EntryKind::Folder => FOLDER,
    };
    // The length fits: a name has at most 255 bytes.
    out.extend_from_slice(&[kind, name.len() as u8]);
    out.extend_from_slice(name);
    out.extend_from_slice(&entry.size.to_le_bytes());
    match entry.kind {
        EntryKind::File => out.extend_from_slice(&entry.crc32.to_le_bytes()),
        EntryKind::Folder => out.extend_from_slice(&entry.files.to_le_bytes()),
    }
    out.extend_from_slice(entry.hash.as_bytes());
}
