//! What this peer remembers between its runs: the hash of each file it has read, and what it told
//! the directory. All of it can be rebuilt by reading the files again, so a damaged cache is moved
//! aside and begun anew.
//!
//! Tables: `files` (device, inode, size, mtime) → content hash · `pieces` content hash → piece
//! hashes, apart so that `files` stays small, and only for files of two pieces and more ·
//! `published` path → what the directory was told · `published_spaces` path → the space it was told,
//! for files in one · `meta`.

use std::collections::HashSet;
use std::path::Path;

use convite_core::model::FileEntry;
use convite_core::{
    ContentHash, ErrorCode, PieceGeometry, PieceHashes, Problem, SafePath, SpaceName,
};
use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, WriteTransaction,
};
use tracing::warn;

use crate::beneath::Identity;

type FileKey = (u64, u64, u64, i64);
const FILES: TableDefinition<FileKey, &[u8; 32]> = TableDefinition::new("files");
const PIECES: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("pieces");
/// Path → size, content hash, time of modification in seconds.
const PUBLISHED: TableDefinition<&str, (u64, &[u8; 32], i64)> = TableDefinition::new("published");
const PUBLISHED_SPACES: TableDefinition<&str, &str> = TableDefinition::new("published_spaces");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const GENERATION: &str = "generation";

/// Memory of the database's page cache, in bytes.
const PAGE_CACHE: usize = 32 << 20;

/// The peer's memory. Its calls block: not for async code.
pub struct Cache {
    database: Database,
}

fn key(identity: &Identity) -> FileKey {
    (
        identity.device,
        identity.inode,
        identity.size,
        identity.modified_ns,
    )
}

fn broken(error: impl Into<redb::Error>) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("the hash cache fails: {}", error.into()),
    )
    .hint("it is rebuilt if you stop the peer and remove cache.redb from its home")
}

