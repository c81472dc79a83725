//! A position in a folder, which moves over its entries in canonical order.

use super::arena::{Arena, Level};
use super::item::{FolderFile, FolderItem};
use super::local_names::LocalNames;
use crate::entry_kind::EntryKind;
use crate::path::SafePath;

/// A position between two entries. [`Self::step`] moves past the next one, into it if it is a
/// folder.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    arena: &'a Arena,
    /// Names that replace others in paths.
    names: Option<&'a LocalNames>,
    /// The levels that contain the position, outermost first.
    stack: Vec<Frame>,
    /// Path of the entry of the last step.
    path: String,
}

/// A level that contains the position.
#[derive(Debug)]
struct Frame {
    level: u32,
    /// The next entry.
    next: u32,
    /// Files before the level.
    files: u32,
    /// Bytes before the level.
    offset: u64,
    /// Length of the path of the level.
    path_len: usize,
}

/// An entry that the cursor has moved past or into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Index of the entry.
    pub(super) entry: u32,
    /// Index of its level.
    pub(super) level: u32,
    /// Number of files before it in the whole folder.
    pub(super) files: u32,
    /// Number of bytes before it in the whole folder.
    pub(super) offset: u64,
}

impl<'a> Cursor<'a> {
    /// Creates a cursor before the first entry.
    pub(super) fn at_start(arena: &'a Arena, names: Option<&'a LocalNames>) -> Self {
        let mut cursor = Self {
            arena,
            names: names.filter(|names| !names.is_empty()),
            stack: Vec::new(),
            path: String::new(),
        };
        cursor.push_level(0, 0, 0);
        cursor
    }

    /// Creates a cursor before the file `index`; at the end if there are not that many.
    pub(super) fn at_file(arena: &'a Arena, names: Option<&'a LocalNames>, index: usize) -> Self {
        let mut cursor = Self::at_start(arena, names);
        let found = u32::try_from(index).ok();
        let Some(index) = found.filter(|index| *index < arena.level(0).files) else {
            cursor.stack.clear();
            return cursor;
        };
        while let Some(frame) = cursor.stack.last_mut() {
            frame.next = arena.entry_of_file(arena.level(frame.level), index - frame.files);
            if arena.kind(frame.next) == EntryKind::File {
                break;
            }
            cursor.step();
        }
        cursor
    }

    fn push_level(&mut self, level: u32, files: u32, offset: u64) {
        self.stack.push(Frame {
            level,
            next: self.arena.level(level).first,
            files,
            offset,
            path_len: self.path.len(),
        });
    }

    /// Moves past the next entry, or into it if it is a folder. Returns `None` at the end.
    pub(super) fn step(&mut self) -> Option<Step> {
        loop {
            let frame = self.stack.last_mut()?;
            if frame.next == self.arena.level(frame.level).end {
                self.stack.pop();
                continue;
            }
            let step = Step {
                entry: frame.next,
                level: frame.level,
                files: frame.files + self.arena.files_before(frame.next),
                offset: frame.offset + self.arena.size_before(frame.next),
            };
            frame.next += 1;
            self.path.truncate(frame.path_len);
            if !self.path.is_empty() {
                self.path.push('/');
            }
            let local = self.names.and_then(|names| names.get(step.entry));
            let name = local.unwrap_or_else(|| self.arena.name(step.entry));
            self.path.push_str(name);
            if self.arena.kind(step.entry) == EntryKind::Folder {
                self.push_level(self.arena.link(step.entry), step.files, step.offset);
            }
            return Some(step);
        }
    }

    /// Moves past the next file.
    pub(super) fn next_file(&mut self) -> Option<Step> {
        loop {
            let step = self.step()?;
            if self.arena.kind(step.entry) == EntryKind::File {
                return Some(step);
            }
        }
    }

    /// Moves past the entry `name` of the level whose contents begin at the position; into it, if
    /// it is a folder.
    pub(super) fn enter(&mut self, name: &str) -> Option<Step> {
        let frame = self.stack.last_mut()?;
        let level = self.arena.level(frame.level);
        if frame.next != level.first {
            // The last step moved past a file: nothing is inside it.
            return None;
        }
        frame.next = self.arena.entry_named(level, name)?;
        self.step()
    }

    /// Returns the path of the last step.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the file of the last step.
    pub(super) fn file(&self, step: &Step) -> FolderFile {
        FolderFile {
            index: step.files as usize,
            entry: step.entry as usize,
            path: SafePath::from_checked(&self.path),
            size: self.arena.size(self.level(step), step.entry),
            offset: step.offset,
            crc32: self.arena.link(step.entry),
            hash: self.arena.hash(step.entry),
        }
    }

    /// Returns the file or folder of the last step.
    pub(super) fn item(&self, step: &Step) -> FolderItem {
        if self.arena.kind(step.entry) == EntryKind::File {
            return FolderItem::File(self.file(step));
        }
        let files = self.arena.files(self.level(step), step.entry);
        let size = self.arena.size(self.level(step), step.entry);
        FolderItem::Folder {
            entry: step.entry as usize,
            path: SafePath::from_checked(&self.path),
            hash: self.arena.hash(step.entry),
            files: step.files as usize..(step.files + files) as usize,
            bytes: step.offset..step.offset + size,
        }
    }

    fn level(&self, step: &Step) -> &'a Level {
        self.arena.level(step.level)
    }
}
