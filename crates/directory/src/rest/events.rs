//! `/events`: what changes, for pages that are open.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use serde_json::json;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::Answer;
use super::openapi::problems;
use crate::Service;
use crate::service::{Caller, Event};

/// How often a silent stream shows that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

problems!(EventsRefused, caller);

/// What changes, as server-sent events (HTML standard, section 9.2), at most one a second.
///
/// `peers`, without data worth reading, says that `GET /peers` has something new. `transfers` has the
/// files on their way that the account may see, `{"transfers": [{"hash", "name", "peer", "direction":
/// "sending" or "receiving", "bytes", "size", "rate"}]}`: all of them, at most 200, whenever one
/// moved. `loads` has what the account has had peers load, `{"loads": […]}` as `GET /loadfiles` has it:
/// the newest, at most 100, whenever one moved. The stream ends with the session, and counts as no use
/// of it; an account has at most 16 at a time.
#[utoipa::path(
    get, path = "/events", operation_id = "events", tag = "peers",
    responses(
        (status = 200, description = "Events, for as long as they are listened to", body = String, content_type = "text/event-stream"),
        EventsRefused,
    ),
    security(("session" = [])),
)]
pub(super) async fn events(
    State(service): State<Arc<Service>>,
    caller: Caller,
) -> Answer<impl IntoResponse> {
    let events = ReceiverStream::new(service.events(caller)?).map(|event| {
        let event = match event {
            Event::Peers => sse::Event::default().event("peers").data("{}"),
            Event::Transfers(transfers) => {
                let data = json!({ "transfers": transfers }).to_string();
                sse::Event::default().event("transfers").data(data)
            }
            Event::Loads(loads) => {
                let data = json!({ "loads": loads }).to_string();
                sse::Event::default().event("loads").data(data)
            }
        };
        Ok::<_, Infallible>(event)
    });
    let fields = [
        (header::CACHE_CONTROL, "no-store"),
        // Balancers are to hand each event on as it comes.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let alive = KeepAlive::new().interval(SIGN_OF_LIFE);
    Ok((fields, Sse::new(events).keep_alive(alive)))
}
