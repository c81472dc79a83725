//! Loads: permissions, notifications of the peer, and its reports.

use std::time::Duration;

use convite_core::remote_fetch::{LoadSummary, RemoteFetch};
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_wire::status::from_status;
use convite_wire::v1;
use serde_json::{Value, json};
use tonic::Streaming;

use crate::admin_scenes::{PASSWORD, Scene};
use crate::apis::{Api, Running, call, grpc, with_token};
use crate::events::Stream;
use crate::replicas::replicas;
use crate::scenarios::file;
use crate::swarm::Member;

fn hash(contents: &str) -> String {
    ContentHash::of(contents.as_bytes()).to_string()
}

/// Returns a session of an account that `ana` creates.
async fn member(scene: &Scene, user: &str, role: &str, spaces: &[&str]) -> String {
    let account = json!({"user": user, "password": PASSWORD, "role": role, "spaces": spaces});
    scene.ana("add_user", account).await;
    let login = call("login", json!({"user": user, "password": PASSWORD}));
    let session = scene.api.call(None, &login).await.unwrap();
    session["token"].as_str().unwrap().to_owned()
}

/// Registers a peer of the session's account, which accepts loads for `loads` and shares `files`.
async fn peer(scene: &Scene, token: &str, id: &str, loads: &str, files: &[Value]) {
    let register = json!({"id": id, "port": 5001, "loads": loads});
    scene.ask(token, "register", register).await.unwrap();
    if !files.is_empty() {
        let publish = json!({"peer": id, "generation": 1, "upsert": files, "remove": []});
        scene.ask(token, "publish", publish).await.unwrap();
    }
}

fn shared(contents: &str, space: &str) -> Value {
    let mut file = file(&format!("s/{contents}.txt"), 10, contents);
    if !space.is_empty() {
        file["space"] = space.into();
    }
    file
}

async fn ask(scene: &Scene, token: &str, peer: &str, contents: &str) -> Result<String, String> {
    let fields = json!({"hash": hash(contents), "peer": peer});
    let load = scene.ask(token, "load_file", fields).await?;
    Ok(load["load"].as_str().unwrap().to_owned())
}

async fn stands(scene: &Scene, token: &str, load: &str) -> LoadSummary {
    let load = scene.ask(token, "get_load", json!({"id": load})).await;
    serde_json::from_value(load.unwrap()).unwrap()
}

/// A watch stream of a peer.
struct FetchWatchers(Streaming<v1::WatchReply>);

impl FetchWatchers {
    async fn watch(running: &Running, token: &str, peer: &str) -> Self {
        let Api::Grpc(mut client) = grpc(running.get()).await else {
            unreachable!()
        };
        let message = v1::WatchRequest {
            peer: peer.to_owned(),
            ..Default::default()
        };
        let replies = client.watch(with_token(Some(token), message)).await;
        Self(replies.unwrap().into_inner())
    }

    async fn next(&mut self) -> Result<Vec<RemoteFetch>, Problem> {
        let reply = tokio::time::timeout(Duration::from_secs(60), self.0.message()).await;
        let reply = reply
            .expect("a message arrives in time")
            .map_err(|s| from_status(&s))?;
        let orders = reply.expect("the stream is open").loads.into_iter();
        Ok(orders.map(|order| order.try_into().unwrap()).collect())
    }

    /// Returns the next message, which must contain one load.
    async fn one(&mut self) -> RemoteFetch {
        let [order] = self.next().await.unwrap().try_into().unwrap();
        order
    }
}

