//! Requests from pages of other sites, and from names that were made to resolve to a peer.

use super::http::{code, header, send};
use super::{Peer, contents};

#[tokio::test]
async fn other_sites_can_only_link_to_contents() {
    let peer = Peer::start(8).await;
    let hash = peer.write("page.html", &contents(1_000));
    peer.scan().await;
    let ticket = peer.ticket();
    let link = format!("/files/{hash}?ticket={ticket}");
    let elsewhere = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
    ];
    let answer = send(&peer, "GET", &link, None, &elsewhere).await;
    assert_eq!(answer.status(), 200);
    // A page can show linked contents but cannot read them.
    assert_eq!(header(&answer, "access-control-allow-origin"), "");

    let leave = "/convite.v1.Control/Leave";
    let control = peer.control.clone();
    for headers in [
        vec![("origin", "https://evil.example")],
        vec![("origin", "null"), ("content-type", "application/grpc")],
        vec![("sec-fetch-site", "cross-site")],
    ] {
        let mut headers = headers;
        headers.push(("host", "localhost"));
        let answer = send(&peer, "POST", leave, Some(&control), &headers).await;
        assert_eq!(
            code(answer).await,
            (403, "cross_site".to_owned()),
            "{headers:?}"
        );
    }
    assert!(!peer.state.stop.is_cancelled());
}

#[tokio::test]
async fn dns_rebinding_reaches_no_peer() {
    let peer = Peer::start(8).await;
    // These tests use the host name `peer`, which is not a name of this peer.
    let refused = send(&peer, "GET", "/metrics", None, &[]).await;
    assert_eq!(code(refused).await, (421, "wrong_host".to_owned()));
    assert_eq!(
        send(&peer, "GET", "/healthz", None, &[]).await.status(),
        200
    );
}
