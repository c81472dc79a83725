//! `/peers`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_core::activity::Activity;
use convite_core::address::{AddressInput, with_port};
use convite_core::model::PeerSummary;
use convite_core::{AccessList, PeerAddress, PeerId, Problem, SharingPolicy};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extractors::{Json, Paging, PathPart, Query};
use super::openapi::problems;
use super::pages::page;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::{Caller, ClientAddress, PeerRegistration};

/// `POST /peers`: registers a peer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterBody {
    /// Id of the peer.
    pub id: PeerId,
    /// The port that the peer listens on.
    #[schema(minimum = 1, maximum = 65535)]
    pub port: u16,
    /// Addresses of the peer. The directory adds the address that the request came from.
    #[serde(default)]
    pub addresses: Vec<AddressInput>,
    /// PKCS #10 certificate signing request in PEM. Its key identifies a peer that is online, so
    /// that no other peer of the account can take the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_request: Option<String>,
    /// Whether the peer exists for one download: it is not listed, and is removed when it leaves or
    /// its lease expires.
    #[serde(default)]
    pub transient: bool,
    /// Accounts that may upload files to it: empty for nobody, `*` for every account except guests,
    /// else a list of account names and, with `@`, space names: `ana,@lab`. Unless the list is
    /// empty, the peer's own account is always allowed.
    #[serde(default)]
    #[schema(value_type = String, pattern = r"^(\*|@?[^\s,@*]{1,64}(,@?[^\s,@*]{1,64}){0,99})?$")]
    pub uploads: AccessList,
    /// Accounts that may request loads, besides the peer's own account; in the same format.
    #[serde(default)]
    #[schema(value_type = String, pattern = r"^(\*|@?[^\s,@*]{1,64}(,@?[^\s,@*]{1,64}){0,99})?$")]
    pub loads: AccessList,
}

/// The response to a registration.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct Registered {
    /// How long the peer stays online without a heartbeat, in milliseconds.
    pub lease_ms: u64,
    /// The generation of the peer's index that the directory holds; 0 for none.
    pub generation: u64,
    /// The addresses at which the directory lists the peer.
    pub addresses: Vec<PeerAddress>,
    /// The public key that verifies tickets: Ed25519, in hex.
    pub ticket_key: String,
    /// Certificate for the peer id, followed by that of the authority, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// The response to `POST /peers/{id}/heartbeat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct LeaseBody {
    /// How long the peer stays online without another heartbeat, in milliseconds.
    pub lease_ms: u64,
    /// The generation of the peer's index that the directory holds; 0 for none.
    pub generation: u64,
    /// Addresses of the replicas that are up, this one first.
    #[serde(default)]
    pub directories: Vec<PeerAddress>,
    /// The IP address that this request came from. A peer whose address changed registers again.
    #[serde(default)]
    pub observed: String,
}

page! {
    /// `GET /peers`.
    PeersPage: /** The peers, sorted by id. */ peers, PeerSummary;
}

problems!(ListRefused, caller, InvalidArgument);

/// Lists the online peers, by id.
#[utoipa::path(
    get, path = "/peers", operation_id = "listPeers", tag = "peers",
    params(Paging),
    responses((status = 200, description = "A page", body = PeersPage), ListRefused),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> HandlerResult<Body<PeersPage>> {
    let page = service
        .list_peers(&caller, paging.limit, paging.cursor.as_deref())
        .await?;
    Ok(Body(page.into()))
}

problems!(
    RegisterRefused,
    caller,
    InvalidArgument,
    PeerTaken,
    PermissionDenied,
    Quota,
    TooLarge,
    UnsupportedMediaType
);

/// Registers a peer, or renews its registration.
///
/// Idempotent.
#[utoipa::path(
    post, path = "/peers", operation_id = "registerPeer", tag = "peers",
    request_body = RegisterBody,
    responses((status = 200, description = "The registration", body = Registered), RegisterRefused),
)]
pub(super) async fn register(
    State(service): State<Arc<Service>>,
    caller: Caller,
    seen: ClientAddress,
    Json(body): Json<RegisterBody>,
) -> HandlerResult<Body<Registered>> {
    let signing_request = match &body.signing_request {
        None => Vec::new(),
        Some(pem) => CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| Problem::invalid("the certificate signing request is not PEM"))?
            .to_vec(),
    };
    let endpoint = PeerRegistration {
        addresses: with_port(&body.addresses, body.port)?,
        id: body.id,
        port: body.port,
        signing_request,
        run: None,
        is_starting: true,
        transient: body.transient,
        terms: SharingPolicy {
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

/// Renews a peer's lease, and reports its activity; without a body, the peer is idle.
///
/// During transfers, about one heartbeat per second is enough: rates are shown as reported until
/// the lease expires.
#[utoipa::path(
    post, path = "/peers/{id}/heartbeat", operation_id = "heartbeat", tag = "peers",
    params(("id" = PeerId, Path)),
    request_body = Activity,
    responses((status = 200, description = "The lease", body = LeaseBody), HeartbeatRefused),
)]
pub(super) async fn heartbeat(
    State(service): State<Arc<Service>>,
    caller: Caller,
    seen: ClientAddress,
    PathPart(id): PathPart,
    Json(activity): Json<Activity>,
) -> HandlerResult<Body<LeaseBody>> {
    let id = id.parse()?;
    let (lease, generation) = service.heartbeat(&caller, &id, None, activity).await?;
    Ok(Body(LeaseBody {
        lease_ms: lease.as_millis() as u64,
        generation,
        directories: service.replica_addresses(),
        observed: seen.address().to_string(),
    }))
}

problems!(LeaveRefused, caller, InvalidArgument, NotFound);

/// Removes a peer from the list; its index is kept for its return.
///
/// For an administrator, removes another account's peer together with its index.
#[utoipa::path(
    delete, path = "/peers/{id}", operation_id = "leavePeer", tag = "peers",
    params(("id" = PeerId, Path)),
    responses((status = 204, description = "The peer is removed"), LeaveRefused),
)]
pub(super) async fn leave(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
) -> HandlerResult<StatusCode> {
    service.leave(&caller, &id.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Encodes a certificate as PEM (RFC 7468).
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
