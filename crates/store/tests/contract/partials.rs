//! Partial providers and transient peers.

use std::sync::Arc;

use convite_core::{ContentHash, ErrorCode, SharingPolicy, UnixMillis};
use convite_store::{ANNOUNCEMENTS_MAX, AccountId, Holder, Registration, Store};

use crate::spaces::{file_in, make, member};
use crate::world::*;

async fn register_transient(store: &Arc<dyn Store>, id: &str, account: AccountId, now: UnixMillis) {
    let registration = Registration {
        id: peer(id),
        account,
        session: secret(id),
        addresses: vec!["192.0.2.9:5001".parse().unwrap()],
        lease: UnixMillis(now.0 + LEASE),
        transient: true,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    store.register_peer(&registration, now).await.unwrap();
}

fn hash(contents: &str) -> ContentHash {
    ContentHash::of(contents.as_bytes())
}

/// Shares these contents from an offline peer, so that they can be announced.
async fn known(store: &Arc<dyn Store>, contents: &[&str]) {
    let files: Vec<_> = contents
        .iter()
        .enumerate()
        .map(|(n, contents)| file(&format!("s/{n}"), contents))
        .collect();
    let account = sharing(store, "known", &files).await;
    store.leave(&peer("known"), account, NOW).await.unwrap();
}

/// Returns the providers of a content at `now`; partial ones with a `~`.
async fn located(store: &Arc<dyn Store>, contents: &str, now: UnixMillis) -> Vec<String> {
    let located = store
        .locate(&anyone(), &hash(contents), None, now)
        .await
        .unwrap();
    let providers = located.map_or(Vec::new(), |located| located.providers);
    let shown = providers.iter().map(|provider| {
        if provider.partial {
            format!("~{}", provider.peer)
        } else {
            provider.peer.to_string()
        }
    });
    shown.collect()
}

pub async fn an_announcement_lists_a_partial_provider_until_it_is_withdrawn(store: Arc<dyn Store>) {
    known(&store, &["abc"]).await;
    let changes = store.last_change().await.unwrap();
    let ana = sharing(&store, "ana", &[]).await;
    let announce = async |size| {
        store
            .announce(&peer("ana"), ana, &anyone(), &hash("abc"), size, NOW)
            .await
    };
    assert!(announce(3).await.unwrap().is_news);
    assert!(!announce(3).await.unwrap().is_news);
    let found = store
        .locate(&anyone(), &hash("abc"), None, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.size, found.names.len()), (3, 0));
    assert_eq!(located(&store, "abc", NOW).await, ["~ana"]);
    assert_eq!(store.announced(&peer("ana")).await.unwrap(), [hash("abc")]);
    assert!(announce(4).await.unwrap().is_news);
    let found = store
        .locate(&anyone(), &hash("abc"), None, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.size, found.providers[0].size), (4, 4));
    // Searches do not include it.
    assert_eq!(store.last_change().await.unwrap(), changes);
    for _ in 0..2 {
        let withdrawn = store.withdraw(&peer("ana"), ana, &hash("abc"), NOW).await;
        withdrawn.unwrap();
        assert_eq!(
            store
                .locate(&anyone(), &hash("abc"), None, NOW)
                .await
                .unwrap(),
            None
        );
    }
    let too_large = announce(u64::MAX).await.unwrap_err();
    assert_eq!(too_large.code, ErrorCode::InvalidArgument);
}

