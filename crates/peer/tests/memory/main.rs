//! Hundreds of concurrent slow downloads all complete in bounded memory. This is a separate test
//! binary because it measures the memory of its process.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used)]

#[path = "../serving/peer.rs"]
mod peer;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use convite_core::ContentHash;
use convite_peer::serve::download::uploads::UploadLimits;
use convite_wire::v1::DownloadFileRequest;
use convite_wire::v1::peer_client::PeerClient;
use peer::{Peer, contents};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const DOWNLOADS: usize = 500;
const SIZE: usize = 3 << 20;

/// Returns a field of `/proc/self/status` in MiB.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse::<u64>().unwrap() >> 10
}

/// Requests the file and reads only the first bytes of the response. The socket buffers are small,
/// so that unread data waits in the peer.
async fn ask(to: SocketAddr, hash: ContentHash, ticket: &str) -> (TcpStream, Vec<u8>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let request = format!(
        "GET /files/{hash} HTTP/1.1\r\nHost: peer\r\nAuthorization: Bearer {ticket}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut begin = vec![0; 256];
    stream.read_exact(&mut begin).await.unwrap();
    assert!(begin.starts_with(b"HTTP/1.1 200"));
    (stream, begin)
}

/// Runs `DOWNLOADS` concurrent downloads over gRPC on ten connections.
async fn download_over_grpc(peer: &Peer, hash: ContentHash) {
    let mut running = Vec::new();
    for _ in 0..10 {
        let origin = "http://peer".parse().unwrap();
        let client = PeerClient::with_origin(peer.connect().await, origin);
        for _ in 0..DOWNLOADS / 10 {
            let mut request = tonic::Request::new(DownloadFileRequest {
                hash: Bytes::copy_from_slice(hash.as_bytes()),
                ranges: Vec::new(),
            });
            let bearer = format!("Bearer {}", peer.ticket()).parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
            let mut client = client.clone();
            running.push(tokio::spawn(async move {
                let mut hasher = blake3::Hasher::new();
                let mut chunks = client.download_file(request).await.unwrap().into_inner();
                let mut at = 0;
                while let Some(chunk) = chunks.message().await.unwrap() {
                    assert_eq!(chunk.offset, at);
                    at += chunk.data.len() as u64;
                    hasher.update(&chunk.data);
                }
                ContentHash::from_bytes(*hasher.finalize().as_bytes())
            }));
        }
    }
    for download in running {
        assert_eq!(download.await.unwrap(), hash);
    }
}

async fn finish(mut stream: TcpStream, mut answer: Vec<u8>) -> ContentHash {
    stream.read_to_end(&mut answer).await.unwrap();
    let head = answer.windows(4).position(|part| part == b"\r\n\r\n");
    ContentHash::of(&answer[head.unwrap() + 4..])
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_slow_downloads_use_bounded_memory() {
    // This process has both ends of each connection.
    let files = rustix::process::Resource::Nofile;
    let mut limit = rustix::process::getrlimit(files);
    limit.current = limit.maximum;
    rustix::process::setrlimit(files, limit).unwrap();

    // Unread data must wait in the peer and not in the kernel, which could hold all of it.
    // Connections inherit the listener's small buffers.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(64 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1024).unwrap();
    let peer = Peer::listening(UploadLimits::default(), listener).await;
    let hash = peer.write("f", &contents(SIZE));
    peer.scan().await;
    let ticket = peer.ticket();
    let to: SocketAddr = peer.address.to_string().parse().unwrap();
    let before = memory("VmRSS");
    let began = Instant::now();
    let mut stalled = Vec::new();
    for _ in 0..DOWNLOADS {
        stalled.push(ask(to, hash, &ticket).await);
    }
    assert_eq!(peer.state.status().uploads.len(), DOWNLOADS);
    // Wait until the peer has read ahead as far as it will.
    let mut now = (0, memory("VmRSS"));
    while now.0 != now.1 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        now = (now.1, memory("VmRSS"));
    }
    let grown = memory("VmHWM").saturating_sub(before);
    eprintln!(
        "{DOWNLOADS} stalled downloads after {:?}: at most {grown} MiB more",
        began.elapsed()
    );
    assert!(grown < 256, "{grown} MiB");

    // A fast receiver is served meanwhile.
    let (stream, answer) = ask(to, hash, &ticket).await;
    let quick = tokio::time::timeout(Duration::from_secs(30), finish(stream, answer));
    assert_eq!(quick.await.expect("the fast receiver was not served"), hash);

    // Twenty downloads at a time continue, so that this end needs little memory too.
    while !stalled.is_empty() {
        let some = stalled.split_off(stalled.len().saturating_sub(20));
        let readers: Vec<_> = some
            .into_iter()
            .map(|(stream, answer)| tokio::spawn(finish(stream, answer)))
            .collect();
        for reader in readers {
            assert_eq!(reader.await.unwrap(), hash);
        }
    }
    let grown = memory("VmHWM").saturating_sub(before);
    eprintln!(
        "all {DOWNLOADS} done after {:?}: at most {grown} MiB more, including both ends",
        began.elapsed()
    );
    assert!(grown < 384, "{grown} MiB");

    let began = Instant::now();
    let all = download_over_grpc(&peer, hash);
    tokio::time::timeout(Duration::from_secs(120), all)
        .await
        .expect("the downloads did not end in time");
    eprintln!(
        "{DOWNLOADS} concurrent downloads over gRPC: {:?}",
        began.elapsed()
    );
}
