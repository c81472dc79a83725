//! What a browser says of where a request comes from ([`convite_net::origin`]).
//!
//! Contents are not held to the peer's names: programs ask for them by whatever address or name the
//! peer is reached, and a ticket is the right to them wherever it is shown. All else
//! is, so that no page of another site reads or changes anything through its reader's browser.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use convite_net::origin::{Hosts, check_site, is_grpc_of_a_program};

use super::http::problem_response;

pub(super) async fn check_origin(
    State(hosts): State<Hosts>,
    request: Request,
    next: Next,
) -> Response {
    if is_grpc_of_a_program(request.headers()) {
        return next.run(request).await;
    }
    let path = request.uri().path();
    let named = match path == "/healthz" || path.starts_with("/files/") {
        true => Ok(()),
        false => hosts.check_host(&request),
    };
    match named.and_then(|()| check_site(&request)) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem_response(&problem, None),
    }
}
