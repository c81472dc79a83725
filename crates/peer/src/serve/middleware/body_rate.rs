//! The time limits for request bodies: without them a request that never ends would occupy the peer
//! forever, even one without a ticket, because a message is read before its ticket is checked.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use convite_core::{ErrorCode, Problem};
use convite_net::min_rate::{BodyError, MinimumRate, MinimumRateBody};
use convite_wire::status::to_status;
use http_body::Body as _;
use http_body_util::BodyExt;

/// The time limit for a whole message.
const MESSAGE_RATE: MinimumRate = MinimumRate {
    rate: None,
    grace: Duration::from_secs(20),
    saved_max: Duration::from_secs(20),
};
/// The minimum rate of an upload to the inbox, which may take long.
pub(crate) const UPLOAD_RATE: MinimumRate = MinimumRate {
    rate: Some(1024),
    grace: Duration::from_secs(60),
    saved_max: Duration::from_secs(60),
};
/// Paths of uploads.
const UPLOADS: [&str; 2] = ["/upload", "/convite.v1.Peer/UploadFile"];

/// Adds the time limit to the body of a request that is not an upload.
pub(crate) async fn bound_time(request: Request, next: Next) -> Response {
    if UPLOADS.contains(&request.uri().path()) || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let bounded = |body| Body::new(MinimumRateBody::new(body, MESSAGE_RATE).map_err(failure));
    next.run(request.map(bounded)).await
}

fn failure(error: BodyError<axum::Error>) -> axum::Error {
    match error {
        BodyError::Inner(error) => error,
        BodyError::TooSlow => {
            let problem = Problem::new(
                ErrorCode::Unavailable,
                "the request was received too slowly",
            );
            axum::Error::new(to_status(&problem))
        }
    }
}
