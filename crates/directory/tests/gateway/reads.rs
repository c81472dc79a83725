//! Reading: contents, ranges, headers, and refusals.

use convite_core::ContentHash;
use serde_json::json;

use crate::fake_provider::{Behaviour, contents};
use crate::links::link;
use crate::world::{World, path};

/// 145 pieces, the last of them short.
const SIZE: usize = (9 << 20) + 12_345;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_completely_from_all_its_providers() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let one = world
        .peer("p-1", "a/big file.bin", &bytes, Behaviour::Honest)
        .await;
    let two = world
        .peer("p-2", "b/big file.bin", &bytes, Behaviour::Honest)
        .await;
    let answer = world.get(&path(&bytes), &[]).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.broken && answer.body == bytes);
    for (name, value) in [
        ("content-length", SIZE.to_string()),
        ("etag", format!("\"{}\"", ContentHash::of(&bytes))),
        ("accept-ranges", "bytes".to_owned()),
        ("content-type", "application/octet-stream".to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        (
            "content-disposition",
            "attachment; filename=\"big file.bin\"; filename*=UTF-8''big%20file.bin".to_owned(),
        ),
        (
            "content-security-policy",
            "sandbox; default-src 'none'".to_owned(),
        ),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let caching = answer.header("cache-control");
    assert!(caching.contains("private") && caching.contains("immutable"));
    for peer in [one, two] {
        assert!(peer.sent() > 0, "provider {} was not asked", peer.id);
        let users = peer.users.lock().unwrap().clone();
        assert!(!users.is_empty() && users.iter().all(|user| user == "ana"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_conditions_follow_http() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let peer = world
        .peer("p-1", "a/file.bin", &bytes, Behaviour::Honest)
        .await;
    let path = path(&bytes);
    let etag = format!("\"{}\"", ContentHash::of(&bytes));
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=65535-65536", 65_535, 65_537),
        ("bytes=3000000-7000000", 3_000_000, 7_000_001),
        ("bytes=-1", SIZE - 1, SIZE),
        ("bytes=-99999999", 0, SIZE),
        ("bytes=9000000-99999999", 9_000_000, SIZE),
    ] {
        let answer = world.get(&path, &[("range", range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert!(
            !answer.broken && answer.body == bytes[from..to],
            "{range}: {} bytes",
            answer.body.len()
        );
        let told = format!("bytes {from}-{}/{SIZE}", to - 1);
        assert_eq!(answer.header("content-range"), told);
        assert_eq!(answer.header("content-length"), (to - from).to_string());
    }
    let beyond = format!("bytes={SIZE}-");
    for range in [&*beyond, "bytes=-0"] {
        let answer = world.get(&path, &[("range", range)]).await;
        assert_eq!(answer.status, 416, "{range}");
        assert_eq!(answer.code(), "range_not_satisfiable");
        assert_eq!(answer.header("content-range"), format!("bytes */{SIZE}"));
    }
    let part = ("range", "bytes=5-9");
    let answer = world.get(&path, &[part, ("if-range", &etag)]).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (206, 5));
    for other in ["\"another\"", "Sat, 21 Nov 2026 00:00:00 GMT"] {
        let answer = world.get(&path, &[part, ("if-range", other)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, SIZE));
    }

    let before = peer.sent();
    let answer = world.get(&path, &[("if-none-match", &etag)]).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0));
    let answer = world.ask("HEAD", &path, &[part], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-length"), SIZE.to_string());
    assert_eq!(answer.header("etag"), etag);
    assert_eq!(peer.sent(), before, "no contents were requested");
}

#[tokio::test(flavor = "multi_thread")]
async fn small_and_empty_files_are_served() {
    let world = World::new().await;
    for size in [0, 1, 65_536, 65_537] {
        let bytes = contents(size);
        let id = format!("p-{size}");
        let _peer = world.peer(&id, "a/file", &bytes, Behaviour::Honest).await;
        let answer = world.get(&path(&bytes), &[]).await;
        assert_eq!(answer.status, 200, "{size}");
        assert!(!answer.broken && answer.body == bytes, "{size}");
        assert_eq!(answer.header("content-length"), size.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_sent_as_attachments_unless_harmless() {
    let world = World::new().await;
    for (name, kind, shown) in [
        ("page.html", "text/html; charset=utf-8", false),
        ("drawing.svg", "image/svg+xml", false),
        ("picture.png", "image/png", true),
        ("notes.txt", "text/plain; charset=utf-8", true),
        ("año \"x\".bin", "application/octet-stream", false),
    ] {
        let bytes = contents(100 + name.len());
        let id = format!("p-{}", name.len());
        let _peer = world
            .peer(&id, &format!("a/{name}"), &bytes, Behaviour::Honest)
            .await;
        let saved = world.get(&path(&bytes), &[]).await;
        assert_eq!(saved.header("content-type"), kind);
        let disposition = saved.header("content-disposition");
        assert!(disposition.starts_with("attachment; "), "{disposition}");
        let asked = format!("{}?inline=true", path(&bytes));
        let answer = world.get(&asked, &[]).await;
        let disposition = answer.header("content-disposition");
        assert_eq!(disposition.starts_with("inline; "), shown, "{disposition}");
        assert_eq!(disposition.matches('"').count(), 2, "{disposition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unauthorized_readers_get_nothing() {
    let world = World::new().await;
    let bytes = contents(200_000);
    let peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    for authorization in ["", "Bearer ", "Bearer garbage", "Basic eDp5"] {
        let header = [("authorization", authorization)];
        let answer = world.get(&path(&bytes), &header).await;
        assert_eq!(answer.status, 401, "{authorization}");
        assert_eq!(answer.code(), "unauthenticated");
    }
    let unknown = world.get(&path(b"nobody has this"), &[]).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.code(), "not_found");
    let malformed = world.get("/files/xyz/content", &[]).await;
    assert_eq!(malformed.status, 400);
    let post = world.ask("POST", &path(&bytes), &[], "{}").await;
    assert_eq!(post.status, 405);
    assert_eq!(peer.sent(), 0);
    // When its peer has left, the file is not available.
    world.tell("DELETE", "/peers/p-1", json!({})).await;
    assert_eq!(world.get(&path(&bytes), &[]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_offered_under_the_name_that_was_asked_for_if_it_has_it() {
    let world = World::new().await;
    let bytes = contents(100_000);
    for (peer, name) in [
        ("p-1", "a/draft.bin"),
        ("p-2", "b/draft.bin"),
        ("p-3", "c/final.bin"),
    ] {
        world.peer(peer, name, &bytes, Behaviour::Honest).await;
    }
    let offered = |name: &str| format!("attachment; filename=\"{name}\"; filename*=UTF-8''{name}");
    for (asked, name) in [
        ("", "draft.bin"),
        ("?name=final.bin", "final.bin"),
        ("?name=none.bin", "draft.bin"),
        ("?name=c/final.bin", "draft.bin"),
    ] {
        let answer = world.get(&format!("{}{asked}", path(&bytes)), &[]).await;
        assert_eq!(
            answer.header("content-disposition"),
            offered(name),
            "{asked}"
        );
    }
    for (fields, name) in [
        (json!({}), "draft.bin"),
        (json!({"name": "final.bin"}), "final.bin"),
        (json!({"name": "none.bin"}), "draft.bin"),
    ] {
        let link = link(&world, &bytes, fields).await;
        let answer = world.get(&link, &[]).await;
        assert_eq!(answer.header("content-disposition"), offered(name));
    }
}
