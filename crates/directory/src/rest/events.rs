//! `/events`: an event stream for open pages.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use serde::Deserialize;
use serde_json::json;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;

use super::contents::{TokenMade, token_made};
use super::extractors::Query;
use super::openapi::problems;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::{Caller, ClientAddress, PageEvent};

/// Interval of keep-alive comments.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// The token from `POST /events/token`, instead of a session.
    #[param(nullable = false)]
    token: Option<String>,
}

problems!(TokenRefused, caller);

/// Returns a token that opens the event stream within ten minutes, as the parameter `token`: for
/// browsers, whose event streams send no headers. The token expires with the session.
#[utoipa::path(
    post, path = "/events/token", operation_id = "createEventsToken", tag = "peers",
    responses((status = 201, description = "The token", body = TokenMade), TokenRefused),
)]
pub(super) async fn token(
    State(service): State<Arc<Service>>,
    caller: Caller,
) -> (StatusCode, axum::Json<TokenMade>) {
    let made = service.events_token(&caller);
    (StatusCode::CREATED, axum::Json(token_made(made)))
}

problems!(EventsRefused, caller, InvalidArgument);

/// Streams changes as server-sent events (HTML standard, section 9.2), at most once per second.
///
/// `peers`, with the data `{}`, means that `GET /peers` has changed. `transfers` has all running
/// transfers of files that the account may see, at most 200, `{"transfers": [{"hash", "name",
/// "peer", "direction": "sending" or "receiving", "bytes", "size", "rate"}]}`; it is sent on each
/// change. `loads` has the account's newest remote downloads, at most 100, `{"loads": […]}` as in
/// `GET /loadfiles`; it is sent on each change. The stream ends with the session, and does not
/// count as use of it. An account can have at most 16 streams.
#[utoipa::path(
    get, path = "/events", operation_id = "events", tag = "peers",
    params(EventsQuery),
    responses(
        (status = 200, description = "Events until the client disconnects", body = String, content_type = "text/event-stream"),
        EventsRefused,
    ),
)]
pub(super) async fn events(
    State(service): State<Arc<Service>>,
    caller: HandlerResult<Caller>,
    seen: ClientAddress,
    Query(parameters): Query<EventsQuery>,
) -> HandlerResult<impl IntoResponse> {
    let caller = match &parameters.token {
        Some(token) => service.events_token_caller(token, seen).await?,
        None => caller?,
    };
    let events = ReceiverStream::new(service.events(caller)?).map(|event| {
        let event = match event {
            PageEvent::Peers => sse::Event::default().event("peers").data("{}"),
            PageEvent::Transfers(transfers) => {
                let data = json!({ "transfers": transfers }).to_string();
                sse::Event::default().event("transfers").data(data)
            }
            PageEvent::Loads(loads) => {
                let data = json!({ "loads": loads }).to_string();
                sse::Event::default().event("loads").data(data)
            }
        };
        Ok::<_, Infallible>(event)
    });
    let fields = [
        (header::CACHE_CONTROL, "no-store"),
        // Proxies must forward each event immediately.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let alive = KeepAlive::new().interval(KEEP_ALIVE_INTERVAL);
    Ok((fields, Sse::new(events).keep_alive(alive)))
}
