//! The one thread that changes the database.
//!
//! Changes that arrive while the disk is busy are committed together, so that a thousand peers
//! renewing their leases cost a few syncs and not a thousand. Each runs in a savepoint of its own:
//! one that fails takes no other with it. The answer is sent after the commit, never before.
//! A change whose loss in a power cut heals by itself, such as the renewal of a lease, does not wait
//! for the disk ([`Writer::write_unsynced`]); nor does it go together with one that does.
//!
//! The thread ends when the last [`Writer`] is dropped and everything sent before is done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use convite_core::{ErrorCode, Problem};
use rusqlite::{Connection, Savepoint};
use tokio::sync::{mpsc, oneshot};

use super::failure::{Failure, Outcome, database};

/// Changes waiting; the next has to wait to be let in.
const QUEUE: usize = 64;
/// Changes in one commit at most,
const GROUP_MAX: usize = 64;
/// which takes in no more after this long.
const GROUP_TIME: Duration = Duration::from_millis(10);
/// Rows changed in a commit from which on it is part of something large, such as a peer's whole
/// index.
const BULK: u64 = 2_000;
/// Pages of 4 KiB in the write-ahead log that are moved into the database: early, so that nobody
/// waits for long,
const CHECKPOINT: u32 = 1_000;
/// or late, so that pages which large changes hit again and again are moved once.
const CHECKPOINT_BULK: u32 = 16_384;

/// Answers the caller, told whether the commit succeeded.
type Answer = Box<dyn FnOnce(Result<(), Problem>)>;
/// Runs a change and keeps its answer back; the answer must not leave the thread.
type Change = Box<dyn FnOnce(&mut Connection) -> Answer + Send>;

struct Job {
    change: Change,
    durability: Durability,
}

/// What an answer promises: both survive a crash of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// And a power cut.
    Synced,
    /// A power cut may undo it: all of it, and what came after it in the same way.
    Unsynced,
}

/// What the thread is doing, for whoever looks on.
#[derive(Default)]
struct Work {
    queued: AtomicU64,
    is_writing: AtomicBool,
    transactions: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Work {
    /// A transaction that began then has ended.
    fn wrote(&self, began: Instant) {
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(took, Ordering::Relaxed);
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.is_writing.store(false, Ordering::Relaxed);
    }
}

/// What the thread has done so far.
pub(super) struct Written {
    /// Changes sent that it has not begun with.
    pub queued: u64,
    pub is_writing: bool,
    pub transactions: u64,
    /// What the transactions took.
    pub time: Duration,
}

/// A way to the thread.
pub(super) struct Writer {
    work: Arc<Work>,
    /// Only [`Drop`] takes these.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, Problem> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let work = Arc::new(Work::default());
        let noted = Arc::clone(&work);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run_writer(connection, queue, &noted))
            .map_err(|error| {
                Problem::new(
                    ErrorCode::Internal,
                    format!("no thread for the database: {error}"),
                )
            })?;
        Ok(Self {
            work,
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// What the thread has done so far.
    pub(super) fn written(&self) -> Written {
        Written {
            queued: self.work.queued.load(Ordering::Relaxed),
            is_writing: self.work.is_writing.load(Ordering::Relaxed),
            transactions: self.work.transactions.load(Ordering::Relaxed),
            time: Duration::from_nanos(self.work.nanoseconds.load(Ordering::Relaxed)),
        }
    }

    /// Runs `change` as one transaction; returns when it is on disk. A failure undoes all of it.
    /// Once sent it happens, even if the caller does not wait for it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.send(Durability::Synced, change).await
    }

    /// As [`Self::write`], and returns before it is on disk.
    pub(super) async fn write_unsynced<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T, Problem> {
        self.send(Durability::Unsynced, change).await
    }

    async fn send<T: Send + 'static>(
        &self,
        durability: Durability,
        change: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let stopped = || Problem::new(ErrorCode::Internal, "the database has stopped");
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting::new(&self.work);
        let change: Change = Box::new(move |connection| {
            drop(waiting);
            let outcome = in_savepoint(connection, change).map_err(Problem::from);
            Box::new(move |committed| {
                // Whoever asked may have gone.
                let _ = reply.send(outcome.and_then(|value| committed.map(|()| value)));
            })
        });
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        let job = Job { change, durability };
        jobs.send(job).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// A change that waits for its turn, or is given up before.
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
            // A panic in it was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn in_savepoint<T>(
    connection: &mut Connection,
    change: impl FnOnce(&Connection) -> Outcome<T>,
) -> Outcome<T> {
    let savepoint: Savepoint<'_> = connection.savepoint()?;
    // Dropped without a commit, by an error or a panic, the savepoint is undone.
    let value = change(&savepoint)?;
    savepoint.commit()?;
    Ok(value)
}

fn run_writer(mut connection: Connection, mut queue: mpsc::Receiver<Job>, work: &Work) {
    let mut log = Log { checkpoint: 0 };
    let mut held = None;
    while let Some(first) = held.take().or_else(|| queue.blocking_recv()) {
        held = write_group(&mut connection, &mut queue, first, work, &mut log);
    }
    // Keeps the statistics that the query planner reads fresh; harmless if it fails.
    let _ = connection.execute_batch("PRAGMA optimize");
}

/// Runs one transaction; returns a change taken from the queue that does not go together with it.
fn write_group(
    connection: &mut Connection,
    queue: &mut mpsc::Receiver<Job>,
    first: Job,
    work: &Work,
    log: &mut Log,
) -> Option<Job> {
    let began = Instant::now();
    work.is_writing.store(true, Ordering::Relaxed);
    let durability = first.durability;
    if let Err(error) = begin(connection, durability) {
        // The caller is answered by its channel closing.
        drop(first);
        let _ = database(&error);
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
        // A full disk and the like make SQLite give up the whole transaction.
        let open = !connection.is_autocommit();
        let room = answers.len() < GROUP_MAX && began.elapsed() < GROUP_TIME;
        next = if open && room {
            queue.try_recv().ok()
        } else {
            None
        };
    }
    log.fit(connection, connection.total_changes() - changes_before);
    let committed = commit(connection);
    // Before anyone hears of it, so that whoever looks then sees it.
    work.wrote(began);
    for answer in answers {
        answer(committed.clone());
    }
    held
}

/// How long the write-ahead log may become.
struct Log {
    /// As it was set last; 0 before.
    checkpoint: u32,
}

impl Log {
    /// Sets when the commit of so many changed rows moves the log into the database.
    fn fit(&mut self, connection: &Connection, changes: u64) {
        let checkpoint = match changes {
            BULK.. => CHECKPOINT_BULK,
            _ => CHECKPOINT,
        };
        if self.checkpoint != checkpoint {
            let set = connection.pragma_update(None, "wal_autocheckpoint", checkpoint);
            // Otherwise the log is as long as before: slower, and nothing worse.
            self.checkpoint = if set.is_ok() { checkpoint } else { 0 };
        }
    }
}

fn begin(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    // In WAL mode NORMAL keeps the database whole whatever happens; a later sync takes all that
    // came before along.
    connection.execute_batch(match durability {
        Durability::Synced => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
        Durability::Unsynced => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
    })
}

fn commit(connection: &Connection) -> Result<(), Problem> {
    connection.execute_batch("COMMIT").map_err(|error| {
        // Nothing to undo if SQLite did so itself.
        let _ = connection.execute_batch("ROLLBACK");
        Problem::from(Failure::Database(error))
    })
}
