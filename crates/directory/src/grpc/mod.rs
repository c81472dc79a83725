//! The gRPC door: decode, call, encode. Health checking and reflection are on, so that `grpcurl`
//! and load balancers work with no files at hand.

mod accounts;
mod administration;
mod index;
mod invites;
mod links;
mod loads;
mod locate;
mod peers;
mod search;
mod sessions;
mod swarm;
mod uploads;

use std::sync::Arc;

use axum::Router;
use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::Response;
use convite_core::{ErrorCode, Problem};
use convite_net::Connection;
use convite_wire::status::to_status;
use convite_wire::v1;
use convite_wire::v1::directory_server::{Directory, DirectoryServer};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Request, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::credentials::bearer;
use crate::service::{Caller, Seen};
use crate::{Service, observe};

/// The service of `convite.v1`, over the use cases.
pub(crate) struct Door {
    service: Arc<Service>,
}

/// What reports whether this door is open.
pub(crate) struct Health(HealthReporter);

impl Health {
    /// Tells watchers whether the directory can do its work.
    pub(crate) async fn set(&self, is_ready: bool) {
        let status = match is_ready {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        // The empty name is that of the server as a whole.
        for name in ["", DirectoryServer::<Door>::NAME] {
            self.0.set_service_status(name, status).await;
        }
    }
}

/// The paths of this door.
///
/// # Errors
/// `internal` if the compiled .proto files cannot be read.
pub(crate) async fn router(service: Arc<Service>) -> Result<(Router, Health), Problem> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let reporter = Health(reporter);
    reporter.set(false).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(convite_wire::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The peer's services are in the same files, and not here.
            .with_service_name("convite.v1.Directory")
            .with_service_name("grpc.health.v1.Health")
    };
    let broken = |e: tonic_reflection::server::Error| {
        Problem::new(ErrorCode::Internal, format!("reflection: {e}"))
    };
    let router = Routes::from(Router::new())
        .add_service(DirectoryServer::new(Door { service }))
        .add_service(health)
        .add_service(reflection().build_v1().map_err(broken)?)
        // What tools of before 2023 ask.
        .add_service(reflection().build_v1alpha().map_err(broken)?)
        .into_axum_router();
    Ok((router, reporter))
}

/// The answer to a call of a service that is not here.
pub(crate) fn no_such_service() -> Response {
    status_response(Status::unimplemented("there is no such service here"))
}

/// What the layers around the doors answer over HTTP, as a gRPC status.
pub(crate) fn translate(status: StatusCode) -> Response {
    let problem = match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            Problem::new(ErrorCode::Unavailable, "the directory took too long").hint("try again")
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            return status_response(Status::unimplemented("there is no such method here"));
        }
        _ => {
            Problem::new(ErrorCode::Internal, "the directory failed").hint("its log has the cause")
        }
    };
    status_response(to_status(&problem))
}

fn status_response(status: Status) -> Response {
    let (parts, ()) = status.into_http::<()>().into_parts();
    Response::from_parts(parts, axum::body::Body::empty())
}

/// The answer to a call that got no further than the gate.
pub(crate) fn refusal(problem: Problem) -> Response {
    status_response(refuse(problem))
}

/// A problem on its way out through this door.
fn refuse(problem: Problem) -> Status {
    to_status(&observe::outward(problem))
}

/// In messages, 0 says that an optional number is not there.
fn some_number<N: Default + PartialEq>(number: N) -> Option<N> {
    (number != N::default()).then_some(number)
}

impl Door {
    /// Who makes the call, as the gate has found.
    async fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Problem> {
        if let Some(known) = request.extensions().get::<Caller>() {
            return Ok(known.clone());
        }
        let value = request.metadata().get("authorization");
        let token = bearer(value.and_then(|value| value.to_str().ok()));
        self.service.authenticate(token, seen(request).ok()).await
    }
}

