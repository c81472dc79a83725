//! The cache on disk: the hash of each file that was read, and what is published to the directory.
//! It can be rebuilt by reading the files again, so a damaged cache is renamed and replaced by an
//! empty one (`integrity`), at the start and at any later time.
//!
//! Tables: `files` ([`FileKey`]) → content hash and CRC-32 · `pieces` content hash → piece hashes, separate to
//! keep `files` small, and only for files of two or more pieces · `published` path → the published
//! entry · `published_spaces` path → the published space, for files that are not in the space of
//! everyone · `meta`.

mod integrity;
mod published;
mod tables;

use std::collections::HashSet;
use std::path::Path;

use convite_core::{ContentHash, PieceGeometry, PieceHashes, Problem};
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, WriteTransaction,
};

use crate::fs::volume::{FileKey, FileKeys};
use integrity::CheckedDatabase;
use tables::{FILES, PIECES};

/// The hashes of a file's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedHash {
    /// The content hash.
    pub hash: ContentHash,
    /// The CRC-32 of the contents.
    pub crc32: u32,
}

/// The hashes of a file to store.
#[derive(Debug, Clone)]
pub struct HashedFile {
    /// The keys of the file. Without keys (for a file that may change without its times showing it,
    /// or whose CRC-32 is unknown), only the piece hashes are stored.
    pub keys: Option<FileKeys>,
    /// The piece hashes.
    pub pieces: PieceHashes,
    /// The CRC-32 of the contents.
    pub crc32: u32,
}

/// The cache of a peer. Its methods block, so async code must not call them directly.
///
/// A method that finds damage fails, and the next call finds an empty cache.
pub struct Cache(CheckedDatabase);

