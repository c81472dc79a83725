//! Integrity of the cache: it is checked when it is opened, and replaced as soon as damage is
//! found.
//!
//! At the start the checksums of redb are verified over the whole file, so that a damaged page is
//! found before its data is used. Later damage is found by the call that reads it. A full or
//! read-only disk is not damage: the file is opened again.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use convite_core::{ErrorCode, Problem, display};
use parking_lot::{Mutex, RwLock};
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableTable, ReadableTableMetadata};
use tracing::warn;

use super::tables::{FILES, GENERATION, META, PIECES, PUBLISHED, PUBLISHED_SPACES};

/// The size of the database's page cache in bytes.
const PAGE_CACHE: usize = 32 << 20;

/// The open database.
struct OpenDatabase {
    /// `None` while it cannot be opened.
    database: Option<Database>,
    /// The number of times that it was opened. If several calls fail at once, only the first
    /// reopens it.
    times: u64,
    /// Whether it was closed for good by [`CheckedDatabase::close`].
    is_closed: bool,
}

/// The damage found since the start.
#[derive(Default)]
struct Damage {
    /// A message for the user about the last damage.
    message: Option<String>,
    /// The number of times that the cache was replaced.
    times: u64,
}

/// The reason why a call failed.
enum CacheError {
    Redb(redb::Error),
    /// redb panicked with this message.
    Panic(String),
}

impl CacheError {
    /// Returns whether the file is damaged. A full disk or missing permission is not damage.
    fn is_damage(&self) -> bool {
        use io::ErrorKind as Kind;
        match self {
            Self::Panic(_) => true,
            Self::Redb(redb::Error::Io(error)) => {
                !matches!(
                    error.kind(),
                    Kind::StorageFull
                        | Kind::QuotaExceeded
                        | Kind::FileTooLarge
                        | Kind::PermissionDenied
                        | Kind::ReadOnlyFilesystem
                        | Kind::NotFound
                        | Kind::OutOfMemory
                        | Kind::WouldBlock
                        | Kind::Interrupted
                ) && !crate::fs::fallbacks::is_too_many_open_files(error)
            }
            Self::Redb(error) => !matches!(
                error,
                redb::Error::PreviousIo
                    | redb::Error::DatabaseAlreadyOpen
                    | redb::Error::DatabaseClosed
                    | redb::Error::LockPoisoned(_)
            ),
        }
    }
}

impl std::fmt::Display for CacheError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Redb(error) => error.fmt(f),
            Self::Panic(message) => f.write_str(message),
        }
    }
}

fn cache_problem(failure: &CacheError) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("the hash cache failed: {failure}"),
    )
    .hint("check that the disk of the peer's home has free space; a damaged cache is rebuilt automatically")
}

/// A database that is checked when it is opened, and replaced by an empty one when damage is found.
pub(super) struct CheckedDatabase {
    /// The path of the database; `None` for a cache in memory.
    path: Option<PathBuf>,
    open: RwLock<OpenDatabase>,
    damage: Mutex<Damage>,
}

