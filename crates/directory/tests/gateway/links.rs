//! Links: number of downloads, access, and secrecy.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use convite_core::ContentHash;
use convite_directory::throttle::{AttemptLimits, FailureRate};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::fake_provider::{Behaviour, contents};
use crate::world::World;

const SIZE: usize = 300_000;

/// A response over a connection from this address.
pub struct Raw {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Raw {
    /// Returns the target of a redirect.
    pub fn location(&self) -> &str {
        let mut lines = self.head.lines();
        lines
            .find_map(|line| line.strip_prefix("location: "))
            .unwrap()
    }

    /// Returns a problem document without its varying parts.
    fn told(&self) -> Value {
        let mut told: Value = serde_json::from_slice(&self.body).unwrap();
        told.as_object_mut().unwrap().remove("request_id");
        told
    }
}

pub async fn ask(world: &World, from: u8, method: &str, path: &str, fields: &str) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    let source: IpAddr = [127, 0, 0, from].into();
    socket.bind(SocketAddr::new(source, 0)).unwrap();
    let mut stream = socket.connect(world.directory.address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{fields}\r\n",
        world.directory.address
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let body = answer.split_off(end.unwrap() + 4);
    let head = String::from_utf8(answer).unwrap();
    // Header names in lower case, values unchanged.
    let lower = |line: &str| match line.split_once(": ") {
        Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
        None => line.to_owned(),
    };
    let head: Vec<String> = head.lines().map(lower).collect();
    let head = head.join("\n");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Raw { status, head, body }
}

pub async fn get(world: &World, from: u8, path: &str) -> Raw {
    ask(world, from, "GET", path, "").await
}

pub async fn link(world: &World, contents: &[u8], fields: Value) -> String {
    let path = format!("/files/{}/link", ContentHash::of(contents));
    let made = world.tell("POST", &path, fields).await;
    let (path, url) = (
        made["path"].as_str().unwrap(),
        made["url"].as_str().unwrap(),
    );
    assert!(url.starts_with("http://") && url.ends_with(path), "{url}");
    path.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_serves_the_file_once_and_allows_resuming() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let peer = world
        .peer("p-1", "a/page.html", &bytes, Behaviour::Honest)
        .await;
    let path = link(&world, &bytes, json!({})).await;
    // Looking at the page, and failed requests, spend no use.
    let looked = ask(&world, 3, "HEAD", &path, "").await;
    assert_eq!(looked.status, 200);
    assert!(looked.head.contains(&format!("content-length: {SIZE}")));
    peer.set_behaviour(Behaviour::Lacking);
    assert_eq!(get(&world, 3, &path).await.status, 503);
    peer.set_behaviour(Behaviour::Honest);
    let beyond = ask(&world, 3, "GET", &path, "range: bytes=300000-\r\n").await;
    assert_eq!(beyond.status, 416);

    let first = get(&world, 2, &path).await;
    assert_eq!((first.status, first.body == bytes), (200, true));
    for field in [
        "content-disposition: attachment; filename=\"page.html\"",
        "cache-control: private, no-store",
        "referrer-policy: no-referrer",
        "accept-ranges: bytes",
    ] {
        assert!(first.head.contains(field), "{field} in {}", first.head);
    }
    let rest = ask(&world, 2, "GET", &path, "range: bytes=100000-\r\n").await;
    assert_eq!((rest.status, rest.body == bytes[100_000..]), (206, true));
    assert_eq!(get(&world, 2, &path).await.status, 200);
    let inline = get(&world, 2, &format!("{path}?inline=true")).await;
    assert!(inline.head.contains("content-disposition: attachment"));
    for from in [1, 3] {
        let fields = ["", "range: bytes=100000-\r\n"];
        for field in fields {
            let refused = ask(&world, from, "GET", &path, field).await;
            assert_eq!(refused.status, 404, "{field}");
        }
    }
    let users = peer.users.lock().unwrap().clone();
    assert!(!users.is_empty() && users.iter().all(|user| user == "ana"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_works_as_many_times_as_its_uses() {
    let world = World::new().await;
    let bytes = contents(100);
    let _peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let path = link(&world, &bytes, json!({"uses": 2, "expires_in": 60})).await;
    // The last use goes to one of two concurrent requests.
    let many = [2, 3, 4, 5].map(|from| get(&world, from, &path));
    let [a, b, c, d] = many;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    let mut got: Vec<u16> = [a, b, c, d].map(|answer| answer.status).into();
    got.sort_unstable();
    assert_eq!(got, [200, 200, 404, 404]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_invalid_links_get_the_same_response() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let _peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let unknown = get(&world, 2, &format!("/d/{}", "A".repeat(43))).await;
    assert_eq!(unknown.status, 404);
    let told = unknown.told();
    for nonsense in [
        "/d/x",
        "/d/%20",
        "/d/..%2f",
        &format!("/d/{}", "x".repeat(3000)),
    ] {
        assert_eq!(get(&world, 2, nonsense).await.told(), told, "{nonsense}");
    }
    let used_up = link(&world, &bytes, json!({})).await;
    assert_eq!(get(&world, 3, &used_up).await.status, 200);
    assert_eq!(get(&world, 2, &used_up).await.told(), told);

    // A file in a space: the creator's current permissions apply.
    world.tell("POST", "/spaces", json!({"space": "lab"})).await;
    let member = "/spaces/lab/members/ana";
    world.tell("PUT", member, json!({})).await;
    let hidden = contents(SIZE + 1);
    let other = world
        .peer("p-2", "b/file", &hidden, Behaviour::Honest)
        .await;
    let entry = json!({"path": "b/file", "size": SIZE + 1, "hash": ContentHash::of(&hidden),
        "modified": 7, "space": "lab"});
    let index = json!({"peer": "p-2", "generation": 2, "upsert": [entry]});
    world.tell("PUT", "/index", index).await;
    let path = link(&world, &hidden, json!({"uses": 9})).await;
    assert_eq!(get(&world, 2, &path).await.status, 200);
    world.tell("DELETE", member, json!({})).await;
    for from in [2, 3] {
        assert_eq!(get(&world, from, &path).await.told(), told, "{from}");
    }
    drop(other);

    // Links of an account without the permission do not work, for any reason.
    let path = link(&world, &bytes, json!({"uses": 9})).await;
    assert_eq!(get(&world, 2, &path).await.status, 200);
    let ben = world.session("ben").await;
    let bearer = format!("Bearer {ben}");
    for change in [
        json!({"role": "guest"}),
        json!({"role": "member", "disabled": true}),
    ] {
        let header = [("authorization", &*bearer)];
        let changed = world
            .ask("PATCH", "/users/ana", &header, &change.to_string())
            .await;
        assert_eq!(changed.status, 200, "{change}");
        assert_eq!(get(&world, 2, &path).await.told(), told, "{change}");
        assert_eq!(get(&world, 3, &path).await.told(), told, "{change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_a_guest_or_disabled_account_do_not_work() {
    let mut world = World::new().await;
    let ben = world.session("ben").await;
    let ana = std::mem::replace(&mut world.token, ben.clone());
    let bytes = contents(SIZE);
    let _peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    world.token = ana;
    let path = link(&world, &bytes, json!({"uses": 9})).await;
    assert_eq!(get(&world, 2, &path).await.status, 200);
    world.token = ben;
    for (change, status) in [
        (json!({"role": "guest"}), 404),
        (json!({"role": "member"}), 200),
        (json!({"disabled": true}), 404),
        (json!({"disabled": false}), 200),
    ] {
        world.tell("PATCH", "/users/ana", change.clone()).await;
        assert_eq!(get(&world, 2, &path).await.status, status, "{change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_get_a_page_where_programs_get_a_problem_document() {
    let world = World::new().await;
    let bytes = contents(100);
    let peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let path = link(&world, &bytes, json!({})).await;
    let browser = "accept: text/html,*/*;q=0.8\r\naccept-language: es-ES,en;q=0.5\r\n";
    let pressed = ask(&world, 2, "POST", &path, browser).await;
    let place = format!("{path}{}", pressed.location());
    peer.set_behaviour(Behaviour::Lacking);
    let later = ask(&world, 2, "GET", &place, browser).await;
    assert_eq!(later.status, 503);
    assert!(later.head.contains("retry-after:"), "{}", later.head);
    assert!(String::from_utf8_lossy(&later.body).contains("Vuelva a intentarlo más tarde"));
    peer.set_behaviour(Behaviour::Honest);
    let given = ask(&world, 2, "GET", &place, browser).await;
    assert_eq!((given.status, given.body == bytes), (200, true));

    let over = ask(&world, 3, "GET", &path, browser).await;
    let none = ask(&world, 3, "GET", "/d/none-such", browser).await;
    for dead in [&over, &none] {
        assert_eq!(dead.status, 404);
        let text = String::from_utf8_lossy(&dead.body);
        assert!(text.contains("Este enlace no funciona"), "{text}");
        for field in [
            "content-type: text/html; charset=utf-8",
            "content-security-policy: default-src 'none'; script-src 'self'",
            "cache-control: no-store",
            "vary: accept, accept-language",
            "x-content-type-options: nosniff",
        ] {
            assert!(dead.head.contains(field), "{field} in {}", dead.head);
        }
    }
    assert_eq!(
        over.body, none.body,
        "both pages are equal, as the documents are"
    );
    let english = ask(&world, 3, "GET", &path, "accept: text/html\r\n").await;
    assert!(String::from_utf8_lossy(&english.body).contains("This link does not work"));
    // A program gets a problem document.
    let program = ask(&world, 3, "GET", &path, "accept: */*\r\n").await;
    assert_eq!(program.told()["code"], "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_cannot_be_guessed_fast() {
    let strict = FailureRate {
        free_failures: 3,
        first_delay: Duration::from_secs(60),
        max_delay: Duration::from_secs(600),
    };
    let world = World::with(move |config| {
        config.attempt_limits = AttemptLimits {
            links: strict,
            ..AttemptLimits::default()
        };
    })
    .await;
    let bytes = contents(100);
    let _peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let path = link(&world, &bytes, json!({"uses": 5})).await;
    // Lookups of existing links do not count, however often.
    for _ in 0..8 {
        assert_eq!(get(&world, 2, &path).await.status, 200);
    }
    for _ in 0..4 {
        assert_eq!(get(&world, 2, "/d/wrong").await.status, 404);
    }
    for path in ["/d/wrong", &path] {
        let refused = get(&world, 2, path).await;
        assert_eq!(refused.status, 429);
        assert!(refused.head.contains("retry-after: "));
    }
    assert_eq!(get(&world, 3, &path).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_sharing_accounts_create_links_to_visible_files() {
    let world = World::new().await;
    let bytes = contents(100);
    let _peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let make = format!("/files/{}/link", ContentHash::of(&bytes));
    for (fields, status) in [
        (json!({"uses": 0}), 400),
        (json!({"uses": 1001}), 400),
        (json!({"expires_in": 59}), 400),
        (json!({"expires_in": 2_592_001}), 400),
        (json!({"nonsense": 1}), 400),
        (json!({"uses": 1000, "expires_in": 2_592_000}), 201),
    ] {
        let answer = world.ask("POST", &make, &[], &fields.to_string()).await;
        assert_eq!(answer.status, status, "{fields}");
    }
    let unknown = format!("/files/{}/link", ContentHash::of(b"nobody has this"));
    assert_eq!(world.ask("POST", &unknown, &[], "{}").await.status, 404);
    let guest = json!({"user": "gil", "password": "pass word 1", "role": "guest"});
    world.tell("POST", "/users", guest).await;
    let header = [(
        "authorization",
        &*format!("Bearer {}", world.session("gil").await),
    )];
    let refused = world.ask("POST", &make, &header, "{}").await;
    assert_eq!(
        (refused.status.as_u16(), &*refused.code()),
        (403, "permission_denied")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_and_the_metrics_have_no_token() {
    let world = World::new().await;
    let bytes = contents(100);
    let _peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let path = link(&world, &bytes, json!({})).await;
    assert_eq!(get(&world, 2, &path).await.status, 200);
    assert_eq!(get(&world, 2, &path).await.status, 200);
    let token = path.strip_prefix("/d/").unwrap();
    let metrics = get(&world, 1, "/metrics").await;
    let page = String::from_utf8(metrics.body).unwrap();
    assert!(page.contains("GET /d/{token}") && !page.contains(token));
    let log = world.get("/audit", &[]).await;
    let log = String::from_utf8(log.body).unwrap();
    assert!(!log.contains(token));
    let log: Value = serde_json::from_str(&log).unwrap();
    let hash = ContentHash::of(&bytes).to_string();
    let of = |action: &str| -> Vec<&Value> {
        let entries = log["entries"].as_array().unwrap().iter();
        entries.filter(|entry| entry["action"] == action).collect()
    };
    // Continuing a use spends none.
    let [used] = of("link_use")[..] else {
        panic!("{log}")
    };
    assert_eq!(
        (&used["actor"], &used["target"]),
        (&json!("ana"), &json!(hash))
    );
    assert_eq!(used["address"], "127.0.0.2");
    assert_eq!(of("link_add").len(), 1);
}
