//! Folders in the index, in searches and lookups, and their entries, through both APIs: both return
//! the same results.

use convite_core::ContentHash;
use convite_directory::RunningDirectory;
use serde_json::{Value, json};

use crate::apis::{Api, Call, Running, call, eventually, grpc, http, rest};
use crate::scenarios::{Play, file};
use crate::spaces::token;

/// A folder of `size` bytes in `files` files; its hash is that of `manifest`.
pub fn folder(path: &str, size: u64, files: u64, manifest: &str) -> Value {
    let mut folder = file(path, size, manifest);
    folder["kind"] = "folder".into();
    folder["files"] = files.into();
    folder["modified"] = 0.into();
    folder
}

fn hash(contents: &str) -> String {
    ContentHash::of(contents.as_bytes()).to_string()
}

fn list(fields: Value) -> Call {
    call("folder", fields)
}

fn publish(peer: &str, generation: u64, files: &[Value]) -> Call {
    let base = generation - 1;
    let index = json!({"peer": peer, "generation": generation, "base": base, "upsert": files});
    call("publish", index)
}

fn names(page: &Value) -> Vec<&str> {
    let entries = page["entries"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["name"].as_str().unwrap())
        .collect()
}

/// The folders and files of `ana-1`: a share for everyone, and one of the space `lab`.
fn shared() -> Vec<Value> {
    let mut tool = file("photos/holiday/raw/convert", 4, "tool");
    tool["executable"] = true.into();
    let mut all = vec![
        folder("photos", 15, 4, "photos"),
        folder("photos/empty", 0, 0, "empty"),
        folder("photos/holiday", 15, 4, "holiday"),
        file("photos/holiday/beach.jpg", 5, "beach"),
        folder("photos/holiday/raw", 7, 2, "raw"),
        tool,
        file("photos/holiday/raw/beach.nef", 3, "nef"),
        file("photos/holiday/raw.txt", 3, "txt"),
        // A share of a single file has no folder.
        file("film.mkv", 9, "film"),
    ];
    for mut hidden in [
        folder("vault", 8, 1, "vault"),
        file("vault/plans", 8, "plans"),
    ] {
        hidden["space"] = "lab".into();
        all.push(hidden);
    }
    all
}

async fn play(api: &Api, directory: &RunningDirectory) -> Vec<(&'static str, Value)> {
    let mut play = Play::new(api);
    let ana = token(api, &directory.invite, "ana").await;
    let bob = token(api, &directory.invite, "bob").await;
    play.ok("space", &ana, call("add_space", json!({"space": "lab"})))
        .await;
    let member = json!({"space": "lab", "user": "ana"});
    play.ok("member", &ana, call("add_member", member)).await;
    for (id, token) in [("ana-1", &ana), ("bob-1", &bob)] {
        let register = call("register", json!({"id": id, "port": 5001}));
        play.ok("register", token, register).await;
    }
    publishing(&mut play, &ana).await;
    searching(&mut play, &bob).await;
    locating(&mut play, &ana, &bob).await;
    listing(&mut play, &ana, &bob).await;
    claiming(&mut play, &bob).await;
    play.transcript()
}

