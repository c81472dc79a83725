//! What peers say that they are doing: who is shown it, who is not, and for how long.

use std::time::{Duration, Instant};

use convite_core::ContentHash;
use serde_json::{Value, json};

use crate::administering::Scene;
use crate::doors::{Call, Door, Running, call, rest};
use crate::events::Stream;
use crate::scenarios::file;

fn transfer(contents: &str, direction: &str, rate: u64) -> Value {
    let hash = ContentHash::of(contents.as_bytes()).to_string();
    json!({"hash": hash, "direction": direction, "bytes": 40, "size": 100, "rate": rate})
}

fn beat(peer: &str, sent: u64, received: u64, transfers: &[Value]) -> Value {
    json!({"id": peer, "sent_rate": sent, "received_rate": received, "transfers": transfers})
}

/// The rates of the peers online, by id.
fn rates(page: &Value) -> Vec<(u64, u64)> {
    let peers = page["peers"].as_array().unwrap().iter();
    let number = |peer: &Value, name: &str| peer[name].as_u64().unwrap();
    peers
        .map(|peer| (number(peer, "sent_rate"), number(peer, "received_rate")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn how_fast_peers_are_is_in_the_list_through_both_doors() {
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
        // Nobody speaks for another's peer.
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
        // What is beyond belief is cut, so that sums stay numbers.
        scene
            .bob("heartbeat", beat("bob-1", u64::MAX, 0, &[]))
            .await;
        scene
            .bob("heartbeat", beat(download, u64::MAX, 0, &[]))
            .await;
        assert_eq!(rates(&peers().await)[1], (2 << 40, 0));
        // Who leaves does nothing; so does who says nothing.
        scene.bob("leave", json!({"id": download})).await;
        scene.bob("heartbeat", json!({"id": "bob-1"})).await;
        assert_eq!(rates(&peers().await), [(7_000, 10), (0, 0)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_shown_under_the_name_of_no_peer_of_another() {
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
    let (_, mut page) = Stream::open(&scene.door, &scene.ana).await;
    let told = page.find("transfers", |told| {
        told["transfers"].as_array().is_some_and(|t| t.len() == 2)
    });
    let told = told.await;
    let transfers = told["transfers"].as_array().unwrap().iter();
    let shown: Vec<_> = transfers.map(|of| of["peer"].as_str().unwrap()).collect();
    assert_eq!(shown, [forged, "bob-1"]);
}

async fn ask(door: &Door, token: &str, asked: Call) -> Value {
    let answer = door.knock(Some(token), &asked).await;
    answer.unwrap_or_else(|code| panic!("{}: {code}", asked.operation))
}

async fn join(running: &Running, door: &Door, user: &str) -> String {
    let invite = &running.get().invite;
    let account = json!({"invite": invite, "user": user, "password": "pass word 1"});
    ask(door, "", call("create_account", account)).await;
    let login = json!({"user": user, "password": "pass word 1"});
    let session = ask(door, "", call("login", login)).await;
    session["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hear_of_transfers_of_files_that_they_may_see_and_of_no_others() {
    let running = Running::start(|config| config.lease = Duration::from_secs(3)).await;
    let door = rest(running.get());
    let ana = join(&running, &door, "ana").await;
    let eve = join(&running, &door, "eve").await;
    let lab = json!({"space": "lab", "user": "ana"});
    ask(&door, &ana, call("add_space", json!({"space": "lab"}))).await;
    ask(&door, &ana, call("add_member", lab.clone())).await;
    for (token, id) in [(&ana, "ana-1"), (&eve, "eve-1")] {
        let register = json!({"id": id, "port": 5001});
        ask(&door, token, call("register", register)).await;
    }
    let mut secret = file("s/formula.txt", 100, "secret");
    secret["space"] = "lab".into();
    let files = json!([file("s/song.mp3", 100, "open"), secret]);
    let publish = json!({"peer": "ana-1", "generation": 1, "upsert": files, "remove": []});
    ask(&door, &ana, call("publish", publish)).await;

    let (_, mut anas) = Stream::open(&door, &ana).await;
    let (_, mut eves) = Stream::open(&door, &eve).await;
    // Eve says that she moves them too, to hear what they are called.
    let moving = [
        transfer("secret", "sending", 2_000),
        transfer("open", "sending", 1_000),
        transfer("nobody has this", "sending", 3_000),
    ];
    let guess = [transfer("secret", "receiving", 9)];
    ask(&door, &eve, call("heartbeat", beat("eve-1", 0, 9, &guess))).await;
    ask(
        &door,
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

    // Who may see the file no more hears of it no more.
    let again = [
        transfer("secret", "sending", 1),
        transfer("open", "sending", 5),
    ];
    let went = json!({"space": "lab", "user": "ana"});
    ask(&door, &ana, call("remove_member", went)).await;
    ask(&door, &ana, call("heartbeat", beat("ana-1", 6, 0, &again))).await;
    let told = anas
        .find("transfers", |told| told.to_string().contains("\"rate\":5"))
        .await;
    assert_eq!(names(&told), ["\"ana-1\" \"song.mp3\""]);

    // A peer that falls silent moves nothing any more, once its lease is over.
    let none = |told: &Value| told["transfers"] == json!([]);
    eves.find("transfers", none).await;
    let began = Instant::now();
    while !rates(&ask(&door, &ana, call("peers", json!({}))).await).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(15));
    }
}
