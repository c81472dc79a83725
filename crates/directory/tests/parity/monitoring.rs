//! Monitoring of a directory: metrics, readiness, health.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use convite_core::UserName;
use convite_core::model::Role;
use convite_metrics::catalogue::{DIRECTORY, PROCESS};
use convite_metrics::{MetricDefinition, MetricType};
use convite_net::dial::http1_request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::apis::{Api, ORIGIN, Running, call, eventually, grpc, http2, rest};
use crate::scenarios::file;

/// Sends `GET path` with further headers; returns the status and the body.
async fn ask(api: &Api, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let Api::Rest(address, expected) = api else {
        panic!("wrong API")
    };
    let mut request = http::Request::get(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::new())).unwrap();
    let answer = http1_request(address, expected.as_ref(), request).await;
    let (parts, body) = answer.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        parts.status.as_u16(),
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

fn plain(address: SocketAddr) -> Api {
    Api::Rest(address.into(), None)
}

/// Polls `/readyz` until the condition holds.
async fn readyz(api: &Api, is: impl Fn(u16, &Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let (status, body) = ask(api, "/readyz", &[]).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        if is(status, &body) {
            return body;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{status} {body}");
    }
}

/// Returns the samples of a page by name and labels; every line must be in the OpenMetrics text format.
fn parse(page: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let lines = page.strip_suffix("# EOF\n").expect("the end is marked");
    for line in lines.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            assert!(matches!(words[..], ["HELP" | "TYPE", _, _]), "{line}");
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap();
        let name = key.split('{').next().unwrap();
        let labels = key[name.len()..]
            .trim_start_matches('{')
            .trim_end_matches('}');
        assert!(
            name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'),
            "{line}"
        );
        assert!(labels.is_empty() || labels.ends_with('"'), "{line}");
        let again = samples.insert(key.to_owned(), value.parse().unwrap());
        assert!(again.is_none(), "twice: {line}");
    }
    samples
}

