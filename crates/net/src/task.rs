//! Starts tasks and blocking work. Everything that outlives the function that started it has a name
//! in the log.

use std::fmt;
use std::io;

use convite_core::{ErrorCode, Problem};
use tokio::task::JoinHandle;
use tracing::{Instrument, debug_span};

/// Starts a task that ends by itself. Its log lines are in a span with its name.
#[expect(clippy::disallowed_methods, reason = "this is the helper")]
pub fn spawn<F>(name: &'static str, task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    // Without a parent, so that the span of a request does not stay open as long as the task.
    tokio::spawn(task.instrument(debug_span!(parent: None, "task", name)))
}

/// Starts work that blocks, such as file access, on a thread for such work.
#[expect(clippy::disallowed_methods, reason = "this is the helper")]
pub fn start_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

/// Runs work that blocks and waits for its result. If the caller is dropped, the work continues.
///
/// # Errors
/// Returns the error of `work`, or [`TaskFailed`] if it panics.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<TaskFailed> + Send + 'static,
{
    let done = start_blocking(work).await;
    done.unwrap_or_else(|_| Err(TaskFailed.into()))
}

/// A task panicked, or the process is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskFailed;

impl fmt::Display for TaskFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a background task failed")
    }
}

impl std::error::Error for TaskFailed {}

impl From<TaskFailed> for Problem {
    fn from(failed: TaskFailed) -> Self {
        Self::new(ErrorCode::Internal, failed.to_string())
    }
}

impl From<TaskFailed> for io::Error {
    fn from(failed: TaskFailed) -> Self {
        Self::other(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_returns_its_result() {
        assert_eq!(spawn("test", async { 7 }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_panic_in_blocking_work_is_an_error() {
        assert_eq!(blocking(|| Ok::<_, Problem>(7)).await, Ok(7));
        let failed: Result<(), Problem> = blocking(|| panic!("as intended")).await;
        assert_eq!(failed.unwrap_err().code, ErrorCode::Internal);
    }
}
