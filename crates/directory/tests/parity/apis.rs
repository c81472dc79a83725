//! The two APIs for tests: one call, one result, in the same form for both.

use std::time::{Duration, Instant};

use convite_core::model::{FolderEntry, IndexEntry, LocatedFile, PeerSummary, SearchHit};
use convite_core::{ContentHash, PeerAddress, Problem};
use convite_directory::RunningDirectory;
use convite_net::dial::{Expected, Http2, http1_request};
use convite_net::tls::{DIRECTORY_NAME, client_config, client_config_http1};
use convite_wire::status::{ProblemDocument, from_status};
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

#[path = "administration.rs"]
mod administration;
#[path = "running.rs"]
mod running;

pub use running::Running;

/// An operation with its fields.
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

/// A client for one of the APIs.
pub enum Api {
    Rest(PeerAddress, Option<Expected>),
    Grpc(DirectoryClient<Http2<tonic::body::Body>>),
}

fn expected(directory: &RunningDirectory, http1: bool) -> Option<Expected> {
    let authority = directory.authority?;
    let config = if http1 {
        client_config_http1(authority)
    } else {
        client_config(authority)
    };
    Some(Expected::new(config, DIRECTORY_NAME).unwrap())
}

pub fn rest(directory: &RunningDirectory) -> Api {
    Api::Rest(directory.address.into(), expected(directory, true))
}

/// The origin of gRPC requests.
pub const ORIGIN: &str = "https://directory.convite";

/// Returns a connection for gRPC clients.
pub async fn http2(directory: &RunningDirectory) -> Http2<tonic::body::Body> {
    let expected = expected(directory, false);
    let http2 = Http2::connect(&directory.address.into(), expected.as_ref()).await;
    http2.unwrap()
}

pub async fn grpc(directory: &RunningDirectory) -> Api {
    let origin = http::Uri::from_static(ORIGIN);
    Api::Grpc(DirectoryClient::with_origin(http2(directory).await, origin))
}

/// Sends an HTTP request, and returns the complete response.
pub async fn http(
    api: &Api,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Vec<u8>,
) -> (http::response::Parts, Vec<u8>) {
    let json = [("content-type", "application/json")];
    http_with(api, method, path, token, &json, body).await
}