async fn publishing(play: &mut Play<'_>, ana: &str) {
    let invalid = |change: fn(&mut Value)| {
        let mut folder = folder("s", 5, 1, "manifest");
        change(&mut folder);
        publish("ana-1", 1, &[file("a", 1, "a"), folder])
    };
    for (step, asked) in [
        (
            "files of a file",
            invalid(|one| one["kind"] = "file".into()),
        ),
        ("size without files", invalid(|one| one["files"] = 0.into())),
        ("files", invalid(|one| one["files"] = 5_000_001.into())),
        ("size", invalid(|one| one["size"] = (1u64 << 54).into())),
        ("executable", invalid(|one| one["executable"] = true.into())),
        // Only the empty file has no bytes.
        ("empty", publish("ana-1", 1, &[file("a", 0, "a")])),
        ("not empty", publish("ana-1", 1, &[file("a", 1, "")])),
    ] {
        play.refused(step, Some(ana), asked, "invalid_argument")
            .await;
    }
    let whole = json!({"peer": "ana-1", "generation": 1, "upsert": [folder("s", 5, 0, "x")]});
    play.refused(
        "whole",
        Some(ana),
        call("publish", whole),
        "invalid_argument",
    )
    .await;
    let published = play
        .ok("publish", ana, publish("ana-1", 1, &shared()))
        .await;
    assert_eq!(published["upserted"], 11);
    let page = play.ok("index", ana, call("index", json!({}))).await;
    let mut expected = shared();
    expected.sort_by_key(|one| one["path"].as_str().unwrap().to_owned());
    for one in &mut expected {
        one["peer"] = "ana-1".into();
        // What is 0 is absent.
        if one["files"] == 0 {
            one.as_object_mut().unwrap().remove("files");
        }
    }
    assert_eq!(page["files"], json!(expected));
    let peers = play.ok("peers", ana, call("peers", json!({}))).await;
    assert_eq!(peers["peers"][0]["files"], 6);
}

async fn searching(play: &mut Play<'_>, bob: &str) {
    let all = call("search", json!({"q": "holiday"}));
    let found = eventually(play.api, bob, &all, |page| {
        page["results"].as_array().unwrap().len() == 6
    });
    let found = found.await;
    // The folder, and then what only its path matches.
    let hit = &found["results"][0];
    assert_eq!(
        (&hit["name"], &hit["kind"]),
        (&json!("holiday"), &json!("folder"))
    );
    assert_eq!((&hit["size"], &hit["files"]), (&json!(15), &json!(4)));
    assert_eq!(hit["folder"], "photos");
    // The first result, and all of them in the order of the alphabet.
    for (step, fields, first, all) in [
        (
            "folders",
            json!({"q": "", "type": "folder"}),
            None,
            vec!["empty", "holiday", "photos", "raw"],
        ),
        (
            "folder",
            json!({"q": "raw", "type": "folder"}),
            Some("raw"),
            vec!["raw"],
        ),
        (
            "files",
            json!({"q": "raw", "type": "file"}),
            Some("raw.txt"),
            vec!["beach.nef", "convert", "raw.txt"],
        ),
        (
            "path",
            json!({"q": "photos raw", "type": "folder"}),
            Some("raw"),
            vec!["raw"],
        ),
        (
            "words of the path",
            json!({"q": "photos holiday", "type": "folder"}),
            Some("holiday"),
            vec!["holiday", "raw"],
        ),
        ("in a space", json!({"q": "vault"}), None, vec![]),
        (
            "size",
            json!({"q": "", "type": "folder", "min_size": 8}),
            None,
            vec!["holiday", "photos"],
        ),
    ] {
        let page = play.ok(step, bob, call("search", fields)).await;
        let results = page["results"].as_array().unwrap();
        for hit in results {
            assert_eq!(hit["files"].is_u64(), hit["kind"] == "folder", "{hit}");
        }
        let names = results.iter().map(|hit| hit["name"].as_str().unwrap());
        let mut names: Vec<&str> = names.collect();
        if let Some(first) = first {
            assert_eq!(names[0], first, "{step}");
        }
        names.sort_unstable();
        assert_eq!(names, all, "{step}");
    }
    let named = call("find_by_name", json!({"name": "photos/holiday"}));
    let named = play.ok("named", bob, named).await;
    let hit = &named["results"][0];
    assert_eq!((&hit["kind"], &hit["files"]), (&json!("folder"), &json!(4)));
}