impl Cache {
    /// Opens the cache at `path`. Creates it if it is missing, and replaces it if it is damaged.
    ///
    /// # Errors
    /// Returns `in_use` if another process has it open, and `internal` if the disk fails.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        CheckedDatabase::open(path).map(Self)
    }

    /// Creates a cache in memory.
    ///
    /// # Errors
    /// Returns `internal` if it cannot be created.
    pub fn in_memory() -> Result<Self, Problem> {
        CheckedDatabase::in_memory().map(Self)
    }

    /// Waits for running calls, then closes the cache and releases its file. Later calls fail. A
    /// call that was started on a thread of its own may still run when its task has ended.
    pub fn close(&self) {
        self.0.close();
    }

    /// Returns the hashes stored under one of `keys`.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn content(&self, keys: &FileKeys) -> Result<Option<CachedHash>, Problem> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(FILES)?;
            for key in keys.iter() {
                if let Some(row) = table.get(key.0)? {
                    let (hash, crc32) = row.value();
                    let hash = ContentHash::from_bytes(*hash);
                    return Ok(Some(CachedHash { hash, crc32 }));
                }
            }
            Ok(None)
        })
    }

    /// Returns the piece hashes of a content of `size` bytes, if they are known. They fold to
    /// `content`.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn pieces(&self, content: ContentHash, size: u64) -> Result<Option<PieceHashes>, Problem> {
        let Some(geometry) = PieceGeometry::new(size) else {
            return Ok(None);
        };
        let hashes = match geometry.piece_count() {
            0 => Some(Vec::new()),
            1 => Some(vec![*content.as_bytes()]),
            _ => self.read(|database| {
                let table = database.begin_read()?.open_table(PIECES)?;
                let found = table.get(content.as_bytes())?;
                Ok(found.and_then(|found| {
                    let (hashes, rest) = found.value().as_chunks::<32>();
                    rest.is_empty().then(|| hashes.to_vec())
                }))
            })?,
        };
        // This detects data damaged on disk; the file is then hashed again.
        Ok(hashes.and_then(|hashes| PieceHashes::verify(geometry, content, hashes).ok()))
    }

    /// Stores the hashes of files.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn store_hashes(&self, hashed: &[HashedFile]) -> Result<(), Problem> {
        self.write(Durability::None, |transaction| {
            let mut files = transaction.open_table(FILES)?;
            let mut pieces = transaction.open_table(PIECES)?;
            for file in hashed {
                let content = file.pieces.content();
                let hashes = file.pieces.as_slice();
                if hashes.len() > 1 {
                    pieces.insert(content.as_bytes(), hashes.as_flattened())?;
                }
                for key in file.keys.iter().flat_map(FileKeys::iter) {
                    files.insert(key.0, (content.as_bytes(), file.crc32))?;
                }
            }
            Ok(())
        })
    }

    /// Removes the hash of a file that turned out to have changed.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn remove_hash(&self, keys: &FileKeys) -> Result<(), Problem> {
        self.write(Durability::Immediate, |transaction| {
            let mut files = transaction.open_table(FILES)?;
            for key in keys.iter() {
                files.remove(key.0)?;
            }
            Ok(())
        })
    }

    /// Removes all other files of the file systems `volumes` ([`FileKey::volume`]), and the piece
    /// hashes of contents that neither belong to a stored file nor are among `contents` (files that
    /// changed too recently to be stored). Makes earlier changes durable. Files of other file
    /// systems, which may not be mounted now, are kept; returns the number of their keys.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn retain_files(
        &self,
        files: &HashSet<FileKey>,
        volumes: &HashSet<u128>,
        contents: &HashSet<ContentHash>,
    ) -> Result<u64, Problem> {
        let mut foreign = 0;
        self.write(Durability::Immediate, |transaction| {
            let mut table = transaction.open_table(FILES)?;
            if table.len()? > 0 {
                table.retain(|row, _| {
                    let key = FileKey(row);
                    let is_foreign = !volumes.contains(&key.volume());
                    foreign += u64::from(is_foreign);
                    is_foreign || files.contains(&key)
                })?;
            }
            let mut pieces = transaction.open_table(PIECES)?;
            let mut nowhere: HashSet<[u8; 32]> = HashSet::new();
            for row in pieces.iter()? {
                let content = *row?.0.value();
                if !contents.contains(&ContentHash::from_bytes(content)) {
                    nowhere.insert(content);
                }
            }
            // A stored file is not hashed again, so its piece hashes must be kept.
            for row in table.iter()? {
                nowhere.remove(row?.1.value().0);
            }
            for content in &nowhere {
                pieces.remove(content)?;
            }
            Ok(())
        })?;
        Ok(foreign)
    }

    /// Returns the number of stored keys.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn key_count(&self) -> Result<u64, Problem> {
        self.read(|database| Ok(database.begin_read()?.open_table(FILES)?.len()?))
    }

    /// Makes all earlier changes durable.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn sync(&self) -> Result<(), Problem> {
        self.write(Durability::Immediate, |_| Ok(()))
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, Problem> {
        self.0.read(work)
    }

    fn write(
        &self,
        durability: Durability,
        work: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), Problem> {
        self.read(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(durability)?;
            work(&transaction)?;
            Ok(transaction.commit()?)
        })
    }

    /// Returns a message for the user about damage found since the start.
    pub fn damage_message(&self) -> Option<String> {
        self.0.damage_message()
    }

    /// Returns how often the cache was damaged and replaced by an empty one.
    pub fn reset_count(&self) -> u64 {
        self.0.replaced_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::verify::hash_piece;
    use proptest::prelude::*;

    fn keys(volume: u128, file: u64, size: u64) -> FileKeys {
        FileKeys(FileKey((volume, file, size, -5, 7)), None)
    }

    fn hashes(bytes: &[u8]) -> PieceHashes {
        let geometry = PieceGeometry::new(bytes.len() as u64).unwrap();
        let hashes = (0..geometry.piece_count())
            .map(|i| {
                let range = geometry.piece_range(i);
                hash_piece(
                    &geometry,
                    i,
                    &bytes[range.start as usize..range.end as usize],
                )
            })
            .collect();
        PieceHashes::fold(geometry, hashes).unwrap()
    }

    const CRC32: u32 = 0x1234_5678;

    fn stored(keys: Option<FileKeys>, pieces: &PieceHashes) -> HashedFile {
        HashedFile {
            keys,
            pieces: pieces.clone(),
            crc32: CRC32,
        }
    }

    #[test]
    fn hashes_survive_a_restart_until_removed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cache.redb");
        let big = vec![7; 200_000];
        let (big, small, fresh) = (hashes(&big), hashes(b"small"), hashes(b"fresh"));
        let (of_big, of_small, away) = (keys(1, 1, 200_000), keys(1, 2, 5), keys(2, 2, 5));
        let cache = Cache::open(&path).unwrap();
        cache
            .store_hashes(&[
                stored(Some(of_big), &big),
                stored(Some(of_small), &small),
                stored(Some(away), &small),
                stored(None, &fresh),
            ])
            .unwrap();
        cache.sync().unwrap();
        // A task that still holds the closed cache does not keep the file open.
        cache.close();
        assert!(cache.content(&of_big).is_err());
        let cache = Cache::open(&path).unwrap();
        let found = |pieces: &PieceHashes| {
            let (hash, crc32) = (pieces.content(), CRC32);
            Some(CachedHash { hash, crc32 })
        };
        assert_eq!(cache.content(&of_big).unwrap(), found(&big));
        assert_eq!(cache.content(&keys(1, 3, 5)).unwrap(), None);
        assert_eq!(cache.content(&keys(1, 1, 200_001)).unwrap(), None);
        let pieces = |content, size| cache.pieces(content, size).unwrap();
        assert_eq!(pieces(big.content(), 200_000), Some(big.clone()));
        assert_eq!(pieces(small.content(), 5), Some(small.clone()));
        assert_eq!(pieces(big.content(), 70_000), None);

        let known = |files: &[FileKeys], contents: &[ContentHash]| {
            let files = files.iter().flat_map(FileKeys::iter).collect();
            let contents = contents.iter().copied().collect();
            let volumes = HashSet::from([1]);
            cache.retain_files(&files, &volumes, &contents).unwrap();
            cache.pieces(big.content(), 200_000).unwrap().is_some()
        };
        assert!(known(&[of_big, of_small], &[]));
        assert!(known(&[of_small], &[big.content()]));
        assert!(!known(&[of_small], &[small.content()]));
        // Files on a file system that was not scanned are kept.
        assert_eq!(cache.content(&away).unwrap(), found(&small));
        assert_eq!(cache.key_count().unwrap(), 2);
        cache.remove_hash(&of_small).unwrap();
        assert_eq!(cache.content(&of_small).unwrap(), None);
    }

    #[derive(Debug, Clone, Copy)]
    enum Damage {
        Byte(u8),
        Zeros(usize),
        Cut,
    }

    fn damage() -> impl Strategy<Value = Damage> {
        prop_oneof![
            4 => any::<u8>().prop_map(Damage::Byte),
            1 => (1..9_000_usize).prop_map(Damage::Zeros),
            1 => Just(Damage::Cut),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn damaged_cache_gives_right_hashes_or_none(
            damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..6),
        ) {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("cache.redb");
            let (big, of_big) = (hashes(&vec![7; 200_000]), keys(1, 1, 200_000));
            let cache = Cache::open(&path).unwrap();
            cache.store_hashes(&[stored(Some(of_big), &big)]).unwrap();
            cache.sync().unwrap();
            drop(cache);
            let mut bytes = std::fs::read(&path).unwrap();
            for (place, damage) in damages {
                if bytes.is_empty() {
                    break;
                }
                let at = place.index(bytes.len());
                match damage {
                    Damage::Byte(byte) => bytes[at] = byte,
                    Damage::Zeros(count) => bytes[at..].iter_mut().take(count).for_each(|byte| *byte = 0),
                    Damage::Cut => bytes.truncate(at),
                }
            }
            std::fs::write(&path, bytes).unwrap();

            let cache = Cache::open(&path).unwrap();
            // A call that meets damage may fail; the cache is sound afterwards.
            if let Ok(Some(found)) = cache.content(&of_big) {
                prop_assert_eq!((found.hash, found.crc32), (big.content(), CRC32));
            }
            if let Ok(Some(found)) = cache.pieces(big.content(), 200_000) {
                prop_assert_eq!(found, big.clone());
            }
            let _ = cache.store_hashes(&[stored(Some(of_big), &big)]);
            cache.store_hashes(&[stored(Some(of_big), &big)]).unwrap();
            prop_assert_eq!(cache.content(&of_big).unwrap().map(|found| found.hash), Some(big.content()));
        }
    }
}