impl CheckedDatabase {
    /// Opens the cache at `path`. Creates it if it is missing, and replaces it if it is damaged.
    ///
    /// # Errors
    /// Returns `in_use` if another process has it open, and `internal` if the disk fails.
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        let cache = Self {
            path: Some(path.to_owned()),
            open: RwLock::new(OpenDatabase {
                database: None,
                times: 0,
                is_closed: false,
            }),
            damage: Mutex::default(),
        };
        cache.reopen(0)?;
        Ok(cache)
    }

    /// Creates a cache in memory.
    ///
    /// # Errors
    /// Returns `internal` if it cannot be created.
    pub(super) fn in_memory() -> Result<Self, Problem> {
        let database = in_memory().map_err(|failure| cache_problem(&failure))?;
        Ok(Self {
            path: None,
            open: RwLock::new(OpenDatabase {
                database: Some(database),
                times: 1,
                is_closed: false,
            }),
            damage: Mutex::default(),
        })
    }

    /// Runs `work` on the database. If it finds damage, the cache is repaired for the next call.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, Problem> {
        let (done, times) = {
            let open = self.open.read();
            let done = open
                .database
                .as_ref()
                .map(|database| catch_panic(|| work(database)));
            (done, open.times)
        };
        let failure = match done {
            Some(Ok(done)) => return Ok(done),
            Some(Err(failure)) => failure,
            // The database could not be opened again yet.
            None => CacheError::Redb(redb::Error::PreviousIo),
        };
        if failure.is_damage() {
            self.replace_if_unchanged(times, &failure)?;
        } else {
            self.reopen(times)?;
        }
        Err(cache_problem(&failure))
    }

    /// Waits for running calls, then closes the database and releases its file. Later calls fail.
    pub(super) fn close(&self) {
        let mut open = self.open.write();
        open.is_closed = true;
        close(&mut open);
    }

    /// Returns a message for the user about damage found since the start.
    pub(super) fn damage_message(&self) -> Option<String> {
        self.damage.lock().message.clone()
    }

    /// Returns how often the database was damaged and replaced by an empty one.
    pub(super) fn replaced_count(&self) -> u64 {
        self.damage.lock().times
    }

    /// Opens the database again, unless it was opened since the `times`th time.
    fn reopen(&self, times: u64) -> Result<(), Problem> {
        let mut open = self.open.write();
        let is_current = open.times == times && !open.is_closed;
        let Some(path) = self.path.as_deref().filter(|_| is_current) else {
            return Ok(());
        };
        close(&mut open);
        match open_checked(path) {
            Ok(database) => open.put(database),
            Err(failure) if failure.is_damage() => {
                self.replace_damaged(&mut open, path, &failure)?
            }
            Err(CacheError::Redb(redb::Error::DatabaseAlreadyOpen)) => {
                return Err(Problem::new(
                    ErrorCode::InUse,
                    "the hash cache is in use by another process",
                )
                .hint("stop the other process, or use another home with `--home DIR`"));
            }
            Err(failure) => return Err(cache_problem(&failure)),
        }
        Ok(())
    }

    fn replace_if_unchanged(&self, times: u64, failure: &CacheError) -> Result<(), Problem> {
        let mut open = self.open.write();
        if open.times != times || open.is_closed {
            return Ok(());
        }
        close(&mut open);
        match &self.path {
            Some(path) => self.replace_damaged(&mut open, path, failure),
            None => {
                open.put(in_memory().map_err(|failure| cache_problem(&failure))?);
                self.damage.lock().times += 1;
                Ok(())
            }
        }
    }

    fn replace_damaged(
        &self,
        open: &mut OpenDatabase,
        path: &Path,
        failure: &CacheError,
    ) -> Result<(), Problem> {
        let aside = damaged_path(path);
        let kept = std::fs::rename(path, &aside);
        let shown = aside.to_string_lossy();
        let place = match &kept {
            Ok(()) => format!("it was renamed to {}", display::escape(&shown)),
            Err(error) => format!("it could not be renamed ({error})"),
        };
        let message = format!(
            "the hash cache was damaged ({failure}): {place} and is rebuilt by reading the files"
        );
        warn!("{message}");
        let mut damage = self.damage.lock();
        damage.message = Some(message);
        damage.times += 1;
        drop(damage);
        if kept.is_err() {
            std::fs::remove_file(path).map_err(|error| crate::home::disk(path, &error))?;
        }
        open.put(open_checked(path).map_err(|failure| cache_problem(&failure))?);
        Ok(())
    }
}

impl OpenDatabase {
    fn put(&mut self, database: Database) {
        self.database = Some(database);
        self.times += 1;
    }
}

/// Closes the database. Closing writes to a file that may be damaged, so it is guarded.
fn close(open: &mut OpenDatabase) {
    let database = open.database.take();
    if let Err(failure) = catch_panic(|| {
        drop(database);
        Ok(())
    }) {
        warn!("the hash cache could not be closed: {failure}");
    }
}

fn damaged_path(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    aside.into()
}

fn open_checked(path: &Path) -> Result<Database, CacheError> {
    catch_panic(|| {
        let mut database = Database::builder()
            .set_cache_size(PAGE_CACHE)
            .create(path)?;
        // A repaired database may have lost rows: those files are hashed and published again.
        database.check_integrity()?;
        with_tables(database)
    })
}

fn in_memory() -> Result<Database, CacheError> {
    catch_panic(|| {
        let made = Database::builder().create_with_backend(InMemoryBackend::new());
        with_tables(made?)
    })
}

fn with_tables(database: Database) -> Result<Database, redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(FILES)?;
    transaction.open_table(PIECES)?;
    {
        let meta = transaction.open_table(META)?;
        let mut published = transaction.open_table(PUBLISHED)?;
        let mut spaces = transaction.open_table(PUBLISHED_SPACES)?;
        // Generation 0 marks an unfinished publication of the whole index: see
        // `Cache::clear_published`.
        let is_unfinished = meta.get(GENERATION)?.is_none_or(|g| g.value() == 0);
        if is_unfinished && !published.is_empty()? {
            published.retain(|_, _| false)?;
            spaces.retain(|_, _| false)?;
        }
    }
    transaction.commit()?;
    Ok(database)
}

