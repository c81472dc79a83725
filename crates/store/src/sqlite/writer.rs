//! The one thread that changes the database.
//!
//! Changes that arrive while the disk is busy are committed together, so that a thousand peers
//! renewing their leases cost a few syncs and not a thousand. Each runs in a savepoint of its own:
//! one that fails takes no other with it. The answer is sent after the commit, never before.
//!
//! The thread ends when the last [`Writer`] is dropped and everything sent before is done.

use std::panic::{AssertUnwindSafe, catch_unwind};
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

/// Answers the caller, told whether the commit succeeded.
type Answer = Box<dyn FnOnce(Result<(), Problem>)>;
/// Runs a change and keeps its answer back; the answer must not leave the thread.
type Job = Box<dyn FnOnce(&mut Connection) -> Answer + Send>;

/// A way to the thread.
pub(super) struct Writer {
    /// Only [`Drop`] takes these.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, Problem> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run_writer(connection, queue))
            .map_err(|error| {
                Problem::new(
                    ErrorCode::Internal,
                    format!("no thread for the database: {error}"),
                )
            })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Runs `change` as one transaction; returns when it is on disk. A failure undoes all of it.
    /// Once sent it happens, even if the caller does not wait for it.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let stopped = || Problem::new(ErrorCode::Internal, "the database has stopped");
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let outcome = in_savepoint(connection, change).map_err(Problem::from);
            Box::new(move |committed| {
                // Whoever asked may have gone.
                let _ = reply.send(outcome.and_then(|value| committed.map(|()| value)));
            })
        });
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(job).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
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

fn run_writer(mut connection: Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
            // The caller is answered by its channel closing.
            drop(first);
            let _ = database(&error);
            continue;
        }
        let began = Instant::now();
        let mut answers = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            answers.extend(catch_unwind(AssertUnwindSafe(|| job(&mut connection))));
            // A full disk and the like make SQLite give up the whole transaction.
            let open = !connection.is_autocommit();
            let room = answers.len() < GROUP_MAX && began.elapsed() < GROUP_TIME;
            next = if open && room {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        let committed = commit(&connection);
        for answer in answers {
            answer(committed.clone());
        }
    }
    // Keeps the statistics that the query planner reads fresh; harmless if it fails.
    let _ = connection.execute_batch("PRAGMA optimize");
}

fn commit(connection: &Connection) -> Result<(), Problem> {
    connection.execute_batch("COMMIT").map_err(|error| {
        // Nothing to undo if SQLite did so itself.
        let _ = connection.execute_batch("ROLLBACK");
        Problem::from(Failure::Database(error))
    })
}