impl Cache {
    /// Opens the cache at `path`, making it if it is missing and anew if it is damaged.
    ///
    /// # Errors
    /// `unavailable` if another process has it open, `internal` if the disk refuses.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        match Self::open_sound(path) {
            Ok(cache) => Ok(cache),
            Err(redb::Error::DatabaseAlreadyOpen) => Err(Problem::new(
                ErrorCode::Unavailable,
                "the hash cache is in use by another process",
            )),
            Err(error) => {
                let mut aside = path.as_os_str().to_owned();
                aside.push(".damaged");
                warn!("the hash cache is damaged, it is begun anew: {error}");
                std::fs::rename(path, &aside).map_err(|e| crate::home::disk(path, &e))?;
                Self::open_sound(path).map_err(broken)
            }
        }
    }

    /// A memory that ends with the process.
    ///
    /// # Errors
    /// `internal` if it cannot be made.
    pub fn in_memory() -> Result<Self, Problem> {
        let database = Database::builder().create_with_backend(InMemoryBackend::new());
        let made = database.map_err(redb::Error::from).and_then(Self::sound);
        made.map_err(broken)
    }

    fn open_sound(path: &Path) -> Result<Self, redb::Error> {
        let database = Database::builder()
            .set_cache_size(PAGE_CACHE)
            .create(path)
            .map_err(|error: DatabaseError| redb::Error::from(error))?;
        Self::sound(database)
    }

    fn sound(database: Database) -> Result<Self, redb::Error> {
        let transaction = database.begin_write()?;
        transaction.open_table(FILES)?;
        transaction.open_table(PIECES)?;
        {
            let meta = transaction.open_table(META)?;
            let mut published = transaction.open_table(PUBLISHED)?;
            let mut spaces = transaction.open_table(PUBLISHED_SPACES)?;
            // Generation 0 marks a publication of the whole that did not end: see
            // `begin_publishing_all`.
            if meta.get(GENERATION)?.is_none_or(|g| g.value() == 0) && !published.is_empty()? {
                published.retain(|_, _| false)?;
                spaces.retain(|_, _| false)?;
            }
        }
        transaction.commit()?;
        Ok(Self { database })
    }

    /// The content hash of what has this identity, if it was hashed before.
    pub fn content(&self, identity: &Identity) -> Result<Option<ContentHash>, Problem> {
        let table = self.reading(FILES)?;
        let found = table.get(key(identity)).map_err(broken)?;
        Ok(found.map(|hash| ContentHash::from_bytes(*hash.value())))
    }

    /// The piece hashes of a content of `size` bytes, if they are known; they fold to it.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn pieces(&self, content: ContentHash, size: u64) -> Result<Option<PieceHashes>, Problem> {
        let Some(geometry) = PieceGeometry::new(size) else {
            return Ok(None);
        };
        let hashes = match geometry.piece_count() {
            0 => Vec::new(),
            1 => vec![*content.as_bytes()],
            _ => {
                let table = self.reading(PIECES)?;
                let Some(found) = table.get(content.as_bytes()).map_err(broken)? else {
                    return Ok(None);
                };
                let (hashes, rest) = found.value().as_chunks::<32>();
                if !rest.is_empty() {
                    return Ok(None);
                }
                hashes.to_vec()
            }
        };
        // A disk that lies is noticed here, and the file is hashed again.
        Ok(PieceHashes::verify(geometry, content, hashes).ok())
    }

    /// Remembers files that were hashed. With `racy`, a file's identity is not remembered (it may
    /// still change without it showing), only its piece hashes.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn remember(&self, hashed: &[(Identity, bool, PieceHashes)]) -> Result<(), Problem> {
        self.write(Durability::None, |transaction| {
            let mut files = transaction.open_table(FILES)?;
            let mut pieces = transaction.open_table(PIECES)?;
            for (identity, racy, hashes) in hashed {
                let content = hashes.content();
                if hashes.as_slice().len() > 1 {
                    pieces.insert(content.as_bytes(), hashes.as_slice().as_flattened())?;
                }
                if !racy {
                    files.insert(key(identity), content.as_bytes())?;
                }
            }
            Ok(())
        })
    }

    /// Forgets every file but these, and the piece hashes of contents that are neither in them nor among
    /// `contents`, of files too fresh to be remembered; makes what was remembered since durable.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn keep_only(
        &self,
        files: &HashSet<Identity>,
        contents: &HashSet<ContentHash>,
    ) -> Result<(), Problem> {
        self.write(Durability::Immediate, |transaction| {
            let mut table = transaction.open_table(FILES)?;
            if table.len()? > 0 {
                table.retain(|(device, inode, size, modified_ns), _| {
                    files.contains(&Identity {
                        device,
                        inode,
                        size,
                        modified_ns,
                    })
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
            // A file that stays is not hashed again: its pieces have to be known, served or not.
            for row in table.iter()? {
                nowhere.remove(row?.1.value());
            }
            for content in &nowhere {
                pieces.remove(content)?;
            }
            Ok(())
        })
    }

    /// How many files are remembered.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn file_count(&self) -> Result<u64, Problem> {
        self.reading(FILES)?.len().map_err(broken)
    }

    /// The generation of what the directory was told; 0 for nothing.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn generation(&self) -> Result<u64, Problem> {
        let table = self.reading(META)?;
        let found = table.get(GENERATION).map_err(broken)?;
        Ok(found.map_or(0, |value| value.value()))
    }

    /// Of these paths, with what each should be (none: not shared), those that the directory
    /// was told something else about.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn unpublished(
        &self,
        wanted: Vec<(SafePath, Option<FileEntry>)>,
    ) -> Result<(Vec<FileEntry>, Vec<SafePath>), Problem> {
        let (table, spaces) = (self.reading(PUBLISHED)?, self.reading(PUBLISHED_SPACES)?);
        let (mut upsert, mut remove) = (Vec::new(), Vec::new());
        for (path, entry) in wanted {
            let told = table.get(path.as_str()).map_err(broken)?;
            match (entry, told) {
                (None, Some(_)) => remove.push(path),
                (None, None) => {}
                (Some(entry), told) => {
                    let space = spaces.get(path.as_str()).map_err(broken)?;
                    let space = space.as_ref().map(|space| space.value());
                    let is_told = told.is_some_and(|told| {
                        told.value() == (entry.size, entry.hash.as_bytes(), entry.modified)
                    });
                    if !is_told || entry.space.as_ref().map(SpaceName::as_str) != space {
                        upsert.push(entry);
                    }
                }
            }
        }
        Ok((upsert, remove))
    }

    /// The paths that the directory was told of and for which `is_shared` is false.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn published_but_not(
        &self,
        is_shared: impl Fn(&str) -> bool,
    ) -> Result<Vec<SafePath>, Problem> {
        let table = self.reading(PUBLISHED)?;
        let mut gone = Vec::new();
        for row in table.iter().map_err(broken)? {
            let (path, _) = row.map_err(broken)?;
            if !is_shared(path.value())
                && let Ok(path) = path.value().parse()
            {
                gone.push(path);
            }
        }
        Ok(gone)
    }

    /// Notes what the directory was told with `generation`.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn published(
        &self,
        generation: u64,
        upsert: &[FileEntry],
        remove: &[SafePath],
    ) -> Result<(), Problem> {
        // Should a crash lose this, the directory's generation differs and it is sent the whole.
        self.write(Durability::None, |transaction| {
            let mut table = transaction.open_table(PUBLISHED)?;
            let mut spaces = transaction.open_table(PUBLISHED_SPACES)?;
            for path in remove {
                table.remove(path.as_str())?;
                spaces.remove(path.as_str())?;
            }
            for file in upsert {
                let row = (file.size, file.hash.as_bytes(), file.modified);
                table.insert(file.path.as_str(), row)?;
                match &file.space {
                    Some(space) => spaces.insert(file.path.as_str(), space.as_str())?,
                    None => spaces.remove(file.path.as_str())?,
                };
            }
            transaction
                .open_table(META)?
                .insert(GENERATION, generation)?;
            Ok(())
        })
    }

    /// Forgets what the directory was told: it is about to be told everything, noted by
    /// [`Self::published`] with generation 0 for each batch and the true one at the end.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn begin_publishing_all(&self) -> Result<(), Problem> {
        self.write(Durability::Immediate, |transaction| {
            transaction.delete_table(PUBLISHED)?;
            transaction.open_table(PUBLISHED)?;
            transaction.delete_table(PUBLISHED_SPACES)?;
            transaction.open_table(PUBLISHED_SPACES)?;
            transaction.open_table(META)?.insert(GENERATION, 0)?;
            Ok(())
        })
    }

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn sync(&self) -> Result<(), Problem> {
        self.write(Durability::Immediate, |_| Ok(()))
    }

    fn reading<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        table: TableDefinition<K, V>,
    ) -> Result<redb::ReadOnlyTable<K, V>, Problem> {
        let transaction = self.database.begin_read().map_err(broken)?;
        transaction.open_table(table).map_err(broken)
    }

    fn write(
        &self,
        durability: Durability,
        work: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), Problem> {
        let mut transaction = self.database.begin_write().map_err(broken)?;
        transaction.set_durability(durability).map_err(broken)?;
        work(&transaction).map_err(broken)?;
        transaction.commit().map_err(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::verify::hash_piece;

    fn identity(inode: u64, size: u64) -> Identity {
        Identity {
            device: 1,
            inode,
            size,
            modified_ns: -5,
        }
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

    #[test]
    fn what_was_hashed_is_known_after_a_restart_until_it_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cache.redb");
        let big = vec![7; 200_000];
        let (big, small, racy) = (hashes(&big), hashes(b"small"), hashes(b"racy"));
        let cache = Cache::open(&path).unwrap();
        cache
            .remember(&[
                (identity(1, 200_000), false, big.clone()),
                (identity(2, 5), false, small.clone()),
                (identity(3, 4), true, racy),
            ])
            .unwrap();
        cache.sync().unwrap();
        drop(cache);

        let cache = Cache::open(&path).unwrap();
        assert_eq!(
            cache.content(&identity(1, 200_000)).unwrap(),
            Some(big.content())
        );
        assert_eq!(cache.content(&identity(3, 4)).unwrap(), None);
        assert_eq!(cache.content(&identity(1, 200_001)).unwrap(), None);
        assert_eq!(
            cache.pieces(big.content(), 200_000).unwrap(),
            Some(big.clone())
        );
        assert_eq!(
            cache.pieces(small.content(), 5).unwrap(),
            Some(small.clone())
        );
        assert_eq!(cache.pieces(big.content(), 70_000).unwrap(), None);

        let known = |files: &[Identity], contents: &[ContentHash]| {
            let files = files.iter().copied().collect();
            let contents = contents.iter().copied().collect();
            cache.keep_only(&files, &contents).unwrap();
            cache.pieces(big.content(), 200_000).unwrap().is_some()
        };
        assert!(known(&[identity(1, 200_000), identity(2, 5)], &[]));
        assert!(known(&[identity(2, 5)], &[big.content()]));
        assert!(!known(&[identity(2, 5)], &[small.content()]));
        assert_eq!(cache.file_count().unwrap(), 1);
    }

    #[test]
    fn a_damaged_cache_is_moved_aside() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cache.redb");
        std::fs::write(&path, "this is no database".repeat(1000)).unwrap();
        let cache = Cache::open(&path).unwrap();
        assert_eq!(cache.file_count().unwrap(), 0);
        assert!(home.path().join("cache.redb.damaged").exists());
    }

    #[test]
    fn only_differences_are_unpublished() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cache.redb");
        let cache = Cache::open(&path).unwrap();
        let entry = |name: &str, size| FileEntry {
            path: name.parse().unwrap(),
            size,
            hash: ContentHash::of(b"x"),
            modified: 1,
            space: None,
        };
        cache
            .published(7, &[entry("a", 1), entry("b", 1), entry("c", 1)], &[])
            .unwrap();
        let wanted = vec![
            ("a".parse().unwrap(), Some(entry("a", 1))),
            ("b".parse().unwrap(), Some(entry("b", 2))),
            ("c".parse().unwrap(), None),
            ("d".parse().unwrap(), None),
            ("e".parse().unwrap(), Some(entry("e", 1))),
        ];
        let (upsert, remove) = cache.unpublished(wanted).unwrap();
        assert_eq!(upsert, [entry("b", 2), entry("e", 1)]);
        assert_eq!(remove, ["c".parse().unwrap()]);
        assert_eq!(cache.generation().unwrap(), 7);
        let gone = cache.published_but_not(|path| path != "b").unwrap();
        assert_eq!(gone, ["b".parse().unwrap()]);

        // A file that moved from one space to another is different, and so is one that left them.
        let of = |space: Option<&str>| FileEntry {
            space: space.map(|space| space.parse().unwrap()),
            ..entry("e", 1)
        };
        let mut before = None;
        for (generation, space) in [(8, Some("lab")), (9, Some("club")), (10, None)] {
            for (asked, differs) in [(before, false), (space, true)] {
                let wanted = vec![("e".parse().unwrap(), Some(of(asked)))];
                let (upsert, _) = cache.unpublished(wanted).unwrap();
                assert_eq!(!upsert.is_empty(), differs || generation == 8);
            }
            cache.published(generation, &[of(space)], &[]).unwrap();
            before = space;
        }

        // An unfinished publication of the whole leaves nothing behind.
        cache.begin_publishing_all().unwrap();
        cache.published(0, &[entry("a", 1)], &[]).unwrap();
        drop(cache);
        let cache = Cache::open(&path).unwrap();
        assert_eq!(cache.published_but_not(|_| false).unwrap(), []);
    }
}