/// Turns a panic of redb on a damaged file into an error.
fn catch_panic<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, CacheError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(CacheError::Redb),
        Err(panic) => Err(CacheError::Panic(message_of(&*panic))),
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("unknown error").to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::os::unix::fs::FileExt;

    use convite_core::{ContentHash, PieceGeometry, PieceHashes};

    use super::*;
    use crate::fs::volume::{FileKey, FileKeys};
    use crate::sharing::cache::Cache;
    use crate::sharing::cache::HashedFile;

    const PAGE: usize = 4096;
    const FILE_COUNT: u64 = 2_000;

    fn keys(file: u64) -> FileKeys {
        FileKeys(FileKey((1, file, 5, 0, 0)), None)
    }

    fn hashed(file: u64) -> HashedFile {
        let hash = *content(file).as_bytes();
        HashedFile {
            keys: Some(keys(file)),
            pieces: PieceHashes::fold(PieceGeometry::new(5).unwrap(), vec![hash]).unwrap(),
            crc32: 0,
        }
    }

    fn content(file: u64) -> ContentHash {
        ContentHash::of(&file.to_le_bytes())
    }

    /// Creates a cache with some files and closes it.
    fn filled(path: &Path) -> Vec<u8> {
        let cache = Cache::open(path).unwrap();
        let files: Vec<_> = (0..FILE_COUNT).map(hashed).collect();
        cache.store_hashes(&files).unwrap();
        cache.sync().unwrap();
        drop(cache);
        std::fs::read(path).unwrap()
    }

    /// Checks that the cache returns no wrong data and can be written.
    fn check(cache: &Cache) {
        for file in (0..FILE_COUNT).step_by(97) {
            let found = cache.content(&keys(file)).unwrap();
            assert!(found.is_none_or(|found| found.hash == content(file)));
        }
        cache.store_hashes(&[hashed(0)]).unwrap();
        cache.sync().unwrap();
        let found = cache.content(&keys(0)).unwrap();
        assert_eq!(found.map(|found| found.hash), Some(content(0)));
        cache
            .retain_files(&HashSet::new(), &HashSet::from([1]), &HashSet::new())
            .unwrap();
    }

    #[test]
    fn damaged_page_gives_no_wrong_data() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cache.redb");
        let sound = filled(&path);
        let used: Vec<usize> = (0..sound.len() / PAGE)
            .filter(|page| sound[page * PAGE..][..PAGE].iter().any(|byte| *byte != 0))
            .collect();
        let mut set_aside = 0;
        for page in used {
            for is_zeroed in [true, false] {
                let mut damaged = sound.clone();
                let bytes = &mut damaged[page * PAGE..][..PAGE];
                if is_zeroed {
                    bytes.fill(0)
                } else {
                    bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x55)
                }
                std::fs::write(&path, &damaged).unwrap();
                let cache = Cache::open(&path).unwrap();
                if cache.damage_message().is_some() {
                    set_aside += 1;
                    let aside = home.path().join("cache.redb.damaged");
                    assert_eq!(std::fs::read(&aside).unwrap().len(), damaged.len());
                    assert_eq!(cache.key_count().unwrap(), 0);
                }
                check(&cache);
            }
        }
        assert!(
            set_aside > 0,
            "no damage was noticed, so the test checked nothing"
        );
    }

    #[test]
    fn file_that_is_no_database_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cache.redb");
        let sound = filled(&path);
        let cases = [
            "this is no database".repeat(1_000).into_bytes(),
            sound[..sound.len() / 2].to_vec(),
            sound[..100].to_vec(),
        ];
        for case in cases {
            std::fs::write(&path, &case).unwrap();
            let cache = Cache::open(&path).unwrap();
            assert!(cache.damage_message().is_some());
            check(&cache);
        }
    }

    #[test]
    fn damage_while_open_fails_one_call() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("cache.redb");
        let sound = filled(&path);
        let cache = Cache::open(&path).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        // All pages but the header, which is kept in memory.
        let noise = vec![0xa5; sound.len() - PAGE];
        file.write_all_at(&noise, PAGE as u64).unwrap();
        let cold = (0..FILE_COUNT).find(|file| cache.content(&keys(*file)).is_err());
        let kept = cache.retain_files(&HashSet::new(), &HashSet::from([1]), &HashSet::new());
        assert!(cold.is_some() || kept.is_err(), "the damage was not found");
        assert_eq!(cache.reset_count(), 1);
        assert!(cache.damage_message().is_some());
        check(&cache);
    }
}
