//! Manifests: the canonical list of the entries of one folder, one level.
//!
//! The hash of an encoded manifest is the folder hash
//! ([`ContentHash::of_manifest`](crate::hash::ContentHash::of_manifest)). An entry of a sub-folder holds the
//! folder hash of that sub-folder, so the hash of the outermost folder identifies the whole tree.
//! docs/formats.md describes the encoding byte by byte. One list of entries has exactly one
//! encoding: a decoder refuses any other.

mod decode;
mod encode;
mod entry;
mod rules;

pub use decode::ManifestDecoder;
pub use encode::{ManifestEncoder, ManifestHasher};
pub(crate) use encode::{header, write_entry};
pub use entry::{EntryRef, ManifestEntry, ManifestSummary};
pub use rules::{FILES_MAX, FOLDER_SIZE_MAX, LEVEL_MAX};

use crate::error::Problem;
use crate::hash::ContentHash;

/// A manifest in memory: entries that keep the rules, sorted by the bytes of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<ManifestEntry>,
    summary: ManifestSummary,
}

impl Manifest {
    /// Sorts and checks the entries.
    ///
    /// # Errors
    /// Returns `invalid_argument` if two entries have the same name, if a name is hidden or not a
    /// part of a [`SafePath`](crate::path::SafePath), or if values contradict each other;
    /// `too_large` beyond [`LEVEL_MAX`], [`FILES_MAX`] or [`FOLDER_SIZE_MAX`].
    pub fn new(mut entries: Vec<ManifestEntry>) -> Result<Self, Problem> {
        if !entries.is_sorted_by(|a, b| a.name <= b.name) {
            entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        }
        let mut hasher = ManifestHasher::new(entries.len())?;
        for entry in &entries {
            hasher.push(entry.borrowed())?;
        }
        let summary = hasher.finish()?;
        Ok(Self { entries, summary })
    }

    /// Decodes a whole manifest. The caller compares [`Self::hash`] with the expected hash.
    ///
    /// # Errors
    /// Returns `invalid_argument` or `too_large` unless `bytes` are the canonical encoding of a
    /// manifest.
    pub fn decode(bytes: &[u8]) -> Result<Self, Problem> {
        let mut decoder = ManifestDecoder::new();
        let mut entries = Vec::new();
        decoder.push(bytes, |entry| {
            entries.push(entry.to_entry());
            Ok(())
        })?;
        let summary = decoder.finish()?;
        Ok(Self { entries, summary })
    }

    /// Returns the encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = header(self.entries.len());
        for entry in &self.entries {
            write_entry(&mut bytes, &entry.borrowed());
        }
        bytes
    }

    /// Returns the entries, sorted by the bytes of their names.
    pub fn entries(&self) -> &[ManifestEntry] {
        &self.entries
    }

    /// Returns the entry with this name.
    pub fn entry(&self, name: &str) -> Option<&ManifestEntry> {
        let found = self
            .entries
            .binary_search_by(|entry| (*entry.name).cmp(name));
        found.ok().map(|at| &self.entries[at])
    }

    /// Returns the hash and the totals.
    pub fn summary(&self) -> &ManifestSummary {
        &self.summary
    }

    /// Returns the folder hash: BLAKE3 of the encoding.
    pub fn hash(&self) -> ContentHash {
        self.summary.hash
    }

    /// Returns the number of files and of bytes, on all levels.
    pub fn totals(&self) -> (u64, u64) {
        (self.summary.files, self.summary.size)
    }
}

#[cfg(test)]
mod tests;
