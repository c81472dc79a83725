//! Middleware for checks before any work: the host and origin of browser requests
//! ([`convite_net::origin`]), and admission ([`admission`]).
//!
//! Refusals are encoded for the API of the request.

pub mod admission;
mod bounded_body;
mod guarded_body;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use convite_core::Problem;
use convite_net::origin::{Hosts, is_grpc_from_program};
use convite_net::{ConnectionInfo, Network};

use self::admission::{AdmissionControl, AdmissionLimits, RequestOrigin};
use self::bounded_body::BoundedBody;
use self::guarded_body::GuardedBody;

use crate::answer::{is_grpc, refuse};
use crate::cost_class::CostClass;
use crate::operations::{Access, Operation};
use crate::rest::RouteOperations;
use crate::service::Caller;
use crate::{Service, grpc};

/// Paths that are served for any host name: load balancers and supervisors use all kinds of names,
/// and the responses contain nothing private.
const ANY_HOST_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// Maximum size of a unary message, in bytes. The decoder allocates for the number of entries that
/// a message claims, which can be dozens of times its size, before the sender is authenticated.
const MESSAGE_MAX: u64 = 256 << 10;

/// The cost class of the standard gRPC services: health and reflection.
const STANDARD_SERVICES: CostClass = CostClass::Public;
/// The cost class of requests that no operation handles: they are refused.
const UNKNOWN: CostClass = CostClass::Cheap;

/// Returns the operation of a request to either API, and the cost class.
pub(crate) fn classify(
    routes: &RouteOperations,
    request: &Request,
) -> (Option<Operation>, CostClass) {
    let path = request.uri().path();
    let operation =
        Operation::of_grpc(path).or_else(|| routes.find(request.method(), request.extensions()));
    let cost = match operation {
        Some(operation) => operation.cost(),
        None if path.starts_with("/grpc.") => STANDARD_SERVICES,
        None => UNKNOWN,
    };
    (operation, cost)
}

struct Middleware {
    routes: Arc<RouteOperations>,
    admission: AdmissionControl,
    service: Arc<Service>,
}

/// Wraps the router of both APIs in the middleware.
pub(crate) fn with_middleware(
    apis: Router,
    hosts: Hosts,
    limits: AdmissionLimits,
    routes: Arc<RouteOperations>,
    service: Arc<Service>,
) -> Router {
    let middleware = Middleware {
        routes,
        admission: AdmissionControl::new(limits),
        service,
    };
    apis.layer(from_fn_with_state(Arc::new(middleware), admit))
        .layer(from_fn_with_state(hosts, check_origin))
}

async fn check_origin(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if ANY_HOST_PATHS.contains(&path) || is_grpc_from_program(request.headers()) {
        return next.run(request).await;
    }
    match hosts
        .check_host(&request)
        .and_then(|()| hosts.check_site(&request))
    {
        Ok(()) => next.run(request).await,
        Err(problem) => refuse(is_grpc(&request), problem),
    }
}

async fn admit(
    State(middleware): State<Arc<Middleware>>,
    request: Request,
    next: Next,
) -> Response {
    if ANY_HOST_PATHS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let via_grpc = is_grpc(&request);
    let (operation, cost) = classify(&middleware.routes, &request);
    let entered = middleware.admission.enter(cost, origin(&request)).await;
    let (permit, slots) = match entered {
        Ok(entered) => entered,
        Err(problem) => return refuse(via_grpc, problem),
    };
    let max = if via_grpc && cost != CostClass::Publish {
        MESSAGE_MAX
    } else {
        // The decoder limits each message of a stream; the REST extractors limit their bodies.
        u64::MAX
    };
    let grace = middleware.admission.body_grace;
    let mut request = request.map(|body| Body::new(BoundedBody::new(body, max, grace)));
    if let Some(operation) = operation.filter(|one| via_grpc && one.access().requires_session()) {
        let (headers, extensions) = (request.headers(), request.extensions());
        let caller = authenticate(&middleware.service, operation, headers, extensions);
        match permit.scope(caller).await {
            Ok(caller) => request.extensions_mut().insert(caller),
            Err(problem) => return refuse(via_grpc, problem),
        };
    }
    let mut response = permit.scope(next.run(request)).await;
    if via_grpc && is_undecoded(&response) {
        response = refuse(true, Problem::invalid("the message is not valid"));
    }
    // A long-lived response is the work itself; of other responses only the memory is still in use.
    let permit = matches!(cost, CostClass::Streaming | CostClass::Public).then_some(permit);
    response.map(|body| Body::new(GuardedBody::new(body, (slots, permit))))
}

