//! Manifests from providers over gRPC, honest and hostile ones.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use convite_core::folder::{Assembly, FileContents};
use convite_core::model::Provider;
use convite_core::{ContentHash, ErrorCode, FolderTree, Problem};
use convite_provider::{Loss, dial, fetch_manifests};
use convite_swarm::ProviderFailure;
use convite_wire::codec::CountingCodec;
use convite_wire::v1::{FolderPart, GetFolderRequest};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// The time limit of a test on a slow machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A folder with two files and a sub-folder.
fn folder() -> Assembly {
    let contents = |bytes: &[u8]| FileContents {
        size: bytes.len() as u64,
        crc32: 1,
        hash: ContentHash::of(bytes),
    };
    let items = [("a", &b"one"[..]), ("b/c", b"two"), ("d", b"three")];
    let items = items.map(|(path, bytes)| (path.parse().unwrap(), Some(contents(bytes))));
    Assembly::new(items).unwrap()
}

fn part(data: Vec<u8>, entries: usize, last: bool) -> FolderPart {
    FolderPart {
        data: data.into(),
        modified: vec![7; entries],
        executable: Bytes::new(),
        last,
    }
}

/// The parts that an honest provider sends.
fn honest(folder: &Assembly) -> Vec<FolderPart> {
    let manifests = folder.manifests().iter();
    manifests
        .map(|manifest| part(manifest.encode(), manifest.entries().len(), true))
        .collect()
}

/// Starts a provider that sends these parts, repeated without end if `endless` is set.
async fn provider(parts: Vec<FolderPart>, endless: bool) -> Provider {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let service = tower::service_fn(move |request: http::Request<_>| {
        let parts = parts.clone();
        async move {
            let send = tower::service_fn(move |_: Request<GetFolderRequest>| {
                let sent = parts.clone().into_iter().map(Ok::<_, Status>);
                let rest = parts.clone();
                let rest = (0..)
                    .take_while(move |_| endless)
                    .flat_map(move |_: u64| rest.clone().into_iter().map(Ok));
                let stream = tokio_stream::iter(sent.chain(rest));
                async move { Ok::<_, Status>(Response::new(stream)) }
            });
            let codec = CountingCodec::<FolderPart, GetFolderRequest>::default();
            let mut grpc = tonic::server::Grpc::new(codec);
            Ok::<_, Infallible>(grpc.server_streaming(send, request).await)
        }
    });
    tokio::spawn(convite_net::serve(
        convite_net::Limits::default(),
        listener,
        None,
        service,
        CancellationToken::new(),
    ));
    Provider {
        peer: "peer_1".parse().unwrap(),
        addresses: vec![address.parse().unwrap()],
        size: 11,
        ticket: "a-ticket".to_owned(),
        partial: false,
    }
}

/// Fetches the manifests. Accepts one time for each entry.
async fn fetch(parts: Vec<FolderPart>, endless: bool) -> Result<FolderTree, Loss> {
    let provider = provider(parts, endless).await;
    let connection = dial(&provider, None).await.unwrap();
    let fetched = fetch_manifests(&connection, folder().hash(), |entries, part| {
        match part.modified.len() == entries.len() {
            true => Ok(()),
            false => Err(Problem::invalid("wrong number of times")),
        }
    });
    tokio::time::timeout(DEADLINE, fetched)
        .await
        .expect("the fetch did not end")
}

#[tokio::test]
async fn right_manifests_are_accepted_and_nothing_after_them_is_read() {
    let tree = fetch(honest(&folder()), false).await.unwrap();
    assert_eq!((tree.hash(), tree.file_count()), (folder().hash(), 3));
    let tree = fetch(honest(&folder()), true).await.unwrap();
    assert_eq!(tree.size(), 11);
}

#[tokio::test]
async fn wrong_manifests_are_refused_and_their_sender_is_dishonest() {
    let right = honest(&folder());
    let mut other_child = right.clone();
    other_child[1] = part(vec![b'C', b'V', b'M', b'1', 0, 0, 0, 0], 0, true);
    let mut bit = right.clone();
    let mut data = bit[1].data.to_vec();
    *data.last_mut().unwrap() ^= 1;
    bit[1].data = data.into();
    let mut escaping = right.clone();
    let mut data = escaping[0].data.to_vec();
    let name = data.iter().position(|byte| *byte == b'a').unwrap();
    data[name] = b'/';
    escaping[0].data = data.into();
    let mut hidden = right.clone();
    let mut data = hidden[0].data.to_vec();
    data[name] = b'.';
    hidden[0].data = data.into();
    let mut times = right.clone();
    times[0].modified.pop();
    let junk = vec![part(vec![0xff; 100], 0, true)];
    let nothing = vec![part(Vec::new(), 0, false)];
    for (what, parts) in [
        ("other child", other_child),
        ("wrong bit", bit),
        ("path as name", escaping),
        ("hidden name", hidden),
        ("missing time", times),
        ("junk", junk),
        ("no progress", nothing),
    ] {
        let loss = fetch(parts, true).await.unwrap_err();
        assert_eq!(loss.failure, ProviderFailure::Dishonest, "{what}");
        assert_eq!(loss.reason.code, ErrorCode::CorruptContents, "{what}");
    }
}

#[tokio::test]
async fn incomplete_and_too_large_answers_are_losses() {
    let mut cut = honest(&folder());
    cut.pop();
    let loss = fetch(cut, false).await.unwrap_err();
    assert_eq!(loss.failure, ProviderFailure::Unreachable);
    // A message beyond the limit is not received.
    let large = vec![part(vec![0; 3 << 20], 0, true)];
    let loss = fetch(large, false).await.unwrap_err();
    assert_ne!(loss.failure, ProviderFailure::Dishonest);
    assert!(loss.reason.message.contains("too large"), "{loss:?}");
}
