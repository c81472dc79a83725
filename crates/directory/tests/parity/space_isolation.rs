//! To an account outside a space, its files do not exist: all requests return the same responses,
//! byte for byte.

use std::time::Duration;

use convite_core::ContentHash;
use convite_core::model::Role;
use convite_wire::v1;
use http::response::Parts;
use serde_json::{Value, json};

use crate::apis::{Api, Running, call, grpc, http, rest, with_token};
use crate::events::Stream;
use crate::folders::folder;
use crate::scenarios::file;
use crate::swarm::{Member, ids};

/// A directory with a file in the space `lab`, shared by `bob-1`, and a session per user.
struct World {
    running: Running,
    hidden: Value,
    /// The folder that contains it.
    folder: String,
    /// A member of the space.
    bob: String,
    /// Users outside it: an administrator, a member of another space, a guest.
    outside: Vec<(&'static str, String)>,
}

impl World {
    async fn new() -> Self {
        let running = Running::start(|_| {}).await;
        let service = &running.get().service;
        let user = "ana".parse().unwrap();
        let ana = service.local_session(&user, None).await.unwrap().token;
        let api = rest(running.get());
        let ok = async |token: &str, operation, fields| {
            let answer = api.call(Some(token), &call(operation, fields)).await;
            answer.unwrap_or_else(|code| panic!("{operation}: {code}"))
        };
        for space in ["lab", "desk"] {
            ok(&ana, "add_space", json!({"space": space})).await;
        }
        let mut sessions = Vec::new();
        for (user, role, spaces) in [
            ("bob", Role::Member, json!(["lab"])),
            ("carl", Role::Member, json!(["desk"])),
            ("gil", Role::Guest, json!([])),
        ] {
            let fields =
                json!({"user": user, "password": "pass word 1", "role": role, "spaces": spaces});
            ok(&ana, "add_user", fields).await;
            let login = json!({"user": user, "password": "pass word 1"});
            let session = ok("", "login", login).await;
            sessions.push(session["token"].as_str().unwrap().to_owned());
        }
        let [bob, carl, gil] = <[String; 3]>::try_from(sessions).unwrap();
        ok(&bob, "register", json!({"id": "bob-1", "port": 5001})).await;
        let mut hidden = file("vault/quarterly numbers.txt", 7, "numbers");
        hidden["space"] = "lab".into();
        let mut vault = folder("vault", 7, 1, "the vault");
        vault["space"] = "lab".into();
        let folder = vault["hash"].as_str().unwrap().to_owned();
        let index = json!({"peer": "bob-1", "generation": 1, "upsert": [hidden, vault]});
        ok(&bob, "publish", index).await;
        // Another peer that shares nothing, for comparison.
        ok(&bob, "register", json!({"id": "bob-2", "port": 5002})).await;
        ok(&carl, "register", json!({"id": "carl-1", "port": 5003})).await;
        ok(&ana, "register", json!({"id": "ana-1", "port": 5004})).await;
        let outside = vec![("ana", ana), ("carl", carl), ("gil", gil)];
        Self {
            running,
            hidden,
            folder,
            bob,
            outside,
        }
    }