/// Authenticates the caller of a gRPC method.
///
/// tonic decodes a message before the handler authenticates its sender. Checking first prevents
/// that a caller without a session, or without the right to publish, keeps a slot while the message
/// arrives, and has it decoded.
async fn authenticate(
    service: &Service,
    operation: Operation,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Caller, Problem> {
    let caller = grpc::caller(service, headers, extensions).await?;
    if operation.access() == Access::Sharing && operation.cost() == CostClass::Publish {
        caller.require_sharing_role()?;
    }
    Ok(caller)
}

/// Returns whether tonic could not decode a message, which it reports as an internal error.
fn is_undecoded(response: &Response) -> bool {
    let headers = response.headers();
    let status = headers.get("grpc-status");
    status.is_some_and(|status| status == "13") && !headers.contains_key("convite-code")
}

/// Returns the parties that a request counts against: its session, if any, and its network.
fn origin(request: &Request) -> RequestOrigin {
    let headers = request.headers();
    let shown = headers.get(AUTHORIZATION).or_else(|| headers.get(COOKIE));
    let connection = request.extensions().get::<ConnectionInfo>();
    RequestOrigin {
        session: shown.map(|value| *blake3::hash(value.as_bytes()).as_bytes()),
        network: connection.map(|connection| Network::of(connection.remote.ip())),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;
    use crate::rest::route_operations;

    const DIRECTORY: &str = "/convite.v1.Directory/";

    /// Returns the class of a gRPC method, or of a REST route as `GET /path`.
    fn class(request: &str) -> CostClass {
        let operation = match request.split_once(' ') {
            None => Operation::of_grpc(&format!("{DIRECTORY}{request}")),
            Some((method, path)) => {
                let method: Method = method.parse().unwrap();
                route_operations().get(&method, path)
            }
        };
        operation.unwrap().cost()
    }

    #[test]
    fn both_apis_have_the_same_classes() {
        use CostClass::{Cheap, PasswordHash, Public, Publish, Search, Streaming};
        for (request, expected) in [
            ("SearchFile", Search),
            ("GET /search", Search),
            ("FindByName", Search),
            ("GET /files", Search),
            ("PublishIndex", Publish),
            ("PUT /index", Publish),
            ("POST /index", Publish),
            ("ListIndex", Search),
            ("GET /index", Search),
            ("HEAD /index", Search),
            ("Login", PasswordHash),
            ("POST /login", PasswordHash),
            ("AddUser", PasswordHash),
            ("POST /users", PasswordHash),
            ("ChangeUser", PasswordHash),
            ("PATCH /users/{user}", PasswordHash),
            ("ListUsers", Cheap),
            ("GET /users", Cheap),
            ("Heartbeat", Cheap),
            ("POST /peers/{id}/heartbeat", Cheap),
            ("Watch", Streaming),
            ("GET /files/{hash}/content", Streaming),
            ("GET /d/{token}", Public),
            ("POST /peers/{id}/upload", Streaming),
            ("POST /peers/{id}/upload-ticket", Cheap),
            ("CreateLink", Cheap),
            ("POST /files/{hash}/link", Cheap),
        ] {
            assert_eq!(class(request), expected, "{request}");
        }
    }

    #[test]
    fn streams_and_whole_files_have_no_time_limit() {
        for (request, via_grpc) in [
            ("PublishIndex", true),
            ("Watch", true),
            ("GET /events", false),
            ("GET /files/{hash}/content", false),
            ("GET /d/{token}", false),
            ("POST /peers/{id}/upload", false),
        ] {
            assert!(class(request).has_no_time_limit(via_grpc), "{request}");
        }
        for (request, via_grpc) in [
            ("PUT /index", false),
            ("Heartbeat", true),
            ("POST /peers/{id}/upload-ticket", false),
            ("POST /login", false),
        ] {
            assert!(!class(request).has_no_time_limit(via_grpc), "{request}");
        }
        assert!(STANDARD_SERVICES.has_no_time_limit(true));
    }
}
