//! One closed list of what can go wrong, and its one mapping to HTTP and to gRPC.
//!
//! Each operation of the directory and of a peer fails with a [`Problem`]. The two doors turn it
//! into an RFC 9457 problem document or a gRPC status; a client turns it back.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Gives each code its meaning, stable name, HTTP status and gRPC status code number, in one table.
macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $http:literal, $grpc:literal;)*) => {
        /// What went wrong, for programs. The names are stable; docs/errors.md lists them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[doc = $doc])* $variant,)* }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The stable name, as in the `code` field of a problem document.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, in one or two sentences: its own comment.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii(),)* }
            }

            /// The HTTP status that carries it.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $http,)* }
            }

            /// The gRPC status code number that carries it (google.rpc.Code).
            pub const fn grpc_code(self) -> i32 {
                match self { $(Self::$variant => $grpc,)* }
            }
        }
    };
}

codes! {
    /// A field is missing, malformed or out of bounds.
    InvalidArgument = "invalid_argument", 400, 3;
    /// No session token or ticket came with the request, or it is unknown.
    Unauthenticated = "unauthenticated", 401, 16;
    /// The session existed and has run out or was revoked.
    SessionExpired = "session_expired", 401, 16;
    /// User and password do not belong together.
    WrongCredentials = "wrong_credentials", 401, 16;
    /// The ticket is not one of this directory's, has run out, or is for another peer or file.
    TicketInvalid = "ticket_invalid", 403, 7;
    /// Who asks is known, and may not.
    PermissionDenied = "permission_denied", 403, 7;
    /// The invite does not exist, was used up, revoked or has run out.
    InviteInvalid = "invite_invalid", 403, 7;
    /// There is no such thing, or the one who asks may not know of it.
    NotFound = "not_found", 404, 5;
    /// The user name belongs to someone else.
    UserTaken = "user_taken", 409, 6;
    /// The peer id belongs to another account.
    PeerTaken = "peer_taken", 409, 6;
    /// The path does not take that method; the answer's `allow` header names those that it takes.
    MethodNotAllowed = "method_not_allowed", 405, 12;
    /// There is a space of that name.
    SpaceTaken = "space_taken", 409, 6;
    /// It would leave the directory without anybody who administers it.
    LastAdmin = "last_admin", 409, 9;
    /// The index change does not follow on what the directory holds: send the whole index.
    GenerationMismatch = "generation_mismatch", 409, 10;
    /// The file changed on disk since it was hashed; its old contents cannot be served.
    ContentChanged = "content_changed", 409, 9;
    /// A different file is where this one should go.
    FileExists = "file_exists", 409, 6;
    /// Every provider that could be reached sent wrong bytes.
    CorruptContents = "corrupt_contents", 502, 15;
    /// Another process on this machine has the port, the folder or the file.
    InUse = "in_use", 409, 9;
    /// The disk has no room for it.
    NoSpace = "no_space", 507, 8;
    /// The request is larger than is accepted.
    TooLarge = "too_large", 413, 11;
    /// The body is of a kind that the path does not take.
    UnsupportedMediaType = "unsupported_media_type", 415, 3;
    /// The byte range lies outside the file.
    RangeNotSatisfiable = "range_not_satisfiable", 416, 11;
    /// Too many attempts or too much at once from this one; later it will be answered.
    TooManyRequests = "too_many_requests", 429, 8;
    /// The server has as much to do as it takes on; in a moment it will be answered.
    Overloaded = "overloaded", 503, 8;
    /// The request names a host that this server is not known as.
    WrongHost = "wrong_host", 421, 9;
    /// A page of another site made the browser send this.
    CrossSite = "cross_site", 403, 7;
    /// The server's fault; its log has the cause.
    Internal = "internal", 500, 13;
    /// Who answered is not who was meant: its certificate is not from the known authority, or not
    /// for this name.
    Untrusted = "untrusted", 502, 14;
    /// The server cannot answer now: starting, stopping, or full.
    Unavailable = "unavailable", 503, 14;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ErrorCode {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.name() == name)
            .ok_or(())
    }
}

/// A failure as a user sees it: what happened, and what to do about it.
///
/// `message` is one lowercase line without a full stop; it never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// For programs.
    pub code: ErrorCode,
    /// For people: what happened.
    pub message: String,
    /// For people: what to do.
    pub hint: Option<String>,
    /// For programs: to be asked again no sooner than after this; whole seconds travel.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            retry_after: None,
        }
    }

    /// The same problem with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem, to be asked again after `pause`, rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        let begun = u64::from(pause.subsec_nanos() > 0);
        self.retry_after = Some(Duration::from_secs(pause.as_secs().saturating_add(begun)));
        self
    }

    /// `invalid_argument` with `message`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// `not_found` with `message`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_round_trip() {
        for code in ErrorCode::ALL {
            assert_eq!(code.name().parse(), Ok(*code));
        }
    }
}
