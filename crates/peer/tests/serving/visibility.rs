//! Who may read what: the answers of a peer to readers in and outside of spaces.

use bytes::Bytes;
use convite_core::{ContentHash, ErrorCode, SpaceName};
use convite_wire::reader_ticket::ReaderTicket;
use convite_wire::status::from_status;
use convite_wire::v1::{
    AvailabilityRequest, GetFolderRequest, GetPiecesRequest, ReportPieceRequest,
};
use http::Response;
use hyper::body::Incoming;
use serde_json::Value;
use tonic::Status;

use super::grpc::{Client, asking, client, collect, with};
use super::http::{body, header, send};
use super::partial::{Fetching, next};
use super::{Peer, claims, contents};

/// The answer to a reader: a code and a text, or what was received.
type Answer = Result<Bytes, (ErrorCode, String)>;

fn spaces_of(names: &[&str]) -> Vec<SpaceName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn refused(status: &Status) -> (ErrorCode, String) {
    let problem = from_status(status);
    (problem.code, problem.message)
}

fn bytes(hash: ContentHash) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}

/// Returns a problem document without the id of the request.
async fn problem(response: Response<Incoming>) -> Value {
    let mut document: Value = serde_json::from_slice(&body(response).await).unwrap();
    document.as_object_mut().unwrap().remove("request_id");
    document
}

async fn download(client: &mut Client, hash: ContentHash, ticket: &str) -> Answer {
    let reply = client.download_file(with(asking(hash, &[]), ticket)).await;
    let stream = reply.map_err(|status| refused(&status))?.into_inner();
    let chunks = collect(stream).await.map_err(|status| refused(&status))?;
    Ok(chunks.into_iter().flat_map(|chunk| chunk.1).collect())
}

/// Asks for a content in every way in which a peer can be asked by hash. Returns the answers that
/// are errors.
async fn refusals(peer: &Peer, hash: ContentHash, ticket: &str) -> Vec<(ErrorCode, String)> {
    let mut client = client(peer).await;
    let mut refusals = Vec::new();
    refusals.extend(download(&mut client, hash, ticket).await.err());
    let request = with(GetPiecesRequest { hash: bytes(hash) }, ticket);
    let answer = client.get_pieces(request).await;
    refusals.extend(answer.err().map(|status| refused(&status)));
    let request = with(AvailabilityRequest { hash: bytes(hash) }, ticket);
    let answer = client.availability(request).await;
    refusals.extend(answer.err().map(|status| refused(&status)));
    for path in [format!("/files/{hash}"), format!("/files/{hash}/pieces")] {
        let response = send(peer, "GET", &path, Some(ticket), &[]).await;
        if response.status() != 200 {
            let document = problem(response).await;
            let text = |name: &str| document[name].as_str().unwrap().to_owned();
            refusals.push((text("code").parse().unwrap(), text("detail")));
        }
    }
    refusals
}

/// A peer that shares `share` with everyone, and `share/lab` in the space `lab`.
async fn with_a_space() -> Peer {
    let peer = Peer::start(8).await;
    peer.write("lab/secret", b"secret");
    peer.write("lab/both", b"both");
    peer.write("open/both", b"both");
    peer.write("open/one", b"one");
    peer.share_in("lab", "lab").await;
    peer
}

fn folder_hash(peer: &Peer, path: &str) -> ContentHash {
    let catalogue = &peer.state.files.catalogue;
    catalogue
        .folder_by_path(&path.parse().unwrap())
        .unwrap()
        .hash
}

#[tokio::test]
async fn contents_of_a_space_look_nonexistent_to_others() {
    let peer = with_a_space().await;
    let (secret, unknown) = (ContentHash::of(b"secret"), ContentHash::of(b"unknown"));
    let outside = [
        peer.ticket(),
        peer.ticket_for("bob", &["desk"]),
        peer.ticket_for("lab", &["labs"]),
    ];
    for ticket in &outside {
        let nothing = refusals(&peer, unknown, ticket).await;
        assert_eq!(nothing.len(), 5);
        assert_eq!(refusals(&peer, secret, ticket).await, nothing);
        for (path, absent) in [
            ("/files/lab/secret", "/files/lab/absent"),
            ("/files/secret", "/files/absent"),
            // A path of the space, although the contents are shared with everyone as well.
            ("/files/lab/both", "/files/lab/absent"),
        ] {
            let hidden = problem(send(&peer, "GET", path, Some(ticket), &[]).await).await;
            assert_eq!(hidden["status"], 404, "{path}");
            let absent = problem(send(&peer, "GET", absent, Some(ticket), &[]).await).await;
            assert_eq!(hidden, absent, "{path}");
        }
    }
    let inside = peer.ticket_for("bob", &["desk", "lab"]);
    assert_eq!(refusals(&peer, secret, &inside).await, []);
    for path in ["/files/lab/secret", "/files/secret"] {
        let response = send(&peer, "GET", path, Some(&inside), &[]).await;
        assert_eq!(body(response).await, "secret", "{path}");
    }
}

