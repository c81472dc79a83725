//! What a request has to pass before any work is done for it: the checks on where a browser says
//! it comes from ([`convite_net::origin`]), and admission ([`admission`]).
//!
//! A refusal has the form of the door that was knocked at.

pub mod admission;
mod class;
mod holding;
mod timely;

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use convite_core::Problem;
use convite_net::origin::{Hosts, check_site, is_grpc_of_a_program};
use convite_net::{Connection, Network};

use self::admission::{Admission, Caller, Capacity};
pub(crate) use self::class::Class;
use self::holding::Holding;
use self::timely::Timely;
use crate::rest::Refusal;
use crate::{Service, grpc, observe};

/// Answered whatever the host is called: load balancers and supervisors ask by all kinds of names,
/// and the answers tell nothing.
const FOR_ANYONE: [&str; 2] = ["/healthz", "/readyz"];

/// The largest message of a call that takes one, in bytes. The decoder makes room for what a message
/// says it holds: dozens of times its size in memory, before anybody has asked who sent it.
const MESSAGE_MAX: u64 = 256 << 10;

struct Gate {
    admission: Admission,
    service: Arc<Service>,
    /// The paths of gRPC; of others it is only said that they are not here.
    methods: HashSet<String>,
}

/// Both doors behind the gate.
pub(crate) fn before(
    doors: Router,
    hosts: Hosts,
    capacity: Capacity,
    service: Arc<Service>,
) -> Router {
    let gate = Gate {
        admission: Admission::new(capacity),
        service,
        methods: convite_wire::methods::grpc_paths(),
    };
    doors
        .layer(from_fn_with_state(Arc::new(gate), admit))
        .layer(from_fn_with_state(hosts, check_origin))
}

async fn check_origin(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if FOR_ANYONE.contains(&path) || is_grpc_of_a_program(request.headers()) {
        return next.run(request).await;
    }
    match hosts
        .check_host(&request)
        .and_then(|()| check_site(&request))
    {
        Ok(()) => next.run(request).await,
        Err(problem) => turn_away(observe::is_grpc(&request), problem),
    }
}

async fn admit(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if FOR_ANYONE.contains(&path) {
        return next.run(request).await;
    }
    let via_grpc = observe::is_grpc(&request);
    let class = Class::of(path, request.method());
    let wants_session = via_grpc && class::wants_session(path) && gate.methods.contains(path);
    let (work, slots) = match gate.admission.enter(class, caller(&request)).await {
        Ok(entered) => entered,
        Err(problem) => return turn_away(via_grpc, problem),
    };
    let max = match via_grpc && class != Class::Publish {
        true => MESSAGE_MAX,
        // Each message of a stream is measured by the decoder, a REST body by its own.
        false => u64::MAX,
    };
    let grace = gate.admission.body_grace;
    let mut request = request.map(|body| Body::new(Timely::new(body, max, grace)));
    // That door decodes a message before it looks at who sends it: who has no session is not to keep
    // a turn for as long as a message may take.
    if wants_session {
        let known = grpc::caller(&gate.service, request.headers(), request.extensions());
        match work.doing(known).await {
            Ok(known) => request.extensions_mut().insert(known),
            Err(problem) => return turn_away(via_grpc, problem),
        };
    }
    let mut answer = work.doing(next.run(request)).await;
    if via_grpc && is_undecoded(&answer) {
        answer = grpc::refusal(Problem::invalid("the message is not valid"));
    }
    // An answer that lasts is the work itself; of any other only the memory is still taken.
    let work = matches!(class, Class::Lasting | Class::Open).then_some(work);
    answer.map(|body| Body::new(Holding::new(body, (slots, work))))
}

/// Whether the framework refused a message that it could not decode, which it calls its own failure.
fn is_undecoded(answer: &Response) -> bool {
    let headers = answer.headers();
    let status = headers.get("grpc-status");
    status.is_some_and(|status| status == "13") && !headers.contains_key("convite-code")
}

/// Against whom a request counts: the session that it says it comes from, and its network.
fn caller(request: &Request) -> Caller {
    let headers = request.headers();
    let shown = headers.get(AUTHORIZATION).or_else(|| headers.get(COOKIE));
    let connection = request.extensions().get::<Connection>();
    Caller {
        session: shown.map(|value| *blake3::hash(value.as_bytes()).as_bytes()),
        network: connection.map(|connection| Network::of(connection.remote.ip())),
    }
}

fn turn_away(via_grpc: bool, problem: Problem) -> Response {
    match via_grpc {
        true => grpc::refusal(problem),
        false => Refusal(problem).into_response(),
    }
}
