//! A directory, its providers, and a reader like curl.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use convite_core::{ContentHash, PeerAddress};
use convite_directory::{DirectoryConfig, GatewayConfig, RunningDirectory, start};
use convite_net::dial::http1_request;
use convite_wire::status::{ProblemDocument, to_status};
use convite_wire::ticket::TicketVerifier;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::fake_provider::{Behaviour, Peer};

/// Timeout for slow machines.
const DEADLINE: Duration = Duration::from_secs(30);

/// A directory, and an account that shares and reads.
pub struct World {
    pub directory: RunningDirectory,
    pub token: String,
    address: PeerAddress,
    _home: TempDir,
    _stop: DropGuard,
}

/// A response, complete or partial.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether the body ended with an error.
    pub broken: bool,
}

impl Answer {
    pub fn code(&self) -> String {
        let document: ProblemDocument = serde_json::from_slice(&self.body).unwrap();
        document.code
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with_gateway(gateway: GatewayConfig) -> Self {
        Self::with(move |config| config.gateway = gateway).await
    }

    pub async fn with(change: impl FnOnce(&mut DirectoryConfig)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut config = DirectoryConfig::new(home.path());
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.plaintext = true;
        change(&mut config);
        let stop = CancellationToken::new();
        let directory = start(config, stop.clone()).await.unwrap();
        let mut world = Self {
            address: directory.address.into(),
            directory,
            token: String::new(),
            _home: home,
            _stop: stop.drop_guard(),
        };
        world.token = world.session("ana").await;
        world
    }

    /// Returns the token of a new session of this account.
    pub async fn session(&self, user: &str) -> String {
        let service = &self.directory.service;
        let session = service.local_session(&user.parse().unwrap(), None).await;
        session.unwrap().token
    }

    /// Registers a provider of `contents` as `name`, and publishes the file.
    pub async fn peer(
        &self,
        id: &str,
        name: &str,
        contents: &Bytes,
        manner: Behaviour,
    ) -> Arc<Peer> {
        let hash = ContentHash::of(contents);
        self.claiming(&self.token, id, (name, hash), contents, manner)
            .await
    }

    /// Registers a provider of the account with the session `token`, with contents that claim to
    /// have this hash.
    pub async fn claiming(
        &self,
        token: &str,
        id: &str,
        (name, hash): (&str, ContentHash),
        contents: &Bytes,
        manner: Behaviour,
    ) -> Arc<Peer> {
        let key = self.directory.service.ticket_key();
        let verifier = TicketVerifier::new(&key, id.parse().unwrap()).unwrap();
        let check = Box::new(move |ticket: &str, _: &ContentHash| {
            let ticket = verifier.verify_reader(ticket, SystemTime::now().into());
            let ticket = ticket.map_err(|problem| to_status(&problem))?;
            Ok(ticket.user.to_string())
        });
        let peer = Peer::start(id, contents, manner, check).await;
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer)];
        let register = json!({"id": id, "port": peer.port});
        self.tell_as(&headers, "POST", "/peers", register).await;
        let entry = json!({"path": name, "size": contents.len(), "hash": hash, "modified": 7});
        let index = json!({"peer": id, "generation": 1, "upsert": [entry]});
        self.tell_as(&headers, "PUT", "/index", index).await;
        peer
    }

    /// Sends a request that must succeed.
    pub async fn tell(&self, method: &str, path: &str, body: Value) -> Value {
        self.tell_as(&[], method, path, body).await
    }

    async fn tell_as(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: Value,
    ) -> Value {
        let answer = self.ask(method, path, headers, &body.to_string()).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status.is_success(), "{method} {path}: {text}");
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Sends a request with the account's token, unless the headers contain another.
    pub async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Incoming> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        http1_request(&self.address, None, request).await.unwrap()
    }

    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let (parts, mut body) = self.begin(method, path, headers, body).await.into_parts();
        let mut answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body: Vec::new(),
            broken: false,
        };
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => answer.body.extend_from_slice(frame.data_ref().unwrap()),
                Err(_) => {
                    answer.broken = true;
                    break;
                }
            }
        }
        answer
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, "").await
    }
}

/// Returns the path of a file's contents.
pub fn path(contents: &[u8]) -> String {
    format!("/files/{}/content", ContentHash::of(contents))
}

/// Polls a condition until it holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "timeout: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
