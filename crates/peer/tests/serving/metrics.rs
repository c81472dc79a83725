//! The metrics of a peer, as Prometheus reads them.

use std::collections::BTreeMap;

use bytes::Bytes;
use convite_metrics::MetricDefinition;
use convite_metrics::catalogue::{PEER, PROCESS};
use convite_net::dial::http1_request;
use http::Request;
use http_body_util::{BodyExt, Full};

use super::{Peer, contents};

async fn get(peer: &Peer, path: &str, token: Option<&str>) -> (u16, Bytes) {
    let mut request = Request::get(path).header("host", "localhost");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::new())).unwrap();
    let answer = http1_request(&peer.address, None, request).await.unwrap();
    let (parts, body) = answer.into_parts();
    (
        parts.status.as_u16(),
        body.collect().await.unwrap().to_bytes(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_page_matches_the_catalogue() {
    let peer = Peer::start(4).await;
    let bytes = contents(200_000);
    let hash = peer.write("hidden-name.bin", &bytes);
    peer.scan().await;
    let ticket = peer.ticket();
    let (status, body) = get(&peer, &format!("/files/{hash}"), Some(&ticket)).await;
    assert_eq!((status, body.len()), (200, bytes.len()));
    for number in 0..20 {
        get(&peer, &format!("/hidden-path-{number}"), None).await;
    }

    let (status, page) = get(&peer, "/metrics", None).await;
    assert_eq!(status, 200);
    let page = String::from_utf8(page.to_vec()).unwrap();
    let samples: BTreeMap<&str, f64> = page
        .lines()
        .filter(|line| !line.starts_with("# "))
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(key, value)| (key, value.parse().unwrap()))
        .collect();
    let all: Vec<&MetricDefinition> = PEER.iter().chain(PROCESS).collect();
    let name = |sample: &str| sample.split('{').next().unwrap().to_owned();
    for sample in samples.keys() {
        let known = all.iter().any(|metric| metric.name == name(sample));
        assert!(known, "not in the catalogue: {sample}");
    }
    for metric in all {
        let there = samples.keys().any(|sample| name(sample) == metric.name);
        assert!(there, "missing: {}", metric.name);
    }
    assert!(!page.contains("hidden"), "{page}");
    let of_peer = |name: &str| samples[&*format!("convite_peer_{name}")];
    assert_eq!(of_peer("sent_bytes_total"), 200_000.0);
    assert_eq!(of_peer("shared_files"), 1.0);
    assert_eq!(of_peer("shared_bytes"), 200_000.0);
    assert_eq!(of_peer("hashed_files_total"), 1.0);
    assert_eq!(of_peer("hashed_bytes_total"), 200_000.0);
    assert_eq!(of_peer("hash_backlog_files"), 0.0);
    let files = "requests_total{route=\"/files/{*what}\",status=\"200\"}";
    assert_eq!(of_peer(files), 1.0);
    let lost = samples
        .keys()
        .filter(|sample| sample.contains("route=\"other\""));
    assert_eq!(lost.count(), 1);
}
