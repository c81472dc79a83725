//! `/peers`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_core::Problem;
use convite_wire::rest::{LeaseBody, PeersPage, RegisterBody, Registered};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use super::Answer;
use super::extract::{Json, PathPart, Query};
use crate::Service;
use crate::service::{Caller, Endpoint, Seen};

#[derive(Deserialize)]
pub(super) struct ListQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

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

pub(super) async fn heartbeat(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
) -> Answer<Body<LeaseBody>> {
    let (lease, generation) = service.heartbeat(&caller, &id.parse()?).await?;
    Ok(Body(LeaseBody {
        lease_ms: lease.as_millis() as u64,
        generation,
    }))
}

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