/// Returns the metric of the catalogue that a sample belongs to.
fn defined<'a>(sample: &str, lists: &[&'a [MetricDefinition]]) -> Option<&'a MetricDefinition> {
    let name = sample.split('{').next().unwrap();
    let mut all = lists.iter().flat_map(|list| list.iter());
    all.find(|metric| match metric.kind {
        MetricType::Histogram(_) => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|suffix| name.strip_suffix(suffix) == Some(metric.name)),
        _ => name == metric.name,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_metrics_of_the_catalogue_are_exported() {
    let running = Running::start(|config| config.open_registration = true).await;
    let (api, grpc) = (rest(running.get()), grpc(running.get()).await);
    let login = json!({"user": "ana", "password": "correct horse"});
    let session = api.call(None, &call("login", login.clone())).await.unwrap();
    let token = session["token"].as_str();
    let wrong = json!({"user": "ana", "password": "wrong battery"});
    grpc.call(None, &call("login", wrong)).await.unwrap_err();
    let ask_all = async |operation, fields| {
        let asked = call(operation, fields);
        api.call(token, &asked).await.unwrap()
    };
    ask_all("register", json!({"id": "ana-1", "port": 5001})).await;
    let secret = file("s/hidden-name.txt", 1, "b");
    let hash = secret["hash"].clone();
    let publish = json!({"peer": "ana-1", "generation": 5, "upsert": [secret]});
    ask_all("publish", publish).await;
    let search = call("search", json!({"q": "hidden"}));
    eventually(&api, token.unwrap(), &search, |page| {
        page["results"] != json!([])
    })
    .await;
    grpc.call(token, &call("locate", json!({"hash": hash})))
        .await
        .unwrap();
    // Text from clients does not become a label.
    for number in 0..20 {
        ask(&api, &format!("/hidden-path-{number}?q=hidden-query"), &[]).await;
        let asked = format!("/convite.v1.Directory/Hidden{number}");
        ask(&api, &asked, &[("content-type", "application/grpc")]).await;
    }
    readyz(&api, |status, _| status == 200).await;

    let (status, page) = ask(&api, "/metrics", &[]).await;
    assert_eq!(status, 200);
    let samples = parse(&page);
    let lists = [DIRECTORY, PROCESS];
    for sample in samples.keys() {
        assert!(
            defined(sample, &lists).is_some(),
            "not in the catalogue: {sample}"
        );
    }
    for metric in lists.into_iter().flatten() {
        let of_it = |sample: &&String| defined(sample, &lists) == Some(metric);
        assert!(
            samples.keys().any(|sample| of_it(&sample)),
            "missing: {}",
            metric.name
        );
        // OpenMetrics names a counter without its suffix.
        let name = metric.name.trim_end_matches("_total");
        assert!(page.contains(&format!("# TYPE {name} {}\n", metric.kind.name())));
    }
    assert!(!page.to_lowercase().contains("hidden"), "{page}");
    let directory = |name: &str| {
        let name = format!("convite_directory_{name}");
        *samples
            .get(&name)
            .unwrap_or_else(|| panic!("no {name}: {page}"))
    };
    assert_eq!(directory("logins_total{outcome=\"ok\"}"), 1.0);
    assert_eq!(
        directory("logins_total{outcome=\"wrong_credentials\"}"),
        1.0
    );
    assert_eq!(directory("published_rows_total{change=\"upserted\"}"), 1.0);
    assert_eq!(directory("tickets_total"), 1.0);
    assert_eq!(directory("contents"), 1.0);
    assert_eq!(directory("search_index_lag_changes"), 0.0);
    assert_eq!(directory("ready"), 1.0);
    let requests = |labels: &str| directory(&format!("requests_total{{{labels}}}"));
    assert_eq!(
        requests("api=\"rest\",route=\"POST /login\",status=\"200\""),
        1.0
    );
    assert_eq!(
        requests("api=\"rest\",route=\"other\",status=\"404\""),
        20.0
    );
    let refused = "route=\"/convite.v1.Directory/Login\",status=\"Unauthenticated\"";
    assert_eq!(requests(&format!("api=\"grpc\",{refused}")), 1.0);
    assert_eq!(
        requests("api=\"grpc\",route=\"other\",status=\"Unimplemented\""),
        20.0
    );
    // The request itself.
    assert_eq!(directory("requests_in_flight{api=\"rest\"}"), 1.0);
    assert_eq!(directory("requests_in_flight{api=\"grpc\"}"), 0.0);
    let name = "convite_directory_request_seconds_count";
    let logins = format!("{name}{{api=\"rest\",route=\"POST /login\"}}");
    assert_eq!(samples[&logins], 1.0);
    if cfg!(target_os = "linux") {
        assert!(samples["process_resident_memory_bytes"] > 1e6);
        assert!(samples["process_open_fds"] > 3.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_only_an_administrator_reads_metrics() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    let service = &running.get().service;
    let user = |name: &str| name.parse::<UserName>().unwrap();
    // The first account is an administrator; an account with an invite is not.
    let admin = service.local_session(&user("ana"), None).await.unwrap();
    assert_eq!(admin.role, Role::Admin);
    let code = running.get().invite.clone();
    let made = json!({"invite": code, "user": "ben", "password": "correct horse"});
    api.call(None, &call("create_account", made)).await.unwrap();
    let login = json!({"user": "ben", "password": "correct horse"});
    let member = api.call(None, &call("login", login)).await.unwrap();
    let member = format!("Bearer {}", member["token"].as_str().unwrap());
    let admin = format!("Bearer {}", admin.token);
    for (name, value) in [
        ("x-forwarded-for", "10.0.0.7"),
        ("forwarded", "for=10.0.0.7"),
    ] {
        let mut headers = vec![(name, value)];
        assert_eq!(ask(&api, "/metrics", &headers).await.0, 401, "{name}");
        headers.push(("authorization", &member));
        assert_eq!(ask(&api, "/metrics", &headers).await.0, 403, "{name}");
        headers[1].1 = &admin;
        assert_eq!(ask(&api, "/metrics", &headers).await.0, 200, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monitoring_listener_serves_nothing_else() {
    let running = Running::start(|config| {
        config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let api = plain(running.get().monitoring.unwrap());
    let (status, page) = ask(&api, "/metrics", &[("x-forwarded-for", "10.0.0.7")]).await;
    assert_eq!(status, 200);
    assert!(parse(&page).len() > 20);
    assert_eq!(ask(&api, "/healthz", &[]).await, (200, "ok\n".to_owned()));
    readyz(&api, |status, _| status == 200).await;
    for path in ["/", "/peers", "/login", "/search?q=a"] {
        assert_eq!(ask(&api, path, &[]).await.0, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_directory_reports_not_ready_first() {
    let mut running = Running::start(|config| config.shutdown_delay = Duration::from_secs(3)).await;
    let api = rest(running.get());
    readyz(&api, |status, body| {
        status == 200 && body["checks"]["search"] == "built"
    })
    .await;
    let mut health =
        HealthClient::with_origin(http2(running.get()).await, http::Uri::from_static(ORIGIN));
    let mut watching = Vec::new();
    for service in ["", "convite.v1.Directory"] {
        let service = service.to_owned();
        let check = tonic_health::pb::HealthCheckRequest { service };
        watching.push(health.watch(check).await.unwrap().into_inner());
    }
    running.tell_to_stop();
    let stopping = readyz(&api, |status, _| status == 503).await;
    assert_eq!(stopping["code"], "unavailable");
    let failed = "the directory is not ready: process: the directory is stopping";
    assert_eq!(stopping["detail"], failed);
    for mut watching in watching {
        loop {
            let news = watching.message().await.unwrap().unwrap();
            if news.status() == ServingStatus::NotServing {
                break;
            }
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_makes_the_directory_not_ready() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    readyz(&api, |status, _| status == 200).await;
    let database = running.home.path().join("directory/directory.db");
    // Another program holds a lock on the database: reads succeed, writes fail.
    let hold = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
        db.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.read()";
    let mut holder = Command::new("python3")
        .args(["-c", hold])
        .arg(&database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = holder.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    let stuck = readyz(&api, |status, _| status == 503).await;
    let failed = "the directory is not ready: writes: no answer within 5 s";
    assert_eq!(stuck["detail"], failed);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    readyz(&api, |status, _| status == 200).await;
}
