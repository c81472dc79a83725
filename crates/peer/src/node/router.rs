//! The routes of the peer's port: files and uploads (`serve`), metrics, health, and control for the
//! commands of its home.

use axum::Router;
use axum::routing::post;
use convite_core::{ErrorCode, Problem};
use convite_wire::DESCRIPTORS;
use convite_wire::v1::control_server::ControlServer;

use crate::node::control::ControlService;
use crate::node::metrics::Metrics;
use crate::node::remote_fetch;
use crate::serve;
use crate::serve::context::ServeContext;

/// Returns the routes of a peer's port. The routes of [`ControlService`] are included only if it is
/// given.
///
/// # Errors
/// Returns `internal` if the service descriptions are damaged.
pub async fn router(
    context: ServeContext,
    control: Option<ControlService>,
    metrics: &Metrics,
) -> Result<Router, Problem> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The directory's services are described in the same files but are not served here.
            .with_service_name("convite.v1.Peer")
            .with_service_name("grpc.health.v1.Health")
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
    let mut control_routes = Router::new();
    if let Some(control) = control {
        let load = post(remote_fetch::load_file).with_state(control.clone());
        control_routes = control_routes.route("/convite.v1.Peer/LoadFile", load);
        services = services.add_service(ControlServer::new(control));
    }
    let grpc = services.prepare().into_axum_router().reset_fallback();
    let routes = grpc
        .merge(serve::routes(context.clone()))
        .merge(control_routes)
        .merge(metrics.clone().routes());
    Ok(serve::with_middleware(routes, &context))
}
