//! Shared files that the disk could not read when they were requested, for `convite status`.

use std::io;
use std::time::SystemTime;

use convite_core::display::escape;
use convite_core::{ErrorCode, Problem, SafePath, UnixMillis};
use convite_wire::v1::ReadFailure;
use parking_lot::Mutex;

/// The maximum number of files in the list.
const FAILURES_MAX: usize = 100;

/// The list of read failures.
#[derive(Default)]
pub struct ReadFailures {
    /// The newest first.
    failures: Mutex<Vec<ReadFailure>>,
}

impl ReadFailures {
    /// Records that the file published as `path` could not be read. Returns the error for the
    /// reader.
    pub fn record(&self, path: &SafePath, error: &io::Error) -> Problem {
        let message = error.to_string();
        let mut failures = self.failures.lock();
        let known = failures
            .iter()
            .position(|known| known.path == path.as_str());
        let mut failure = match known {
            Some(known) => failures.remove(known),
            None => {
                tracing::warn!("{}: cannot read: {message}", escape(path.as_str()));
                ReadFailure {
                    path: path.to_string(),
                    ..ReadFailure::default()
                }
            }
        };
        failure.message = message;
        failure.count += 1;
        failure.at = UnixMillis::from(SystemTime::now()).seconds();
        failures.insert(0, failure);
        failures.truncate(FAILURES_MAX);
        read_failed(error)
    }

    /// Returns the list for `convite status`.
    pub fn status(&self) -> Vec<ReadFailure> {
        self.failures.lock().clone()
    }
}

/// Returns the error for a reader when the disk fails. It does not reveal local paths.
pub fn read_failed(error: &io::Error) -> Problem {
    Problem::new(
        ErrorCode::ReadFailed,
        format!("the peer's disk cannot read the file: {error}"),
    )
    .hint("download it from another source, or ask the owner of the peer to check the disk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_failures_are_listed_once_and_limited() {
        let failures = ReadFailures::default();
        let path = |number: usize| format!("docs/{number}").parse::<SafePath>().unwrap();
        let error = io::Error::from(io::ErrorKind::InvalidData);
        for number in (0..=FAILURES_MAX).chain([7, 7]) {
            let told = failures.record(&path(number), &error);
            assert_eq!(told.code, ErrorCode::ReadFailed);
            assert!(!told.message.contains("docs"));
        }
        let listed = failures.status();
        assert_eq!(listed.len(), FAILURES_MAX);
        assert_eq!((listed[0].path.as_str(), listed[0].count), ("docs/7", 3));
        assert_eq!(listed[1].path, path(FAILURES_MAX).to_string());
    }
}
