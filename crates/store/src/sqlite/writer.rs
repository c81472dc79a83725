//! The thread that writes to the database.
//!
//! Changes that arrive while the disk is busy share one commit, so that a thousand lease renewals
//! cost a few syncs instead of a thousand. Each change runs in its own savepoint, so a failure does
//! not affect the others. The answer is sent after the commit, never before. Changes that are
//! repeated anyway after a power failure, such as lease renewals, do not wait for the disk
//! ([`Writer::write_unsynced`]). They never share a commit with changes that do.
//!
//! Before each commit, the thread checks that the database file is still in place. Changes that add
//! data are refused while the disk is full (`disk`).
//!
//! The thread ends when the last [`Writer`] is dropped and all earlier changes are done.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use convite_core::{ErrorCode, Problem};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::disk::{self, Adds, Disk};
use crate::error::{self, DbError, DbResult};

/// Maximum number of queued changes. Further callers wait.
const QUEUE: usize = 64;
/// Maximum number of changes per commit.
const GROUP_MAX: usize = 64;
/// Time after which no further change joins a commit.
const GROUP_TIME: Duration = Duration::from_millis(10);
/// Number of changed rows from which a commit counts as part of a bulk change, such as a full
/// publication.
const BULK: u64 = 2_000;
/// Length of the write-ahead log in pages of 4 KiB at which it is checkpointed: early, so that no
/// checkpoint takes long.
const CHECKPOINT: u32 = 1_000;
/// The same during bulk changes: late, so that pages that change often are written once.
const CHECKPOINT_BULK: u32 = 16_384;

/// Sends the answer to the caller after the commit, with its result.
type Answer = Box<dyn FnOnce(Result<(), Problem>)>;
/// Runs a change and returns its pending answer, which must stay on the thread.
type Change = Box<dyn FnOnce(&mut Connection) -> Answer + Send>;

struct Job {
    change: Change,
    durability: Durability,
}

/// Durability of a change. Both kinds survive a crash of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// Also survives a power failure.
    Synced,
    /// A power failure may undo it, together with later unsynced changes.
    Unsynced,
}

/// Statistics of the thread.
#[derive(Default)]
struct Work {
    queued: AtomicU64,
    is_writing: AtomicBool,
    transactions: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Work {
    /// Records the end of a transaction.
    fn wrote(&self, began: Instant) {
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(took, Ordering::Relaxed);
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.is_writing.store(false, Ordering::Relaxed);
    }
}

/// A snapshot of the thread's statistics.
pub(super) struct Written {
    /// Queued changes.
    pub queued: u64,
    pub is_writing: bool,
    pub transactions: u64,
    /// Total time of the transactions.
    pub time: Duration,
}

/// Handle of the thread.
pub(super) struct Writer {
    disk: Arc<Disk>,
    work: Arc<Work>,
    /// `None` only while dropping.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, disk: Arc<Disk>) -> Result<Self, Problem> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let work = Arc::new(Work::default());
        let noted = Arc::clone(&work);
        let watched = Arc::clone(&disk);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run_writer(connection, queue, &noted, &watched))
            .map_err(|error| {
                Problem::new(
                    ErrorCode::Internal,
                    format!("cannot start the database thread: {error}"),
                )
            })?;
        Ok(Self {
            disk,
            work,
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Returns the statistics of the thread.
    pub(super) fn written(&self) -> Written {
        Written {
            queued: self.work.queued.load(Ordering::Relaxed),
            is_writing: self.work.is_writing.load(Ordering::Relaxed),
            transactions: self.work.transactions.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.work.nanoseconds.load(Ordering::Relaxed)),
        }
    }

    /// Runs `change` as one transaction and returns when it is on disk. A failure rolls it back.
    /// Once sent, the change is executed even if the caller stops waiting. Refused on a full disk.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Connection) -> DbResult<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.disk.check(Adds::Some)?;
        self.send(Durability::Synced, change).await
    }

    /// Like [`Self::write`], for published files.
    pub(super) async fn write_files<T: Send + 'static>(
        &self,
        adds: Adds,
        change: impl FnOnce(&mut Connection) -> DbResult<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.disk.check(adds)?;
        self.send(Durability::Synced, change).await
    }

    /// Like [`Self::write`], for changes that must succeed on a full disk and need almost no space.
    pub(super) async fn write_always<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Connection) -> DbResult<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.send(Durability::Synced, change).await
    }

    /// Like [`Self::write_always`], but returns before the change is on disk.
    pub(super) async fn write_unsynced<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Connection) -> DbResult<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.send(Durability::Unsynced, change).await
    }

    async fn send<T: Send + 'static>(
        &self,
        durability: Durability,
        change: impl FnOnce(&mut Connection) -> DbResult<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let stopped = || Problem::from(DbError::Stopped);
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting::new(&self.work);
        let change: Change = Box::new(move |connection| {
            drop(waiting);
            let outcome = in_savepoint(connection, change).map_err(Problem::from);
            Box::new(move |committed| {
                // Fails only if the caller no longer waits.
                let _ = reply.send(outcome.and_then(|value| committed.map(|()| value)));
            })
        });
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        let job = Job { change, durability };
        jobs.send(job).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// Counts a queued change until it starts or is dropped.
