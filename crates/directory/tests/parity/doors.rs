//! The two doors as a test knocks on them: one call, one answer, the same form for both.

use std::time::{Duration, Instant};

use convite_core::model::{IndexEntry, LocatedFile, PeerSummary, SearchHit};
use convite_core::{PeerAddress, Problem};
use convite_directory::{DirectoryConfig, RunningDirectory, start};
use convite_net::dial::{Expected, Http2, http1_request};
use convite_net::tls::{DIRECTORY_NAME, client_config, client_config_http1};
use convite_wire::status::{ProblemDocument, from_status};
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[path = "administration.rs"]
mod administration;

/// What is asked of a directory.
#[derive(Clone, Default)]
pub struct Call {
    pub operation: &'static str,
    pub fields: Value,
}

pub fn call(operation: &'static str, fields: Value) -> Call {
    Call { operation, fields }
}

impl Call {
    fn text(&self, name: &str) -> String {
        self.fields[name].as_str().unwrap_or_default().to_owned()
    }

    fn number(&self, name: &str) -> u64 {
        self.fields[name].as_u64().unwrap_or_default()
    }
}

/// A directory of its own folder, stopped at the end.
pub struct Running {
    pub home: tempfile::TempDir,
    pub directory: Option<RunningDirectory>,
    shutdown: CancellationToken,
    change: Box<dyn Fn(&mut DirectoryConfig) + Send + Sync>,
}

impl Running {
    pub async fn start(change: impl Fn(&mut DirectoryConfig) + Send + Sync + 'static) -> Self {
        let mut running = Self {
            home: tempfile::tempdir().unwrap(),
            directory: None,
            shutdown: CancellationToken::new(),
            change: Box::new(change),
        };
        running.again().await;
        running
    }

    async fn again(&mut self) {
        let mut config = DirectoryConfig::new(self.home.path());
        config.listen = "127.0.0.1:0".parse().unwrap();
        (self.change)(&mut config);
        self.shutdown = CancellationToken::new();
        self.directory = Some(start(config, self.shutdown.clone()).await.unwrap());
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.again().await;
    }

    /// Starts again with a folder gone.
    pub async fn restart_without(&mut self, folder: &std::path::Path) {
        self.stop().await;
        std::fs::remove_dir_all(folder).unwrap();
        self.again().await;
    }

    pub fn tell_to_stop(&self) {
        self.shutdown.cancel();
    }

    pub async fn stop(&mut self) {
        self.tell_to_stop();
        let directory = self.directory.take().unwrap();
        let finished = tokio::time::timeout(Duration::from_secs(10), directory.finished());
        finished.await.expect("stops in time").unwrap();
    }

    pub fn get(&self) -> &RunningDirectory {
        self.directory.as_ref().unwrap()
    }
}

/// One way in.
pub enum Door {
    Rest(PeerAddress, Option<Expected>),
    Grpc(DirectoryClient<Http2<tonic::body::Body>>),
}

fn expected(directory: &RunningDirectory, http1: bool) -> Option<Expected> {
    let authority = directory.authority?;
    let config = match http1 {
        true => client_config_http1(authority),
        false => client_config(authority),
    };
    Some(Expected::new(config, DIRECTORY_NAME).unwrap())
}

pub fn rest(directory: &RunningDirectory) -> Door {
    Door::Rest(directory.address.into(), expected(directory, true))
}

/// What gRPC's clients are made with, besides a connection.
pub const ORIGIN: &str = "https://directory.convite";

/// A connection for any gRPC client.
pub async fn http2(directory: &RunningDirectory) -> Http2<tonic::body::Body> {
    let expected = expected(directory, false);
    let http2 = Http2::connect(&directory.address.into(), expected.as_ref()).await;
    http2.unwrap()
}

pub async fn grpc(directory: &RunningDirectory) -> Door {
    let origin = http::Uri::from_static(ORIGIN);
    Door::Grpc(DirectoryClient::with_origin(http2(directory).await, origin))
}

/// An HTTP request and its whole answer.
pub async fn http(
    door: &Door,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Vec<u8>,
) -> (http::response::Parts, Vec<u8>) {
    let json = [("content-type", "application/json")];
    http_with(door, method, path, token, &json, body).await
}

/// The same with these fields.
pub async fn http_with(
    door: &Door,
    method: &str,
    path: &str,
    token: Option<&str>,
    fields: &[(&str, &str)],
    body: Vec<u8>,
) -> (http::response::Parts, Vec<u8>) {
    let Door::Rest(address, expected) = door else {
        panic!("not this door")
    };
    let mut request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::new(bytes::Bytes::from(body))).unwrap();
    let answer = http1_request(address, expected.as_ref(), request).await;
    let (parts, body) = answer.unwrap().into_parts();
    (parts, body.collect().await.unwrap().to_bytes().to_vec())
}

