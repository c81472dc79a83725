//! One script through both APIs, each on a new directory: every step has the result or error code
//! written here, and both transcripts are equal.

use convite_core::ContentHash;
use convite_directory::RunningDirectory;
use serde_json::{Value, json};

use crate::apis::{Api, Call, Running, call, grpc, rest};
use crate::find_files;

/// Runs a script and records the results.
pub struct Play<'a> {
    pub api: &'a Api,
    transcript: Vec<(&'static str, Value)>,
}

impl<'a> Play<'a> {
    pub fn new(api: &'a Api) -> Self {
        Self {
            api,
            transcript: Vec::new(),
        }
    }

    /// Returns the recorded results.
    pub fn transcript(self) -> Vec<(&'static str, Value)> {
        self.transcript
    }

    pub async fn ok(&mut self, step: &'static str, token: &str, asked: Call) -> Value {
        let answer = self.api.call(Some(token), &asked).await;
        let answer = answer.unwrap_or_else(|code| panic!("{step}: {code}"));
        self.transcript.push((step, comparable(answer.clone())));
        answer
    }

    pub async fn refused(
        &mut self,
        step: &'static str,
        token: Option<&str>,
        asked: Call,
        code: &str,
    ) {
        let answer = self.api.call(token, &asked).await;
        assert_eq!(
            answer.as_ref().err().map(String::as_str),
            Some(code),
            "{step}: {answer:?}"
        );
        self.transcript.push((step, json!({ "refused": code })));
    }
}

/// Returns a response without its varying parts.
fn comparable(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for secret in [
                "token",
                "expires_at",
                "since",
                "ticket",
                "ticket_key",
                "invite",
                "web",
            ] {
                fields.remove(secret);
            }
            // Ports differ between the directories: compare only that there is exactly one.
            if let Some(directories) = fields.get_mut("directories") {
                *directories = directories.as_array().unwrap().len().into();
            }
            for field in fields.values_mut() {
                *field = comparable(field.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = comparable(item.take());
            }
        }
        _ => {}
    }
    value
}

