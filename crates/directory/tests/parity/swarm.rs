//! Swarms: announcements and watches.

use std::time::{Duration, Instant};

use convite_client::{Credentials, DirectoryClient as Client, Registering};
use convite_core::model::Provider;
use convite_core::{
    ContentHash, EntryKind, ErrorCode, PeerId, Problem, SearchScope, UnixMillis, UserName,
};
use convite_wire::invite::Fingerprint;
use convite_wire::status::from_status;
use convite_wire::ticket::TicketVerifier;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient;
use serde_json::{Value, json};
use tokio_stream::StreamExt;
use tonic::Streaming;

use crate::apis::{Api, Call, Running, call, grpc, rest};
use crate::scenarios::file;

/// A member with a session at the gRPC API.
pub struct Member {
    pub api: Api,
    pub token: String,
}

impl Member {
    pub async fn join(running: &Running, user: &str) -> Self {
        let user: UserName = user.parse().unwrap();
        let session = running.get().service.local_session(&user, None).await;
        Self {
            api: grpc(running.get()).await,
            token: session.unwrap().token,
        }
    }

    pub async fn ask(&self, operation: &'static str, fields: Value) -> Result<Value, String> {
        let asked: Call = call(operation, fields);
        self.api.call(Some(&self.token), &asked).await
    }

    pub async fn register(&self, id: &str, transient: bool) {
        let fields = json!({"id": id, "port": 5001, "transient": transient});
        self.ask("register", fields).await.unwrap();
    }

    pub async fn announce(&self, id: &str, contents: &str) -> Result<Value, String> {
        let hash = ContentHash::of(contents.as_bytes()).to_string();
        self.ask("announce", json!({"peer": id, "hash": hash, "size": 7}))
            .await
    }

    async fn locate(&self, contents: &str) -> Result<Value, String> {
        let hash = ContentHash::of(contents.as_bytes()).to_string();
        self.ask("locate", json!({ "hash": hash })).await
    }

    pub async fn watch(&self, contents: &str) -> Result<Watch, Problem> {
        let Api::Grpc(client) = &self.api else {
            unreachable!()
        };
        let mut client: DirectoryClient<_> = client.clone();
        let hash = ContentHash::of(contents.as_bytes());
        let mut request = tonic::Request::new(v1::WatchRequest {
            hash: bytes::Bytes::copy_from_slice(hash.as_bytes()),
            ..Default::default()
        });
        let bearer = format!("Bearer {}", self.token).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let replies = client.watch(request).await;
        let mut watch = Watch {
            replies: replies.map_err(|status| from_status(&status))?.into_inner(),
            first: Vec::new(),
        };
        watch.first = watch.next(DEADLINE).await;
        Ok(watch)
    }
}

/// A watch stream.
pub struct Watch {
    replies: Streaming<v1::WatchReply>,
    /// The first message: all providers.
    pub first: Vec<Provider>,
}

impl Watch {
    pub async fn next(&mut self, limit: Duration) -> Vec<Provider> {
        let reply = tokio::time::timeout(limit, self.replies.message()).await;
        let reply = reply
            .expect("a message arrives in time")
            .unwrap()
            .expect("the stream is open");
        let providers = reply.providers.into_iter().map(TryInto::try_into);
        providers.collect::<Result<_, _>>().unwrap()
    }

    /// Returns how the stream ends: with a problem, or without.
    async fn end(mut self) -> Option<ErrorCode> {
        let ended = async {
            loop {
                match self.replies.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(status) => return Some(from_status(&status).code),
                }
            }
        };
        tokio::time::timeout(DEADLINE, ended)
            .await
            .expect("the stream ends in time")
    }
}

pub fn ids(providers: &[Provider]) -> Vec<(&str, bool)> {
    let ids = providers.iter().map(|p| (p.peer.as_str(), p.partial));
    ids.collect()
}

/// Checks a provider's ticket as the provider would.
fn check_ticket(running: &Running, provider: &Provider, user: &str) -> UnixMillis {
    let key = running.get().service.ticket_key();
    let peer: PeerId = provider.peer.clone();
    let now = UnixMillis::from(std::time::SystemTime::now());
    let verifier = TicketVerifier::new(&key, peer).unwrap();
    let ticket = verifier.verify_reader(&provider.ticket, now).unwrap();
    assert_eq!(ticket.user.as_str(), user);
    ticket.expires
}

/// Publishes these contents from a peer that is offline, so that they can be announced.
async fn known(running: &Running, contents: &[&str]) {
    let owner = Member::join(running, "owner").await;
    owner.register("owner-1", false).await;
    let shared = contents
        .iter()
        .map(|text| file(&format!("s/{text}"), 7, text));
    let shared: Vec<_> = shared.collect();
    let index = json!({"peer": "owner-1", "generation": 1, "upsert": shared});
    owner.ask("publish", index).await.unwrap();
    owner.ask("leave", json!({"id": "owner-1"})).await.unwrap();
}

