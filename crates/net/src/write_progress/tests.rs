//! Tests with real sockets: clients that read nothing, with kernel buffers of several sizes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::request_body::RequestBody;
use crate::{Limits, serve};

/// The limit under test.
const STALL: Duration = Duration::from_millis(1_500);
/// Longer than `STALL` even on a busy machine, shorter than the other limits.
const DEADLINE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits {
        stall: STALL,
        headers: 4 * DEADLINE,
        idle: 4 * DEADLINE,
        ..Limits::for_directory()
    }
}

/// Starts a server whose responses have `length` bytes; `send_buffer` is the kernel's, in bytes.
async fn server(length: usize, send_buffer: u32) -> (SocketAddr, DropGuard) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(send_buffer).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = tower::service_fn(move |_: Request<RequestBody>| async move {
        let body = Full::new(Bytes::from(vec![b'x'; length]));
        Ok::<_, Infallible>(Response::new(body))
    });
    let shutdown = CancellationToken::new();
    crate::task::spawn(
        "test",
        serve(limits(), listener, None, answer, shutdown.clone()),
    );
    (address, shutdown.drop_guard())
}

/// Opens a connection with a small receive buffer.
async fn client(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(address).await.unwrap()
}

/// Sends a byte at intervals without reading. Returns whether the server ends the connection in
/// time.
async fn ends(mut stream: TcpStream) -> bool {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let sending = async {
        while stream.write_all(b"\n").await.is_ok() {
            tick.tick().await;
        }
    };
    timeout(DEADLINE, sending).await.is_ok()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_read_costs_the_connection_wherever_it_lies() {
    // The response is in the kernel alone (its buffer is large enough), or mostly in our buffers.
    let sizes = if cfg!(any(target_os = "android", target_os = "linux")) {
        [
            (48 << 10, 4 << 20),
            (300 << 10, 4 << 20),
            (300 << 10, 8 << 10),
        ]
        .as_slice()
    } else {
        &[(8 << 20, 8 << 10)]
    };
    for &(length, send_buffer) in sizes {
        let (address, _running) = server(length, send_buffer).await;
        let mut stream = client(address).await;
        stream.write_all(GET).await.unwrap();
        assert!(
            ends(stream).await,
            "{length} bytes, {send_buffer} in the kernel"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_read_costs_the_connection_on_http2() {
    let (address, _running) = server(300 << 10, 4 << 20).await;
    let mut stream = client(address).await;
    let frame = |kind: u8, flags: u8, id: u32, payload: &[u8]| {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(id.to_be_bytes());
        bytes.extend(payload);
        bytes
    };
    // RFC 9113: SETTINGS_INITIAL_WINDOW_SIZE and the connection window have their maximum values.
    let window = (1_u32 << 31) - 1;
    let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
    // RFC 7541: `:method GET`, `:scheme http`, `:path /`, by static index.
    let request = [0x82, 0x86, 0x84];
    let begun = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &settings),
        frame(8, 0, 0, &(window - 65_535).to_be_bytes()),
        frame(1, 0x5, 1, &request),
    ];
    stream.write_all(&begun.concat()).await.unwrap();
    let ping = frame(6, 0, 0, &[0; 8]);
    let sending = async {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        while stream.write_all(&ping).await.is_ok() {
            tick.tick().await;
        }
    };
    timeout(DEADLINE, sending)
        .await
        .expect("the connection did not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_gets_the_whole_answer() {
    let (address, _running) = server(300 << 10, 4 << 20).await;
    let mut stream = client(address).await;
    stream.write_all(GET).await.unwrap();
    let mut read = 0;
    let mut buffer = [0; 1024];
    while read < 300 << 10 {
        let length = timeout(DEADLINE, stream.read(&mut buffer)).await.unwrap();
        let length = length.unwrap();
        assert_ne!(length, 0, "cut after {read} bytes");
        read += length;
    }
}