#[tokio::test]
async fn a_content_that_is_shared_twice_is_read_from_the_copy_that_may_be_seen() {
    let peer = with_a_space().await;
    let both = ContentHash::of(b"both");
    let name = async |ticket: &str| {
        let response = send(&peer, "GET", &format!("/files/{both}"), Some(ticket), &[]).await;
        (
            response.status().as_u16(),
            header(&response, "content-disposition").to_owned(),
        )
    };
    assert_eq!(name(&peer.ticket()).await.0, 200);
    // The copy of the space is not opened: if the other one is gone, nothing is sent.
    std::fs::remove_file(peer.file("open/both")).unwrap();
    assert_eq!(name(&peer.ticket()).await.0, 404);
    assert_eq!(name(&peer.ticket_for("bob", &["lab"])).await.0, 200);
    peer.scan().await;
    let nothing = refusals(&peer, ContentHash::of(b"unknown"), &peer.ticket()).await;
    assert_eq!(refusals(&peer, both, &peer.ticket()).await, nothing);
    assert_eq!(
        refusals(&peer, both, &peer.ticket_for("bob", &["lab"])).await,
        []
    );
}

#[tokio::test]
async fn folders_of_a_space_look_nonexistent_to_others() {
    let peer = with_a_space().await;
    let lab = folder_hash(&peer, "lab");
    let unknown = ContentHash::of(b"unknown");
    let mut client = client(&peer).await;
    let get = async |client: &mut Client, hash: ContentHash, ticket: &str| {
        let request = with(GetFolderRequest { hash: bytes(hash) }, ticket);
        let reply = client.get_folder(request).await;
        reply.map(drop).map_err(|status| refused(&status))
    };
    let (outside, inside) = (peer.ticket(), peer.ticket_for("bob", &["lab"]));
    let nothing = get(&mut client, unknown, &outside).await;
    assert_eq!(nothing.as_ref().unwrap_err().0, ErrorCode::NotFound);
    assert_eq!(get(&mut client, lab, &outside).await, nothing);
    let nothing = download(&mut client, unknown, &outside).await;
    assert_eq!(download(&mut client, lab, &outside).await, nothing);
    assert_eq!(get(&mut client, lab, &inside).await, Ok(()));
    let bytes = download(&mut client, lab, &inside).await;
    assert_eq!(bytes.unwrap(), "bothsecret");
}

#[tokio::test]
async fn a_part_that_moves_to_another_space_is_no_longer_sent_with_the_folder() {
    let peer = Peer::start(8).await;
    peer.write("in/secret", b"secret");
    peer.write("one", b"one");
    peer.scan().await;
    let whole = folder_hash(&peer, "share");
    let mut client = client(&peer).await;
    let ticket = peer.ticket();
    let sent = download(&mut client, whole, &ticket).await;
    assert_eq!(sent.unwrap(), "secretone");
    // Before the manifest of the folder is computed again.
    let space = Some("lab".parse().unwrap());
    peer.state.share(&peer.file("in"), space).unwrap();
    let sent = download(&mut client, whole, &ticket).await;
    assert_eq!(sent.unwrap_err().0, ErrorCode::ContentChanged);
    peer.scan().await;
    let rest = folder_hash(&peer, "share");
    assert_eq!(download(&mut client, rest, &ticket).await.unwrap(), "one");
    // The part is a folder of its own, in its space.
    let part = folder_hash(&peer, "in");
    let inside = peer.ticket_for("bob", &["lab"]);
    assert!(download(&mut client, part, &ticket).await.is_err());
    assert_eq!(
        download(&mut client, part, &inside).await.unwrap(),
        "secret"
    );
}