/// Shorter than the directory's own check interval of 5 s.
const SOON: Duration = Duration::from_secs(4);
/// Timeout for slow machines.
const DEADLINE: Duration = Duration::from_secs(60);

/// A transient peer.
fn transient(id: &PeerId) -> Registering<'_> {
    Registering {
        transient: true,
        ..Registering::new(id, 5001)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_gets_new_providers() {
    let running = Running::start(|_| {}).await;
    let (ana, bob) = (
        Member::join(&running, "ana").await,
        Member::join(&running, "bob").await,
    );
    known(&running, &["plans", "other"]).await;
    bob.register("bob-get", true).await;
    let mut watch = ana.watch("plans").await.unwrap();
    assert_eq!(watch.first, []);
    // Changes of another content are not reported.
    bob.announce("bob-get", "other").await.unwrap();
    bob.announce("bob-get", "plans").await.unwrap();
    let news = watch.next(SOON).await;
    assert_eq!(ids(&news), [("bob-get", true)]);
    assert_eq!(news[0].addresses[0].to_string(), "127.0.0.1:5001");
    assert_eq!(news[0].size, 7);
    check_ticket(&running, &news[0], "ana");

    ana.register("ana-1", false).await;
    let shared = json!({"peer": "ana-1", "generation": 1, "upsert": [file("a/b", 7, "plans")]});
    ana.ask("publish", shared).await.unwrap();
    let news = watch.next(SOON).await;
    assert_eq!(ids(&news), [("ana-1", false)]);
    check_ticket(&running, &news[0], "ana");
    let again = ana.watch("plans").await.unwrap();
    assert_eq!(ids(&again.first), [("ana-1", false), ("bob-get", true)]);

    // A changed address is reported.
    let moved = json!({"id": "bob-get", "port": 5009, "transient": true});
    bob.ask("register", moved).await.unwrap();
    let news = watch.next(SOON).await;
    assert_eq!(ids(&news), [("bob-get", true)]);
    assert_eq!(news[0].addresses[0].to_string(), "127.0.0.1:5009");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_account_cannot_be_announced() {
    let running = Running::start(|_| {}).await;
    let (ana, bob) = (
        Member::join(&running, "ana").await,
        Member::join(&running, "bob").await,
    );
    known(&running, &["plans"]).await;
    ana.register("ana-1", false).await;
    let refused = bob.announce("ana-1", "plans").await;
    assert_eq!(refused, Err("not_found".to_owned()));
    assert_eq!(bob.locate("plans").await, Err("not_found".to_owned()));
    ana.announce("ana-1", "plans").await.unwrap();
    let hash = ContentHash::of(b"plans").to_string();
    let empty = json!({"peer": "ana-1", "hash": hash, "size": 0});
    let refused = ana.ask("announce", empty).await;
    assert_eq!(refused, Err("invalid_argument".to_owned()));
    // Search results do not contain partial copies.
    let found = bob.ask("search", json!({"q": "plans"})).await.unwrap();
    assert_eq!(found["results"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawn_announcements_and_left_peers_are_not_located() {
    let running = Running::start(|_| {}).await;
    let ana = Member::join(&running, "ana").await;
    known(&running, &["plans"]).await;
    ana.register("get-1", true).await;
    ana.register("get-2", true).await;
    for peer in ["get-1", "get-2", "get-1"] {
        ana.announce(peer, "plans").await.unwrap();
    }
    let rest = rest(running.get());
    let hash = ContentHash::of(b"plans").to_string();
    let asked = call("locate", json!({ "hash": hash }));
    let shown = rest.call(Some(&ana.token), &asked).await.unwrap();
    assert_eq!(shown["providers"][0]["partial"], true);
    assert_eq!(shown["providers"][1]["peer"], "get-2");
    assert_eq!(shown["names"], json!([]));
    assert_eq!(shown["size"], 7);
    let withdrawn = json!({"peer": "get-1", "hash": hash, "withdrawn": true});
    ana.ask("announce", withdrawn).await.unwrap();
    let located = ana.locate("plans").await.unwrap();
    assert_eq!(located["providers"].as_array().unwrap().len(), 1);
    assert_eq!(located["providers"][0]["peer"], "get-2");
    ana.ask("leave", json!({"id": "get-2"})).await.unwrap();
    assert_eq!(ana.locate("plans").await, Err("not_found".to_owned()));
    let again = ana.ask("heartbeat", json!({"id": "get-2"})).await;
    assert_eq!(again, Err("not_found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_sent_again_before_its_ticket_expires() {
    let running = Running::start(|config| config.ticket_lifetime = Duration::from_secs(6)).await;
    let ana = Member::join(&running, "ana").await;
    known(&running, &["plans"]).await;
    ana.register("ana-get", true).await;
    ana.announce("ana-get", "plans").await.unwrap();
    let mut watch = ana.watch("plans").await.unwrap();
    let before = check_ticket(&running, &watch.first[0], "ana");
    let news = watch.next(DEADLINE).await;
    let after = check_ticket(&running, &news[0], "ana");
    let now = UnixMillis::from(std::time::SystemTime::now());
    assert!(
        now < before && before < after,
        "{now:?} {before:?} {after:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_per_session_are_limited() {
    let running = Running::start(|_| {}).await;
    let ana = Member::join(&running, "ana").await;
    let mut watches = Vec::new();
    for _ in 0..64 {
        watches.push(ana.watch("plans").await.unwrap());
    }
    let refused = ana.watch("plans").await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::TooManyRequests);
    // Another session has its own slots, and slots that are released are free.
    let other = Member::join(&running, "ana").await;
    other.watch("plans").await.unwrap();
    watches.truncate(10);
    let deadline = Instant::now() + DEADLINE;
    while let Err(refused) = ana.watch("plans").await {
        assert_eq!(refused.code, ErrorCode::TooManyRequests);
        assert!(Instant::now() < deadline, "no slot became free");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_ends_with_the_session_and_with_the_directory() {
    let mut running =
        Running::start(|config| config.ticket_lifetime = Duration::from_secs(1)).await;
    let (ana, bob) = (
        Member::join(&running, "ana").await,
        Member::join(&running, "bob").await,
    );
    let of_ana = ana.watch("plans").await.unwrap();
    let of_bob = bob.watch("plans").await.unwrap();
    ana.ask("logout", json!({})).await.unwrap();
    assert_eq!(of_ana.end().await, Some(ErrorCode::Unauthenticated));
    let began = Instant::now();
    let ((), end) = tokio::join!(running.restart(), of_bob.end());
    assert_eq!(end, None);
    assert!(
        began.elapsed() < convite_net::DRAIN_TIMEOUT,
        "{:?}",
        began.elapsed()
    );
}

/// The real client, in a session of its own.
async fn client(running: &Running, user: &str) -> Client {
    let user: UserName = user.parse().unwrap();
    let directory = running.get();
    let session = directory.service.local_session(&user, None).await;
    let credentials = Credentials {
        addresses: vec![directory.address.into()],
        authority: directory.authority.map(Fingerprint),
        user: Some(user),
        token: Some(session.unwrap().token),
        peer: None,
    };
    Client::new(&credentials).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_announces_watches_and_withdraws() {
    let running = Running::start(|_| {}).await;
    let (ana, bob) = (client(&running, "ana").await, client(&running, "bob").await);
    let hash = ContentHash::of(b"plans");
    let get: PeerId = "bob-get".parse().unwrap();
    known(&running, &["plans"]).await;
    let mut watch = ana
        .watch(&hash, EntryKind::File, &SearchScope::Visible)
        .await
        .unwrap();
    assert_eq!(watch.next().await.unwrap().unwrap(), []);
    let refused = bob.announce(&get, &hash, 5).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound);
    bob.register_peer(&transient(&get)).await.unwrap();
    bob.announce(&get, &hash, 5).await.unwrap();
    let news = tokio::time::timeout(SOON, watch.next()).await.unwrap();
    assert_eq!(ids(&news.unwrap().unwrap()), [("bob-get", true)]);
    assert_eq!(ana.peers(10, None).await.unwrap().items, []);
    bob.withdraw(&get, &hash).await.unwrap();
    let refused = ana.locate(&hash, None).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound);
    // It survives the directory's restart, but not the end of its session.
    ana.logout().await.unwrap();
    let end = tokio::time::timeout(DEADLINE, watch.next()).await;
    let refused = end.unwrap().unwrap().unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    assert!(watch.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_watchers_get_every_provider() {
    const CROWD: usize = 50;
    let running = Running::start(|_| {}).await;
    known(&running, &["plans"]).await;
    let hash = ContentHash::of(b"plans");
    let mut members = Vec::new();
    for number in 0..CROWD {
        let id: PeerId = format!("get-{number}").parse().unwrap();
        let client = client(&running, &format!("user{number}")).await;
        let watch = client
            .watch(&hash, EntryKind::File, &SearchScope::Visible)
            .await
            .unwrap();
        members.push((client, id, watch));
    }
    let began = Instant::now();
    let joined = members.into_iter().map(|(client, id, mut watch)| {
        tokio::spawn(async move {
            let registered = client.register_peer(&transient(&id)).await;
            registered.unwrap();
            client.announce(&id, &hash, 5).await.unwrap();
            let (mut heard, mut messages) = (std::collections::HashSet::new(), 0);
            while heard.len() < CROWD {
                for provider in watch.next().await.unwrap().unwrap() {
                    assert!(heard.insert(provider.peer), "reported twice");
                }
                messages += 1;
            }
            messages
        })
    });
    let mut most = 0;
    for member in joined.collect::<Vec<_>>() {
        let heard = tokio::time::timeout(DEADLINE, member).await;
        most = most.max(heard.expect("all peers are reported").unwrap());
    }
    let took = began.elapsed();
    // At most one message per 20 ms, plus the first.
    let bound = took.as_millis() / 20 + 2;
    assert!(most <= bound, "{most} messages in {took:?}");
}
