//! Spans that real processes send to an OpenTelemetry collector in the test.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use convite_net::Limits;
use convite_net::dial::{Expected, http1_request};
use convite_net::tls::{DIRECTORY_NAME, client_config_http1};
use convite_wire::invite::Fingerprint;
use http::Request;
use http_body_util::{BodyExt, Empty};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::harness::{Home, PASSWORD, Process, text, wait_until};

/// A trace context of another program.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: [u8; 16] = 0x0af7651916cd43dd8448eb211c80319c_u128.to_be_bytes();
const PARENT: [u8; 8] = 0xb7ad6b7169203331_u64.to_be_bytes();

/// A span received by the collector.
#[derive(Debug, Clone)]
struct ReceivedSpan {
    service: String,
    name: String,
    /// 2 for a server span, 3 for a client span (`Span.SpanKind`).
    kind: i32,
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    /// The attributes and events.
    _about: String,
}

#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<ReceivedSpan>>>);

impl Collected {
    fn all(&self) -> Vec<ReceivedSpan> {
        self.0.lock().unwrap().clone()
    }

    fn find(&self, is: impl Fn(&ReceivedSpan) -> bool) -> Option<ReceivedSpan> {
        self.all().into_iter().find(is)
    }
}

#[tonic::async_trait]
impl TraceService for Collected {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        for of_program in request.into_inner().resource_spans {
            let resource = of_program.resource.unwrap_or_default();
            let name = resource
                .attributes
                .into_iter()
                .find(|a| a.key == "service.name");
            let service = match name.and_then(|name| name.value?.value) {
                Some(Value::StringValue(name)) => name,
                _ => String::new(),
            };
            let spans = of_program
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            let got = spans.map(|span| ReceivedSpan {
                service: service.clone(),
                _about: format!("{:?} {:?}", span.attributes, span.events),
                name: span.name,
                kind: span.kind,
                trace: span.trace_id,
                id: span.span_id,
                parent: span.parent_span_id,
            });
            self.0.lock().unwrap().extend(got);
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector on its own port.
struct Collector {
    collected: Collected,
    address: SocketAddr,
    runtime: Runtime,
    _stop: tokio_util::sync::DropGuard,
}

impl Collector {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let collected = Collected::default();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let service = TraceServiceServer::new(collected.clone());
        let routes = tonic::service::Routes::new(service)
            .prepare()
            .into_axum_router();
        runtime.spawn(convite_net::serve(
            Limits::default(),
            listener,
            None,
            routes,
            stop.clone(),
        ));
        Self {
            collected,
            address,
            runtime,
            _stop: stop.drop_guard(),
        }
    }

    fn traced(&self, home: &Home, args: &str) -> Command {
        traced(home, args, self.address)
    }
}

fn traced(home: &Home, args: &str, collector: SocketAddr) -> Command {
    let mut command = home.command(args);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))
        .env("OTEL_BSP_SCHEDULE_DELAY", "100");
    command
}