async fn locating(play: &mut Play<'_>, ana: &str, bob: &str) {
    let locate = |what: &str| call("locate", json!({"hash": hash(what)}));
    let of_kind =
        |what: &str, kind: &str| call("locate", json!({"hash": hash(what), "kind": kind}));
    for asked in [locate("holiday"), of_kind("holiday", "folder")] {
        let found = play.ok("locate", bob, asked).await;
        assert_eq!(
            (&found["kind"], &found["files"]),
            (&json!("folder"), &json!(4))
        );
        assert_eq!(
            (&found["size"], &found["names"]),
            (&json!(15), &json!(["holiday"]))
        );
        assert_eq!(found["providers"][0]["peer"], "ana-1");
        assert!(found["providers"][0]["ticket"].is_string());
    }
    let found = play
        .ok("locate a file", bob, of_kind("beach", "file"))
        .await;
    assert_eq!((&found["kind"], found.get("files")), (&json!("file"), None));
    for (step, asked, code) in [
        ("as a file", of_kind("holiday", "file"), "invalid_argument"),
        (
            "as a folder",
            of_kind("beach", "folder"),
            "invalid_argument",
        ),
        ("hidden", locate("vault"), "not_found"),
        ("hidden folder", of_kind("vault", "folder"), "not_found"),
        ("hidden as a file", of_kind("vault", "file"), "not_found"),
    ] {
        play.refused(step, Some(bob), asked, code).await;
    }
    play.ok("seen", ana, of_kind("vault", "folder")).await;
    // What handles only files refuses folders.
    let link = call("link", json!({"hash": hash("holiday")}));
    play.refused("link", Some(ana), link, "invalid_argument")
        .await;
    let load = call(
        "load_file",
        json!({"hash": hash("holiday"), "peer": "ana-1"}),
    );
    play.refused("load", Some(ana), load, "invalid_argument")
        .await;
}

async fn listing(play: &mut Play<'_>, ana: &str, bob: &str) {
    let of = |what: &str| list(json!({"hash": hash(what)}));
    let level = play.ok("level", bob, of("holiday")).await;
    let expected = json!([
        {"name": "beach.jpg", "kind": "file", "size": 5, "hash": hash("beach"), "modified": 7},
        {"name": "raw", "kind": "folder", "size": 7, "files": 2, "hash": hash("raw")},
        {"name": "raw.txt", "kind": "file", "size": 3, "hash": hash("txt"), "modified": 7},
    ]);
    assert_eq!(level, json!({"entries": expected}));
    let mut fields = json!({"hash": hash("holiday"), "limit": 2});
    let first = play.ok("first page", bob, list(fields.clone())).await;
    assert_eq!(names(&first), ["beach.jpg", "raw"]);
    fields["cursor"] = first["next_cursor"].clone();
    let second = play.ok("second page", bob, list(fields)).await;
    assert_eq!(names(&second), ["raw.txt"]);
    assert_eq!(second.get("next_cursor"), None);
    let inner = play.ok("inner", bob, of("raw")).await;
    assert_eq!(names(&inner), ["beach.nef", "convert"]);
    assert_eq!(inner["entries"][1]["executable"], true);
    let empty = play.ok("empty level", bob, of("empty")).await;
    assert_eq!(empty, json!({"entries": []}));
    let seen = play.ok("level in a space", ana, of("vault")).await;
    assert_eq!(names(&seen), ["plans"]);
    let within = |what: &str, space: &str| list(json!({"hash": hash(what), "space": space}));
    play.ok("within a space", ana, within("vault", "lab")).await;
    play.ok("for everyone", ana, within("raw", "")).await;
    let other = first["next_cursor"].as_str().unwrap();
    for (step, token, asked, code) in [
        ("level hidden", bob, of("vault"), "not_found"),
        ("level unknown", bob, of("unknown"), "not_found"),
        ("level of a file", bob, of("beach"), "invalid_argument"),
        (
            "level of no space",
            bob,
            within("raw", "lab"),
            "permission_denied",
        ),
        (
            "level not in a space",
            ana,
            within("raw", "lab"),
            "not_found",
        ),
        (
            "level not for everyone",
            ana,
            within("vault", ""),
            "not_found",
        ),
        (
            "level limit",
            bob,
            list(json!({"hash": hash("raw"), "limit": 1001})),
            "invalid_argument",
        ),
        (
            "level cursor",
            bob,
            list(json!({"hash": hash("raw"), "cursor": other})),
            "invalid_argument",
        ),
        (
            "level hash",
            bob,
            list(json!({"hash": "abcd"})),
            "invalid_argument",
        ),
    ] {
        play.refused(step, Some(token), asked, code).await;
    }
    let without = call("folder", json!({"hash": hash("raw")}));
    play.refused("level without a session", None, without, "unauthenticated")
        .await;
}

