//! `/metrics`: what this peer counts, for those who may read it (docs/metrics.md says who).

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
use convite_net::Connection;
use http::header::FORWARDED;
use http::{Extensions, HeaderMap, HeaderName};
use tokio::net::TcpListener;

use super::{auth, control::ControlToken, http::problem_response};
use crate::state::PeerState;

/// What a peer counts, and who may read it besides this machine.
#[derive(Clone)]
pub struct Metrics {
    state: Arc<PeerState>,
    /// Of the home's control token, if there is one.
    token: Option<blake3::Hash>,
}

impl Metrics {
    /// Of `state`, for bearers of `token` too.
    pub fn new(state: Arc<PeerState>, token: Option<&ControlToken>) -> Self {
        let token = token.map(|token| blake3::hash(token.text().as_bytes()));
        Self { state, token }
    }

    /// The path on the peer's own port.
    pub fn routes(self) -> Router {
        Router::new()
            .route("/metrics", get(guarded))
            .with_state(self)
    }

    /// Answers everybody at a listener of its own, without encryption, until the peer stops.
    /// Returns where.
    ///
    /// # Errors
    /// `in_use` if it cannot listen there.
    pub async fn serve_at(self, address: SocketAddr) -> Result<SocketAddr, Problem> {
        let refused = |error: std::io::Error| {
            Problem::new(
                ErrorCode::InUse,
                format!("cannot listen on {address}: {error}"),
            )
            .hint("give another address with --metrics-listen")
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let stop = self.state.stop.clone();
        let routes = Router::new()
            .route("/metrics", get(open))
            .route("/healthz", get(|| async { "ok\n" }))
            .with_state(self);
        tokio::spawn(convite_net::serve(
            convite_net::Limits::default(),
            listener,
            None,
            routes,
            stop,
        ));
        Ok(address)
    }

    fn may_read(&self, remote: Option<IpAddr>, headers: &HeaderMap) -> bool {
        let forwarded = [FORWARDED, HeaderName::from_static("x-forwarded-for")];
        let is_forwarded = forwarded.iter().any(|name| headers.contains_key(name));
        let is_local = remote.is_some_and(|remote| remote.is_loopback());
        // Hashes are compared in constant time.
        let shown = auth::bearer(headers).map(|token| blake3::hash(token.as_bytes()));
        (is_local && !is_forwarded) || (shown.is_some() && shown == self.token)
    }

    fn page(&self) -> String {
        let state = &self.state;
        let set = |metric, now| state.counted.set(metric, &[], now);
        set(&SENT_BYTES, state.uploads.bytes_served() as f64);
        set(&UPLOADS_ACTIVE, state.uploads.transfers().len() as f64);
        set(&UPLOADS_WAITING, *state.uploads.waiting().borrow() as f64);
        let (files, bytes) = state.catalogue.totals();
        set(&SHARED_FILES, files as f64);
        set(&SHARED_BYTES, bytes as f64);
        set(&HASHED_FILES, state.hashed.load(Ordering::Relaxed) as f64);
        set(&HASH_BACKLOG, state.to_hash.load(Ordering::Relaxed) as f64);
        set(&SCANS, *state.scans.borrow() as f64);
        set(&LISTED, f64::from(state.online.borrow().listed));
        let settled = state.pending.progress().borrow().settled;
        set(&PUBLISHED, f64::from(settled));
        observe_process(&state.counted);
        state.counted.render()
    }
}

async fn guarded(
    State(metrics): State<Metrics>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    let connection = extensions.get::<Connection>();
    if metrics.may_read(connection.map(|c| c.remote.ip()), &headers) {
        return open(State(metrics)).await;
    }
    let problem = Problem::new(
        ErrorCode::Unauthenticated,
        "only this machine and bearers of the home's control token read the metrics",
    );
    problem_response(
        &problem.hint("let a listener of its own answer: --metrics-listen"),
        None,
    )
}

async fn open(State(metrics): State<Metrics>) -> Response {
    let content_type = [(http::header::CONTENT_TYPE, CONTENT_TYPE)];
    (content_type, metrics.page()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_bearers_of_the_token_read_it_and_nobody_else() {
        let state = PeerState::new(
            "peer_1".parse().unwrap(),
            None,
            crate::shares::ShareList::default(),
            crate::serve::uploads::Uploads::new(Default::default()),
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