#[tokio::test]
async fn the_reason_of_a_removal_is_for_those_who_might_have_read() {
    let peer = with_a_space().await;
    let (secret, one) = (ContentHash::of(b"secret"), ContentHash::of(b"one"));
    peer.write("lab/secret", b"changed");
    std::fs::remove_file(peer.file("open/one")).unwrap();
    peer.scan().await;
    let mut client = client(&peer).await;
    let (outside, inside) = (peer.ticket(), peer.ticket_for("bob", &["lab"]));
    let nothing = download(&mut client, ContentHash::of(b"unknown"), &outside).await;
    assert_eq!(download(&mut client, secret, &outside).await, nothing);
    let changed = download(&mut client, secret, &inside).await;
    assert_eq!(changed.unwrap_err().0, ErrorCode::ContentChanged);
    let removed = download(&mut client, one, &outside).await;
    assert!(
        removed.as_ref().unwrap_err().1.contains("deleted"),
        "{removed:?}"
    );
}

#[tokio::test]
async fn availability_ends_when_a_content_moves_to_another_space() {
    let peer = Peer::start(8).await;
    let hash = peer.write("in/film", &contents(200_000));
    peer.scan().await;
    let mut client = client(&peer).await;
    let request = with(AvailabilityRequest { hash: bytes(hash) }, &peer.ticket());
    let mut stream = client.availability(request).await.unwrap().into_inner();
    assert!(next(&mut stream).await.unwrap().whole);
    peer.share_in("in", "lab").await;
    assert!(next(&mut stream).await.is_none());
}

#[tokio::test]
async fn reports_about_contents_of_a_space_change_nothing_for_others() {
    let peer = with_a_space().await;
    let secret = ContentHash::of(b"secret");
    peer.write("lab/secret", b"SECRET");
    peer.settle("lab/secret");
    peer.believe("lab/secret", secret);
    let mut client = client(&peer).await;
    let report = || ReportPieceRequest {
        hash: bytes(secret),
        piece: 0,
    };
    let reply = client.report_piece(with(report(), &peer.ticket())).await;
    assert!(!reply.unwrap().get_ref().withdrawn);
    let upload = peer.upload_ticket("bob", &["lab"]);
    let reply = client.report_piece(with(report(), &upload)).await;
    assert_eq!(refused(&reply.unwrap_err()).0, ErrorCode::TicketInvalid);
    let inside = peer.ticket_for("bob", &["lab"]);
    let reply = client.report_piece(with(report(), &inside)).await;
    assert!(reply.unwrap().get_ref().withdrawn);
}

#[tokio::test]
async fn a_download_is_served_to_members_of_all_spaces_that_show_it() {
    let peer = Peer::start(8).await;
    let fetching = Fetching::unlisted(&peer, contents(1_000));
    fetching.fetch(0);
    let hash = fetching.hash;
    let of = |spaces: &[&str]| peer.ticket_for("bob", spaces);
    // Not before the directory has said in which spaces it lists the download.
    let early = refusals(&peer, hash, &of(&["lab", "desk"])).await;
    assert!(
        early
            .iter()
            .all(|refusal| refusal.0 == ErrorCode::Unavailable)
    );
    assert_eq!(early.len(), 5);
    let audience = spaces_of(&["lab", "desk"]);
    fetching.handle.audience_setter().set(audience.clone());
    let nothing = refusals(&peer, ContentHash::of(b"unknown"), &of(&[])).await;
    for spaces in [&[][..], &["lab"], &["desk"], &["lab", "club"]] {
        assert_eq!(
            refusals(&peer, hash, &of(spaces)).await,
            nothing,
            "{spaces:?}"
        );
    }
    for spaces in [&["desk", "lab"][..], &["lab", "club", "desk"]] {
        assert_eq!(refusals(&peer, hash, &of(spaces)).await, [], "{spaces:?}");
    }
    let elsewhere = ReaderTicket {
        peer: "peer_2".parse().unwrap(),
        spaces: audience,
        ..claims("bob")
    };
    let refusals = refusals(&peer, hash, &peer.sign(&elsewhere)).await;
    assert!(
        refusals
            .iter()
            .all(|refusal| refusal.0 == ErrorCode::TicketInvalid)
    );
    assert_eq!(refusals.len(), 5);
}