/// A peer claims that the hash of a file is that of a folder, and the other way round.
async fn claiming(play: &mut Play<'_>, bob: &str) {
    let claims = [
        folder("claims/beach", 1, 1, "beach"),
        file("claims/holiday", 1, "holiday"),
    ];
    play.ok("claim", bob, publish("bob-1", 1, &claims)).await;
    for (what, kind, peer) in [
        ("beach", "file", "ana-1"),
        ("beach", "folder", "bob-1"),
        ("holiday", "folder", "ana-1"),
        ("holiday", "file", "bob-1"),
    ] {
        let asked = call("locate", json!({"hash": hash(what), "kind": kind}));
        let found = play.ok("claimed", bob, asked).await;
        assert_eq!(found["kind"], kind);
        let providers = found["providers"].as_array().unwrap();
        assert_eq!(providers.len(), 1, "{found}");
        assert_eq!(providers[0]["peer"], peer);
    }
    let level = play
        .ok(
            "level of a claim",
            bob,
            list(json!({"hash": hash("beach")})),
        )
        .await;
    assert_eq!(level, json!({"entries": []}));
    let level = play
        .ok("true level", bob, list(json!({"hash": hash("holiday")})))
        .await;
    assert_eq!(names(&level), ["beach.jpg", "raw", "raw.txt"]);
    // In a search they are two results.
    let asked = call("search", json!({"q": "holiday"}));
    let found = eventually(play.api, bob, &asked, |page| {
        let results = page["results"].as_array().unwrap().iter();
        results.filter(|hit| hit["name"] == "holiday").count() == 2
    });
    let found = found.await;
    let results = found["results"].as_array().unwrap().iter();
    for hit in results.filter(|hit| hit["name"] == "holiday") {
        assert_eq!(
            (&hit["hash"], &hit["providers"]),
            (&json!(hash("holiday")), &json!(1))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_the_same_through_both_apis() {
    let (first, second) = (Running::start(|_| {}).await, Running::start(|_| {}).await);
    let by_rest = play(&rest(first.get()), first.get()).await;
    let by_grpc = play(&grpc(second.get()).await, second.get()).await;
    assert_eq!(by_rest.len(), by_grpc.len());
    for (rest, grpc) in by_rest.iter().zip(&by_grpc) {
        assert_eq!(rest, grpc);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contents_of_a_folder_are_refused_with_the_reason() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    let ana = token(&api, &running.get().invite, "ana").await;
    let register = call("register", json!({"id": "ana-1", "port": 5001}));
    api.call(Some(&ana), &register).await.unwrap();
    let index = publish(
        "ana-1",
        1,
        &[folder("s", 5, 1, "s"), file("s/a", 5, "abcde")],
    );
    api.call(Some(&ana), &index).await.unwrap();
    let path = format!("/files/{}", hash("s"));
    for (method, path, body) in [
        ("GET", format!("{path}/content"), "".as_bytes()),
        ("POST", format!("{path}/token"), b""),
        ("POST", format!("{path}/link"), b"{}"),
        ("GET", format!("{path}?kind=file"), b""),
    ] {
        let (parts, body) = http(&api, method, &path, Some(&ana), body.to_vec()).await;
        let text = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(parts.status.as_u16(), 400, "{method} {path}: {text}");
        assert!(text.contains("this is a folder"), "{text}");
    }
    let wrong = format!("{path}?kind=directory");
    let (parts, _) = http(&api, "GET", &wrong, Some(&ana), Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 400);
}
