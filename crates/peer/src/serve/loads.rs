//! `LoadFile`: the home's own commands have this peer fetch a file, by way of the directory, which
//! says whether its account may and remembers how it goes.

use axum::extract::{Request, State};
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_wire::status::to_status;
use convite_wire::v1::{LoadHereReply, LoadHereRequest};
use tonic::{Response, Status};

use super::control::ControlService;

/// The largest request, in bytes.
const REQUEST_MAX: usize = 4 << 10;

/// Answers `LoadFile`.
pub async fn load_file(
    State(control): State<ControlService>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<LoadHereRequest>| {
        let control = control.clone();
        async move { load(&control, request).await }
    });
    let codec = tonic_prost::ProstCodec::<LoadHereReply, LoadHereRequest>::default();
    tonic::server::Grpc::new(codec)
        .apply_max_message_size_config(Some(REQUEST_MAX), None)
        .unary(service, request)
        .await
}

async fn load(
    control: &ControlService,
    request: tonic::Request<LoadHereRequest>,
) -> Result<Response<LoadHereReply>, Status> {
    control.admit(&request)?;
    let asked = ask(control, &request.into_inner()).await;
    asked.map(Response::new).map_err(|p| to_status(&p))
}

async fn ask(control: &ControlService, asked: &LoadHereRequest) -> Result<LoadHereReply, Problem> {
    let own = &control.state.id;
    let hash = ContentHash::from_slice(&asked.hash)?;
    let directory = control
        .directory
        .as_ref()
        .ok_or_else(|| Problem::new(ErrorCode::Unavailable, "this peer has no directory to ask"))?;
    let load = directory.load_file(own, &hash).await?;
    Ok(LoadHereReply {
        load: load.to_string(),
    })
}
