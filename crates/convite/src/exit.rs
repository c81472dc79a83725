//! Exit codes: a contract with scripts.

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
/// Interrupted; what was fetched is kept.
const INTERRUPTED: i32 = 130;

/// All of them, as the manual says it.
pub const MEANINGS: &[(i32, &str)] = &[
    (DONE, "Done."),
    (FAILED, "Failed."),
    (USAGE, "Wrong usage."),
    (
        NOT_FOUND,
        "Not found; of a search, that nothing was, and then no line is printed.",
    ),
    (NOT_ALLOWED, "Not logged in, or not allowed."),
    (
        UNREACHABLE,
        "The directory, or every provider, cannot be reached.",
    ),
    (
        CORRUPT,
        "Contents failed verification, and no provider was left.",
    ),
    (
        INTERRUPTED,
        "Interrupted; what was fetched is kept for a resume.",
    ),
];

/// How a command failed.
pub enum Failed {
    /// With a problem that is still to be shown.
    Problem(Problem),
    /// It was used wrongly; shown like a problem.
    Usage(Problem),
    /// Everything worth saying has been said.
    Said(i32),
    /// By Ctrl-C.
    Interrupted,
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Failed {
    /// What the process returns.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Problem(problem) => of(problem.code),
            Self::Usage(_) => USAGE,
            Self::Said(code) => *code,
            Self::Interrupted => INTERRUPTED,
        }
    }
}

/// The exit code for a kind of problem.
pub fn of(code: ErrorCode) -> i32 {
    match code {
        ErrorCode::NotFound => NOT_FOUND,
        ErrorCode::Unauthenticated
        | ErrorCode::SessionExpired
        | ErrorCode::WrongCredentials
        | ErrorCode::TicketInvalid
        | ErrorCode::PermissionDenied
        | ErrorCode::InviteInvalid => NOT_ALLOWED,
        ErrorCode::Unavailable | ErrorCode::Overloaded => UNREACHABLE,
        ErrorCode::CorruptContents => CORRUPT,
        _ => FAILED,
    }
}

/// The code as the system takes it.
pub fn code(number: i32) -> ExitCode {
    ExitCode::from(u8::try_from(number).unwrap_or(1))
}
