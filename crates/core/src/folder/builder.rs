//! Building a folder from manifests that another peer sends.

use std::collections::HashMap;
use std::ops::Range;

use super::arena::{Arena, Level, UNKNOWN_LEVEL};
use super::tree::{Below, FolderTree};
use crate::entry_kind::EntryKind;
use crate::error::{ErrorCode, Problem};
use crate::hash::ContentHash;
use crate::manifest::{Manifest, ManifestDecoder};
use crate::path::PATH_MAX;

/// The maximum number of parts of a path inside a folder.
pub const DEPTH_MAX: usize = 256;
/// The maximum number of folders below a folder, on all levels.
pub const FOLDERS_MAX: usize = 1_000_000;

/// Builds a [`FolderTree`] from its manifests.
///
/// Manifests arrive depth first, each distinct one once: the folder itself, then for each entry
/// that is a folder, in order, its manifest and those below it, unless they arrived before.
/// [`Self::expected`] tells which one is next. A manifest is accepted only if it has the hash and
/// the totals that its parent names. Limits hold at every moment, so memory is bounded whatever
/// the sender claims.
#[derive(Debug)]
pub struct FolderTreeBuilder {
    arena: Arena,
    state: State,
    /// Levels on the way from the folder itself to the expected manifest.
    open: Vec<OpenLevel>,
    /// Distinct folders that are complete with everything below them.
    complete: HashMap<ContentHash, Subtree>,
    /// Number of folders below so far, counted as often as they occur.
    folders: usize,
    /// Extent of the whole folder, when it is complete.
    below: Below,
}

#[derive(Debug)]
enum State {
    /// The next part begins this manifest.
    Expecting(Expected),
    /// The next part continues this manifest.
    Receiving(Expected, Box<Receiving>),
    /// All manifests are here.
    Complete,
    /// A manifest was refused.
    Failed,
}

/// What is known of a manifest before it arrives.
#[derive(Debug, Clone, Copy)]
struct Expected {
    hash: ContentHash,
    /// Numbers of files and bytes; unknown for the folder itself.
    totals: Option<(u64, u64)>,
    /// The entry of the folder; none for the folder itself.
    entry: Option<u32>,
    /// Length of the path of the folder, with the separator behind it.
    path_len: usize,
}

#[derive(Debug)]
struct Receiving {
    decoder: ManifestDecoder,
    first: u32,
    /// Totals of the entries so far.
    files: u64,
    size: u64,
}

#[derive(Debug)]
struct OpenLevel {
    level: u32,
    /// The next entry that is not settled.
    next: u32,
    path_len: usize,
    below: Below,
}

/// A complete folder.
#[derive(Debug, Clone, Copy)]
struct Subtree {
    level: u32,
    below: Below,
}

impl Receiving {
    fn at(entries: usize) -> Box<Self> {
        Box::new(Self {
            decoder: ManifestDecoder::new(),
            // Fits: the arena bounds it.
            first: entries as u32,
            files: 0,
            size: 0,
        })
    }
}

impl Below {
    fn add_file(&mut self, name_len: usize) {
        self.depth = self.depth.max(1);
        self.path_len = self.path_len.max(name_len);
    }

    fn add_folder(&mut self, name_len: usize, below: &Self) {
        self.folders += 1 + below.folders;
        self.depth = self.depth.max(1 + below.depth);
        let separator = usize::from(below.depth > 0);
        self.path_len = self.path_len.max(name_len + separator + below.path_len);
    }
}

impl FolderTreeBuilder {
    /// Creates the builder of the folder with this hash.
    pub fn new(hash: ContentHash) -> Self {
        Self {
            arena: Arena::default(),
            state: State::Expecting(Expected {
                hash,
                totals: None,
                entry: None,
                path_len: 0,
            }),
            open: Vec::new(),
            complete: HashMap::new(),
            folders: 0,
            below: Below::default(),
        }
    }