pub fn file(path: &str, size: u64, contents: &str) -> Value {
    let hash = ContentHash::of(contents.as_bytes()).to_string();
    json!({"path": path, "size": size, "hash": hash, "modified": 7})
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

async fn play(api: &Api, directory: &RunningDirectory) -> Vec<(&'static str, Value)> {
    let mut play = Play::new(api);
    let (ana, bob) = accounts(&mut play, directory).await;
    let login = |user: &str| call("login", json!({"user": user, "password": "pass word 1"}));
    let bob_again = play.ok("login", "", login("bob")).await;
    assert_ne!(text(&bob_again, "token"), bob);
    peers(&mut play, &ana, &bob).await;
    publishing(&mut play, &ana).await;
    listing(&mut play, &ana, &bob).await;
    find_files::searching(&mut play, &bob).await;
    find_files::naming(&mut play, &bob).await;
    find_files::locating(&mut play, &bob).await;
    leaving(&mut play, &ana, &bob).await;
    play.transcript
}

async fn accounts(play: &mut Play<'_>, directory: &RunningDirectory) -> (String, String) {
    let account = |invite: &str, user: &str, password: &str| {
        call(
            "create_account",
            json!({"invite": invite, "user": user, "password": password}),
        )
    };
    let login =
        |user: &str, password: &str| call("login", json!({"user": user, "password": password}));
    let standing = directory.invite.clone();
    let made = play
        .ok("found", "", account(&standing, "Ana", "pass word 1"))
        .await;
    assert_eq!(
        (text(&made, "user"), text(&made, "role")),
        ("ana".into(), "admin".into())
    );
    let made = play
        .ok("join", "", account(&standing, "bob", "pass word 1"))
        .await;
    assert_eq!(text(&made, "role"), "member");
    for (step, user, password, code) in [
        ("taken name", "ana", "pass word 2", "user_taken"),
        ("short password", "carl", "seven77", "invalid_argument"),
        ("bad user name", "a b", "pass word 1", "invalid_argument"),
        ("empty user name", "", "pass word 1", "invalid_argument"),
    ] {
        play.refused(step, None, account(&standing, user, password), code)
            .await;
    }
    for (step, user, password, code) in [
        ("wrong password", "ana", "pass word 2", "wrong_credentials"),
        ("unknown user", "nobody", "pass word 1", "wrong_credentials"),
        ("bad login name", "../x", "pass word 1", "invalid_argument"),
    ] {
        play.refused(step, None, login(user, password), code).await;
    }
    let ana = text(
        &play.ok("login ana", "", login("ana", "pass word 1")).await,
        "token",
    );
    let bob = text(
        &play.ok("login bob", "", login("bob", "pass word 1")).await,
        "token",
    );
    let peers = call("peers", json!({}));
    play.refused("no token", None, peers.clone(), "unauthenticated")
        .await;
    play.refused("garbage token", Some("x.y"), peers, "unauthenticated")
        .await;

    let invite = |uses: u32| call("create_invite", json!({"uses": uses}));
    play.refused("member invites", Some(&bob), invite(1), "permission_denied")
        .await;
    play.refused(
        "too many uses",
        Some(&ana),
        invite(100_001),
        "invalid_argument",
    )
    .await;
    let too_long = call("create_invite", json!({"expires_in": 400 * 24 * 3600}));
    play.refused("too long", Some(&ana), too_long, "invalid_argument")
        .await;
    let short = call("create_invite", json!({"expires_in": 1}));
    play.refused("too short", Some(&ana), short, "invalid_argument")
        .await;
    let link = text(&play.ok("invite", &ana, invite(1)).await, "invite");
    let code = link.split(['/', '?']).nth(3).unwrap().to_owned();
    play.ok("the code alone", "", account(&code, "dora", "pass word 1"))
        .await;
    play.refused(
        "used up",
        None,
        account(&link, "emil", "pass word 1"),
        "invite_invalid",
    )
    .await;
    play.refused(
        "no such invite",
        None,
        account("xyz", "emil", "pass word 1"),
        "invite_invalid",
    )
    .await;
    let admin = call("create_invite", json!({"role": "admin"}));
    let link = text(&play.ok("admin invite", &ana, admin).await, "invite");
    let made = play
        .ok("second admin", "", account(&link, "fay", "pass word 1"))
        .await;
    assert_eq!(text(&made, "role"), "admin");
    (ana, bob)
}

async fn peers(play: &mut Play<'_>, ana: &str, bob: &str) {
    let register = |id: &str, port: u16| call("register", json!({"id": id, "port": port}));
    let made = play.ok("register", ana, register("ana-1", 5001)).await;
    assert_eq!(made["addresses"], json!(["127.0.0.1:5001"]));
    assert_eq!(made["generation"], 0);
    play.ok("register another", ana, register("ana-2", 5002))
        .await;
    play.refused(
        "peer of another",
        Some(bob),
        register("ana-1", 5003),
        "peer_taken",
    )
    .await;
    play.refused(
        "port 0",
        Some(bob),
        register("bob-1", 0),
        "invalid_argument",
    )
    .await;
    play.refused(
        "bad peer id",
        Some(bob),
        register("-x", 1),
        "invalid_argument",
    )
    .await;
    let peer = json!({"id": "bob-1", "port": 5003});
    let fields = json!({"user": "bob", "password": "pass word 1", "peer": peer});
    play.ok("login with peer", "", call("login", fields)).await;
    let peer = json!({"id": "ana-1", "port": 5003});
    let fields = json!({"user": "bob", "password": "pass word 1", "peer": peer});
    play.refused(
        "login with another's",
        None,
        call("login", fields),
        "peer_taken",
    )
    .await;
    // A transient peer: not listed, and removed when it leaves.
    let transient = |id: &str| {
        call(
            "register",
            json!({"id": id, "port": 5004, "transient": true}),
        )
    };
    play.ok("transient", bob, transient("bob-get")).await;
    play.refused(
        "transient instead of one that stays",
        Some(bob),
        transient("bob-1"),
        "peer_taken",
    )
    .await;
    let page = play.ok("no transient", ana, call("peers", json!({}))).await;
    assert_eq!(page["peers"].as_array().unwrap().len(), 3);
    let shares = publish("bob-get", 1, None, json!([]), json!([]));
    play.refused("transient shares", Some(bob), shares, "invalid_argument")
        .await;
    let leave = call("leave", json!({"id": "bob-get"}));
    play.ok("transient leaves", bob, leave).await;
    play.ok("its id is free", ana, transient("bob-get")).await;
    let heartbeat = |id: &str| call("heartbeat", json!({"id": id}));
    play.ok("heartbeat", ana, heartbeat("ana-1")).await;
    play.refused(
        "unknown heartbeat",
        Some(ana),
        heartbeat("none"),
        "not_found",
    )
    .await;
    play.refused(
        "heartbeat for another",
        Some(bob),
        heartbeat("ana-1"),
        "not_found",
    )
    .await;
    play.refused(
        "heartbeat of nobody",
        None,
        heartbeat("ana-1"),
        "unauthenticated",
    )
    .await;
}

pub fn publish(
    peer: &str,
    generation: u64,
    base: Option<u64>,
    upsert: Value,
    remove: Value,
) -> Call {
    let mut fields =
        json!({"peer": peer, "generation": generation, "upsert": upsert, "remove": remove});
    if let Some(base) = base {
        fields["base"] = json!(base);
    }
    call("publish", fields)
}

async fn publishing(play: &mut Play<'_>, ana: &str) {
    let none = || json!([]);
    let first = json!([
        file("music/Björk - Jóga.flac", 1_000, "joga"),
        file("music/old.mp3", 10, "old"),
        file("papers/HolidayPlans2024.pdf", 5_000, "plans"),
    ]);
    let whole = publish("ana-1", 1, None, first.clone(), none());
    let answer = play.ok("whole index", ana, whole.clone()).await;
    assert_eq!(answer["upserted"], 3);
    // Repeating a request whose response was lost returns the same response.
    let again = play.ok("repeated whole", ana, whole).await;
    assert_eq!(again, answer);
    let change = || {
        let mut new = file("papers/second holiday.txt", 200, "second");
        new["modified"] = json!(8);
        publish("ana-1", 2, Some(1), json!([new]), json!(["music/old.mp3"]))
    };
    let tally = play.ok("change", ana, change()).await;
    assert_eq!(
        (tally["upserted"].as_u64(), tally["removed"].as_u64()),
        (Some(1), Some(1))
    );
    let again = play.ok("repeated change", ana, change()).await;
    assert_eq!(again, tally);
    for (step, asked, code) in [
        (
            "mismatch",
            publish("ana-1", 9, Some(7), none(), none()),
            "generation_mismatch",
        ),
        (
            "backwards",
            publish("ana-1", 1, Some(2), none(), none()),
            "invalid_argument",
        ),
        (
            "generation 0",
            publish("ana-1", 0, None, none(), none()),
            "invalid_argument",
        ),
        (
            "whole removes",
            publish("ana-1", 3, None, none(), json!(["a/b"])),
            "invalid_argument",
        ),
        (
            "bad path",
            publish("ana-1", 3, Some(2), json!([file("../x", 1, "x")]), none()),
            "invalid_argument",
        ),
        (
            "bad removal",
            publish("ana-1", 3, Some(2), none(), json!(["/etc/passwd"])),
            "invalid_argument",
        ),
        (
            "bad hash",
            publish(
                "ana-1",
                3,
                Some(2),
                json!([{"path": "a/b", "size": 1, "hash": "abcd", "modified": 7}]),
                none(),
            ),
            "invalid_argument",
        ),
        (
            "unknown peer",
            publish("none", 1, None, none(), none()),
            "not_found",
        ),
        (
            "another's peer",
            publish("bob-1", 1, None, none(), none()),
            "not_found",
        ),
    ] {
        play.refused(step, Some(ana), asked, code).await;
    }
    // The same contents under another name: one more provider.
    let second = json!([file("mine/holiday copy.pdf", 5_000, "plans")]);
    play.ok(
        "second peer",
        ana,
        publish("ana-2", 1, None, second, none()),
    )
    .await;
}

async fn listing(play: &mut Play<'_>, ana: &str, bob: &str) {
    for (step, operation, name, count) in [
        ("peers", "peers", "peers", 3),
        ("index", "index", "files", 4),
    ] {
        let mut seen = Vec::new();
        let mut fields = json!({"limit": 2});
        loop {
            let page = play.ok(step, bob, call(operation, fields.clone())).await;
            let items = page[name].as_array().unwrap();
            assert!(items.len() <= 2, "{step}");
            seen.extend(items.iter().map(ToString::to_string));
            match page.get("next_cursor") {
                Some(cursor) => fields["cursor"] = cursor.clone(),
                None => break,
            }
        }
        assert_eq!(seen.len(), count, "{step}: {seen:?}");
        seen.dedup();
        assert_eq!(seen.len(), count, "{step}");
        let bad = call(operation, json!({"cursor": "!"}));
        play.refused("bad cursor", Some(ana), bad, "invalid_argument")
            .await;
        let many = call(operation, json!({"limit": 1001}));
        play.refused("limit", Some(ana), many, "invalid_argument")
            .await;
    }
    let of_one = play
        .ok("index of one", bob, call("index", json!({"peer": "ana-2"})))
        .await;
    assert_eq!(of_one["files"].as_array().unwrap().len(), 1);
}

async fn leaving(play: &mut Play<'_>, ana: &str, bob: &str) {
    let leave = |id: &str| call("leave", json!({ "id": id }));
    play.refused("leave another's", Some(bob), leave("ana-2"), "not_found")
        .await;
    play.ok("leave", ana, leave("ana-2")).await;
    let page = play.ok("peers left", bob, call("peers", json!({}))).await;
    assert_eq!(page["peers"].as_array().unwrap().len(), 2);
    let page = play
        .ok("hidden", bob, call("search", json!({"q": "copy"})))
        .await;
    assert_ne!(page["results"][0]["providers"], 2);
    let gone = call("heartbeat", json!({"id": "ana-2"}));
    play.refused("heartbeat after leaving", Some(ana), gone, "not_found")
        .await;
    play.ok("logout", ana, call("logout", json!({}))).await;
    play.refused(
        "after logout",
        Some(ana),
        call("peers", json!({})),
        "unauthenticated",
    )
    .await;
    let page = play
        .ok("peers of the session", bob, call("peers", json!({})))
        .await;
    assert_eq!(page["peers"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_apis_return_the_same_results() {
    let (first, second) = (Running::start(|_| {}).await, Running::start(|_| {}).await);
    let by_rest = play(&rest(first.get()), first.get()).await;
    let by_grpc = play(&grpc(second.get()).await, second.get()).await;
    assert_eq!(by_rest.len(), by_grpc.len());
    for (rest, grpc) in by_rest.iter().zip(&by_grpc) {
        assert_eq!(rest, grpc);
    }
}
