//! What is asked of a peer has to be asked in time: a request that never ends would be at work for
//! ever, also one of a stranger, because a message is read before its ticket is looked at.
//!
//! Not for files on their way into the inbox, which take as long as they take and have a time of
//! their own ([`super::patience`]).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use convite_core::{ErrorCode, Problem};
use convite_wire::status::to_status;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// The body of a request has come whole by then.
const WHOLE: Duration = Duration::from_secs(20);
/// Those that have a time of their own.
const OWN_TIME: [&str; 2] = ["/upload", "/convite.v1.Peer/UploadFile"];

/// Gives every body its time.
pub(super) async fn bound_time(request: Request, next: Next) -> Response {
    if OWN_TIME.contains(&request.uri().path()) || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let deadline = Instant::now() + WHOLE;
    let timely = |body| {
        Body::new(Timely {
            body,
            deadline,
            timer: None,
        })
    };
    next.run(request.map(timely)).await
}

struct Timely {
    body: Body,
    deadline: Instant,
    /// None before there was anything to wait for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Timely {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let me = &mut *self;
        let timer = me
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(me.deadline)));
        // Before the body: one that drips is never pending when it is looked at.
        if timer.as_mut().poll(context).is_ready() {
            let problem = Problem::new(ErrorCode::Unavailable, "the request came too slowly");
            return Poll::Ready(Some(Err(axum::Error::new(to_status(&problem)))));
        }
        Pin::new(&mut me.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
