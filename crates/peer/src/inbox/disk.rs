//! File operations of the inbox and their errors.

use std::io;

use convite_core::{ErrorCode, Problem};
use convite_net::task::blocking;

/// Returns the error for an uploader when a file operation fails. It does not reveal local paths.
pub(super) fn refused_by_disk(error: &io::Error) -> Problem {
    if let Some(problem) = error.get_ref().and_then(|e| e.downcast_ref::<Problem>()) {
        return problem.clone();
    }
    tracing::warn!(%error, "cannot write to the inbox");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Problem::new(ErrorCode::NoSpace, "this peer's disk is full")
        }
        io::ErrorKind::FileTooLarge => Problem::new(
            ErrorCode::TooLarge,
            "the file exceeds the file size limit of this peer",
        )
        .hint("ask its owner to raise the limit (`ulimit -f`), or send smaller files"),
        _ => Problem::new(ErrorCode::Internal, "this peer's disk failed"),
    }
}

/// Runs blocking work on a blocking thread.
///
/// # Errors
/// Returns the errors of [`refused_by_disk`].
pub(super) async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let done = blocking(work).await;
    done.map_err(|error| refused_by_disk(&error))
}
