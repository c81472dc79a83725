//! `/metrics`, with access control (see docs/metrics.md).

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::header::{CONTENT_TYPE, FORWARDED};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::response::IntoResponse;
use convite_net::ConnectionInfo;

use super::openapi::problems;
use crate::Service;
use crate::answer::{HandlerResult, ProblemResponse};
use crate::service::Caller;

/// Access to the metrics: requests from this machine, or from administrators.
pub(super) struct Reader;

impl FromRequestParts<Arc<Service>> for Reader {
    type Rejection = ProblemResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<Service>,
    ) -> Result<Self, ProblemResponse> {
        let connection = parts.extensions.get::<ConnectionInfo>();
        let remote = connection.map(|connection| connection.remote.ip());
        if !is_this_machine(remote, &parts.headers) {
            let caller = Caller::from_request_parts(parts, state).await?;
            caller.require_admin()?;
        }
        Ok(Self)
    }
}

/// Returns whether the request comes from this machine itself, and is not forwarded by a proxy on
/// it.
fn is_this_machine(remote: Option<IpAddr>, headers: &HeaderMap) -> bool {
    let forwarded = [FORWARDED, HeaderName::from_static("x-forwarded-for")];
    let is_forwarded = forwarded.iter().any(|name| headers.contains_key(name));
    remote.is_some_and(|remote| remote.is_loopback()) && !is_forwarded
}

problems!(
    MetricsRefused,
    public,
    Unauthenticated,
    SessionExpired,
    PermissionDenied
);

/// Returns metrics for Prometheus, to requests from this machine and to administrators.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "about",
    responses(
        (status = 200, description = "Text", body = String, content_type = "application/openmetrics-text"),
        MetricsRefused,
    ),
)]
pub(super) async fn metrics(
    _: Reader,
    State(service): State<Arc<Service>>,
) -> HandlerResult<impl IntoResponse> {
    Ok(page(State(service)).await)
}

/// Returns the metrics without access control, for the separate listener.
pub(super) async fn page(State(service): State<Arc<Service>>) -> impl IntoResponse {
    let content_type = [(CONTENT_TYPE, convite_metrics::CONTENT_TYPE)];
    (content_type, service.metrics().await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_needs_no_token() {
        let none = HeaderMap::new();
        for local in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert!(is_this_machine(local.parse().ok(), &none), "{local}");
            for name in ["forwarded", "x-forwarded-for"] {
                let headers = HeaderMap::from_iter([(
                    HeaderName::from_static(name),
                    http::HeaderValue::from_static("127.0.0.1"),
                )]);
                assert!(!is_this_machine(local.parse().ok(), &headers), "{name}");
            }
        }
        for remote in ["10.0.0.7", "192.168.1.1", "2001:db8::1"] {
            assert!(!is_this_machine(remote.parse().ok(), &none), "{remote}");
        }
        assert!(!is_this_machine(None, &none));
    }
}
