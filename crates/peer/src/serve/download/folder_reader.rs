//! Reads ranges of the bytes of a folder: many small files into one buffer, each opened beneath its
//! share and checked before and after it is read.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use convite_core::{ErrorCode, Problem};

use crate::fs::identity::FileIdentity;
use crate::fs::open_beneath;
use crate::fs::positioned_io::read_exact_at;
use crate::serve::context::ServeContext;
use crate::serve::download::buffers::BufferPermit;
use crate::serve::download::files::open_problem;
use crate::serve::download::folder_layout::{FolderLayout, FolderLayouts, folder_changed};
use crate::serve::download::read_ahead::{Chunk, ReadChunks};
use crate::sharing::catalogue::{Catalogue, IndexedFile, IndexedFolder};
use crate::sharing::read_failures::ReadFailures;

/// A folder whose bytes are read.
pub(crate) struct OpenFolder {
    folder: Arc<IndexedFolder>,
    layout: Arc<FolderLayout>,
    layouts: Arc<FolderLayouts>,
    catalogue: Arc<Catalogue>,
    failures: Arc<ReadFailures>,
}

impl OpenFolder {
    pub(crate) fn new(
        folder: Arc<IndexedFolder>,
        layout: Arc<FolderLayout>,
        serving: &ServeContext,
    ) -> Self {
        Self {
            folder,
            layout,
            layouts: serving.folder_layouts.clone(),
            catalogue: serving.catalogue.clone(),
            failures: serving.read_failures.clone(),
        }
    }

    /// Returns the layout.
    pub(crate) fn layout(&self) -> &FolderLayout {
        &self.layout
    }

    /// Reads `ranges` of the folder bytes, which must be within the folder.
    pub(crate) fn reader(self, ranges: Vec<Range<u64>>) -> FolderReader {
        FolderReader {
            folder: self,
            ranges: ranges.into_iter(),
            at: 0..0,
            file: 0,
            open: None,
        }
    }

    /// Opens a file, which must be unchanged and still shared as a part of the folder.
    fn open(&self, file: &IndexedFile) -> Result<(File, FileIdentity), Problem> {
        let now = self.catalogue.by_path(&file.path);
        let now = now.filter(|now| now.hash == file.hash && now.space == self.folder.space);
        let now = now.ok_or_else(folder_changed)?;
        let opened = open_beneath::open(&file.root, file.inner());
        let (open, identity) = opened.map_err(|error| {
            let problem = open_problem(&file.path, &error, &self.failures);
            match problem.code {
                ErrorCode::NotFound | ErrorCode::ContentChanged => folder_changed(),
                _ => problem,
            }
        })?;
        if identity == now.identity {
            return Ok((open, identity));
        }
        Err(folder_changed())
    }

    /// Reads a part of an open file, and checks that the file is unchanged.
    fn read(
        &self,
        (open, identity): &(File, FileIdentity),
        file: &IndexedFile,
        (buffer, at): (&mut [u8], u64),
    ) -> Result<(), Problem> {
        let read = read_exact_at(open, buffer, at);
        // Checked after the read, so that no byte of a changed file is sent.
        if FileIdentity::of(open).is_ok_and(|now| now == *identity) {
            return read.map_err(|error| self.failures.record(&file.path, &error));
        }
        Err(folder_changed())
    }
}

/// Reads ranges of the folder bytes.
pub(crate) struct FolderReader {
    folder: OpenFolder,
    ranges: std::vec::IntoIter<Range<u64>>,
    at: Range<u64>,
    /// The index of the file that contains the next byte.
    file: usize,
    /// That file, if a part of it was read.
    open: Option<(File, FileIdentity)>,
}

impl FolderReader {
    /// Fills `buffer` with the bytes at `at`.
    fn fill(&mut self, mut buffer: &mut [u8], mut at: u64) -> Result<(), Problem> {
        while !buffer.is_empty() {
            let layout = self.folder.layout.clone();
            let (file, range) = layout.file(self.file).ok_or_else(folder_changed)?;
            if range.end <= at {
                // The next file may be empty.
                self.file += 1;
                self.open = None;
                continue;
            }
            let open = match self.open.take() {
                Some(open) => open,
                None => self.folder.open(file)?,
            };
            let rest = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let (part, after) = buffer.split_at_mut(rest.min(buffer.len()));
            at += part.len() as u64;
            let start = at - part.len() as u64 - range.start;
            self.folder.read(&open, file, (part, start))?;
            self.open = Some(open);
            buffer = after;
        }
        Ok(())
    }
}

impl ReadChunks for FolderReader {
    fn next_len(&mut self, most: usize) -> usize {
        while self.at.is_empty() {
            match self.ranges.next() {
                Some(range) => {
                    self.file = self.folder.layout.file_at(range.start);
                    self.open = None;
                    self.at = range;
                }
                None => return 0,
            }
        }
        (most as u64).min(self.at.end - self.at.start) as usize
    }

    fn next(&mut self, room: BufferPermit) -> Chunk {
        let offset = self.at.start;
        let len = (room.len() as u64).min(self.at.end - offset);
        self.at.start += len;
        let data = room.fill(len as usize, |buffer| self.fill(buffer, offset));
        if data.is_err() {
            // The next request builds the layout from what is known then.
            self.folder.layouts.forget(&self.folder.folder);
        }
        Ok((offset, data?))
    }
}
