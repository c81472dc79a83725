//! Exit codes, which scripts rely on.

use std::process::ExitCode;

use convite_core::{ErrorCode, Problem};

/// Done.
pub const DONE: i32 = 0;
/// Failed.
pub const FAILED: i32 = 1;
/// Wrong usage.
pub const USAGE: i32 = 2;
/// Not found.
const NOT_FOUND: i32 = 3;
/// Not logged in, or not allowed.
const NOT_ALLOWED: i32 = 4;
/// The directory, or every provider, is unreachable.
const UNREACHABLE: i32 = 5;
/// Contents failed verification, and no provider was left.
const CORRUPT: i32 = 6;
/// Interrupted; downloaded parts are kept.
const INTERRUPTED: i32 = 130;

/// The reader of the output closed it: the code that a shell reports for a program ended by SIGPIPE.
pub const OUTPUT_CLOSED: i32 = 141;

/// All exit codes with their meanings, for the manual page.
pub const ALL: &[(i32, &str)] = &[
    (DONE, "Done."),
    (FAILED, "Failed, or the output could not be written."),
    (USAGE, "Wrong usage."),
    (
        NOT_FOUND,
        "Not found. A search without results prints no line on stdout.",
    ),
    (NOT_ALLOWED, "Not logged in, or not allowed."),
    (
        UNREACHABLE,
        "The directory or all sources are unreachable, or no source can send the file any more.",
    ),
    (
        CORRUPT,
        "Contents failed verification, and no source was left.",
    ),
    (
        INTERRUPTED,
        "Interrupted; downloaded parts are kept and can be resumed.",
    ),
    (OUTPUT_CLOSED, "The reader of the output closed it early."),
];

/// The failure of a command.
pub enum CommandError {
    /// A problem that has not been printed yet.
    Problem(Problem),
    /// Wrong usage that has not been printed yet.
    Usage(Problem),
    /// A failure that has already been printed, with its exit code.
    Reported(i32),
    /// Interrupted by a signal.
    Interrupted,
}

impl From<Problem> for CommandError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl CommandError {
    /// Returns whether the directory is unreachable or does not accept this session.
    pub fn is_directory_unavailable(&self) -> bool {
        let Self::Problem(problem) = self else {
            return false;
        };
        matches!(
            problem.code,
            ErrorCode::Unavailable
                | ErrorCode::Overloaded
                | ErrorCode::Unauthenticated
                | ErrorCode::SessionExpired
        )
    }

    /// Returns the exit code of the process.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Problem(problem) => code_of(problem.code),
            Self::Usage(_) => USAGE,
            Self::Reported(code) => *code,
            Self::Interrupted => INTERRUPTED,
        }
    }
}

/// Returns the exit code for an error code.
pub fn code_of(code: ErrorCode) -> i32 {
    match code {
        ErrorCode::NotFound => NOT_FOUND,
        ErrorCode::Unauthenticated
        | ErrorCode::SessionExpired
        | ErrorCode::WrongCredentials
        | ErrorCode::TicketInvalid
        | ErrorCode::PermissionDenied
        | ErrorCode::InviteInvalid => NOT_ALLOWED,
        ErrorCode::Unavailable
        | ErrorCode::Overloaded
        | ErrorCode::ContentChanged
        | ErrorCode::ReadFailed => UNREACHABLE,
        ErrorCode::CorruptContents => CORRUPT,
        _ => FAILED,
    }
}

/// Converts an exit code for the system.
pub fn to_exit_code(number: i32) -> ExitCode {
    ExitCode::from(u8::try_from(number).unwrap_or(1))
}
