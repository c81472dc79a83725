//! `/peers`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_core::activity::Activity;
use convite_core::{PeerId, Problem, Terms};
use convite_wire::rest::{LeaseBody, PeersPage, RegisterBody, Registered};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Answer;
use super::extract::{Json, PathPart, Query};
use super::openapi::problems;
use crate::Service;
use crate::service::{Caller, Endpoint, Seen};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The most on a page; 100 by default.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

problems!(ListRefused, caller, InvalidArgument);

/// The peers online, by id.
#[utoipa::path(
    get, path = "/peers", operation_id = "listPeers", tag = "peers",
    params(ListQuery),
    responses((status = 200, description = "A page", body = PeersPage), ListRefused),
    security(("session" = [])),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Answer<Body<PeersPage>> {
    let page = service
        .list_peers(&caller, query.limit, query.cursor.as_deref())
        .await?;
    Ok(Body(PeersPage {
        peers: page.items,
        next_cursor: page.next_cursor,
    }))
}

problems!(
    RegisterRefused,
    caller,
    InvalidArgument,
    PeerTaken,
    PermissionDenied,
    TooLarge,
    UnsupportedMediaType
);

/// Registers a peer, or renews its registration.
///
/// Repeating it does no harm.
#[utoipa::path(
    post, path = "/peers", operation_id = "registerPeer", tag = "peers",
    request_body = RegisterBody,
    responses((status = 200, description = "On the list", body = Registered), RegisterRefused),
    security(("session" = [])),
)]
pub(super) async fn register(
    State(service): State<Arc<Service>>,
    caller: Caller,
    seen: Seen,
    Json(body): Json<RegisterBody>,
) -> Answer<Body<Registered>> {
    let signing_request = match &body.signing_request {
        None => Vec::new(),
        Some(pem) => CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| Problem::invalid("the certificate signing request is not PEM"))?
            .to_vec(),
    };
    let endpoint = Endpoint {
        id: body.id,
        port: body.port,
        addresses: body.addresses,
        signing_request,
        transient: body.transient,
        terms: Terms {
            uploads: body.uploads,
            loads: body.loads,
        },
    };
    let registered = service.register_peer(&caller, endpoint, seen).await?;
    Ok(Body(Registered {
        lease_ms: registered.lease.as_millis() as u64,
        generation: registered.generation,
        addresses: registered.addresses,
        ticket_key: data_encoding::HEXLOWER.encode(&registered.ticket_key),
        certificate: registered
            .certificate
            .map(|made| pem(&made.der) + &pem(&made.authority)),
    }))
}

problems!(
    HeartbeatRefused,
    caller,
    InvalidArgument,
    NotFound,
    TooLarge,
    UnsupportedMediaType
);

/// Renews a peer's lease, and says what it does; without a body, nothing.
///
/// While files move, every second or so is often enough: rates are shown as they come, until the
/// lease runs out.
#[utoipa::path(
    post, path = "/peers/{id}/heartbeat", operation_id = "heartbeat", tag = "peers",
    params(("id" = PeerId, Path)),
    request_body = Activity,
    responses((status = 200, description = "The lease", body = LeaseBody), HeartbeatRefused),
    security(("session" = [])),
)]
pub(super) async fn heartbeat(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
    Json(activity): Json<Activity>,
) -> Answer<Body<LeaseBody>> {
    let (lease, generation) = service.heartbeat(&caller, &id.parse()?, activity).await?;
    Ok(Body(LeaseBody {
        lease_ms: lease.as_millis() as u64,
        generation,
        directories: service.directories(),
    }))
}

problems!(LeaveRefused, caller, InvalidArgument, NotFound);

/// Takes a peer off the list; its index is kept for its return.
///
/// One of somebody else an administrator removes so, with its index.
#[utoipa::path(
    delete, path = "/peers/{id}", operation_id = "leavePeer", tag = "peers",
    params(("id" = PeerId, Path)),
    responses((status = 204, description = "Off the list"), LeaveRefused),
    security(("session" = [])),
)]
pub(super) async fn leave(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
) -> Answer<StatusCode> {
    service.leave(&caller, &id.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A certificate as PEM (RFC 7468).
fn pem(der: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(der);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}