/// Who makes the call of that head.
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
    let connection = extensions.get::<Connection>();
    let seen = connection.map(|connection| Seen {
        remote: connection.remote,
    });
    service.authenticate(token, seen).await
}

fn seen<T>(request: &Request<T>) -> Result<Seen, Problem> {
    let connection = request
        .extensions()
        .get::<Connection>()
        .ok_or_else(|| Problem::new(ErrorCode::Internal, "the connection is not known"))?;
    Ok(Seen {
        remote: connection.remote,
    })
}

/// Each method by the function of its noun; `Watch`, which answers with a stream, besides.
macro_rules! methods {
    ($($name:ident: $noun:ident, $request:ty => $reply:ident;)*) => {
        #[tonic::async_trait]
        impl Directory for Door {
            $(async fn $name(
                &self,
                request: Request<$request>,
            ) -> Result<tonic::Response<v1::$reply>, Status> {
                let reply = $noun::$name(self, request).await;
                reply.map(tonic::Response::new).map_err(refuse)
            })*

            type WatchStream = tonic::codegen::BoxStream<v1::WatchReply>;

            async fn watch(
                &self,
                request: Request<v1::WatchRequest>,
            ) -> Result<tonic::Response<Self::WatchStream>, Status> {
                let replies = swarm::watch(self, request).await;
                replies.map(tonic::Response::new).map_err(refuse)
            }
        }
    };
}

methods! {
    login: sessions, v1::LoginRequest => LoginReply;
    logout: sessions, v1::LogoutRequest => LogoutReply;
    create_account: accounts, v1::CreateAccountRequest => CreateAccountReply;
    create_invite: invites, v1::CreateInviteRequest => CreateInviteReply;
    add_user: administration, v1::AddUserRequest => AddUserReply;
    list_users: administration, v1::ListUsersRequest => ListUsersReply;
    change_user: administration, v1::ChangeUserRequest => ChangeUserReply;
    change_password: administration, v1::ChangePasswordRequest => ChangePasswordReply;
    change_space: administration, v1::ChangeSpaceRequest => ChangeSpaceReply;
    list_spaces: administration, v1::ListSpacesRequest => ListSpacesReply;
    change_member: administration, v1::ChangeMemberRequest => ChangeMemberReply;
    list_members: administration, v1::ListMembersRequest => ListMembersReply;
    list_audit: administration, v1::ListAuditRequest => ListAuditReply;
    list_invites: invites, v1::ListInvitesRequest => ListInvitesReply;
    revoke_invite: invites, v1::RevokeInviteRequest => RevokeInviteReply;
    list_sessions: sessions, v1::ListSessionsRequest => ListSessionsReply;
    revoke_session: sessions, v1::RevokeSessionRequest => RevokeSessionReply;
    who_am_i: sessions, v1::WhoAmIRequest => WhoAmIReply;
    register_peer: peers, v1::RegisterPeerRequest => RegisterPeerReply;
    leave_peer: peers, v1::LeavePeerRequest => LeavePeerReply;
    heartbeat: peers, v1::HeartbeatRequest => HeartbeatReply;
    list_peers: peers, v1::ListPeersRequest => ListPeersReply;
    index: index, Streaming<v1::IndexRequest> => IndexReply;
    list_index: index, v1::ListIndexRequest => ListIndexReply;
    search_file: search, v1::SearchFileRequest => SearchFileReply;
    locate: locate, v1::LocateRequest => LocateReply;
    get_upload_ticket: uploads, v1::GetUploadTicketRequest => GetUploadTicketReply;
    create_link: links, v1::CreateLinkRequest => CreateLinkReply;
    load_file: loads, v1::LoadFileRequest => LoadFileReply;
    list_loads: loads, v1::ListLoadsRequest => ListLoadsReply;
    get_load: loads, v1::GetLoadRequest => GetLoadReply;
    report_load: loads, v1::ReportLoadRequest => ReportLoadReply;
    announce: swarm, v1::AnnounceRequest => AnnounceReply;
}
