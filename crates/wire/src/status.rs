//! Conversion of a [`Problem`] to a gRPC status and an RFC 9457 problem document, and back.

use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use serde::{Deserialize, Serialize};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use utoipa::ToSchema;

const CODE: &str = "convite-code";
const HINT: &str = "convite-hint-bin";
/// Delay in seconds, as in the HTTP header of that name (RFC 9110, section 10.2.3).
const RETRY_AFTER: &str = "retry-after";
/// The same delay in milliseconds, for gRPC clients with a retry policy (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Converts a problem to a gRPC status.
pub fn to_status(problem: &Problem) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert(CODE, MetadataValue::from_static(problem.code.name()));
    if let Some(hint) = &problem.hint {
        metadata.insert_bin(HINT, MetadataValue::from_bytes(hint.as_bytes()));
    }
    if let Some(pause) = problem.retry_after {
        metadata.insert(RETRY_AFTER, MetadataValue::from(pause.as_secs()));
        let millis = u32::try_from(pause.as_millis()).unwrap_or(u32::MAX);
        metadata.insert(PUSHBACK, MetadataValue::from(millis));
    }
    let code = Code::from(problem.code.grpc_code());
    Status::with_metadata(code, problem.message.clone(), metadata)
}

/// Converts a gRPC status to a problem. A status that was not created by Convite (by a proxy, or
/// for a broken connection) gets the nearest code.
pub fn from_status(status: &Status) -> Problem {
    let metadata = status.metadata();
    let named = metadata
        .get(CODE)
        .and_then(|value| value.to_str().ok())
        .and_then(|name| name.parse().ok());
    let code = named.unwrap_or_else(|| match status.code() {
        Code::InvalidArgument => ErrorCode::InvalidArgument,
        // The framework returns this for a message above the size limit.
        Code::OutOfRange => ErrorCode::TooLarge,
        Code::Unauthenticated => ErrorCode::Unauthenticated,
        Code::PermissionDenied => ErrorCode::PermissionDenied,
        Code::NotFound => ErrorCode::NotFound,
        Code::ResourceExhausted => ErrorCode::TooManyRequests,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            ErrorCode::Unavailable
        }
        _ => ErrorCode::Internal,
    });
    let hint = metadata
        .get_bin(HINT)
        .and_then(|value| value.to_bytes().ok())
        .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    let pause = metadata
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|seconds| seconds.parse().ok());
    Problem {
        code,
        message: status.message().to_owned(),
        hint,
        retry_after: pause.map(Duration::from_secs),
    }
}

/// An RFC 9457 problem document, `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// URI of the problem type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short title: the code with spaces.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What failed.
    pub detail: String,
    /// Stable error code, for programs.
    pub code: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Id of the request, as in `x-request-id` and in the log of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl From<&Problem> for ProblemDocument {
    fn from(problem: &Problem) -> Self {
        let code = problem.code.name();
        Self {
            kind: format!("urn:convite:error:{code}"),
            title: code.replace('_', " "),
            status: problem.code.http_status(),
            detail: problem.message.clone(),
            code: code.to_owned(),
            hint: problem.hint.clone(),
            request_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_survives_the_way_through_grpc() {
        for code in ErrorCode::ALL {
            let problem = Problem::new(*code, "message ñ").hint("hint → ñ");
            assert_eq!(from_status(&to_status(&problem)), problem);
            let later = problem.retry_after(Duration::from_millis(1_001));
            assert_eq!(later.retry_after, Some(Duration::from_secs(2)));
            assert_eq!(from_status(&to_status(&later)), later);
        }
    }
}
