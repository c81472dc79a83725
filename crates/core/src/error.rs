//! The closed list of error codes and its mapping to HTTP and gRPC.
//!
//! Every operation of the directory and of a peer fails with a [`Problem`]. The REST and gRPC
//! interfaces encode it as an RFC 9457 problem document or a gRPC status; a client decodes it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Defines the meaning, the stable name, the HTTP status and the gRPC status code of each error
/// code.
macro_rules! codes {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $http:literal, $grpc:literal;)*) => {
        /// An error code. The names are stable; docs/errors.md lists them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[doc = $doc])* $variant,)* }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// Returns the stable name, as in the `code` field of a problem document.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the meaning in one or two sentences: the doc comment of the code.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii(),)* }
            }

            /// Returns the HTTP status of the code.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $http,)* }
            }

            /// Returns the gRPC status code (google.rpc.Code).
            pub const fn grpc_code(self) -> i32 {
                match self { $(Self::$variant => $grpc,)* }
            }
        }
    };
}

codes! {
    /// A field is missing, malformed or out of bounds.
    InvalidArgument = "invalid_argument", 400, 3;
    /// The request has no session token or ticket, or an unknown one.
    Unauthenticated = "unauthenticated", 401, 16;
    /// The session has expired or was revoked.
    SessionExpired = "session_expired", 401, 16;
    /// Wrong user name or password.
    WrongCredentials = "wrong_credentials", 401, 16;
    /// The ticket was not issued by this directory, has expired, or is for another peer or purpose.
    TicketInvalid = "ticket_invalid", 403, 7;
    /// The account does not have permission for this operation.
    PermissionDenied = "permission_denied", 403, 7;
    /// The invite does not exist, was already used, was revoked, or has expired.
    InviteInvalid = "invite_invalid", 403, 7;
    /// The object does not exist, or the account may not see it.
    NotFound = "not_found", 404, 5;
    /// The user name is already in use.
    UserTaken = "user_taken", 409, 6;
    /// The peer id belongs to another account, or to another peer that is online.
    PeerTaken = "peer_taken", 409, 6;
    /// The path does not support this method; the `allow` header of the response lists the
    /// supported ones.
    MethodNotAllowed = "method_not_allowed", 405, 12;
    /// A space with this name already exists.
    SpaceTaken = "space_taken", 409, 6;
    /// The change would leave the directory without an administrator.
    LastAdmin = "last_admin", 409, 9;
    /// The index change does not continue the generation that the directory holds: send the whole
    /// index.
    GenerationMismatch = "generation_mismatch", 409, 10;
    /// The file changed on disk after it was hashed; its old contents cannot be served.
    ContentChanged = "content_changed", 409, 9;
    /// The peer could not read the file from its disk.
    ReadFailed = "read_failed", 500, 13;
    /// A different file already exists at the target.
    FileExists = "file_exists", 409, 6;
    /// Every reachable provider sent wrong bytes.
    CorruptContents = "corrupt_contents", 502, 15;
    /// Another process on this machine uses the port, the folder or the file.
    InUse = "in_use", 409, 9;
    /// The account has reached a limit.
    Quota = "quota", 403, 8;
    /// The disk is full.
    NoSpace = "no_space", 507, 8;
    /// The request is too large.
    TooLarge = "too_large", 413, 11;
    /// The path does not accept this content type.
    UnsupportedMediaType = "unsupported_media_type", 415, 3;
    /// The byte range is outside the file.
    RangeNotSatisfiable = "range_not_satisfiable", 416, 11;
    /// Too many attempts or concurrent requests from this client; retry later.
    TooManyRequests = "too_many_requests", 429, 8;
    /// The server is at its capacity; retry shortly.
    Overloaded = "overloaded", 503, 8;
    /// The request names a host that is not a name of this server.
    WrongHost = "wrong_host", 421, 9;
    /// The request was sent by a page of another site.
    CrossSite = "cross_site", 403, 7;
    /// An error of the server; its log has the cause.
    Internal = "internal", 500, 13;
    /// The server is not the expected one: its certificate is not from the known authority, or not
    /// for this name.
    Untrusted = "untrusted", 502, 14;
    /// The server cannot answer now: it is starting, stopping, or full.
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

/// A failure as the user sees it: what failed, and what to do next.
///
/// `message` is one lowercase line without a full stop. It never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Error code, for programs.
    pub code: ErrorCode,
    /// What failed, for people.
    pub message: String,
    /// What to do next, for people.
    pub hint: Option<String>,
    /// Minimum delay before a retry. The protocols send whole seconds.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// Creates a problem without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            retry_after: None,
        }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the minimum delay before a retry, rounded up to whole seconds.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        let begun = u64::from(pause.subsec_nanos() > 0);
        self.retry_after = Some(Duration::from_secs(pause.as_secs().saturating_add(begun)));
        self
    }

    /// Creates a problem from the text of a decoder error. Parsers of this crate put their hint on
    /// a second line.
    pub fn from_decode_error(text: &str) -> Self {
        match text.split_once('\n') {
            Some((message, hint)) => Self::invalid(message).hint(hint),
            None => Self::invalid(text),
        }
    }

    /// Creates an `invalid_argument` problem.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// Creates a `not_found` problem.
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
