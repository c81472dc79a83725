//! A directory, its providers, and a reader like curl.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use convite_core::{ContentHash, PeerAddress};
use convite_directory::{DirectoryConfig, RelayConfig, RunningDirectory, start};
use convite_net::dial::http1_request;
use convite_wire::status::ProblemDocument;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::peers::{Manner, Peer};

/// By then it has happened, or never will.
const DEADLINE: Duration = Duration::from_secs(30);

/// A directory, and an account that shares and reads.
pub struct World {
    pub directory: RunningDirectory,
    pub token: String,
    address: PeerAddress,
    _home: TempDir,
    _stop: DropGuard,
}

/// An answer, whole or in part.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether the body broke off.
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

    pub async fn relaying(relay: RelayConfig) -> Self {
        Self::with(move |config| config.relay = relay).await
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

    /// The token of a new session of that account.
    pub async fn session(&self, user: &str) -> String {
        let service = &self.directory.service;
        let session = service.local_session(&user.parse().unwrap(), None).await;
        session.unwrap().token
    }

    /// A provider of `contents` under `name`, registered and published.
    pub async fn peer(&self, id: &str, name: &str, contents: &Bytes, manner: Manner) -> Arc<Peer> {
        let hash = ContentHash::of(contents);
        self.claiming(id, name, hash, contents, manner).await
    }

    /// The same, of contents that claim to be those of `hash`.
    pub async fn claiming(
        &self,
        id: &str,
        name: &str,
        hash: ContentHash,
        contents: &Bytes,
        manner: Manner,
    ) -> Arc<Peer> {
        let key = self.directory.service.ticket_key();
        let peer = Peer::start(id, key, contents, manner).await;
        self.tell("POST", "/peers", json!({"id": id, "port": peer.port}))
            .await;
        let entry = json!({"path": name, "size": contents.len(), "hash": hash, "modified": 7});
        let index = json!({"peer": id, "generation": 1, "upsert": [entry]});
        self.tell("PUT", "/index", index).await;
        peer
    }

    /// Makes a change that succeeds.
    pub async fn tell(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.ask(method, path, &[], &body.to_string()).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status.is_success(), "{method} {path}: {text}");
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Sends a request with the account's token, unless the headers say otherwise.
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

/// Where the contents of a file are read.
pub fn path(contents: &[u8]) -> String {
    format!("/files/{}/content", ContentHash::of(contents))
}

/// Looks at a condition until it holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