pub async fn an_announcement_returns_the_spaces_that_show_the_content(store: Arc<dyn Store>) {
    for name in ["lab", "desk", "club"] {
        make(&store, name).await;
    }
    known(&store, &["open", "both"]).await;
    // Shared in two spaces of ana, and in one that she does not belong to.
    for place in ["lab", "desk", "club"] {
        let id = format!("in-{place}");
        let owner = member(&store, &id, &[place]).await;
        let shared = [file_in(place, "s/both", "both")];
        publish(&store, &id, owner, 0, upsert(&shared)).await;
    }
    let ana = member(&store, "ana", &["lab", "desk"]).await;
    register_transient(&store, "get", ana, NOW).await;
    let viewer = store.viewer(ana).await.unwrap();
    let audience = async |contents: &str| {
        let hash = hash(contents);
        let announced = store
            .announce(&peer("get"), ana, &viewer, &hash, 4, NOW)
            .await;
        let names = announced.unwrap().audience.into_iter();
        names.map(|name| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(audience("open").await, [""; 0]);
    // The same for an announcement that is repeated.
    for _ in 0..2 {
        assert_eq!(audience("both").await, ["desk", "lab"]);
    }
}

pub async fn only_its_account_announces_a_peer(store: Arc<dyn Store>) {
    known(&store, &["a", "b"]).await;
    let ana = sharing(&store, "ana", &[]).await;
    let eve = account(&store, "eve").await;
    store
        .announce(&peer("ana"), ana, &anyone(), &hash("a"), 1, NOW)
        .await
        .unwrap();
    for (id, account) in [("ana", eve), ("none", ana)] {
        let id = peer(id);
        let announced = store
            .announce(&id, account, &anyone(), &hash("b"), 1, NOW)
            .await;
        assert_eq!(announced.unwrap_err().code, ErrorCode::NotFound);
        let withdrawn = store.withdraw(&id, account, &hash("a"), NOW).await;
        assert_eq!(withdrawn.unwrap_err().code, ErrorCode::NotFound);
    }
    assert_eq!(located(&store, "a", NOW).await, ["~ana"]);
    store.leave(&peer("ana"), ana, NOW).await.unwrap();
    let left = store
        .announce(&peer("ana"), ana, &anyone(), &hash("b"), 1, NOW)
        .await;
    assert_eq!(left.unwrap_err().code, ErrorCode::NotFound);
}

pub async fn a_peer_announces_a_bounded_number_of_contents(store: Arc<dyn Store>) {
    let numbers: Vec<_> = (0..=ANNOUNCEMENTS_MAX).map(|n| n.to_string()).collect();
    let numbers: Vec<_> = numbers.iter().map(String::as_str).collect();
    known(&store, &numbers).await;
    let ana = sharing(&store, "ana", &[]).await;
    let announce = async |n: u64| {
        let hash = hash(&n.to_string());
        store
            .announce(&peer("ana"), ana, &anyone(), &hash, 1, NOW)
            .await
    };
    for n in 0..ANNOUNCEMENTS_MAX {
        assert!(announce(n).await.unwrap().is_news);
    }
    let refused = announce(ANNOUNCEMENTS_MAX).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::TooManyRequests);
    // An existing announcement can be repeated.
    assert!(!announce(0).await.unwrap().is_news);
    let first = hash("0");
    store
        .withdraw(&peer("ana"), ana, &first, NOW)
        .await
        .unwrap();
    assert!(announce(ANNOUNCEMENTS_MAX).await.unwrap().is_news);
}

pub async fn a_lapsed_lease_hides_a_partial_provider(store: Arc<dyn Store>) {
    known(&store, &["a"]).await;
    let ana = sharing(&store, "ana", &[]).await;
    store
        .announce(&peer("ana"), ana, &anyone(), &hash("a"), 1, NOW)
        .await
        .unwrap();
    assert_eq!(located(&store, "a", at(LEASE - 1)).await, ["~ana"]);
    assert_eq!(located(&store, "a", at(LEASE)).await, [""; 0]);
    // A heartbeat after an interruption brings it back.
    store.sweep(10, at(2 * LEASE)).await.unwrap();
    store
        .renew_lease(&peer("ana"), ana, None, at(3 * LEASE), at(2 * LEASE))
        .await
        .unwrap();
    assert_eq!(located(&store, "a", at(2 * LEASE)).await, ["~ana"]);
    // A registration while online keeps the announcements, one after an interruption does not.
    register(&store, "ana", ana, at(2 * LEASE)).await;
    assert_eq!(located(&store, "a", at(2 * LEASE)).await, ["~ana"]);
    register(&store, "ana", ana, at(4 * LEASE)).await;
    assert_eq!(located(&store, "a", at(4 * LEASE)).await, [""; 0]);
    let announce = store
        .announce(&peer("ana"), ana, &anyone(), &hash("a"), 1, at(4 * LEASE))
        .await;
    assert!(announce.unwrap().is_news);
    store
        .end_session(&secret("ana"), at(4 * LEASE))
        .await
        .unwrap();
    register(&store, "ana", ana, at(4 * LEASE)).await;
    assert_eq!(located(&store, "a", at(4 * LEASE)).await, [""; 0]);
}

pub async fn whole_providers_come_first_and_are_listed_once(store: Arc<dyn Store>) {
    let eve = sharing(&store, "eve", &[file("s/a", "abc")]).await;
    let ana = sharing(&store, "ana", &[]).await;
    for (id, account, size) in [("eve", eve, 3), ("ana", ana, 99)] {
        let (id, hash) = (peer(id), hash("abc"));
        let announced = store
            .announce(&id, account, &anyone(), &hash, size, NOW)
            .await;
        announced.unwrap();
    }
    assert_eq!(located(&store, "abc", NOW).await, ["eve", "~ana"]);
    let found = store
        .locate(&anyone(), &hash("abc"), None, NOW)
        .await
        .unwrap()
        .unwrap();
    // While a peer shares the file, partial providers do not determine its size.
    assert_eq!((found.size, found.names), (3, vec!["a".to_owned()]));
    // A peer that is now offline claims another size. The announcement remains valid.
    let mut lie = file("s/lie", "abc");
    lie.size = 5;
    let away = sharing(&store, "lie", &[lie]).await;
    store.leave(&peer("lie"), away, NOW).await.unwrap();
    publish(&store, "eve", eve, 1, remove(&["s/a"])).await;
    assert_eq!(located(&store, "abc", NOW).await, ["~ana", "~eve"]);
    let found = store
        .locate(&anyone(), &hash("abc"), None, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.size, 3);
    // When no peer shares the content any more, it is not visible.
    publish(&store, "lie", away, 1, remove(&["s/lie"])).await;
    assert_eq!(located(&store, "abc", NOW).await, [""; 0]);
}

pub async fn a_transient_peer_is_not_listed_and_forgotten_when_it_goes(store: Arc<dyn Store>) {
    known(&store, &["a", "b"]).await;
    let (ana, eve) = (account(&store, "ana").await, account(&store, "eve").await);
    let known = async || store.peer_key(&peer("get")).await.unwrap().is_some();
    let begin = async |account| {
        register_transient(&store, "get", account, NOW).await;
        let (id, hash) = (peer("get"), hash("a"));
        let announced = store.announce(&id, account, &anyone(), &hash, 1, NOW).await;
        assert!(announced.unwrap().is_news);
        assert_eq!(located(&store, "a", NOW).await, ["~get"]);
    };
    let gone = async || {
        assert!(!known().await);
        assert_eq!(located(&store, "a", NOW).await, [""; 0]);
        assert_eq!(store.announced(&peer("get")).await.unwrap(), []);
    };
    begin(ana).await;
    assert_eq!(
        store.peers(&anyone(), 10, None, NOW).await.unwrap().items,
        []
    );
    assert_eq!(store.totals(NOW).await.unwrap().peers, 0);
    store
        .renew_lease(&peer("get"), ana, None, at(LEASE), NOW)
        .await
        .unwrap();
    store.leave(&peer("get"), ana, NOW).await.unwrap();
    gone().await;
    // Its id is free for any account.
    begin(eve).await;
    store.end_session(&secret("get"), NOW).await.unwrap();
    gone().await;
    begin(ana).await;
    store.sweep(10, at(LEASE - 1)).await.unwrap();
    assert!(known().await);
    store.sweep(10, at(LEASE)).await.unwrap();
    gone().await;
    // Also before the sweep.
    begin(ana).await;
    let late = store
        .renew_lease(&peer("get"), ana, None, at(2 * LEASE), at(LEASE))
        .await;
    assert_eq!(late.unwrap_err().code, ErrorCode::NotFound);
    let late = store
        .announce(&peer("get"), ana, &anyone(), &hash("b"), 1, at(LEASE))
        .await;
    assert_eq!(late.unwrap_err().code, ErrorCode::NotFound);
    register_transient(&store, "get", eve, at(LEASE)).await;
    assert_eq!(located(&store, "a", at(LEASE)).await, [""; 0]);
}

pub async fn a_transient_peer_shares_nothing_and_replaces_none_that_stays(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[file("s/a", "a")]).await;
    let claim = Registration {
        id: peer("ana"),
        account: ana,
        session: secret("ana"),
        addresses: Vec::new(),
        lease: at(LEASE),
        transient: true,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    let refused = store.register_peer(&claim, NOW).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::PeerTaken);
    register_transient(&store, "get", ana, NOW).await;
    let change = upsert(&[file("s/b", "b")]);
    let refused = store
        .publish_change(&peer("get"), ana, 0, 1, change, NOW)
        .await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidArgument);
    let refused = store.begin_full(&peer("get"), ana, NOW).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidArgument);
    // A transient peer that becomes permanent is a normal peer.
    register(&store, "get", ana, NOW).await;
    publish(&store, "get", ana, 0, upsert(&[file("s/b", "b")])).await;
    assert_eq!(paths(&store, NOW).await, ["ana:s/a", "get:s/b"]);
}
