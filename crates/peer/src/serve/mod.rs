//! What other peers, browsers and scripts get from this one, on one port: contents over HTTP and
//! gRPC to bearers of tickets, and control to the commands of its own home.
//!
//! Built from a catalogue, a cache and the directory's ticket key alone, so that it can be tested
//! without a directory.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use convite_core::{ErrorCode, Problem};
use convite_metrics::Registry;
use convite_net::origin::Hosts;
use convite_wire::DESCRIPTORS;
use convite_wire::v1::control_server::ControlServer;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::catalogue::Catalogue;
use crate::inbox::Inbox;
use crate::partial_files::PartialFiles;
use crate::state::PeerState;

pub mod auth;
mod availability;
mod body;
pub(crate) mod buffers;
pub mod control;
mod files;
mod form;
mod grpc;
mod http;
mod inbound;
mod limits;
mod loads;
pub mod metrics;
mod observe;
mod origin;
mod patience;
pub mod promises;
mod range;
mod timely;
pub mod uploads;

/// What serving needs.
#[derive(Clone)]
pub struct Serving {
    /// What there is to serve.
    pub catalogue: Arc<Catalogue>,
    /// What there is in part.
    pub partial_files: Arc<PartialFiles>,
    /// Where the piece hashes are.
    pub cache: Arc<Cache>,
    /// Who may have it.
    pub gate: Arc<auth::TicketGate>,
    /// Where files of others go; none if none are taken.
    pub inbox: Option<Arc<Inbox>>,
    /// What is being served.
    pub uploads: Arc<uploads::Uploads>,
    /// What was promised to whom asked.
    pub promises: Arc<promises::Promises>,
    /// Told when a file turns out to have changed: time for a scan.
    pub rescan: Arc<Notify>,
    /// What the peer is called.
    pub hosts: Hosts,
    /// Where requests are counted.
    pub counted: Arc<Registry>,
    /// Ends what would not end by itself.
    pub stop: CancellationToken,
}

impl Serving {
    /// What a peer of `state` serves.
    pub fn new(state: &PeerState, cache: Arc<Cache>, gate: Arc<auth::TicketGate>) -> Self {
        Self {
            catalogue: state.catalogue.clone(),
            partial_files: state.partial_files.clone(),
            cache,
            gate,
            inbox: None,
            uploads: state.uploads.clone(),
            promises: Arc::default(),
            rescan: state.rescan.clone(),
            hosts: Hosts::new([state.id.certificate_name()]),
            counted: state.counted.clone(),
            stop: state.stop.clone(),
        }
    }
}

/// The routes of a peer's one port, with what `metrics` tells; those of [`control`] only if it is given.
///
/// # Errors
/// `internal` if the service descriptions are damaged.
pub async fn router(
    serving: Serving,
    control: Option<control::ControlService>,
    metrics: &metrics::Metrics,
) -> Result<Router, Problem> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let broken = |e: tonic_reflection::server::Error| {
        Problem::new(ErrorCode::Internal, format!("reflection: {e}"))
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("convite.v1.Peer", tonic_health::ServingStatus::Serving)
        .await;
    let mut services = tonic::service::Routes::new(health)
        .add_service(reflection().build_v1().map_err(broken)?)
        .add_service(reflection().build_v1alpha().map_err(broken)?);
    let mut of_home = Router::new();
    if let Some(control) = control {
        let load = post(loads::load_file).with_state(control.clone());
        of_home = of_home.route("/convite.v1.Peer/LoadFile", load);
        services = services.add_service(ControlServer::new(control));
    }
    let hosts = serving.hosts.clone();
    let counted = serving.counted.clone();
    let own = Router::new()
        .route("/files/{*what}", get(http::get_file))
        .route(
            "/upload",
            // Bounded by what the inbox has room for, and never held in memory.
            post(form::post_upload).layer(DefaultBodyLimit::disable()),
        )
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/convite.v1.Peer/DownloadFile", post(grpc::download_file))
        .route("/convite.v1.Peer/GetPieces", post(grpc::get_pieces))
        .route("/convite.v1.Peer/Availability", post(grpc::availability))
        .route("/convite.v1.Peer/BeginUpload", post(inbound::begin_upload))
        .route("/convite.v1.Peer/UploadFile", post(inbound::upload_file))
        .with_state(serving);
    // All of them inside the layers: whatever the peer answers is held to its names.
    let grpc = services.prepare().into_axum_router();
    let routes = grpc
        .merge(own)
        .merge(of_home)
        .merge(metrics.clone().routes());
    Ok(routes
        .layer(from_fn(timely::bound_time))
        .layer(from_fn_with_state(hosts, origin::check_origin))
        .layer(from_fn_with_state(counted, observe::observe)))
}
