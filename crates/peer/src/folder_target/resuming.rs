//! What an earlier run left among the parts: complete small files, and parts of large ones.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::Ordering;

use convite_core::ContentHash;
use convite_core::folder::{FolderFile, FolderPiece};
use convite_swarm::PieceSet;
use rayon::prelude::*;
use tokio_util::sync::CancellationToken;

use super::FolderTarget;
use super::hashing::hash_contents;
use super::large_files::{Resuming, part_name};
use crate::fs::folder_handle::FoundEntry;

/// Returns the hash and the index in the name of a small file among the parts.
fn parse_name(name: &str) -> Option<(ContentHash, u32)> {
    let (hash, index) = name.split_once('-')?;
    Some((hash.parse().ok()?, index.parse().ok()?))
}

impl FolderTarget {
    /// Finds complete small files among the parts, and removes what belongs to no missing file.
    ///
    /// # Errors
    /// Returns `Interrupted` if it was cancelled. Fails otherwise as the file system does.
    pub(super) fn resume_small(&self, stop: &CancellationToken) -> io::Result<()> {
        let mut names = self.parts.names()?;
        names.retain(|name| !matches!(name.as_str(), "lock" | "marker"));
        if names.is_empty() {
            return Ok(());
        }
        let (small, others): (Vec<_>, Vec<_>) = names
            .into_iter()
            .partition(|name| parse_name(name).is_some());
        self.remove_stale(&others)?;
        let right: Vec<Option<FolderFile>> = small
            .par_iter()
            .with_max_len(16)
            .map(|name| self.find_small(name, stop))
            .collect::<io::Result<_>>()?;
        for (name, file) in small.iter().zip(right) {
            match file {
                Some(file) if self.claim(file.index) => {
                    let open = self.parts.open_file_to_write(name)?;
                    self.set_time(&file, &open);
                    self.add_written(&file, file.size);
                }
                _ => self.parts.remove_file(name)?,
            }
        }
        Ok(())
    }

    /// Returns the file whose contents are among the parts as `name`, if they are.
    fn find_small(&self, name: &str, stop: &CancellationToken) -> io::Result<Option<FolderFile>> {
        let Some((hash, index)) = parse_name(name) else {
            return Ok(None);
        };
        let Ok(file) = self.file(index) else {
            return Ok(None);
        };
        let is_whole = match self.parts.look(name)? {
            Some(FoundEntry::File(identity)) => identity.size == file.size,
            _ => false,
        };
        if !is_whole || file.hash != hash || self.is_done(file.index) || self.is_large(&file) {
            return Ok(None);
        }
        let found = hash_contents(&self.parts.open_file(name)?, file.size, stop)?;
        Ok((found == hash).then_some(file))
    }

    /// Removes files that belong to no missing large file.
    fn remove_stale(&self, names: &[String]) -> io::Result<()> {
        let missing = self.missing_large_files();
        let wanted: HashSet<String> = missing.iter().map(|file| file.hash.to_string()).collect();
        for name in names {
            let hash = name.split_once('.').map(|(hash, _)| hash);
            if !hash.is_some_and(|hash| wanted.contains(hash)) {
                self.parts.remove_file(name)?;
            }
        }
        Ok(())
    }

    fn missing_large_files(&self) -> Vec<FolderFile> {
        let all = 0..self.folder.tree.file_count();
        let files = self.folder.tree.local_files(&self.names, all);
        files
            .filter(|file| self.is_large(file) && !self.is_done(file.index))
            .collect()
    }

    /// Finds verified pieces of large files.
    ///
    /// # Errors
    /// Returns `Interrupted` if it was cancelled. Fails otherwise as the file system does.
    pub(super) fn resume_large(&self, stop: &CancellationToken) -> io::Result<()> {
        let from = Resuming {
            parts: &self.parts,
            pieces: &self.folder.pieces,
            stop,
        };
        for file in self.missing_large_files() {
            let held = self.large.resume(&file, &from)?;
            let first = self.folder.pieces.pieces_of_file(file.index).start;
            let pieces = held.iter().map(|piece| first + piece);
            let bytes = pieces
                .map(|piece| self.folder.pieces.piece_len(piece))
                .sum();
            if held.is_full() {
                // It was complete, but had no name yet.
                self.large.forget(&file);
                let open = self.parts.open_file_to_write(&part_name(&file))?;
                self.set_time(&file, &open);
                self.add_written(&file, bytes);
                self.copy_large(&file, &open)?;
            } else {
                self.counts.bytes_done.fetch_add(bytes, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Returns the pieces that need not be received.
    pub(super) fn pieces_here(&self) -> PieceSet {
        let pieces = &self.folder.pieces;
        let mut here = PieceSet::empty(pieces.piece_count());
        let mut piece = 0;
        while piece < pieces.piece_count() {
            match pieces.piece(piece) {
                FolderPiece::Pack { mut files } => {
                    if files.all(|index| self.is_done(index)) {
                        here.insert(piece);
                    }
                    piece += 1;
                }
                FolderPiece::Part { file, .. } => {
                    let own = pieces.pieces_of_file(file);
                    let held = self.large.held(file);
                    for part in own.clone() {
                        if held
                            .as_ref()
                            .is_none_or(|held| held.contains(part - own.start))
                        {
                            here.insert(part);
                        }
                    }
                    piece = own.end;
                }
            }
        }
        here
    }
}
