//! Tokens for one file, as used by a browser's downloads and previews.

use convite_core::ContentHash;
use serde_json::json;

use crate::fake_provider::{Behaviour, contents};
use crate::world::{World, path};

const SIZE: usize = 300_000;

/// An empty `authorization` header.
const NOBODY: (&str, &str) = ("authorization", "none");

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_one_file_with_its_ranges_until_its_session_ends() {
    let world = World::new().await;
    let (bytes, others) = (contents(SIZE), contents(SIZE + 1));
    let _one = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let _two = world
        .peer("p-2", "b/other", &others, Behaviour::Honest)
        .await;
    let make = |bytes: &[u8]| format!("/files/{}/token", ContentHash::of(bytes));
    let made = world.tell("POST", &make(&bytes), json!({})).await;
    let token = made["token"].as_str().unwrap();
    assert!(made["expires_at"].as_i64().unwrap() > 0);

    let address = format!("{}?token={token}", path(&bytes));
    // Without a header, as a browser sends it; the bearer token is ignored.
    let whole = world.get(&address, &[NOBODY]).await;
    assert_eq!((whole.status.as_u16(), whole.body == bytes), (200, true));
    let range = ("range", "bytes=100000-");
    let rest = world.get(&address, &[NOBODY, range]).await;
    assert_eq!(rest.status, 206);
    assert!(rest.body == bytes[100_000..]);
    let looked = world.ask("HEAD", &address, &[NOBODY], "").await;
    assert_eq!(looked.status, 200);
    let shown = format!("{address}&inline=true");
    assert_eq!(world.get(&shown, &[NOBODY]).await.status, 200);

    // Valid only for this file, and only for reading.
    for (method, path) in [
        ("GET", format!("{}?token={token}", path(&others))),
        ("GET", format!("{}?token={}", path(&bytes), &token[1..])),
        ("GET", format!("{}?token={token}A", path(&bytes))),
        ("GET", format!("{}?token=", path(&bytes))),
        ("GET", path(&bytes)),
        ("GET", format!("/events?token={token}")),
    ] {
        let refused = world.ask(method, &path, &[NOBODY], "").await;
        assert_eq!(refused.status, 401, "{path}");
    }
    let bearer = format!("Bearer {token}");
    let as_bearer = [("authorization", &*bearer)];
    assert_eq!(world.get("/me", &as_bearer).await.status, 401);
    // An invisible file gets no token.
    let unknown = make(b"nobody has this");
    assert_eq!(world.ask("POST", &unknown, &[], "").await.status, 404);

    world.tell("POST", "/logout", json!({})).await;
    assert_eq!(world.get(&address, &[NOBODY]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_stops_working_when_its_account_may_not_see_the_file() {
    let mut world = World::new().await;
    let bytes = contents(SIZE);
    let _peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let (ana, ben) = (world.token.clone(), world.session("ben").await);
    world.token = ben;
    let make = format!("/files/{}/token", ContentHash::of(&bytes));
    let made = world.tell("POST", &make, json!({})).await;
    let address = format!("{}?token={}", path(&bytes), made["token"].as_str().unwrap());
    assert_eq!(world.get(&address, &[NOBODY]).await.status, 200);
    world.token = ana;
    let disabled = json!({"disabled": true});
    world.tell("PATCH", "/users/ben", disabled).await;
    assert_eq!(world.get(&address, &[NOBODY]).await.status, 401);
}
