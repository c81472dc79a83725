//! Pages of other sites, and names that are made to resolve to a peer.

use super::http::{code, header, send};
use super::{Peer, contents};

#[tokio::test]
async fn pages_of_other_sites_follow_links_to_contents_and_do_nothing_else() {
    let peer = Peer::start(8).await;
    let hash = peer.write("page.html", &contents(1_000));
    peer.scan().await;
    let ticket = peer.ticket(hash);
    let link = format!("/files/{hash}?ticket={ticket}");
    let elsewhere = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
    ];
    let answer = send(&peer, "GET", &link, None, &elsewhere).await;
    assert_eq!(answer.status(), 200);
    // What it was given, a page can show, and not read.
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
async fn a_page_whose_name_is_made_to_resolve_to_a_peer_reaches_nothing() {
    let peer = Peer::start(8).await;
    // The name `peer`, under which these tests ask, is not this peer's.
    let refused = send(&peer, "GET", "/metrics", None, &[]).await;
    assert_eq!(code(refused).await, (421, "wrong_host".to_owned()));
    assert_eq!(
        send(&peer, "GET", "/healthz", None, &[]).await.status(),
        200
    );
}
