//! `LoadFile`: a command of the peer's home requests a remote fetch by this peer. The request
//! goes through the directory, which checks the account's permissions and records the state.

use axum::extract::{Request, State};
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_wire::status::to_status;
use convite_wire::v1::{LoadHereReply, LoadHereRequest};
use tonic::{Response, Status};

use crate::node::control::ControlService;

/// The largest request in bytes.
const REQUEST_MAX: usize = 4 << 10;

/// Handles `LoadFile`.
pub async fn load_file(
    State(control): State<ControlService>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<LoadHereRequest>| {
        let control = control.clone();
        async move { load(&control, request).await }
    });
    let codec = convite_wire::codec::CountingCodec::<LoadHereReply, LoadHereRequest>::default();
    tonic::server::Grpc::new(codec)
        .apply_max_message_size_config(Some(REQUEST_MAX), None)
        .unary(service, request)
        .await
}

async fn load(
    control: &ControlService,
    request: tonic::Request<LoadHereRequest>,
) -> Result<Response<LoadHereReply>, Status> {
    control.authorize(&request)?;
    let asked = ask(control, &request.into_inner()).await;
    asked.map(Response::new).map_err(|p| to_status(&p))
}

async fn ask(control: &ControlService, asked: &LoadHereRequest) -> Result<LoadHereReply, Problem> {
    let own = &control.state.registration.id;
    let hash = ContentHash::from_slice(&asked.hash)?;
    let directory = control
        .directory
        .as_ref()
        .ok_or_else(|| Problem::new(ErrorCode::Unavailable, "this peer has no directory"))?;
    let load = directory.load_file(own, &hash, None).await?;
    Ok(LoadHereReply {
        load: load.to_string(),
    })
}