#[test]
fn one_trace_spans_all_processes_without_secrets() {
    convite_net::install_crypto();
    let collector = Collector::new();
    let (root, ana, ben) = (Home::new(), Home::new(), Home::new());
    let args = "--json directory --listen 127.0.0.1:0 --lease 1s";
    let directory = Process::start(collector.traced(&root, args));
    let ready = directory.ready();
    let (invite, url) = (text(&ready, "invite"), text(&ready, "url"));
    for (home, user) in [(&ana, "ana"), (&ben, "ben")] {
        home.run(&format!("join {invite} --user {user}")).ok();
    }
    ana.write("docs/unusual-name.txt", b"contents");
    let args = "--json peer peer-of-ana 0 docs --bind 127.0.0.1 --no-menu";
    let peer = Process::start(collector.traced(&ana, args));
    peer.ready();
    ben.run("get unusual-name.txt").ok();

    // The client span of the peer and the server span of the directory are in one trace.
    let path = "/convite.v1.Directory/Heartbeat";
    let (answered, sent) = wait_until("both spans of a heartbeat arrive", || {
        let is = |got: &ReceivedSpan, kind| got.name == path && got.kind == kind;
        let answered = |sent: &ReceivedSpan| {
            let child = |got: &ReceivedSpan| is(got, 2) && got.parent == sent.id;
            collector.collected.find(child)
        };
        let all = collector.collected.all();
        let mut pairs = all.into_iter().filter(|got| is(got, 3));
        pairs.find_map(|sent| Some((answered(&sent)?, sent)))
    });
    assert_eq!(sent.trace, answered.trace);
    assert_eq!(sent.service, "convite-peer");
    assert_eq!(answered.service, "convite-directory");
    let download = "/convite.v1.Peer/DownloadFile";
    wait_until("the server span of the peer arrives", || {
        let is = |got: &ReceivedSpan| got.service == "convite-peer" && got.name == download;
        collector.collected.find(|got| is(got) && got.kind == 2)
    });

    // A caller's trace continues through the directory to the peer.
    let link = text(&ben.json("link unusual-name.txt").ok().objects()[0], "url");
    let path = &link[link.find("/d/").unwrap()..];
    let token = text(&ben.credentials(), "token");
    for (path, authorization) in [
        ("/search?q=unusual-name", Some(format!("Bearer {token}"))),
        (path, None),
    ] {
        let asking = request(&ben, &url, path, authorization);
        assert_eq!(collector.runtime.block_on(asking), 200);
    }
    peer.stop().ok();
    // Queued spans are sent when the directory stops.
    directory.stop().ok();
    let named = |name: &str, kind| {
        let is = |got: &ReceivedSpan| got.name == name && got.kind == kind && got.trace == TRACE;
        let all = collector.collected.all();
        let found = collector.collected.find(is);
        found.unwrap_or_else(|| panic!("no {name} in {all:?}"))
    };
    assert_eq!(named("GET /search", 2).parent, PARENT);
    assert_eq!(named("GET /d/{token}", 2).parent, PARENT);
    assert_eq!(named(download, 3).service, "convite-directory");
    assert_eq!(named(download, 2).service, "convite-peer");

    let all = format!("{:?}", collector.collected.all());
    let code = invite.rsplit('/').next().unwrap();
    let code = code.split('?').next().unwrap();
    for secret in [
        PASSWORD,
        &token,
        code,
        &path["/d/".len()..],
        "v4.public.",
        "unusual-name",
        "peer-of-ana",
        "free-text",
        "127.0.0.1",
        "ana\"",
    ] {
        assert!(!all.contains(secret), "{secret} is in the traces");
    }
}

/// Sends a request within another program's trace and reads the whole response. Returns the status.
async fn request(home: &Home, url: &str, path: &str, authorization: Option<String>) -> u16 {
    let pin: Fingerprint = text(&home.credentials(), "authority").parse().unwrap();
    let expected = Expected::new(client_config_http1(pin.0), DIRECTORY_NAME).unwrap();
    let mut request = Request::get(path)
        .header("host", "localhost")
        .header("traceparent", TRACEPARENT)
        .header("tracestate", "vendor=free-text");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
    let address = url.strip_prefix("https://").unwrap().parse().unwrap();
    let answer = http1_request(&address, Some(&expected), request).await;
    let (head, body) = answer.unwrap().into_parts();
    body.collect().await.unwrap();
    head.status.as_u16()
}

#[test]
fn an_unreachable_collector_causes_one_warning() {
    // A port without a listener.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (root, ana) = (Home::new(), Home::new());
    let args = "--json directory --listen 127.0.0.1:0";
    let directory = Process::start(traced(&root, args, address));
    let invite = text(&directory.ready(), "invite");
    ana.run(&format!("join {invite} --user ana")).ok();
    wait_until("the warning is logged", || {
        let said = directory.stderr();
        said.contains("cannot send traces").then_some(())
    });
    ana.run("peers").ok();
    let began = Instant::now();
    let ended = directory.stop().ok();
    assert!(began.elapsed() < Duration::from_secs(10));
    let warnings = ended.stderr.matches("cannot send traces").count();
    assert_eq!(warnings, 1, "{}", ended.stderr);

    // An invalid address is reported, and the directory runs.
    let root = Home::new();
    let mut command = root.command("--json directory --listen 127.0.0.1:0");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "not an address");
    let directory = Process::start(command);
    directory.ready();
    assert!(directory.stderr().contains("traces are not sent"));
    directory.stop().ok();
}