    /// Returns the hash of the manifest that the next part belongs to; `None` if all manifests
    /// are here, or if one was refused.
    pub fn expected(&self) -> Option<ContentHash> {
        match &self.state {
            State::Expecting(expected) | State::Receiving(expected, _) => Some(expected.hash),
            State::Complete | State::Failed => None,
        }
    }

    /// Returns whether all manifests are here.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// Returns the allocated memory in bytes, without the decoder of one part.
    pub fn heap_bytes(&self) -> usize {
        let known = size_of::<(ContentHash, Subtree)>() + 1;
        self.arena.heap_bytes()
            + self.open.capacity() * size_of::<OpenLevel>()
            + self.complete.capacity() * known
    }

    /// Adds the next manifest, and returns the indexes of its entries.
    ///
    /// # Errors
    /// As [`Self::add_part`].
    pub fn add(&mut self, manifest: &Manifest) -> Result<Range<usize>, Problem> {
        self.add_part(&manifest.encode(), true)
    }

    /// Adds the next part of the expected manifest, and returns the indexes of its entries (see
    /// [`FolderTree::entry_count`]). `last` ends the manifest.
    ///
    /// # Errors
    /// - `invalid_argument`: the part is malformed, breaks a rule of manifests, or is not expected;
    /// - `content_changed`: the manifest does not have the hash or the totals that its parent
    ///   names;
    /// - `too_large`: the folder exceeds [`LEVEL_MAX`](crate::manifest::LEVEL_MAX),
    ///   [`FILES_MAX`](crate::manifest::FILES_MAX),
    ///   [`FOLDER_SIZE_MAX`](crate::manifest::FOLDER_SIZE_MAX), [`FOLDERS_MAX`], [`DEPTH_MAX`] or
    ///   [`PATH_MAX`].
    ///
    /// After an error, every call fails.
    pub fn add_part(&mut self, part: &[u8], last: bool) -> Result<Range<usize>, Problem> {
        let before = self.arena.len();
        let (expected, receiving) = match std::mem::replace(&mut self.state, State::Failed) {
            State::Expecting(expected) => (expected, Receiving::at(before)),
            State::Receiving(expected, receiving) => (expected, receiving),
            State::Complete => return Err(Problem::invalid("a folder has too many manifests")),
            State::Failed => return Err(Problem::invalid("a manifest was refused before")),
        };
        let receiving = self.decode(part, &expected, receiving)?;
        self.state = if last {
            self.finish_manifest(expected, receiving)?;
            self.settle()?
        } else {
            State::Receiving(expected, receiving)
        };
        Ok(before..self.arena.len())
    }

    /// Returns the folder.
    ///
    /// # Errors
    /// Returns `invalid_argument` if manifests are missing.
    pub fn finish(mut self) -> Result<FolderTree, Problem> {
        if !self.is_complete() {
            return Err(Problem::invalid("manifests of the folder are missing"));
        }
        drop(self.complete);
        self.arena.shrink();
        Ok(FolderTree::new(self.arena, self.below))
    }

    fn decode(
        &mut self,
        part: &[u8],
        expected: &Expected,
        mut receiving: Box<Receiving>,
    ) -> Result<Box<Receiving>, Problem> {
        let Receiving {
            decoder,
            files,
            size,
            ..
        } = &mut *receiving;
        let depth = self.open.len() + 1;
        let (arena, folders) = (&mut self.arena, &mut self.folders);
        decoder.push(part, |entry| {
            check_depth(depth)?;
            check_path(expected.path_len + entry.name.len())?;
            if entry.kind == EntryKind::Folder {
                *folders += 1;
                check_folders(*folders)?;
            }
            arena.push(&entry, *files, *size)?;
            // The decoder checks the sums.
            *files += entry.files;
            *size += entry.size;
            match expected.totals {
                Some((max_files, max_size)) if *files > max_files || *size > max_size => {
                    Err(wrong_totals())
                }
                _ => Ok(()),
            }
        })?;
        Ok(receiving)
    }

