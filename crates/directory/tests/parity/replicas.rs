//! Several directories with separate folders on one PostgreSQL database act as one directory.

use std::time::Duration;

use serde_json::json;

use crate::apis::{Running, call, eventually, rest};
use crate::cluster::Cluster;
use crate::scenarios::file;
use crate::swarm::{Member, ids};

/// Time within which a replica must learn of a change at another: shorter than its own check
/// interval of 5 s.
const SOON: Duration = Duration::from_secs(4);

/// Starts this number of replicas at the same time on an empty database; `None` without PostgreSQL.
pub async fn replicas(count: usize) -> Option<Vec<Running>> {
    let url = Cluster::shared()?.database();
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..count {
        let url = url.clone();
        starting.spawn(Running::start(move |config| {
            config.database = Some(url.clone())
        }));
    }
    Some(starting.join_all().await)
}

fn code(link: &str) -> &str {
    link.split(['/', '?']).nth(3).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_have_one_identity() {
    let Some(replicas) = replicas(3).await else {
        return;
    };
    let first = replicas[0].get();
    assert!(first.authority.is_some());
    for other in &replicas[1..] {
        let other = other.get();
        assert_eq!(other.authority, first.authority);
        assert_eq!(other.service.ticket_key(), first.service.ticket_key());
        assert_eq!(code(&other.invite), code(&first.invite));
    }
    // The folders contain no secrets, only the authority's certificate, which is public.
    for replica in &replicas {
        let folder = replica.home.path().join("directory");
        for secret in ["authority.key", "ticket.key", "invite"] {
            assert!(!folder.join(secret).exists(), "{secret}");
        }
        let ca = std::fs::read(folder.join("ca.pem")).unwrap();
        let ca = rustls::pki_types::pem::PemObject::from_pem_slice(&ca);
        let ca: rustls::pki_types::CertificateDer<'_> = ca.unwrap();
        assert_eq!(Some(convite_net::tls::fingerprint(&ca)), first.authority);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_replica_serves_any_request() {
    let Some(mut replicas) = replicas(2).await else {
        return;
    };
    let account =
        json!({"invite": replicas[1].get().invite, "user": "ana", "password": "pass word 1"});
    let (one, two) = (rest(replicas[0].get()), rest(replicas[1].get()));
    one.call(None, &call("create_account", account))
        .await
        .unwrap();
    let login = call("login", json!({"user": "ana", "password": "pass word 1"}));
    let session = two.call(None, &login).await.unwrap();
    let token = session["token"].as_str().unwrap().to_owned();
    let register = call("register", json!({"id": "ana-1", "port": 5001}));
    one.call(Some(&token), &register).await.unwrap();
    // Each replica immediately sees what the other has stored.
    for (generation, (here, there)) in [(1, (&one, &two)), (2, (&two, &one))] {
        let name = format!("report{generation}.txt");
        let upsert = json!([file(&format!("a/{name}"), 1, &name)]);
        let fields = json!({"peer": "ana-1", "generation": generation, "upsert": upsert});
        here.call(Some(&token), &call("publish", fields))
            .await
            .unwrap();
        let search = call("search", json!({ "q": name }));
        eventually(there, &token, &search, |page| page["results"] != json!([])).await;
    }
    // A new replica needs only the URL of the database.
    let folder = replicas[0].home.path().join("directory");
    let before = replicas[0].get().authority;
    replicas[0].restart_without(&folder).await;
    assert_eq!(replicas[0].get().authority, before);
    let one = rest(replicas[0].get());
    let heartbeat = call("heartbeat", json!({"id": "ana-1"}));
    let lease = one.call(Some(&token), &heartbeat).await.unwrap();
    assert_eq!(lease["generation"], 2);
    // A session that ended at one replica has ended at the other.
    two.call(Some(&token), &call("logout", json!({})))
        .await
        .unwrap();
    let refused = one.call(Some(&token), &heartbeat).await;
    assert_eq!(refused, Err("unauthenticated".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_gets_providers_from_another_replica() {
    let Some(replicas) = replicas(2).await else {
        return;
    };
    let ana = Member::join(&replicas[0], "ana").await;
    let bob = Member::join(&replicas[1], "bob").await;
    bob.register("bob-1", false).await;
    bob.register("bob-get", true).await;
    let mut watch = ana.watch("plans").await.unwrap();
    assert_eq!(watch.first, []);
    let shared = json!({"peer": "bob-1", "generation": 1, "upsert": [file("a/b", 7, "plans")]});
    bob.ask("publish", shared).await.unwrap();
    assert_eq!(ids(&watch.next(SOON).await), [("bob-1", false)]);
    bob.announce("bob-get", "plans").await.unwrap();
    assert_eq!(ids(&watch.next(SOON).await), [("bob-get", true)]);
    // A changed address is reported.
    let moved = json!({"id": "bob-1", "port": 5009});
    bob.ask("register", moved).await.unwrap();
    assert_eq!(ids(&watch.next(SOON).await), [("bob-1", false)]);
}