impl Door {
    /// Makes the call; a problem is told by its code.
    pub async fn knock(&self, token: Option<&str>, call: &Call) -> Result<Value, String> {
        match self {
            Self::Rest(..) => self.knock_rest(token, call).await,
            Self::Grpc(client) => knock_grpc(client.clone(), token, call)
                .await
                .map_err(|problem| problem.code.name().to_owned()),
        }
    }

    async fn knock_rest(&self, token: Option<&str>, call: &Call) -> Result<Value, String> {
        let id = call.text("id");
        let (method, path) = match call.operation {
            "login" => ("POST", "/login".to_owned()),
            "logout" => ("POST", "/logout".to_owned()),
            "create_account" => ("POST", "/accounts".to_owned()),
            "create_invite" => ("POST", "/invites".to_owned()),
            "register" => ("POST", "/peers".to_owned()),
            "heartbeat" => ("POST", format!("/peers/{id}/heartbeat")),
            "leave" => ("DELETE", format!("/peers/{id}")),
            "peers" => ("GET", format!("/peers?{}", query(&call.fields))),
            "publish" => ("PUT", "/index".to_owned()),
            "index" => ("GET", format!("/index?{}", query(&call.fields))),
            "search" => ("GET", format!("/search?{}", query(&call.fields))),
            "locate" => {
                let space = call.fields["space"].as_str();
                let place = space.map_or(String::new(), |space| format!("?space={space}"));
                ("GET", format!("/files/{}{place}", call.text("hash")))
            }
            other => administration::path(call).unwrap_or_else(|| panic!("{other}")),
        };
        let body = match method {
            "GET" | "DELETE" => Vec::new(),
            _ => administration::body(call).to_string().into_bytes(),
        };
        let (parts, body) = http(self, method, &path, token, body).await;
        if parts.status.is_success() {
            return Ok(serde_json::from_slice(&body).unwrap_or(json!({})));
        }
        assert_eq!(parts.headers["content-type"], "application/problem+json");
        let document: ProblemDocument = serde_json::from_slice(&body).unwrap();
        assert_eq!(document.status, parts.status.as_u16());
        Err(document.code)
    }
}

