//! Opening the database file, and the connections that only read it.
//!
//! In WAL mode readers neither wait for the writer nor hold it up. Short reads run on the async
//! thread (804,000/s against 35,000 through a blocking thread); long ones move to a blocking
//! thread, few at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction};
use tokio::sync::Semaphore;

use super::failure::{Outcome, database};

/// Connections kept open while nobody reads.
const IDLE_MAX: usize = 8;
/// Long reads at once.
const LONG_MAX: usize = 4;
/// Only other processes (a backup, a curious `sqlite3`) ever make us wait.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// More than there are statements.
const STATEMENTS: usize = 160;

mod migrations {
    refinery::embed_migrations!("migrations/sqlite");
}

/// Makes the file and its folder if they do not exist, brings the tables up to date, and returns
/// the connection that writes.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Problem> {
    create_file(path).map_err(|error| {
        let shown = path.to_string_lossy();
        let shown = convite_core::display::escape(&shown);
        Problem::new(
            ErrorCode::Internal,
            format!("the database '{shown}' cannot be opened: {error}"),
        )
        .hint("name a file in a folder that can be written")
    })?;
    let mut connection = prepare(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|connection| {
            // FULL: what was acknowledged survives a power cut, not only a crash. Hashes fall on
            // pages all over the tables: many of them are kept in memory.
            connection.execute_batch(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA foreign_keys = ON;
                 PRAGMA journal_size_limit = 134217728;
                 PRAGMA cache_size = -262144;",
            )?;
            Ok(connection)
        })
        .map_err(|error| database(&error))?;
    migrations::migrations::runner()
        .run(&mut connection)
        .map_err(|error| {
            tracing::error!(%error, "the tables could not be brought up to date");
            Problem::new(
                ErrorCode::Internal,
                "the tables of the database cannot be brought up to date",
            )
            .hint("a newer version of convite may have written them; the log has the cause")
        })?;
    Ok(connection)
}

/// For the owner alone: it holds names of files and hashes of passwords.
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

/// The version of the tables that this program makes.
pub(super) fn latest_schema() -> u32 {
    let runner = migrations::migrations::runner();
    let versions = runner.get_migrations().iter().map(|step| step.version());
    u32::try_from(versions.max().unwrap_or_default()).unwrap_or_default()
}

pub(super) fn prepare(path: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    // No SQLITE_OPEN_URI: a path is a path. Each connection has one user at a time.
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // With statistics of columns compiled in, SQLite makes a new plan for every other value that
    // is bound; parsing took half of the time of a short read. One plan a statement is enough.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Lends out connections that read.
#[derive(Clone)]
pub(super) struct Readers {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    busy: AtomicU64,
    long: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            inner: Arc::new(Inner {
                path: path.to_path_buf(),
                idle: Mutex::new(Vec::new()),
                busy: AtomicU64::new(0),
                long: Arc::new(Semaphore::new(LONG_MAX)),
            }),
        }
    }

    /// How many connections are open, and how many of them are in use.
    pub(super) fn in_use(&self) -> (u64, u64) {
        let busy = self.inner.busy.load(Ordering::Relaxed);
        (self.inner.idle().len() as u64 + busy, busy)
    }

    /// Runs a short read here and now, on one snapshot.
    pub(super) fn read<T>(
        &self,
        query: impl FnOnce(&Transaction<'_>) -> Outcome<T>,
    ) -> Result<T, Problem> {
        self.inner.read(query)
    }

    /// Runs a long read on a blocking thread, on one snapshot.
    pub(super) async fn read_long<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Transaction<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let stopped = || Problem::new(ErrorCode::Internal, "a query was given up");
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
    fn read<T>(&self, query: impl FnOnce(&Transaction<'_>) -> Outcome<T>) -> Result<T, Problem> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => prepare(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)
                .map_err(|error| database(&error))?,
        };
        self.busy.fetch_add(1, Ordering::Relaxed);
        let outcome = (|| {
            let snapshot = connection.unchecked_transaction()?;
            query(&snapshot)
        })();
        self.busy.fetch_sub(1, Ordering::Relaxed);
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        drop(idle);
        outcome.map_err(Problem::from)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
