//! What the handlers of all gRPC methods use: the service, the caller and the client's address.

use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap};
use convite_core::{ErrorCode, Problem};
use convite_net::ConnectionInfo;
use tonic::Request;

use crate::Service;
use crate::credentials::bearer;
use crate::service::{Caller, ClientAddress};

/// The `convite.v1.Directory` service over the use cases.
pub(crate) struct DirectoryService {
    pub(super) service: Arc<Service>,
}

impl DirectoryService {
    /// Returns the caller, as authenticated by the middleware.
    pub(super) async fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Problem> {
        if let Some(known) = request.extensions().get::<Caller>() {
            return Ok(known.clone());
        }
        let value = request.metadata().get("authorization");
        let token = bearer(value.and_then(|value| value.to_str().ok()));
        self.service.authenticate(token, seen(request).ok()).await
    }
}

/// Returns the caller of a request with these headers.
///
/// # Errors
/// As [`Service::authenticate`].
pub(crate) async fn caller(
    service: &Service,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Caller, Problem> {
    let value = headers.get(AUTHORIZATION);
    let token = bearer(value.and_then(|value| value.to_str().ok()));
    let connection = extensions.get::<ConnectionInfo>();
    let seen = connection.map(|connection| ClientAddress {
        remote: connection.remote,
    });
    service.authenticate(token, seen).await
}

pub(super) fn seen<T>(request: &Request<T>) -> Result<ClientAddress, Problem> {
    let connection = request
        .extensions()
        .get::<ConnectionInfo>()
        .ok_or_else(|| Problem::new(ErrorCode::Internal, "the connection is unknown"))?;
    Ok(ClientAddress {
        remote: connection.remote,
    })
}

/// Returns `None` for 0, which stands for an absent number in messages.
pub(super) fn non_zero<N: Default + PartialEq>(number: N) -> Option<N> {
    (number != N::default()).then_some(number)
}