fn query(fields: &Value) -> String {
    let fields = fields.as_object().into_iter().flatten();
    let pairs = fields.map(|(name, value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        format!("{name}={escaped}")
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// A message from the session of that token.
pub fn with_token<M>(token: Option<&str>, message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

async fn knock_grpc(
    mut client: DirectoryClient<Http2<tonic::body::Body>>,
    token: Option<&str>,
    call: &Call,
) -> Result<Value, Problem> {
    macro_rules! ask {
        ($method:ident, $message:expr) => {{
            let reply = client.$method(with_token(token, $message)).await;
            reply.map_err(|status| from_status(&status))?.into_inner()
        }};
    }
    let endpoint = |fields: &Value| v1::PeerEndpoint {
        id: fields["id"].as_str().unwrap_or_default().to_owned(),
        port: fields["port"].as_u64().unwrap_or_default() as u32,
        addresses: Vec::new(),
    };
    let (user, password) = (call.text("user"), call.text("password"));
    let (limit, cursor) = (call.number("limit") as u32, call.text("cursor"));
    let (id, peer) = (call.text("id"), call.text("peer"));
    Ok(match call.operation {
        "login" => {
            let peer = call.fields["peer"].is_object();
            let peer = peer.then(|| endpoint(&call.fields["peer"]));
            let reply = ask!(
                login,
                v1::LoginRequest {
                    user,
                    password,
                    peer
                }
            );
            json!({"token": reply.token, "user": reply.user, "role": reply.role, "directories": reply.directories})
        }
        "logout" => {
            ask!(logout, v1::LogoutRequest {});
            json!({})
        }
        "create_account" => {
            let invite = call.text("invite");
            let message = v1::CreateAccountRequest {
                invite,
                user,
                password,
            };
            let reply = ask!(create_account, message);
            json!({"user": reply.user, "role": reply.role})
        }
        "create_invite" => {
            let message = v1::CreateInviteRequest {
                uses: call.number("uses") as u32,
                expires_in: call.number("expires_in"),
                role: call.text("role"),
                space: call.text("space"),
            };
            let reply = ask!(create_invite, message);
            json!({"invite": reply.invite, "web": reply.web, "uses": reply.uses})
        }
        "register" => {
            let message = v1::RegisterPeerRequest {
                peer: Some(endpoint(&call.fields)),
                signing_request: bytes::Bytes::new(),
                transient: call.fields["transient"] == true,
                uploads: call.text("uploads"),
                loads: call.text("loads"),
            };
            let reply = ask!(register_peer, message);
            json!({"lease_ms": reply.lease_ms, "generation": reply.generation, "addresses": reply.addresses})
        }
        "heartbeat" => {
            let activity = activity(&call.fields);
            let message = v1::HeartbeatRequest { id, ..activity };
            let reply = ask!(heartbeat, message);
            json!({"lease_ms": reply.lease_ms, "generation": reply.generation, "directories": reply.directories})
        }
        "leave" => {
            ask!(leave_peer, v1::LeavePeerRequest { id });
            json!({})
        }
        "peers" => {
            let reply = ask!(list_peers, v1::ListPeersRequest { limit, cursor });
            page::<_, PeerSummary>("peers", reply.peers, reply.next_cursor)
        }
        "publish" => {
            let reply = ask!(index, tokio_stream::iter([publish(call)]));
            json!({"generation": reply.generation, "upserted": reply.upserted, "removed": reply.removed})
        }
        "index" => {
            let reply = ask!(
                list_index,
                v1::ListIndexRequest {
                    peer,
                    limit,
                    cursor
                }
            );
            page::<_, IndexEntry>("files", reply.entries, reply.next_cursor)
        }
        "search" => {
            let message = v1::SearchFileRequest {
                query: call.text("q"),
                r#type: call.text("type"),
                min_size: call.fields["min_size"].as_u64(),
                max_size: call.fields["max_size"].as_u64(),
                peer,
                newer: call.text("newer"),
                older: call.text("older"),
                space: call.text("space"),
                sort: call.text("sort"),
                order: call.text("order"),
                limit,
                cursor,
            };
            let reply = ask!(search_file, message);
            let indexing = reply.indexing;
            let mut page = page::<_, SearchHit>("results", reply.results, reply.next_cursor);
            if indexing {
                page["indexing"] = true.into();
            }
            page
        }
        // REST has no such operation.
        "announce" => {
            let message = v1::AnnounceRequest {
                peer,
                hash: hash_bytes(&call.text("hash")),
                size: call.number("size"),
                withdrawn: call.fields["withdrawn"] == true,
            };
            ask!(announce, message);
            json!({})
        }
        "locate" => {
            let hash = hash_bytes(&call.text("hash"));
            let space = call.fields["space"].as_str().map(str::to_owned);
            let reply = ask!(locate, v1::LocateRequest { hash, space });
            serde_json::to_value(LocatedFile::try_from(reply).unwrap()).unwrap()
        }
        _ => return administration::ask(client, token, call).await,
    })
}

fn activity(fields: &Value) -> v1::HeartbeatRequest {
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap_or_default();
    let transfers = fields["transfers"].as_array().into_iter().flatten();
    v1::HeartbeatRequest {
        id: String::new(),
        sent_rate: number(fields, "sent_rate"),
        received_rate: number(fields, "received_rate"),
        transfers: transfers
            .map(|transfer| v1::RunningTransfer {
                hash: hash_bytes(transfer["hash"].as_str().unwrap_or_default()),
                direction: transfer["direction"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                bytes: number(transfer, "bytes"),
                size: number(transfer, "size"),
                rate: number(transfer, "rate"),
            })
            .collect(),
    }
}

fn hash_bytes(text: &str) -> bytes::Bytes {
    data_encoding::HEXLOWER
        .decode(text.as_bytes())
        .unwrap_or_default()
        .into()
}

fn publish(call: &Call) -> v1::IndexRequest {
    let upsert = call.fields["upsert"].as_array().into_iter().flatten();
    let remove = call.fields["remove"].as_array().into_iter().flatten();
    v1::IndexRequest {
        header: Some(v1::IndexHeader {
            peer: call.text("peer"),
            generation: call.number("generation"),
            base: call.fields["base"].as_u64(),
        }),
        upsert: upsert
            .map(|file| v1::FileEntry {
                path: file["path"].as_str().unwrap().to_owned(),
                size: file["size"].as_u64().unwrap(),
                hash: hash_bytes(file["hash"].as_str().unwrap()),
                modified: file["modified"].as_i64().unwrap(),
                space: file["space"].as_str().unwrap_or_default().to_owned(),
            })
            .collect(),
        remove: remove
            .map(|path| path.as_str().unwrap().to_owned())
            .collect(),
    }
}

/// A page in the form that REST gives it.
fn page<M, T>(name: &str, items: Vec<M>, next_cursor: String) -> Value
where
    T: TryFrom<M, Error = Problem> + serde::Serialize,
{
    let items: Vec<T> = items
        .into_iter()
        .map(|item| T::try_from(item).unwrap())
        .collect();
    // Through text, as REST's answers are: there a score has the digits of 32 bits, not of 64.
    let items: Value = serde_json::from_str(&serde_json::to_string(&items).unwrap()).unwrap();
    match next_cursor.is_empty() {
        true => json!({ name: items }),
        false => json!({ name: items, "next_cursor": next_cursor }),
    }
}

/// Asks again and again until the answer is as wanted; fails after ten seconds.
pub async fn eventually(
    door: &Door,
    token: &str,
    asked: &Call,
    wanted: fn(&Value) -> bool,
) -> Value {
    let began = Instant::now();
    loop {
        let answer = door.knock(Some(token), asked).await.unwrap();
        if wanted(&answer) {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{answer}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
