//! `/metrics`: the peer's metrics, for authorized readers (see docs/metrics.md).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use convite_core::{ErrorCode, Problem};
use convite_metrics::catalogue::*;
use convite_metrics::{CONTENT_TYPE, observe_process};
use convite_net::ConnectionInfo;
use convite_net::task;
use http::header::FORWARDED;
use http::{Extensions, HeaderMap, HeaderName};
use tokio::net::TcpListener;

use crate::announce::tickets;
use crate::node::control::ControlToken;
use crate::node::state::PeerState;
use crate::serve::problem::problem_response;

/// The metrics of a peer and who may read them from other machines.
#[derive(Clone)]
pub struct Metrics {
    state: Arc<PeerState>,
    /// The hash of the home's control token, if there is one.
    token: Option<blake3::Hash>,
}

impl Metrics {
    /// Creates the metrics of `state`, readable from other machines by callers with `token`.
    pub fn new(state: Arc<PeerState>, token: Option<&ControlToken>) -> Self {
        let token = token.map(|token| blake3::hash(token.text().as_bytes()));
        Self { state, token }
    }

    /// Returns the route on the peer's main port.
    pub fn routes(self) -> Router {
        Router::new()
            .route("/metrics", get(authorized))
            .with_state(self)
    }

    /// Serves the metrics to everyone on a separate listener, without encryption, until the peer
    /// stops. Returns the listener's address.
    ///
    /// # Errors
    /// Returns `in_use` if the address cannot be used.
    pub async fn serve_at(self, address: SocketAddr) -> Result<SocketAddr, Problem> {
        let refused = |error: std::io::Error| {
            Problem::new(
                ErrorCode::InUse,
                format!("cannot listen on {address}: {error}"),
            )
            .hint("choose another address with --metrics-listen")
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let stop = self.state.stop.clone();
        let routes = Router::new()
            .route("/metrics", get(unrestricted))
            .route("/healthz", get(|| async { "ok\n" }))
            .with_state(self);
        task::spawn(
            "metrics",
            convite_net::serve(convite_net::Limits::default(), listener, None, routes, stop),
        );
        Ok(address)
    }

    fn may_read(&self, remote: Option<IpAddr>, headers: &HeaderMap) -> bool {
        let forwarded = [FORWARDED, HeaderName::from_static("x-forwarded-for")];
        let is_forwarded = forwarded.iter().any(|name| headers.contains_key(name));
        let is_local = remote.is_some_and(|remote| remote.is_loopback());
        // Hashes are compared in constant time.
        let shown = tickets::bearer(headers).map(|token| blake3::hash(token.as_bytes()));
        (is_local && !is_forwarded) || (shown.is_some() && shown == self.token)
    }

    fn page(&self) -> String {
        let state = &self.state;
        let set = |metric, now| state.files.metrics.set(metric, &[], now);
        set(&SENT_BYTES, state.uploads.bytes_served() as f64);
        set(&UPLOADS_ACTIVE, state.uploads.transfers().len() as f64);
        set(&UPLOADS_WAITING, *state.uploads.waiting().borrow() as f64);
        let (files, bytes) = state.files.catalogue.totals();
        set(&SHARED_FILES, files as f64);
        set(&SHARED_BYTES, bytes as f64);
        set(
            &HASHED_FILES,
            state.files.hashed.load(Ordering::Relaxed) as f64,
        );
        set(
            &HASH_BACKLOG,
            state.files.to_hash.load(Ordering::Relaxed) as f64,
        );
        set(&SCANS, *state.files.scans.borrow() as f64);
        set(
            &LISTED,
            f64::from(state.registration.state.borrow().is_listed),
        );
        let queue = &state.files.publish_queue;
        let is_published = queue.progress().borrow().is_published;
        set(&PUBLISHED, f64::from(is_published));
        observe_process(&state.files.metrics);
        state.files.metrics.render()
    }
}

async fn authorized(
    State(metrics): State<Metrics>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    let connection = extensions.get::<ConnectionInfo>();
    if metrics.may_read(connection.map(|c| c.remote.ip()), &headers) {
        return unrestricted(State(metrics)).await;
    }
    let problem = Problem::new(
        ErrorCode::Unauthenticated,
        "metrics can be read only from this machine or with the home's control token",
    );
    problem_response(
        &problem.hint("serve them on a separate listener with --metrics-listen"),
        None,
    )
}

async fn unrestricted(State(metrics): State<Metrics>) -> Response {
    let content_type = [(http::header::CONTENT_TYPE, CONTENT_TYPE)];
    (content_type, metrics.page()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_need_this_machine_or_the_token() {
        let state = PeerState::new(
            "peer_1".parse().unwrap(),
            None,
            crate::sharing::shares::ShareList::default(),
            crate::serve::download::uploads::Uploads::new(Default::default()),
            Default::default(),
            convite_core::UnixMillis(0),
        );
        let token = ControlToken::random().unwrap();
        let state = Arc::new(state);
        let metrics = Metrics::new(state.clone(), Some(&token));
        let with = |name: &'static str, value: &str| {
            HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
        };
        let (local, far) = ("127.0.0.1".parse().ok(), "10.0.0.7".parse().ok());
        let none = HeaderMap::new();
        assert!(metrics.may_read(local, &none));
        assert!(!metrics.may_read(far, &none));
        assert!(!metrics.may_read(None, &none));
        for name in ["forwarded", "x-forwarded-for"] {
            assert!(!metrics.may_read(local, &with(name, "10.0.0.7")), "{name}");
        }
        let right = with("authorization", &format!("Bearer {}", token.text()));
        assert!(metrics.may_read(far, &right));
        assert!(!metrics.may_read(far, &with("authorization", "Bearer wrong")));
        let without = Metrics::new(state, None);
        assert!(!without.may_read(far, &right) && !without.may_read(far, &none));
    }
}