    fn hash(&self) -> String {
        self.hidden["hash"].as_str().unwrap().to_owned()
    }
}

/// Returns a response without its varying parts.
fn told((parts, body): (Parts, Vec<u8>)) -> (u16, Vec<(String, String)>, Value) {
    let fields = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let mut fields: Vec<_> = fields
        .filter(|(name, _)| name != "x-request-id" && name != "date")
        .collect();
    fields.sort();
    let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(document) = body.as_object_mut() {
        document.remove("request_id");
    }
    (parts.status.as_u16(), fields, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_other_spaces_look_nonexistent_over_rest() {
    let world = World::new().await;
    let api = rest(world.running.get());
    let hidden = world.hash();
    let unknown = ContentHash::of(b"nobody has this").to_string();
    let mut leaks = Vec::new();
    // By hash: method, path with the hash, body; and the response for a member of the space.
    let by_hash = [
        ("GET", "/files/{hash}", "", 200),
        ("GET", "/files/{hash}/content", "", 503),
        ("HEAD", "/files/{hash}/content", "", 200),
        ("GET", "/files/{hash}/content?inline=true", "", 503),
        ("POST", "/files/{hash}/link", "{}", 201),
    ];
    for (method, path, body, for_bob) in by_hash {
        let ask = async |token: &str, hash: &str| {
            let path = path.replace("{hash}", hash);
            let body = body.as_bytes().to_vec();
            told(http(&api, method, &path, Some(token), body).await)
        };
        assert_eq!(ask(&world.bob, &hidden).await.0, for_bob, "{method} {path}");
        for (user, token) in &world.outside {
            let answer = ask(token, &hidden).await;
            if answer != ask(token, &unknown).await || ![403, 404].contains(&answer.0) {
                leaks.push(format!("{user}: {method} {path}"));
            }
        }
    }
    for path in [
        "/files/{hash}",
        "/files/{hash}?kind=folder",
        "/folders/{hash}",
        "/folders/{hash}?space=",
    ] {
        let ask = async |token: &str, hash: &str| {
            let path = path.replace("{hash}", hash);
            told(http(&api, "GET", &path, Some(token), Vec::new()).await)
        };
        let for_bob = if path.ends_with("space=") { 404 } else { 200 };
        assert_eq!(ask(&world.bob, &world.folder).await.0, for_bob, "{path}");
        for (user, token) in &world.outside {
            if ask(token, &world.folder).await != ask(token, &unknown).await {
                leaks.push(format!("{user}: {path}"));
            }
        }
    }
    // Among others: the answer for each hash is that for an unknown one.
    let many = async |token: &str, hash: &str| {
        let asked = call("locate_many", json!({"hashes": [unknown, hash]}));
        let answer = api.call(Some(token), &asked).await.unwrap();
        answer["results"][1]["located"].clone()
    };
    for hash in [&hidden, &world.folder] {
        assert_eq!(many(&world.bob, hash).await["hash"], **hash);
        for (user, token) in &world.outside {
            if many(token, hash).await != Value::Null {
                leaks.push(format!("{user}: POST /locate"));
            }
        }
    }
    // By name and by sharer: words, types, sizes, peers, with a query that matches nothing.
    for (shown, nothing) in [
        ("/search?q=quarterly", "/search?q=nonesuch"),
        ("/search?q=%22quarterly%20numbers%22", "/search?q=nonesuch"),
        ("/search?q=quartely", "/search?q=nonesuch"),
        ("/search?q=&type=txt", "/search?q=&type=xyz"),
        ("/search?q=vault&type=file", "/search?q=nonesuch&type=file"),
        ("/search?q=&peer=bob-1", "/search?q=&peer=bob-2"),
        (
            "/search?q=&min_size=7&max_size=7",
            "/search?q=&min_size=8&max_size=8",
        ),
        ("/index?peer=bob-1", "/index?peer=bob-2"),
    ] {
        let ask = async |token: &str, path: &str| {
            told(http(&api, "GET", path, Some(token), Vec::new()).await)
        };
        let seen = ask(&world.bob, shown).await;
        assert!(seen.2.to_string().contains(&hidden), "{shown}: {seen:?}");
        for (user, token) in &world.outside {
            let answer = ask(token, shown).await;
            if answer != ask(token, nothing).await {
                leaks.push(format!("{user}: {shown}"));
            }
        }
    }
    // Counts: a user with files in the space does not change the counts for others.
    let files = async |token: &str| {
        let page = api.call(Some(token), &call("peers", json!({}))).await;
        let page = page.unwrap();
        let peers = page["peers"].as_array().unwrap().clone();
        let bobs = peers.into_iter().find(|peer| peer["id"] == "bob-1");
        bobs.unwrap()["files"].as_u64().unwrap()
    };
    assert_eq!(files(&world.bob).await, 1);
    for (user, token) in &world.outside {
        let whole = api.call(Some(token), &call("index", json!({}))).await;
        if files(token).await != 0 {
            leaks.push(format!("{user}: the number of files"));
        }
        if whole.unwrap() != json!({"files": []}) {
            leaks.push(format!("{user}: the whole index"));
        }
    }
    assert_eq!(leaks, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_other_spaces_look_nonexistent_over_grpc() {
    let world = World::new().await;
    let Api::Grpc(client) = grpc(world.running.get()).await else {
        panic!("wrong API")
    };
    let hash = |text: &str| -> bytes::Bytes {
        text.parse::<ContentHash>()
            .unwrap()
            .as_bytes()
            .to_vec()
            .into()
    };
    let hidden = hash(&world.hash());
    let unknown = hash(&ContentHash::of(b"nobody has this").to_string());
    let vault = hash(&world.folder);
    // The complete text of a response or an error; of a stream, that of its first message.
    macro_rules! ask {
        ($token:expr, $method:ident, $message:expr) => {{
            let mut client = client.clone();
            match client.$method(with_token(Some($token), $message)).await {
                Ok(reply) => Ok(format!("{:?}", reply.into_inner())),
                Err(status) => Err((status.code(), status.message().to_owned())),
            }
        }};
    }
    let all = async |token: &str, peer: &str, hash: &bytes::Bytes, query: &str| {
        let announce = v1::AnnounceRequest {
            peer: peer.to_owned(),
            hash: hash.clone(),
            size: 7,
            withdrawn: false,
        };
        let watching = v1::WatchRequest {
            hash: hash.clone(),
            ..Default::default()
        };
        let mut client = client.clone();
        let watched = match client.watch(with_token(Some(token), watching)).await {
            Err(status) => Err((status.code(), status.message().to_owned())),
            Ok(reply) => match reply.into_inner().message().await {
                Ok(first) => Ok(format!("{first:?}")),
                Err(status) => Err((status.code(), status.message().to_owned())),
            },
        };
        let search = v1::SearchFileRequest {
            query: vec![query.to_owned()],
            ..Default::default()
        };
        let locate = v1::LocateRequest {
            hash: hash.clone(),
            ..Default::default()
        };
        let link = v1::CreateLinkRequest {
            hash: hash.clone(),
            ..Default::default()
        };
        let folder = if *hash == hidden { &vault } else { hash };
        let folder = v1::ListFolderRequest {
            hash: folder.clone(),
            ..Default::default()
        };
        [
            ("locate", ask!(token, locate, locate)),
            ("link", ask!(token, create_link, link)),
            ("folder", ask!(token, list_folder, folder)),
            ("search", ask!(token, search_file, search)),
            ("announce", ask!(token, announce, announce)),
            ("watch", watched),
        ]
    };
    let bobs = all(&world.bob, "bob-2", &hidden, "quarterly").await;
    for (operation, answer) in bobs {
        let answer = answer.unwrap_or_else(|status| panic!("{operation}: {status:?}"));
        assert!(!answer.contains("results: []"), "{operation}: {answer}");
    }
    let mut leaks = Vec::new();
    for (user, token) in &world.outside {
        let peer = format!("{user}-1");
        let answers = all(token, &peer, &hidden, "quarterly").await;
        let wanted = all(token, &peer, &unknown, "nonesuch").await;
        for ((operation, answer), (_, wanted)) in answers.into_iter().zip(wanted) {
            if answer != wanted {
                leaks.push(format!("{user}: {operation}"));
            }
        }
    }
    assert_eq!(leaks, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_claim_does_not_reveal_downloaders_in_a_space() {
    let world = World::new().await;
    let api = rest(world.running.get());
    let ok = async |token: &str, operation, fields| {
        let answer = api.call(Some(token), &call(operation, fields)).await;
        answer.unwrap_or_else(|code| panic!("{operation}: {code}"))
    };
    let hash = world.hash();
    let (_, carl) = &world.outside[1];
    // Carl knows the hash from elsewhere, and claims to share the file.
    let mut claim = file("x", 1, "numbers");
    claim["hash"] = hash.clone().into();
    let index = json!({"peer": "carl-1", "generation": 1, "upsert": [claim]});
    ok(carl, "publish", index.clone()).await;
    let watching = Member {
        api: grpc(world.running.get()).await,
        token: carl.clone(),
    };
    let mut watch = watching.watch("numbers").await.unwrap();
    assert_eq!(ids(&watch.first), [("carl-1", false)]);
    let (_, mut page) = Stream::open(&api, carl).await;

    let member = json!({"id": "bob-1-get-0", "port": 5009, "transient": true});
    ok(&world.bob, "register", member).await;
    let announcement = json!({"peer": "bob-1-get-0", "hash": hash, "size": 7});
    let announced = watching
        .api
        .call(Some(&world.bob), &call("announce", announcement))
        .await;
    announced.unwrap();
    let moving = |id: &str, rate: u64| {
        json!({"id": id, "sent_rate": rate, "received_rate": rate, "transfers": [
            {"hash": hash, "direction": "receiving", "bytes": 1, "size": 7, "rate": rate},
        ]})
    };
    for id in ["bob-1", "bob-1-get-0"] {
        ok(&world.bob, "heartbeat", moving(id, 100)).await;
    }
    // The next message is about Carl's own next action.
    ok(carl, "register", json!({"id": "carl-2", "port": 5010})).await;
    let mut index = index;
    index["peer"] = "carl-2".into();
    ok(carl, "publish", index).await;
    ok(carl, "heartbeat", moving("carl-2", 5)).await;
    let news = watch.next(Duration::from_secs(60)).await;
    assert_eq!(ids(&news), [("carl-2", false)]);
    let told = page.find("transfers", |told| {
        told["transfers"].as_array().is_some_and(|t| !t.is_empty())
    });
    let told = told.await;
    let movers: Vec<_> = told["transfers"].as_array().unwrap().iter().collect();
    assert!(movers.iter().all(|of| of["peer"] == "carl-2"), "{told}");
    for api in [&api, &watching.api] {
        let asked = call("locate", json!({ "hash": hash }));
        let located = api.call(Some(carl), &asked).await.unwrap();
        assert!(!located.to_string().contains("bob-1"), "{located}");
        // A member of the space is notified.
        let located = api.call(Some(&world.bob), &asked).await.unwrap();
        assert!(located.to_string().contains("bob-1-get-0"), "{located}");
        // For everyone, the claimed file is visible; in the space, the real one.
        for (space, expected) in [
            ("", vec!["carl-1", "carl-2"]),
            ("lab", vec!["bob-1", "bob-1-get-0"]),
        ] {
            let asked = call("locate", json!({"hash": hash, "space": space}));
            let located = api.call(Some(&world.bob), &asked).await.unwrap();
            let providers = located["providers"].as_array().unwrap().iter();
            let peers: Vec<_> = providers.map(|p| p["peer"].as_str().unwrap()).collect();
            assert_eq!(peers, expected);
        }
        let others = call("locate", json!({"hash": hash, "space": "lab"}));
        let refused = api.call(Some(carl), &others).await.unwrap_err();
        assert_eq!(refused, "permission_denied");
    }
}