/// Sends a peer's report about a load, through gRPC.
async fn report(
    running: &Running,
    token: &str,
    peer: &str,
    load: &str,
    state: &str,
    message: &str,
) -> Result<(), ErrorCode> {
    let Api::Grpc(mut client) = grpc(running.get()).await else {
        unreachable!()
    };
    let message = v1::ReportLoadRequest {
        peer: peer.to_owned(),
        load: load.to_owned(),
        state: state.to_owned(),
        bytes: 4,
        rate: 2,
        message: message.to_owned(),
    };
    let reply = client.report_load(with_token(Some(token), message)).await;
    reply.map(drop).map_err(|status| from_status(&status).code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_reaches_its_peer_and_reports_progress() {
    for scene in Scene::both().await {
        peer(&scene, &scene.ana, "ana-1", "", &[shared("plans", "")]).await;
        peer(&scene, &scene.bob, "bob-1", "", &[]).await;
        let mut orders = FetchWatchers::watch(&scene.running, &scene.bob, "bob-1").await;
        assert_eq!(orders.next().await.unwrap(), []);
        let load = ask(&scene, &scene.bob, "bob-1", "plans").await.unwrap();
        let order = orders.one().await;
        assert_eq!(order.load.to_string(), load);
        assert_eq!((order.name.as_str(), order.size), ("plans.txt", 10));
        assert_eq!((order.user.as_str(), order.space), ("bob", None));
        assert_eq!(order.hash.to_string(), hash("plans"));
        // Repeating the request, in either form, returns the same load.
        assert_eq!(
            ask(&scene, &scene.bob, "bob-1", "plans").await.unwrap(),
            load
        );
        let fields = json!({"hash": hash("plans"), "peer": "bob-1"});
        let by_put = scene.ask(&scene.bob, "put_load_file", fields).await;
        assert_eq!(by_put.unwrap()["load"], load);

        let now = stands(&scene, &scene.bob, &load).await;
        assert_eq!((now.state.name(), now.peer.as_str()), ("waiting", "bob-1"));
        let says = async |state, message| {
            report(&scene.running, &scene.bob, "bob-1", &load, state, message).await
        };
        says("running", "no reason").await.unwrap();
        let now = stands(&scene, &scene.bob, &load).await;
        assert_eq!((now.state.name(), now.bytes, now.rate), ("running", 4, 2));
        assert_eq!(now.message, None);
        // After reconnecting, the peer is notified again.
        let mut again = FetchWatchers::watch(&scene.running, &scene.bob, "bob-1").await;
        assert_eq!(again.one().await.load.to_string(), load);
        let reason = format!("\u{1b}[2J{}", "x".repeat(300));
        says("failed", &reason).await.unwrap();
        let now = stands(&scene, &scene.bob, &load).await;
        let message = now.message.unwrap();
        assert_eq!(now.state.name(), "failed");
        assert!(
            message.starts_with("\\u{1b}") && message.len() < 300,
            "{message}"
        );
        assert_eq!(says("running", "").await, Err(ErrorCode::NotFound));

        let listed = scene.bob("loads", json!({"limit": 1})).await;
        assert_eq!(listed["loads"][0]["load"], load);
        assert!(listed["next_cursor"].is_null());
        // No other account sees it, not even an administrator.
        assert_eq!(scene.ana("loads", json!({})).await["loads"], json!([]));
        scene
            .ana_gets("get_load", json!({"id": load}), "not_found")
            .await;
        scene
            .ana_gets("get_load", json!({"id": "1"}), "invalid_argument")
            .await;
        let log = scene.ana("audit", json!({})).await;
        let noted = log["entries"].as_array().unwrap().iter();
        let noted = noted.filter(|line| line["action"] == "load_add");
        assert_eq!(noted.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_require_a_member_and_a_peer_that_allows_them() {
    for scene in Scene::both().await {
        scene.ana("add_space", json!({"space": "lab"})).await;
        let carl = member(&scene, "carl", "member", &["lab"]).await;
        let dora = member(&scene, "dora", "guest", &["lab"]).await;
        peer(&scene, &scene.ana, "ana-1", "", &[shared("plans", "")]).await;
        peer(&scene, &scene.bob, "bob-closed", "", &[]).await;
        peer(&scene, &scene.bob, "bob-lab", "ana,@lab", &[]).await;
        peer(&scene, &scene.bob, "bob-open", "*", &[]).await;
        let denied = Err("permission_denied".to_owned());
        let (ana, bob) = (&scene.ana, &scene.bob);
        for (token, id, may) in [
            (bob, "bob-closed", true),
            (ana, "bob-closed", false),
            (&carl, "bob-closed", false),
            (bob, "bob-lab", true),
            (ana, "bob-lab", true),
            (&carl, "bob-lab", true),
            (&carl, "bob-open", true),
            // Guests cannot request loads, and have no peers of their own.
            (&dora, "bob-lab", false),
            (&dora, "bob-open", false),
            (&carl, "ana-1", false),
        ] {
            let asked = ask(&scene, token, id, "plans").await;
            if may {
                assert!(asked.is_ok(), "{id}: {asked:?}")
            } else {
                assert_eq!(asked, denied, "{id}")
            }
        }
        let nobody = ask(&scene, ana, "nobody", "plans").await;
        assert_eq!(nobody, Err("not_found".to_owned()));
        // The peer learns only of the spaces that its own list names.
        let mut orders = FetchWatchers::watch(&scene.running, bob, "bob-lab").await;
        let told = orders.next().await.unwrap();
        let told = told.iter().map(|o| (o.user.as_str(), o.user_spaces.len()));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [("bob", 0), ("ana", 0), ("carl", 1)]
        );
        let mut orders = FetchWatchers::watch(&scene.running, bob, "bob-open").await;
        assert_eq!(orders.one().await.user_spaces, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_invisible_to_either_account_is_not_fetched_or_revealed() {
    for scene in Scene::both().await {
        for space in ["lab", "club"] {
            scene.ana("add_space", json!({"space": space})).await;
        }
        let both = member(&scene, "both", "member", &["lab", "club"]).await;
        let lab = member(&scene, "lab", "member", &["lab"]).await;
        let club = member(&scene, "club", "member", &["club"]).await;
        let files = [
            shared("of the lab", "lab"),
            shared("of the club", "club"),
            // In both spaces, under a different name in each.
            shared("of two", "lab"),
            file("s/other name.txt", 10, "of two"),
        ];
        let mut files = files.to_vec();
        files[3]["space"] = "club".into();
        peer(&scene, &both, "source", "", &files).await;
        peer(&scene, &lab, "lab-1", "*", &[]).await;
        peer(&scene, &club, "club-1", "*", &[]).await;
        peer(&scene, &both, "both-1", "*", &[]).await;

        // Not visible to the caller: same error as for an unknown file, whatever the peer's account
        // sees.
        for contents in ["of the club", "of nobody"] {
            for id in ["club-1", "both-1", "lab-1", "nobody"] {
                let refused = ask(&scene, &lab, id, contents).await;
                assert_eq!(refused, Err("not_found".to_owned()), "{id} {contents}");
            }
        }
        // Not visible to the peer's account, or only in a space that the caller does not belong to.
        let denied = Err("permission_denied".to_owned());
        assert_eq!(ask(&scene, &both, "club-1", "of the lab").await, denied);
        assert_eq!(ask(&scene, &lab, "club-1", "of two").await, denied);
        // The copy is shared where both see the original, under the name that both see.
        for (token, id, contents, space, name) in [
            (&lab, "both-1", "of the lab", "lab", "of the lab.txt"),
            (&both, "club-1", "of two", "club", "other name.txt"),
            (&lab, "lab-1", "of two", "lab", "of two.txt"),
        ] {
            ask(&scene, token, id, contents).await.unwrap();
            let owner = match id {
                "both-1" => &both,
                "club-1" => &club,
                _ => &lab,
            };
            let order = FetchWatchers::watch(&scene.running, owner, id)
                .await
                .one()
                .await;
            let lies = order.space.map(|space| space.to_string());
            assert_eq!((lies.as_deref(), order.name.as_str()), (Some(space), name));
        }
        // Of several common spaces, the first by name.
        ask(&scene, &both, "both-1", "of two").await.unwrap();
        let mut orders = FetchWatchers::watch(&scene.running, &both, "both-1").await;
        let told = orders.next().await.unwrap();
        let order = told.iter().find(|o| o.user.as_str() == "both").unwrap();
        assert_eq!(order.space.as_ref().unwrap().as_str(), "club");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_watches_and_reports_for_a_peer() {
    for scene in Scene::both().await {
        peer(&scene, &scene.ana, "ana-1", "", &[shared("plans", "")]).await;
        peer(&scene, &scene.bob, "bob-1", "*", &[]).await;
        let load = ask(&scene, &scene.ana, "bob-1", "plans").await.unwrap();
        for id in ["bob-1", "nobody"] {
            let mut orders = FetchWatchers::watch(&scene.running, &scene.ana, id).await;
            assert_eq!(orders.next().await.unwrap_err().code, ErrorCode::NotFound);
        }
        for (token, id) in [
            (&scene.ana, "bob-1"),
            (&scene.ana, "ana-1"),
            (&scene.bob, "ana-1"),
            (&scene.bob, "nobody"),
        ] {
            let refused = report(&scene.running, token, id, &load, "done", "").await;
            assert_eq!(refused, Err(ErrorCode::NotFound), "{id}");
        }
        assert_eq!(
            stands(&scene, &scene.ana, &load).await.state.name(),
            "waiting"
        );
        let allowed = report(&scene.running, &scene.bob, "bob-1", &load, "done", "").await;
        assert_eq!(allowed, Ok(()));
        assert_eq!(stands(&scene, &scene.ana, &load).await.state.name(), "done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_are_checked_when_the_load_is_sent() {
    let [scene, _] = Scene::both().await;
    scene.ana("add_space", json!({"space": "lab"})).await;
    let lab = json!({"space": "lab", "user": "bob"});
    scene.ana("add_member", lab.clone()).await;
    let carl = member(&scene, "carl", "member", &["lab"]).await;
    peer(&scene, &carl, "carl-1", "bob", &[shared("plans", "lab")]).await;
    peer(&scene, &carl, "carl-2", "bob", &[]).await;
    let load = ask(&scene, &scene.bob, "carl-2", "plans").await.unwrap();
    // The caller has left the space: the load waits, and the peer is not notified.
    scene.ana("remove_member", lab.clone()).await;
    let mut orders = FetchWatchers::watch(&scene.running, &carl, "carl-2").await;
    assert_eq!(orders.next().await.unwrap(), []);
    scene.ana("add_member", lab).await;
    let mut orders = FetchWatchers::watch(&scene.running, &carl, "carl-2").await;
    assert_eq!(orders.one().await.load.to_string(), load);
    // The owner withdraws the permission.
    peer(&scene, &carl, "carl-2", "", &[]).await;
    let mut orders = FetchWatchers::watch(&scene.running, &carl, "carl-2").await;
    assert_eq!(orders.next().await.unwrap(), []);
    assert_eq!(
        stands(&scene, &scene.bob, &load).await.state.name(),
        "failed"
    );
    // A caller who becomes a guest loses the permission.
    peer(&scene, &carl, "carl-2", "bob", &[]).await;
    let load = ask(&scene, &scene.bob, "carl-2", "plans").await.unwrap();
    let guest = json!({"user": "bob", "role": "guest"});
    scene.ana("change_user", guest).await;
    let mut orders = FetchWatchers::watch(&scene.running, &carl, "carl-2").await;
    assert_eq!(orders.next().await.unwrap(), []);
    assert_eq!(
        stands(&scene, &scene.bob, &load).await.state.name(),
        "failed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_requested_at_one_replica_reaches_a_peer_at_another() {
    let Some(replicas) = replicas(2).await else {
        return;
    };
    let ana = Member::join(&replicas[0], "ana").await;
    let bob = Member::join(&replicas[1], "bob").await;
    ana.register("ana-1", false).await;
    let shared = json!({"peer": "ana-1", "generation": 1, "upsert": [shared("plans", "")]});
    ana.ask("publish", shared).await.unwrap();
    let open = json!({"id": "bob-1", "port": 5001, "loads": "ana"});
    bob.ask("register", open).await.unwrap();
    let mut orders = FetchWatchers::watch(&replicas[1], &bob.token, "bob-1").await;
    assert_eq!(orders.next().await.unwrap(), []);
    let fields = json!({"hash": hash("plans"), "peer": "bob-1"});
    let load = ana.ask("load_file", fields).await.unwrap();
    // Shorter than the other replica's own check interval of 20 s.
    let soon = tokio::time::timeout(Duration::from_secs(15), orders.one());
    assert_eq!(soon.await.unwrap().load.to_string(), load["load"]);
    // A report at one replica is visible at the other.
    let load = load["load"].as_str().unwrap();
    report(&replicas[1], &bob.token, "bob-1", load, "done", "")
        .await
        .unwrap();
    let stands = ana.ask("get_load", json!({"id": load})).await.unwrap();
    assert_eq!(stands["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_gets_events_of_its_loads() {
    let [scene, _] = Scene::both().await;
    peer(&scene, &scene.ana, "ana-1", "", &[shared("plans", "")]).await;
    peer(&scene, &scene.bob, "bob-1", "ana", &[]).await;
    let (_, mut page) = Stream::open(&scene.api, &scene.ana).await;
    let (_, mut other) = Stream::open(&scene.api, &scene.bob).await;
    let load = ask(&scene, &scene.ana, "bob-1", "plans").await.unwrap();
    let is = |state: &'static str, load: &str| {
        let load = load.to_owned();
        move |told: &Value| {
            let [first] = told["loads"].as_array().unwrap().as_slice() else {
                return false;
            };
            first["load"] == load.as_str() && first["state"] == state
        }
    };
    page.find("loads", is("waiting", &load)).await;
    for state in ["running", "done"] {
        report(&scene.running, &scene.bob, "bob-1", &load, state, "")
            .await
            .unwrap();
        page.find("loads", is(state, &load)).await;
    }
    // Another user's page shows only that user's load, which was requested last.
    let own = ask(&scene, &scene.bob, "bob-1", "plans").await.unwrap();
    let told = other.find("loads", |_| true).await;
    assert!(is("waiting", &own)(&told), "{told}");
}
