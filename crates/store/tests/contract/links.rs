//! Links: number of uses, networks and expiry.

use std::sync::Arc;

use convite_core::administration::{AuditAction, AuditOutcome};
use convite_core::{ContentHash, ErrorCode, UnixMillis};
use convite_store::{AccountId, AuditEntry, LINK_GRACE, LINKS_MAX, LinkUse, NewLink, Store};

use crate::world::*;

/// Lifetime of a link in this module.
const LIFE: i64 = LINK_GRACE * 6;
const HERE: &str = "192.0.2.7";
const THERE: &str = "2001:db8::";

fn entry(action: AuditAction) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: Some("ana".parse().unwrap()),
        action,
        target: "a hash".to_owned(),
        address: None,
        outcome: AuditOutcome::Done,
    }
}

async fn make(store: &Arc<dyn Store>, token: &str, account: AccountId, uses: u32) {
    let link = NewLink {
        token: secret(token),
        account,
        hash: ContentHash::of(b"contents"),
        name: Some("b.txt".to_owned()),
        uses,
        expires: at(LIFE),
    };
    let entry = entry(AuditAction::LinkAdd);
    store.create_link(&link, &entry, NOW).await.unwrap();
}

async fn opens(store: &Arc<dyn Store>, network: &str, now: UnixMillis) -> bool {
    let found = store.link(&secret("link"), network, now).await.unwrap();
    if let Some(found) = &found {
        assert_eq!(found.user.as_str(), "ana");
        assert_eq!(found.hash, ContentHash::of(b"contents"));
        assert_eq!(found.name.as_deref(), Some("b.txt"));
    }
    found.is_some()
}

async fn uses(store: &Arc<dyn Store>, network: &str, begins: bool, millis: i64) -> LinkUse {
    let entry = entry(AuditAction::LinkUse);
    store
        .use_link(&secret("link"), network, begins, &entry, at(millis))
        .await
        .unwrap()
}

/// Returns how often the log counts this action. Equal acts are merged.
async fn noted(store: &Arc<dyn Store>, action: AuditAction) -> u64 {
    let log = store.audit(1000, None).await.unwrap().items;
    let lines = log.iter().filter(|line| line.action == action);
    lines.map(|line| line.times).sum()
}

pub async fn a_use_belongs_to_the_network_that_began_it(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    assert!(!opens(&store, HERE, NOW).await);
    assert_eq!(uses(&store, HERE, true, 0).await, LinkUse::Refused);
    make(&store, "link", ana, 1).await;
    assert!(opens(&store, HERE, NOW).await && opens(&store, THERE, NOW).await);
    assert_eq!(uses(&store, HERE, true, 0).await, LinkUse::Begun);
    assert!(opens(&store, HERE, NOW).await);
    assert!(!opens(&store, THERE, NOW).await);
    for begins in [true, false] {
        assert_eq!(uses(&store, THERE, begins, 1).await, LinkUse::Refused);
        let last = LINK_GRACE - 1;
        assert_eq!(uses(&store, HERE, begins, last).await, LinkUse::GoneOn);
    }
    // After that, the network can only continue, until the link expires.
    assert_eq!(uses(&store, HERE, true, LINK_GRACE).await, LinkUse::Refused);
    assert_eq!(uses(&store, HERE, false, LIFE - 1).await, LinkUse::GoneOn);
    assert_eq!(uses(&store, HERE, false, LIFE).await, LinkUse::Refused);
    assert!(!opens(&store, HERE, at(LIFE)).await);
    assert_eq!(noted(&store, AuditAction::LinkUse).await, 1);
    assert_eq!(noted(&store, AuditAction::LinkAdd).await, 1);
}

pub async fn who_begins_anew_after_a_while_spends_another_use(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    make(&store, "link", ana, 3).await;
    assert_eq!(uses(&store, HERE, true, 0).await, LinkUse::Begun);
    assert_eq!(uses(&store, HERE, true, LINK_GRACE).await, LinkUse::Begun);
    let again = LINK_GRACE * 2 - 1;
    assert_eq!(uses(&store, HERE, true, again).await, LinkUse::GoneOn);
    // A network that never started the download spends a use too.
    assert_eq!(uses(&store, THERE, false, again).await, LinkUse::Begun);
    assert_eq!(
        uses(&store, "198.51.100.1", true, again).await,
        LinkUse::Refused
    );
    assert_eq!(noted(&store, AuditAction::LinkUse).await, 3);
}

pub async fn the_last_use_of_a_link_goes_to_one_of_many(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    make(&store, "link", ana, 2).await;
    let many = (0..8).map(|number| {
        let store = Arc::clone(&store);
        let network = format!("192.0.2.{number}");
        tokio::spawn(async move { uses(&store, &network, true, 0).await })
    });
    let mut begun = 0;
    for one in many.collect::<Vec<_>>() {
        begun += usize::from(one.await.unwrap() == LinkUse::Begun);
    }
    assert_eq!(begun, 2);
}

pub async fn many_requests_from_one_network_at_once_are_one_use(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    make(&store, "link", ana, 5).await;
    let many = (0..8).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { uses(&store, HERE, true, 0).await })
    });
    let mut begun = 0;
    for one in many.collect::<Vec<_>>() {
        begun += usize::from(one.await.unwrap() == LinkUse::Begun);
    }
    assert_eq!(begun, 1);
    assert_eq!(noted(&store, AuditAction::LinkUse).await, 1);
}

pub async fn links_that_are_over_are_forgotten_and_the_others_bounded(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    make(&store, "link", ana, 1).await;
    assert_eq!(uses(&store, HERE, true, 0).await, LinkUse::Begun);
    store.sweep(100, at(LIFE - 1)).await.unwrap();
    assert!(opens(&store, HERE, NOW).await);
    store.sweep(100, at(LIFE)).await.unwrap();
    // Queried for an earlier time, so only the deletion can hide it.
    assert!(!opens(&store, HERE, NOW).await);
    for number in 0..LINKS_MAX {
        make(&store, &number.to_string(), ana, 1).await;
    }
    let link = |millis| NewLink {
        token: secret("one more"),
        account: ana,
        hash: ContentHash::of(b"contents"),
        name: None,
        uses: 1,
        expires: at(millis),
    };
    let entry = entry(AuditAction::LinkAdd);
    let refused = store.create_link(&link(LIFE * 3), &entry, NOW).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::TooManyRequests);
    // Expired links do not count.
    let later = at(LIFE);
    store
        .create_link(&link(LIFE * 3), &entry, later)
        .await
        .unwrap();
}
