//! Opening the database file, and the pool of read connections.
//!
//! In WAL mode, readers neither wait for the writer nor block it. Short reads run on the async
//! thread (804,000/s, compared with 35,000/s on a blocking thread). Long reads run on a blocking
//! thread, only a few at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::disk::Disk;
use crate::error::{self, DbError, DbResult};

/// Maximum number of idle connections kept open.
const IDLE_MAX: usize = 8;
/// Maximum number of concurrent long reads.
const LONG_MAX: usize = 4;
/// Only other processes (a backup, the `sqlite3` shell) can hold a conflicting lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Above the number of statements.
const STATEMENTS: usize = 160;

mod migrations {
    refinery::embed_migrations!("migrations/sqlite");
}

/// Creates the file and its folder if they do not exist, applies pending migrations, and returns
/// the write connection.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Problem> {
    create_file(path).map_err(|error| {
        let shown = path.to_string_lossy();
        let shown = convite_core::display::escape(&shown);
        Problem::new(
            ErrorCode::Internal,
            format!("cannot open the database '{shown}': {error}"),
        )
        .hint("choose a file in a writable folder")
    })?;
    let mut connection = prepare(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|connection| {
            // FULL: acknowledged changes survive a power failure, not only a crash. The cache is
            // large because hashes access pages all over the tables.
            connection.execute_batch(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA foreign_keys = ON;
                 PRAGMA journal_size_limit = 134217728;
                 PRAGMA cache_size = -262144;",
            )?;
            Ok(connection)
        })
        .map_err(|error| error::sqlite(&error))?;
    migrations::migrations::runner()
        .run(&mut connection)
        .map_err(|error| error::migration(&error))?;
    Ok(connection)
}

/// Creates the file with access for the owner only: it contains file names and password hashes.
fn create_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Returns the schema version of this program.
pub(super) fn latest_schema() -> u32 {
    let runner = migrations::migrations::runner();
    let versions = runner.get_migrations().iter().map(|step| step.version());
    u32::try_from(versions.max().unwrap_or_default()).unwrap_or_default()
}

pub(super) fn prepare(path: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    // No SQLITE_OPEN_URI: the path is never parsed as a URI. Each connection has one user at a
    // time.
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Without this, column statistics make SQLite plan a statement again for each bound value,
    // which took half of the time of a short read. One plan per statement is sufficient.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// The pool of read connections.
#[derive(Clone)]
pub(super) struct Readers {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    disk: Arc<Disk>,
    idle: Mutex<Vec<Connection>>,
    busy: AtomicU64,
    long: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: &Path, disk: Arc<Disk>) -> Self {
        Self {
            inner: Arc::new(Inner {
                path: path.to_path_buf(),
                disk,
                idle: Mutex::new(Vec::new()),
                busy: AtomicU64::new(0),
                long: Arc::new(Semaphore::new(LONG_MAX)),
            }),
        }
    }

    /// Returns the numbers of open connections and of those in use.
    pub(super) fn in_use(&self) -> (u64, u64) {
        let busy = self.inner.busy.load(Ordering::Relaxed);
        (self.inner.idle.lock().len() as u64 + busy, busy)
    }

    /// Runs a short read on the current thread, in one snapshot.
    pub(super) fn read<T>(
        &self,
        query: impl FnOnce(&mut Connection) -> DbResult<T>,
    ) -> Result<T, Problem> {
        self.inner.read(query)
    }

    /// Runs a long read on a blocking thread, in one snapshot.
    #[expect(
        clippy::disallowed_methods,
        reason = "this crate is below `convite_net`"
    )]
    pub(super) async fn read_long<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> DbResult<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let stopped = || Problem::from(DbError::Aborted);
        let permit = Arc::clone(&self.inner.long)
            .acquire_owned()
            .await
            .map_err(|_| stopped())?;
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            inner.read(query)
        })
        .await
        .map_err(|_| stopped())?
    }
}

impl Inner {
    fn read<T>(&self, query: impl FnOnce(&mut Connection) -> DbResult<T>) -> Result<T, Problem> {
        let idle = self.idle.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                self.disk.check_file()?;
                prepare(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)
                    .map_err(|error| error::sqlite(&error))?
            }
        };
        self.busy.fetch_add(1, Ordering::Relaxed);
        let result = in_snapshot(&mut connection, query);
        self.busy.fetch_sub(1, Ordering::Relaxed);
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        drop(idle);
        result.map_err(Problem::from)
    }
}

fn in_snapshot<T>(
    connection: &mut Connection,
    query: impl FnOnce(&mut Connection) -> DbResult<T>,
) -> DbResult<T> {
    connection.execute_batch("BEGIN DEFERRED")?;
    let result = query(connection);
    // Nothing was written.
    connection.execute_batch("ROLLBACK")?;
    result
}
