//! Checks the origin and the host name of browser requests ([`convite_net::origin`]).
//!
//! Requests for contents may use any host name: programs reach the peer by any of its addresses or
//! names, and the ticket authorizes them. All other requests must use a name of the peer, so that
//! pages of other sites cannot read or change anything through a user's browser.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use convite_net::origin::{Hosts, is_grpc_from_program};

use crate::serve::problem::problem_response;

pub(crate) async fn check_origin(
    State(hosts): State<Hosts>,
    request: Request,
    next: Next,
) -> Response {
    if is_grpc_from_program(request.headers()) {
        return next.run(request).await;
    }
    let path = request.uri().path();
    let named = if path == "/healthz" || path.starts_with("/files/") {
        Ok(())
    } else {
        hosts.check_host(&request)
    };
    match named.and_then(|()| hosts.check_site(&request)) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem_response(&problem, None),
    }
}