/// Sends an HTTP request with these headers.
pub async fn http_with(
    api: &Api,
    method: &str,
    path: &str,
    token: Option<&str>,
    fields: &[(&str, &str)],
    body: Vec<u8>,
) -> (http::response::Parts, Vec<u8>) {
    let Api::Rest(address, expected) = api else {
        panic!("wrong API")
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

impl Api {
    /// Sends the call; returns the error code on failure.
    pub async fn call(&self, token: Option<&str>, call: &Call) -> Result<Value, String> {
        match self {
            Self::Rest(..) => self.call_rest(token, call).await,
            Self::Grpc(client) => call_grpc(client.clone(), token, call)
                .await
                .map_err(|problem| problem.code.name().to_owned()),
        }
    }

    async fn call_rest(&self, token: Option<&str>, call: &Call) -> Result<Value, String> {
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
            "find_by_name" => ("GET", format!("/files?{}", query(&call.fields))),
            "locate" => ("GET", by_hash("files", call)),
            "locate_many" => ("POST", "/locate".to_owned()),
            "folder" => ("GET", by_hash("folders", call)),
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

/// Returns the path of a hash; the other fields are parameters.
fn by_hash(what: &str, call: &Call) -> String {
    let mut fields = call.fields.clone();
    let hash = fields.as_object_mut().unwrap().remove("hash").unwrap();
    format!("/{what}/{}?{}", hash.as_str().unwrap(), query(&fields))
}

fn query(fields: &Value) -> String {
    let fields = fields.as_object().into_iter().flatten();
    // An array becomes a repeated parameter.
    let each = fields.flat_map(|(name, value)| match value.as_array() {
        Some(values) => values.iter().map(|value| (name, value)).collect(),
        None => vec![(name, value)],
    });
    let pairs = each.map(|(name, value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        format!("{name}={escaped}")
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// Returns a string, or each string of an array.
fn texts(value: &Value) -> Vec<String> {
    let one = std::slice::from_ref(value);
    let all = value.as_array().map_or(one, Vec::as_slice).iter();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Returns a request with the session of this token.
pub fn with_token<M>(token: Option<&str>, message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

async fn call_grpc(
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
        addresses: texts(&fields["addresses"]),
    };
    let (user, password) = (call.text("user"), call.text("password"));
    let (limit, cursor) = (call.number("limit") as u32, call.text("cursor"));
    let (id, peer) = (call.text("id"), call.text("peer"));
    Ok(match call.operation {
        "login" => {
            let peer = call.fields["peer"].is_object();
            let peer = peer.then(|| endpoint(&call.fields["peer"]));
            let files = &call.fields["peer"]["files"];
            let reply = ask!(
                login,
                v1::LoginRequest {
                    user,
                    password,
                    peer,
                    files: entries(files),
                    publish: files.is_array(),
                }
            );
            let mut told = json!({"token": reply.token, "user": reply.user, "role": reply.role, "directories": reply.directories});
            if reply.generation > 0 {
                told["generation"] = reply.generation.into();
            }
            told
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
                ..Default::default()
            };
            let reply = ask!(register_peer, message);
            json!({"lease_ms": reply.lease_ms, "generation": reply.generation, "addresses": reply.addresses})
        }
        "heartbeat" => {
            let activity = activity(&call.fields);
            let message = v1::HeartbeatRequest { id, ..activity };
            let reply = ask!(heartbeat, message);
            json!({"lease_ms": reply.lease_ms, "generation": reply.generation, "directories": reply.directories, "observed": reply.observed})
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
            let reply = ask!(publish_index, tokio_stream::iter([publish(call)]));
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
                query: texts(&call.fields["q"]),
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
        "find_by_name" => {
            let name = call.text("name");
            let reply = ask!(find_by_name, v1::FindByNameRequest { name, peer });
            let mut found = page::<_, SearchHit>("results", reply.results, String::new());
            if reply.more {
                found["more"] = true.into();
            }
            found
        }
        // Not available in REST.
        "announce" => {
            let message = v1::AnnounceRequest {
                peer,
                hash: hash_bytes(&call.text("hash")),
                size: call.number("size"),
                withdrawn: call.fields["withdrawn"] == true,
            };
            let reply = ask!(announce, message);
            json!({"spaces": reply.spaces})
        }
        "locate" => {
            let hash = hash_bytes(&call.text("hash"));
            let space = call.fields["space"].as_str().map(str::to_owned);
            let kind = call.fields["kind"].as_str().map(kind_number);
            let reply = ask!(locate, v1::LocateRequest { hash, space, kind });
            serde_json::to_value(LocatedFile::try_from(reply).unwrap()).unwrap()
        }
        "locate_many" => {
            let hashes = call.fields["hashes"].as_array().unwrap().iter();
            let hashes = hashes
                .map(|hash| hash_bytes(hash.as_str().unwrap()))
                .collect();
            let space = call.fields["space"].as_str().map(str::to_owned);
            let kind = call.fields["kind"].as_str().map(kind_number);
            let request = v1::LocateManyRequest {
                hashes,
                space,
                kind,
            };
            let mut replies = ask!(locate_many, request);
            let mut results = Vec::new();
            while let Some(reply) = replies.message().await.map_err(|s| from_status(&s))? {
                let hash = ContentHash::from_slice(&reply.hash).unwrap();
                let mut item = json!({"hash": hash});
                if let Some(located) = reply.located {
                    let located = LocatedFile::try_from(located).unwrap();
                    item["located"] = serde_json::to_value(located).unwrap();
                }
                results.push(item);
            }
            json!({ "results": results })
        }
        "folder" => {
            let message = v1::ListFolderRequest {
                hash: hash_bytes(&call.text("hash")),
                space: call.fields["space"].as_str().map(str::to_owned),
                limit,
                cursor,
            };
            let reply = ask!(list_folder, message);
            page::<_, FolderEntry>("entries", reply.entries, reply.next_cursor)
        }
        _ => return administration::ask(client, token, call).await,
    })
}

fn activity(fields: &Value) -> v1::HeartbeatRequest {
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap_or_default();
    let transfers = fields["transfers"].as_array().into_iter().flatten();
    v1::HeartbeatRequest {
        id: String::new(),
        run: bytes::Bytes::new(),
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

fn kind_number(name: &str) -> i32 {
    convite_wire::convert::kind_number(name.parse().unwrap())
}

/// Converts a list of files; returns none for other values.
fn entries(files: &Value) -> Vec<v1::FileEntry> {
    let files = files.as_array().into_iter().flatten();
    let entry = |file: &Value| v1::FileEntry {
        path: file["path"].as_str().unwrap().to_owned(),
        size: file["size"].as_u64().unwrap(),
        hash: hash_bytes(file["hash"].as_str().unwrap()),
        modified: file["modified"].as_i64().unwrap(),
        space: file["space"].as_str().unwrap_or_default().to_owned(),
        kind: file["kind"].as_str().map_or(0, kind_number),
        files: file["files"].as_u64().unwrap_or_default(),
        executable: file["executable"] == true,
    };
    files.map(entry).collect()
}

fn publish(call: &Call) -> v1::PublishIndexRequest {
    let remove = call.fields["remove"].as_array().into_iter().flatten();
    v1::PublishIndexRequest {
        header: Some(v1::IndexHeader {
            peer: call.text("peer"),
            generation: call.number("generation"),
            base: call.fields["base"].as_u64(),
        }),
        upsert: entries(&call.fields["upsert"]),
        remove: remove
            .map(|path| path.as_str().unwrap().to_owned())
            .collect(),
    }
}

/// Converts a page to the REST form.
fn page<M, T>(name: &str, items: Vec<M>, next_cursor: String) -> Value
where
    T: TryFrom<M, Error = Problem> + serde::Serialize,
{
    let items: Vec<T> = items
        .into_iter()
        .map(|item| T::try_from(item).unwrap())
        .collect();
    // Convert scores through text, as REST does, so that they have the digits of 32-bit numbers.
    let items: Value = serde_json::from_str(&serde_json::to_string(&items).unwrap()).unwrap();
    if next_cursor.is_empty() {
        json!({ name: items })
    } else {
        json!({ name: items, "next_cursor": next_cursor })
    }
}

/// Repeats a request until the result meets the condition; fails after a minute.
pub async fn eventually(api: &Api, token: &str, asked: &Call, wanted: fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let answer = api.call(Some(token), asked).await.unwrap();
        if wanted(&answer) {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{answer}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
