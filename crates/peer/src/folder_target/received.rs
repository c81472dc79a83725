//! A folder as a provider describes it: its manifests, and the times and permissions beside them.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convite_core::folder::FolderFile;
use convite_core::{FolderPieces, FolderTree, Problem};

/// A folder: its verified manifests, its pieces, and the attributes of its files.
#[derive(Debug)]
pub struct ReceivedFolder {
    /// The manifests.
    pub tree: Arc<FolderTree>,
    /// The pieces.
    pub pieces: Arc<FolderPieces>,
    /// The attributes of the files.
    pub attributes: FileAttributes,
}

impl ReceivedFolder {
    /// Creates a folder, whose pieces follow from its manifests.
    pub fn new(tree: FolderTree, attributes: FileAttributes) -> Self {
        Self {
            pieces: Arc::new(FolderPieces::new(&tree)),
            tree: Arc::new(tree),
            attributes,
        }
    }
}

/// The modification times and executable bits of files, by the index of their entry. They are not
/// verified: a provider may send any. 8 bytes and one bit for each entry.
#[derive(Debug, Default)]
pub struct FileAttributes {
    /// Seconds since 1970.
    modified: Vec<i64>,
    /// The first entry in the lowest bit of the first byte.
    executable: Vec<u8>,
}

impl FileAttributes {
    /// Adds the attributes of the next `entries`: a time for each, and a bit for each; missing bytes
    /// of bits are 0.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the number of times or of bits is wrong.
    pub fn add(
        &mut self,
        entries: Range<usize>,
        modified: &[i64],
        executable: &[u8],
    ) -> Result<(), Problem> {
        let count = entries.len();
        if entries.start != self.modified.len()
            || modified.len() != count
            || executable.len() > count.div_ceil(8)
        {
            return Err(Problem::invalid(
                "the times or permissions of a folder are not those of its entries",
            ));
        }
        self.modified.extend_from_slice(modified);
        self.executable.resize(self.modified.len().div_ceil(8), 0);
        for index in 0..count {
            if executable
                .get(index / 8)
                .is_some_and(|byte| byte >> (index % 8) & 1 == 1)
            {
                let entry = entries.start + index;
                self.executable[entry / 8] |= 1 << (entry % 8);
            }
        }
        Ok(())
    }

    /// Returns the modification time of a file in seconds since 1970.
    pub fn modified_seconds(&self, file: &FolderFile) -> Option<i64> {
        self.modified.get(file.entry).copied()
    }

    /// Returns the modification time of a file; `None` if the system cannot represent it.
    pub fn modified(&self, file: &FolderFile) -> Option<SystemTime> {
        let seconds = self.modified_seconds(file)?;
        let distance = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(distance)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(distance)
        }
    }

    /// Returns whether a file is executable.
    pub fn is_executable(&self, file: &FolderFile) -> bool {
        let byte = self.executable.get(file.entry / 8);
        byte.is_some_and(|byte| byte >> (file.entry % 8) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::ContentHash;

    fn file(entry: usize) -> FolderFile {
        FolderFile {
            index: 0,
            entry,
            path: "f".parse().unwrap(),
            size: 0,
            offset: 0,
            crc32: 0,
            hash: ContentHash::of(b""),
        }
    }

    #[test]
    fn attributes_of_parts_are_joined() {
        let mut all = FileAttributes::default();
        all.add(0..3, &[5, -1, i64::MAX], &[0b101]).unwrap();
        all.add(3..13, &[7; 10], &[0, 0b10]).unwrap();
        all.add(13..13, &[], &[]).unwrap();
        let executable: Vec<_> = (0..14).filter(|e| all.is_executable(&file(*e))).collect();
        assert_eq!(executable, [0, 2, 12]);
        let second = Duration::from_secs(1);
        assert_eq!(
            all.modified(&file(1)),
            Some(SystemTime::UNIX_EPOCH - second)
        );
        assert_eq!(all.modified_seconds(&file(12)), Some(7));
        assert_eq!(all.modified_seconds(&file(13)), None);
    }

    #[test]
    fn attributes_for_other_entries_are_refused() {
        let mut all = FileAttributes::default();
        for (modified, bits) in [(&[1; 2][..], &[][..]), (&[1; 4], &[]), (&[1; 3], &[0, 0])] {
            assert!(all.add(0..3, modified, bits).is_err());
        }
        assert!(all.add(1..2, &[1], &[]).is_err());
    }
}