struct Waiting(Arc<Work>);

impl Waiting {
    fn new(work: &Arc<Work>) -> Self {
        work.queued.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(work))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // The panic hook has already reported a panic of the thread.
            let _ = thread.join();
        }
    }
}

/// Runs a change so that an error or a panic undoes it, and nothing else of the transaction.
fn in_savepoint<T>(
    connection: &mut Connection,
    change: impl FnOnce(&mut Connection) -> DbResult<T>,
) -> DbResult<T> {
    connection.execute_batch("SAVEPOINT change")?;
    match catch_unwind(AssertUnwindSafe(|| change(connection))) {
        Ok(Ok(value)) => {
            connection.execute_batch("RELEASE change")?;
            Ok(value)
        }
        failed => {
            // Fails if SQLite has already rolled back the whole transaction.
            let _ = connection.execute_batch("ROLLBACK TO change; RELEASE change");
            failed.unwrap_or_else(|panic| resume_unwind(panic))
        }
    }
}

fn run_writer(
    mut connection: Connection,
    mut queue: mpsc::Receiver<Job>,
    work: &Work,
    disk: &Disk,
) {
    let mut log = Log { checkpoint: 0 };
    let mut held = None;
    while let Some(first) = held.take().or_else(|| queue.blocking_recv()) {
        held = write_group(&mut connection, &mut queue, first, (work, disk), &mut log);
        if let Err(error) = disk::keep_reserve(&connection, disk) {
            tracing::warn!(%error, "cannot change the reserved space of the database");
        }
    }
    // Updates the statistics of the query planner. A failure is harmless.
    let _ = connection.execute_batch("PRAGMA optimize");
}

/// Runs one transaction. Returns a queued change that cannot share it.
fn write_group(
    connection: &mut Connection,
    queue: &mut mpsc::Receiver<Job>,
    first: Job,
    (work, disk): (&Work, &Disk),
    log: &mut Log,
) -> Option<Job> {
    let began = Instant::now();
    work.is_writing.store(true, Ordering::Relaxed);
    let durability = first.durability;
    if let Err(error) = begin(connection, durability) {
        // The caller sees its channel closed.
        drop(first);
        let _ = error::sqlite(&error);
        work.wrote(began);
        return None;
    }
    let changes_before = connection.total_changes();
    let mut answers = Vec::new();
    let mut held = None;
    let mut next = Some(first);
    while let Some(job) = next {
        if job.durability != durability {
            held = Some(job);
            break;
        }
        let change = job.change;
        answers.extend(catch_unwind(AssertUnwindSafe(|| change(connection))));
        // SQLite rolls back the whole transaction on errors such as a full disk.
        let open = !connection.is_autocommit();
        let room = answers.len() < GROUP_MAX && began.elapsed() < GROUP_TIME;
        next = if open && room {
            queue.try_recv().ok()
        } else {
            None
        };
    }
    log.fit(connection, connection.total_changes() - changes_before);
    let committed = match disk.check_file() {
        Ok(()) => commit(connection),
        Err(error) => {
            let _ = connection.execute_batch("ROLLBACK");
            Err(error.into())
        }
    };
    // Before the answers are sent, so that their receivers see the updated statistics.
    work.wrote(began);
    for answer in answers {
        answer(committed.clone());
    }
    held
}

/// Limit for the length of the write-ahead log.
struct Log {
    /// Last configured value; 0 initially.
    checkpoint: u32,
}

impl Log {
    /// Sets the checkpoint threshold according to the number of changed rows.
    fn fit(&mut self, connection: &Connection, changes: u64) {
        let checkpoint = match changes {
            BULK.. => CHECKPOINT_BULK,
            _ => CHECKPOINT,
        };
        if self.checkpoint != checkpoint {
            let set = connection.pragma_update(None, "wal_autocheckpoint", checkpoint);
            // On failure the previous threshold stays in effect, which is only slower.
            self.checkpoint = if set.is_ok() { checkpoint } else { 0 };
        }
    }
}

fn begin(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    // In WAL mode, NORMAL keeps the database consistent in all cases. A later sync also covers all
    // earlier commits.
    connection.execute_batch(match durability {
        Durability::Synced => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
        Durability::Unsynced => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
    })
}

fn commit(connection: &Connection) -> Result<(), Problem> {
    connection.execute_batch("COMMIT").map_err(|error| {
        // Fails if SQLite has already rolled back.
        let _ = connection.execute_batch("ROLLBACK");
        Problem::from(DbError::Sqlite(error))
    })
}
