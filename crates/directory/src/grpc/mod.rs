//! The gRPC API: decode, call, encode. Health checking and reflection are enabled, so that
//! `grpcurl` and load balancers need no .proto files.

mod accounts;
mod administration;
mod api;
mod index;
mod invites;
mod links;
mod locate;
mod peers;
mod remote_fetches;
mod search;
mod sessions;
mod swarm;
mod uploads;

use std::sync::Arc;

use axum::Router;
use convite_core::{ErrorCode, Problem};
use convite_wire::v1::directory_server::{Directory, DirectoryServer};
#[allow(
    clippy::wildcard_imports,
    reason = "the declarations name the messages"
)]
use convite_wire::v1::*;
use tonic::codegen::BoxStream;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Request, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use self::api::DirectoryService;
use crate::Service;
use crate::answer::grpc_status;
use crate::operations::operations;

pub(crate) use self::api::caller;

/// Reports the health of this API.
pub(crate) struct Health(HealthReporter);

impl Health {
    /// Reports to watchers whether the directory is ready.
    pub(crate) async fn set(&self, is_ready: bool) {
        let status = if is_ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        // The empty name means the server as a whole.
        for name in ["", DirectoryServer::<DirectoryService>::NAME] {
            self.0.set_service_status(name, status).await;
        }
    }
}

/// Returns the gRPC router.
///
/// # Errors
/// Returns `internal` if the compiled .proto files cannot be read.
pub(crate) async fn router(service: Arc<Service>) -> Result<(Router, Health), Problem> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let reporter = Health(reporter);
    reporter.set(false).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(convite_wire::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The files also contain the peer's services, which are not served here.
            .with_service_name("convite.v1.Directory")
            .with_service_name("grpc.health.v1.Health")
    };
    let broken = |e: tonic_reflection::server::Error| {
        Problem::new(ErrorCode::Internal, format!("reflection: {e}"))
    };
    let router = Routes::from(Router::new())
        .add_service(DirectoryServer::new(DirectoryService { service }))
        .add_service(health)
        .add_service(reflection().build_v1().map_err(broken)?)
        // For tools from before 2023.
        .add_service(reflection().build_v1alpha().map_err(broken)?)
        .into_axum_router();
    Ok((router, reporter))
}

/// Implements each method with its function in the module of its noun.
macro_rules! implement_directory {
    ($(
        $name:ident($access:ident, $cost:ident, $audit:expr) {
            $(grpc $module:ident::$method:ident($request:ty) -> $reply:ident;)?
            $(grpc_stream $stream_module:ident::$stream_method:ident($stream_request:ty) -> $stream_reply:ident;)?
            $(rest $($handler:ident)::+;)*
        }
    )*) => {
        #[tonic::async_trait]
        impl Directory for DirectoryService {
            $($(async fn $method(
                &self,
                request: Request<$request>,
            ) -> Result<tonic::Response<$reply>, Status> {
                let reply = $module::$method(self, request).await;
                reply.map(tonic::Response::new).map_err(grpc_status)
            })?)*

            type WatchStream = BoxStream<WatchReply>;
            type LocateManyStream = BoxStream<LocateManyReply>;

            $($(async fn $stream_method(
                &self,
                request: Request<$stream_request>,
            ) -> Result<tonic::Response<BoxStream<$stream_reply>>, Status> {
                let replies = $stream_module::$stream_method(self, request).await;
                replies.map(tonic::Response::new).map_err(grpc_status)
            })?)*
        }
    };
}
operations!(implement_directory);
