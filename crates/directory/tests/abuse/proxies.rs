//! Client addresses behind a load balancer and an HTTP proxy; forged ones are ignored.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use convite_core::UserName;
use convite_directory::DirectoryConfig;
use convite_directory::throttle::{AttemptLimits, FailureRate};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::apis::{Api, Running, call, rest};

/// A trusted address, and another.
const PROXY: [u8; 4] = [127, 0, 0, 9];
const STRANGER: [u8; 4] = [127, 0, 0, 8];
/// Timeout for slow machines.
const DEADLINE: Duration = Duration::from_secs(10);

async fn start(change: impl Fn(&mut DirectoryConfig) + Send + Sync + 'static) -> Running {
    Running::start(move |config| {
        config.plaintext = true;
        config.trusted_proxies = vec!["127.0.0.9".parse().unwrap()];
        change(config);
    })
    .await
}

pub async fn connect(running: &Running, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let source = SocketAddr::from((Ipv4Addr::from(from), 0));
    socket.bind(source).unwrap();
    socket.connect(running.get().address).await.unwrap()
}

/// Sends bytes and returns the complete response; empty if there is none.
pub async fn say(running: &Running, from: [u8; 4], bytes: &[u8]) -> String {
    let mut stream = connect(running, from).await;
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // A reset ends the response too.
    let _ = tokio::time::timeout(DEADLINE, reading).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Returns a failing login with further headers.
fn login(fields: &str) -> String {
    let body = json!({"user": "ana", "password": "wrong horse"}).to_string();
    format!(
        "POST /login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n{fields}\r\n{body}",
        body.len()
    )
}

/// Returns a version 2 header for an IPv4 client.
fn version_2(source: [u8; 4]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    bytes.extend(source);
    bytes.extend([192, 0, 2, 1, 0x10, 0, 0, 80]);
    bytes
}

async fn with_ana(running: &Running) -> String {
    let user: UserName = "ana".parse().unwrap();
    let session = running
        .get()
        .service
        .local_session(&user, Some("right horse"))
        .await;
    session.unwrap().token
}

/// Returns the distinct addresses of failed logins in the audit log.
async fn addresses(api: &Api, token: &str) -> Vec<String> {
    let log = api.call(Some(token), &call("audit", json!({}))).await;
    let log = log.unwrap();
    let of_login = |entry: &&Value| entry["action"] == "login";
    let entries = log["entries"].as_array().unwrap().iter().filter(of_login);
    let addresses = entries.map(|entry| entry["address"].as_str().unwrap().to_owned());
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort();
    addresses
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_sets_the_client_address() {
    let running = start(|_| {}).await;
    let token = with_ana(&running).await;
    let two = [version_2([192, 0, 2, 2]), login("").into()].concat();
    // A client behind the balancer can forge the header; the balancer's information takes
    // precedence.
    let forged = login("x-forwarded-for: 198.51.100.1\r\n");
    let two_forged = [version_2([192, 0, 2, 3]), forged.clone().into()].concat();
    let one = format!("PROXY TCP4 192.0.2.4 192.0.2.1 4711 443\r\n{}", login(""));
    let hops = login("x-forwarded-for: 198.51.100.2, 192.0.2.5\r\nx-forwarded-for: 127.0.0.9\r\n");
    let local = [b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), login("").into()].concat();
    for bytes in [&two, &two_forged, one.as_bytes(), hops.as_bytes(), &local] {
        let answer = say(&running, PROXY, bytes).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    let answer = say(&running, STRANGER, forged.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    for bytes in [&two, one.as_bytes()] {
        let answer = say(&running, STRANGER, bytes).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
    }
    let wanted = [
        "127.0.0.8",
        "127.0.0.9",
        "192.0.2.2",
        "192.0.2.3",
        "192.0.2.4",
        "192.0.2.5",
    ];
    assert_eq!(addresses(&rest(running.get()), &token).await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_trusted_proxy_forwarded_addresses_are_ignored() {
    let running = start(|config| config.trusted_proxies.clear()).await;
    let token = with_ana(&running).await;
    let forged = login("x-forwarded-for: 198.51.100.1\r\nforwarded: for=198.51.100.1\r\n");
    assert!(
        say(&running, PROXY, forged.as_bytes())
            .await
            .starts_with("HTTP/1.1 401")
    );
    let two = [version_2([192, 0, 2, 2]), login("").into()].concat();
    assert!(!say(&running, PROXY, &two).await.contains(" 401 "));
    assert_eq!(addresses(&rest(running.get()), &token).await, ["127.0.0.9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_behind_a_balancer_is_throttled_for_itself() {
    let strict = FailureRate {
        free_failures: 3,
        first_delay: Duration::from_secs(60),
        max_delay: Duration::from_secs(600),
    };
    let running = start(move |config| {
        config.attempt_limits = AttemptLimits {
            account_and_network: strict,
            ..AttemptLimits::default()
        };
    })
    .await;
    with_ana(&running).await;
    let from = async |client: u8| {
        let bytes = [version_2([192, 0, 2, client]), login("").into()].concat();
        let answer = say(&running, PROXY, &bytes).await;
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    for _ in 0..4 {
        assert_eq!(from(2).await, "401");
    }
    assert_eq!(from(2).await, "429");
    assert_eq!(from(3).await, "401");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_behind_a_balancer_have_their_share_of_connections_each() {
    let running = start(|config| config.limits.connections_per_network = 2).await;
    let ask = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut held = Vec::new();
    for client in [2, 2, 3, 3, 4] {
        let mut stream = connect(&running, PROXY).await;
        let bytes = [&version_2([192, 0, 2, client])[..], ask].concat();
        stream.write_all(&bytes).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
    }
    let one_more = [&version_2([192, 0, 2, 2])[..], ask].concat();
    assert_eq!(say(&running, PROXY, &one_more).await, "");
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_without_a_valid_proxy_header_is_disconnected() {
    let running = start(|config| config.limits.handshake = Duration::from_millis(300)).await;
    let nonsense = format!("PROXY TCP4 here there 1 2\r\n{}", login(""));
    for bytes in [
        &b""[..],
        b"PROXY TCP4 192.0.",
        b"\r\n\r\n\0\r\nQUIT",
        nonsense.as_bytes(),
    ] {
        assert_eq!(say(&running, PROXY, bytes).await, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_header_precedes_the_tls_handshake() {
    let running = Running::start(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let token = with_ana(&running).await;
    let authority = running.get().authority.unwrap();
    let config = convite_net::tls::client_config_http1(authority);
    let mut stream = connect(&running, PROXY).await;
    stream.write_all(&version_2([192, 0, 2, 7])).await.unwrap();
    let name = convite_net::tls::DIRECTORY_NAME.try_into().unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(login("").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 401"));
    assert_eq!(addresses(&rest(running.get()), &token).await, ["192.0.2.7"]);
}
