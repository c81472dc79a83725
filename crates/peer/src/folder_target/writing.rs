//! Writing verified pieces: the files of a pack, and the parts of large files.

use std::fs::File;
use std::io;

use bytes::Bytes;
use convite_core::folder::{FolderFile, FolderPiece};
use convite_core::{PieceHashes, PieceIndex};

use super::FolderTarget;
use crate::fs::folder_handle::NewFileMode;
use crate::fs::piece_writer::write_parts;

impl FolderTarget {
    /// Writes a verified piece, which consists of `parts`. A piece may be written twice. Blocks.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub fn write_piece(&self, piece: PieceIndex, parts: Vec<Bytes>) -> io::Result<()> {
        match self.folder.pieces.piece(piece) {
            FolderPiece::Pack { files } => {
                let mut bytes = PieceBytes(parts);
                for file in self.folder.tree.local_files(&self.names, files) {
                    let contents = bytes.take(file.size);
                    if self.claim(file.index) {
                        let written = self.write_small(&file, &contents);
                        written.inspect_err(|_| self.release(file.index))?;
                        self.add_written(&file, file.size);
                    }
                }
                Ok(())
            }
            FolderPiece::Part { file, range } => {
                // Fits: the limits of a folder bound the number of files.
                let file = self.file(file as u32)?;
                if self.is_done(file.index) {
                    return Ok(());
                }
                let open = self.large.open(&self.parts, &file, self.mode_of(&file))?;
                write_parts(&open, &parts, range.start)?;
                self.wrote_part(&file, piece, range.end - range.start, &open)
            }
        }
    }

    fn wrote_part(
        &self,
        file: &FolderFile,
        piece: PieceIndex,
        len: u64,
        open: &File,
    ) -> io::Result<()> {
        let first = self.folder.pieces.pieces_of_file(file.index).start;
        let Some(is_complete) = self.large.wrote(file, piece - first) else {
            return Ok(());
        };
        if !is_complete {
            let done = &self.counts.bytes_done;
            done.fetch_add(len, std::sync::atomic::Ordering::Relaxed);
            return Ok(());
        }
        self.set_time(file, open);
        self.add_written(file, len);
        self.copy_large(file, open)
    }

    fn write_small(&self, file: &FolderFile, contents: &[Bytes]) -> io::Result<()> {
        let open = self.create_temporary(file)?;
        write_parts(&open, contents, 0)?;
        self.set_time(file, &open);
        Ok(())
    }

    /// Creates a file among the parts. What an earlier run left there is removed.
    pub(super) fn create_temporary(&self, file: &FolderFile) -> io::Result<File> {
        let (name, mode) = (self.temporary_name(file), self.mode_of(file));
        match self.parts.create_file(&name, mode) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.parts.remove_file(&name)?;
                self.parts.create_file(&name, mode)
            }
            created => created,
        }
    }

    fn mode_of(&self, file: &FolderFile) -> NewFileMode {
        match self.folder.attributes.is_executable(file) {
            true => NewFileMode::Executable,
            false => NewFileMode::Plain,
        }
    }

    /// Sets the modification time. A time that the file system cannot store is left out.
    pub(super) fn set_time(&self, file: &FolderFile, open: &File) {
        if let Some(modified) = self.folder.attributes.modified(file)
            && let Err(error) = open.set_modified(modified)
        {
            tracing::debug!(%error, "cannot set a modification time");
        }
    }

    /// Stores the piece hashes of a large file for a resume.
    pub fn store_hashes(&self, file: &FolderFile, hashes: &PieceHashes) {
        self.large.store_hashes(file, hashes);
    }
}

/// The bytes of a piece, taken file by file.
struct PieceBytes(Vec<Bytes>);

impl PieceBytes {
    /// Takes the next `len` bytes; fewer at the end.
    fn take(&mut self, len: u64) -> Vec<Bytes> {
        let (mut taken, mut left) = (Vec::new(), len);
        let mut used = 0;
        for part in &mut self.0 {
            if left == 0 {
                break;
            }
            let count = left.min(part.len() as u64);
            taken.push(part.split_to(count as usize));
            left -= count;
            if part.is_empty() {
                used += 1;
            }
        }
        self.0.drain(..used);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_taken_across_the_borders_of_parts() {
        let parts = ["abc", "d", "", "efgh"].map(|part| Bytes::from(part.to_owned()));
        let mut bytes = PieceBytes(parts.to_vec());
        let mut take = |len| bytes.take(len).concat();
        assert_eq!(take(2), b"ab");
        assert_eq!(take(0), b"");
        assert_eq!(take(3), b"cde");
        assert_eq!(take(9), b"fgh");
    }
}
