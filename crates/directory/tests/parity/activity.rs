//! Reported activity of peers: its visibility and its lifetime.

use std::time::{Duration, Instant};

use convite_core::ContentHash;
use serde_json::{Value, json};

use crate::admin_scenes::Scene;
use crate::apis::{Api, Call, Running, call, rest};
use crate::events::Stream;
use crate::scenarios::file;

fn transfer(contents: &str, direction: &str, rate: u64) -> Value {
    let hash = ContentHash::of(contents.as_bytes()).to_string();
    json!({"hash": hash, "direction": direction, "bytes": 40, "size": 100, "rate": rate})
}

fn beat(peer: &str, sent: u64, received: u64, transfers: &[Value]) -> Value {
    json!({"id": peer, "sent_rate": sent, "received_rate": received, "transfers": transfers})
}

/// Returns the rates of the online peers, by id.
fn rates(page: &Value) -> Vec<(u64, u64)> {
    let peers = page["peers"].as_array().unwrap().iter();
    let number = |peer: &Value, name: &str| peer[name].as_u64().unwrap();
    peers
        .map(|peer| (number(peer, "sent_rate"), number(peer, "received_rate")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_peer_list_has_rates_in_both_apis() {
    for scene in Scene::both().await {
        let register =
            |id: &str, transient: bool| json!({"id": id, "port": 5001, "transient": transient});
        scene.ana("register", register("ana-1", false)).await;
        scene.bob("register", register("bob-1", false)).await;
        let download = "bob-1-get-0123abcd";
        scene.bob("register", register(download, true)).await;
        let peers = || scene.ana("peers", json!({}));
        assert_eq!(rates(&peers().await), [(0, 0), (0, 0)]);
        let sending = [transfer("a", "sending", 7)];
        scene
            .ana("heartbeat", beat("ana-1", 7_000, 10, &sending))
            .await;
        scene.bob("heartbeat", beat("bob-1", 1, 2, &[])).await;
        scene.bob("heartbeat", beat(download, 10, 20, &[])).await;
        assert_eq!(rates(&peers().await), [(7_000, 10), (11, 22)]);
        // A caller cannot report for another account's peer.
        scene
            .bob_gets("heartbeat", beat("ana-1", 9, 9, &[]), "not_found")
            .await;
        for wrong in [
            beat("ana-1", 0, 0, &vec![transfer("a", "sending", 1); 33]),
            beat("ana-1", 0, 0, &[transfer("a", "sideways", 1)]),
            beat(
                "ana-1",
                0,
                0,
                &[json!({"hash": "00", "direction": "sending", "bytes": 0, "size": 0, "rate": 0})],
            ),
        ] {
            scene.ana_gets("heartbeat", wrong, "invalid_argument").await;
        }
        assert_eq!(rates(&peers().await), [(7_000, 10), (11, 22)]);
        // Implausible rates are clamped, so that sums do not overflow.
        scene
            .bob("heartbeat", beat("bob-1", u64::MAX, 0, &[]))
            .await;
        scene
            .bob("heartbeat", beat(download, u64::MAX, 0, &[]))
            .await;
        assert_eq!(rates(&peers().await)[1], (2 << 40, 0));
        // A peer that leaves, or reports nothing, has no activity.
        scene.bob("leave", json!({"id": download})).await;
        scene.bob("heartbeat", json!({"id": "bob-1"})).await;
        assert_eq!(rates(&peers().await), [(7_000, 10), (0, 0)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_not_shown_under_another_accounts_peer() {
    let [scene, _] = Scene::both().await;
    let register =
        |id: &str, transient: bool| json!({"id": id, "port": 5001, "transient": transient});
    scene.ana("register", register("ana-1", false)).await;
    scene.bob("register", register("bob-1", false)).await;
    let index = json!({"peer": "ana-1", "generation": 1, "upsert": [file("s/a", 100, "a")]});
    scene.ana("publish", index).await;
    let (forged, own) = ("ana-1-get-00000001", "bob-1-get-00000002");
    for (id, rate) in [(forged, 1), (own, 2)] {
        scene.bob("register", register(id, true)).await;
        let moving = [transfer("a", "receiving", rate)];
        scene.bob("heartbeat", beat(id, 0, rate, &moving)).await;
    }
    let (_, mut page) = Stream::open(&scene.api, &scene.ana).await;
    let told = page.find("transfers", |told| {
        told["transfers"].as_array().is_some_and(|t| t.len() == 2)
    });
    let told = told.await;
    let transfers = told["transfers"].as_array().unwrap().iter();
    let shown: Vec<_> = transfers.map(|of| of["peer"].as_str().unwrap()).collect();
    assert_eq!(shown, [forged, "bob-1"]);
}

async fn ask(api: &Api, token: &str, asked: Call) -> Value {
    let answer = api.call(Some(token), &asked).await;
    answer.unwrap_or_else(|code| panic!("{}: {code}", asked.operation))
}

async fn join(running: &Running, api: &Api, user: &str) -> String {
    let invite = &running.get().invite;
    let account = json!({"invite": invite, "user": user, "password": "pass word 1"});
    ask(api, "", call("create_account", account)).await;
    let login = json!({"user": user, "password": "pass word 1"});
    let session = ask(api, "", call("login", login)).await;
    session["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_get_events_only_of_transfers_of_visible_files() {
    let running = Running::start(|config| config.lease = Duration::from_secs(3)).await;
    let api = rest(running.get());
    let ana = join(&running, &api, "ana").await;
    let eve = join(&running, &api, "eve").await;
    let lab = json!({"space": "lab", "user": "ana"});
    ask(&api, &ana, call("add_space", json!({"space": "lab"}))).await;
    ask(&api, &ana, call("add_member", lab.clone())).await;
    for (token, id) in [(&ana, "ana-1"), (&eve, "eve-1")] {
        let register = json!({"id": id, "port": 5001});
        ask(&api, token, call("register", register)).await;
    }
    let mut secret = file("s/formula.txt", 100, "secret");
    secret["space"] = "lab".into();
    let files = json!([file("s/song.mp3", 100, "open"), secret]);
    let publish = json!({"peer": "ana-1", "generation": 1, "upsert": files, "remove": []});
    ask(&api, &ana, call("publish", publish)).await;

    let (_, mut anas) = Stream::open(&api, &ana).await;
    let (_, mut eves) = Stream::open(&api, &eve).await;
    // Eve claims to transfer the same files, to learn their names.
    let moving = [
        transfer("secret", "sending", 2_000),
        transfer("open", "sending", 1_000),
        transfer("nobody has this", "sending", 3_000),
    ];
    let guess = [transfer("secret", "receiving", 9)];
    ask(&api, &eve, call("heartbeat", beat("eve-1", 0, 9, &guess))).await;
    ask(
        &api,
        &ana,
        call("heartbeat", beat("ana-1", 6_000, 0, &moving)),
    )
    .await;
    let names = |told: &Value| -> Vec<String> {
        let transfers = told["transfers"].as_array().unwrap().iter();
        transfers
            .map(|of| format!("{} {}", of["peer"], of["name"]))
            .collect()
    };
    let by_ana = |told: &Value| told.to_string().contains("ana-1");
    let told = eves.find("transfers", by_ana).await;
    let open = ContentHash::of(b"open").to_string();
    let expected = json!([{
        "hash": open, "name": "song.mp3", "peer": "ana-1", "direction": "sending",
        "bytes": 40, "size": 100, "rate": 1_000,
    }]);
    assert_eq!(told["transfers"], expected);
    let told = anas.find("transfers", by_ana).await;
    let mut all = names(&told);
    all.sort();
    assert_eq!(
        all,
        [
            "\"ana-1\" \"formula.txt\"",
            "\"ana-1\" \"song.mp3\"",
            "\"eve-1\" \"formula.txt\""
        ]
    );

    // A caller who can no longer see the file gets no more events about it.
    let again = [
        transfer("secret", "sending", 1),
        transfer("open", "sending", 5),
    ];
    let went = json!({"space": "lab", "user": "ana"});
    ask(&api, &ana, call("remove_member", went)).await;
    ask(&api, &ana, call("heartbeat", beat("ana-1", 6, 0, &again))).await;
    let told = anas
        .find("transfers", |told| told.to_string().contains("\"rate\":5"))
        .await;
    assert_eq!(names(&told), ["\"ana-1\" \"song.mp3\""]);

    // A silent peer has no transfers after its lease has expired.
    let none = |told: &Value| told["transfers"] == json!([]);
    eves.find("transfers", none).await;
    let began = Instant::now();
    while !rates(&ask(&api, &ana, call("peers", json!({}))).await).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}