    /// Checks a manifest that arrived completely, and opens its level.
    fn finish_manifest(
        &mut self,
        expected: Expected,
        receiving: Box<Receiving>,
    ) -> Result<(), Problem> {
        let summary = receiving.decoder.finish()?;
        if summary.hash != expected.hash {
            return Err(Problem::new(
                ErrorCode::ContentChanged,
                "a manifest does not match its hash",
            ));
        }
        if expected
            .totals
            .is_some_and(|totals| totals != (summary.files, summary.size))
        {
            return Err(wrong_totals());
        }
        let level = self.arena.push_level(Level {
            hash: summary.hash,
            size: summary.size,
            first: receiving.first,
            end: self.arena.len() as u32,
            // Fits: `FILES_MAX` bounds it.
            files: summary.files as u32,
        });
        if let Some(entry) = expected.entry {
            self.arena.set_link(entry, level);
        }
        self.open.push(OpenLevel {
            level,
            next: receiving.first,
            path_len: expected.path_len,
            below: Below::default(),
        });
        Ok(())
    }

    /// Moves to the next entry whose manifest is missing.
    fn settle(&mut self) -> Result<State, Problem> {
        while let Some(mut top) = self.open.pop() {
            let end = self.arena.level(top.level).end;
            while top.next < end {
                if let Some(expected) = self.settle_entry(&mut top)? {
                    self.open.push(top);
                    return Ok(State::Expecting(expected));
                }
                top.next += 1;
            }
            self.below = top.below;
            let subtree = Subtree {
                level: top.level,
                below: top.below,
            };
            self.complete
                .insert(self.arena.level(top.level).hash, subtree);
        }
        Ok(State::Complete)
    }

    /// Settles the next entry of `top`, the innermost open level. Returns what is expected if it
    /// is a folder whose manifest is missing.
    fn settle_entry(&mut self, top: &mut OpenLevel) -> Result<Option<Expected>, Problem> {
        let level = self.arena.level(top.level);
        let entry = self.arena.entry(level, top.next);
        if entry.kind == EntryKind::File {
            top.below.add_file(entry.name.len());
            return Ok(None);
        }
        let path_len = top.path_len + entry.name.len() + 1;
        let Some(subtree) = self.complete.get(&entry.hash).copied() else {
            return Ok(Some(Expected {
                hash: entry.hash,
                totals: Some((entry.files, entry.size)),
                entry: Some(top.next),
                path_len,
            }));
        };
        let found = self.arena.level(subtree.level);
        if (u64::from(found.files), found.size) != (entry.files, entry.size) {
            return Err(wrong_totals());
        }
        top.below.add_folder(entry.name.len(), &subtree.below);
        if self.arena.link(top.next) == UNKNOWN_LEVEL {
            // This folder occurred before: its contents are checked, but not at this place.
            self.folders += subtree.below.folders;
            check_folders(self.folders)?;
            check_depth(self.open.len() + 1 + subtree.below.depth)?;
            check_path(
                path_len - 1 + usize::from(subtree.below.depth > 0) + subtree.below.path_len,
            )?;
        }
        self.arena.set_link(top.next, subtree.level);
        Ok(None)
    }
}

fn check_folders(folders: usize) -> Result<(), Problem> {
    if folders <= FOLDERS_MAX {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::TooLarge,
        format!("a folder has more than {FOLDERS_MAX} folders below it, the maximum"),
    ))
}

fn check_depth(depth: usize) -> Result<(), Problem> {
    if depth <= DEPTH_MAX {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::TooLarge,
        format!("a folder is deeper than {DEPTH_MAX} levels, the maximum"),
    ))
}

fn check_path(path_len: usize) -> Result<(), Problem> {
    if path_len <= PATH_MAX {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::TooLarge,
        format!("a path in a folder is longer than {PATH_MAX} bytes, the maximum"),
    ))
}

fn wrong_totals() -> Problem {
    Problem::invalid(
        "a folder does not have the size or the number of files that its parent states",
    )
}
