//! Opens folders below a target one after the other; the last one is kept open, because consecutive
//! files are in the same folder.

use std::io;

use crate::fs::folder_handle::FolderHandle;

/// The folders below `root`.
pub(super) struct FolderCursor<'a> {
    root: &'a FolderHandle,
    last: Option<(String, FolderHandle)>,
}

impl<'a> FolderCursor<'a> {
    pub(super) fn new(root: &'a FolderHandle) -> Self {
        Self { root, last: None }
    }

    /// Returns the folder at `path` inside the root; the root if `path` is empty.
    ///
    /// # Errors
    /// As [`FolderHandle::open_below`].
    pub(super) fn at(&mut self, path: &str) -> io::Result<&FolderHandle> {
        if path.is_empty() {
            return Ok(self.root);
        }
        let last = match self.last.take() {
            Some(last) if last.0 == path => last,
            _ => (path.to_owned(), self.root.open_below(path)?),
        };
        Ok(&self.last.insert(last).1)
    }
}
