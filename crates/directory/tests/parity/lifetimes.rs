//! Lifetimes: leases, sessions, restarts.

use std::time::Duration;

use convite_core::{ErrorCode, SharingPolicy, UserName};
use convite_directory::service::{ClientAddress, PeerRegistration};
use serde_json::json;

use crate::apis::{Running, call, eventually, grpc, rest};
use crate::scenarios::file;

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_heartbeats_is_hidden_until_it_returns() {
    let running = Running::start(|config| config.lease = Duration::from_secs(1)).await;
    let api = rest(running.get());
    let session = running
        .get()
        .service
        .local_session(&user("ana"), None)
        .await;
    let token = session.unwrap().token;
    let ask = async |operation, fields| {
        let asked = call(operation, fields);
        api.call(Some(&token), &asked).await.unwrap()
    };
    ask("register", json!({"id": "ana-1", "port": 5001})).await;
    let upsert = json!([file("a/b.txt", 1, "b")]);
    ask(
        "publish",
        json!({"peer": "ana-1", "generation": 5, "upsert": upsert}),
    )
    .await;
    let peers = call("peers", json!({}));
    let here = ask("heartbeat", json!({"id": "ana-1"})).await;
    assert_eq!(here["generation"], 5);
    let page = api.call(Some(&token), &peers).await.unwrap();
    assert_eq!(page["peers"][0]["files"], 1);
    eventually(&api, &token, &peers, |page| page["peers"] == json!([])).await;
    let index = ask("index", json!({})).await;
    assert_eq!(index["files"], json!([]));
    // Hidden, but kept: one heartbeat lists it again with its index.
    ask("heartbeat", json!({"id": "ana-1"})).await;
    let index = ask("index", json!({})).await;
    assert_eq!(index["files"][0]["path"], "a/b.txt");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_is_reported_by_both_apis() {
    let running = Running::start(|config| config.session_lifetime = Duration::ZERO).await;
    let session = running
        .get()
        .service
        .local_session(&user("ana"), None)
        .await;
    let token = session.unwrap().token;
    for api in [rest(running.get()), grpc(running.get()).await] {
        let answer = api.call(Some(&token), &call("peers", json!({}))).await;
        assert_eq!(answer, Err("session_expired".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_use_does_not_expire() {
    const LIFETIME: Duration = Duration::from_secs(3);
    let running = Running::start(|config| config.session_lifetime = LIFETIME).await;
    let service = &running.get().service;
    let session = service.local_session(&user("ana"), None).await.unwrap();
    let began = std::time::Instant::now();
    while began.elapsed() < LIFETIME + LIFETIME / 4 {
        let caller = service
            .authenticate(Some(&session.token), None)
            .await
            .unwrap();
        assert_eq!(caller.user, user("ana"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_nothing() {
    let mut running = Running::start(|_| {}).await;
    let before = (running.get().authority, running.get().invite.clone());
    let code = |link: &str| link.split(['/', '?']).nth(3).unwrap().to_owned();
    let account = json!({"invite": before.1, "user": "ana", "password": "pass word 1"});
    let login = call("login", json!({"user": "ana", "password": "pass word 1"}));
    let api = rest(running.get());
    api.call(None, &call("create_account", account))
        .await
        .unwrap();
    let session = api.call(None, &login).await.unwrap();
    let token = session["token"].as_str().unwrap().to_owned();
    let ticket_key = running.get().service.ticket_key();
    let publish = json!({"peer": "ana-1", "generation": 3, "upsert": [file("a/kept.txt", 1, "b")]});
    for asked in [
        call("register", json!({"id": "ana-1", "port": 5001})),
        call("publish", publish),
    ] {
        api.call(Some(&token), &asked).await.unwrap();
    }

    running.restart().await;
    let api = rest(running.get());
    assert_eq!(running.get().authority, before.0);
    assert_eq!(code(&running.get().invite), code(&before.1));
    assert_eq!(running.get().service.ticket_key(), ticket_key);
    let heartbeat = call("heartbeat", json!({"id": "ana-1"}));
    let lease = api.call(Some(&token), &heartbeat).await.unwrap();
    assert_eq!(lease["generation"], 3);
    let search = call("search", json!({"q": "kept"}));
    eventually(&api, &token, &search, |page| {
        page["results"][0]["size"] == 1
    })
    .await;
    api.call(None, &login).await.unwrap();

    // Without its search index it builds a new one.
    let folder = running.home.path().join("directory/search");
    assert!(folder.exists());
    running.restart_without(&folder).await;
    let api = rest(running.get());
    eventually(&api, &token, &search, |page| {
        page["results"][0]["size"] == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_admin_password_creates_the_only_admin() {
    let running =
        Running::start(|config| config.admin_password = Some("pass word 0".to_owned())).await;
    let api = rest(running.get());
    let login = call("login", json!({"user": "admin", "password": "pass word 0"}));
    assert_eq!(api.call(None, &login).await.unwrap()["role"], "admin");
    let invite = &running.get().invite;
    let account = json!({"invite": invite, "user": "ana", "password": "pass word 1"});
    let made = api.call(None, &call("create_account", account)).await;
    assert_eq!(made.unwrap()["role"], "member");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_open_registration_a_login_creates_a_member() {
    let running = Running::start(|config| config.open_registration = true).await;
    let api = rest(running.get());
    let login = |password| call("login", json!({"user": "ana", "password": password}));
    let made = api.call(None, &login("pass word 1")).await.unwrap();
    assert_eq!(made["role"], "member");
    let wrong = api.call(None, &login("pass word 2")).await;
    assert_eq!(wrong, Err("wrong_credentials".to_owned()));
    api.call(None, &login("pass word 1")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_reported() {
    let running = Running::start(|_| {}).await;
    let other = tempfile::tempdir().unwrap();
    let mut config = convite_directory::DirectoryConfig::new(other.path());
    config.listen = running.get().address;
    let shutdown = tokio_util::sync::CancellationToken::new();
    let refused = convite_directory::start(config, shutdown).await;
    let problem = refused.err().unwrap();
    assert_eq!(problem.code.name(), "in_use");
    assert!(problem.hint.unwrap().contains("--listen"));
    // The running directory's files are unchanged.
    assert!(!other.path().join("directory").exists());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn secret_files_are_readable_only_by_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let running = Running::start(|_| {}).await;
    let folder = running.home.path().join("directory");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for name in ["authority.key", "ticket.key", "invite"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_peer_is_registered_in_a_session_that_ended_meanwhile() {
    let running = Running::start(|_| {}).await;
    let service = &running.get().service;
    let session = service.local_session(&user("ana"), None).await.unwrap();
    let seen = ClientAddress {
        remote: "127.0.0.1:9".parse().unwrap(),
    };
    // The caller of a request in progress.
    let caller = service.authenticate(Some(&session.token), Some(seen)).await;
    let caller = caller.unwrap();
    service.logout(&caller).await.unwrap();
    let endpoint = PeerRegistration {
        id: "ana-1".parse().unwrap(),
        port: 5001,
        addresses: Vec::new(),
        signing_request: Vec::new(),
        run: None,
        is_starting: true,
        transient: false,
        terms: SharingPolicy::default(),
    };
    let refused = service.register_peer(&caller, endpoint, seen).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::Unauthenticated);
    let again = service.local_session(&user("ana"), None).await.unwrap();
    let caller = service.authenticate(Some(&again.token), Some(seen)).await;
    let listed = service.list_peers(&caller.unwrap(), None, None).await;
    assert_eq!(listed.unwrap().items, []);
}
