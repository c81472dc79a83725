//! Registration and leases of peers.

use std::sync::Arc;

use convite_core::{ErrorCode, SharingPolicy};
use convite_store::{AccountId, Holder, Registration, Store};

use crate::world::*;

pub async fn the_id_of_anothers_peer_is_refused(store: Arc<dyn Store>) {
    let ana = sharing(&store, "laptop", &[]).await;
    let eve = account(&store, "eve").await;
    let mut claim = Registration {
        id: peer("laptop"),
        account: eve,
        session: secret("eve"),
        addresses: vec!["203.0.113.6:1".parse().unwrap()],
        lease: at(LEASE),
        transient: false,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    let refused = store.register_peer(&claim, NOW).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::PeerTaken);
    let listed = store.peers(&anyone(), 10, None, NOW).await.unwrap().items;
    assert_eq!(listed[0].summary.user.as_str(), "laptop");
    assert_eq!(listed[0].summary.addresses[0].to_string(), "192.0.2.7:5001");
    for refused in [
        store
            .renew_lease(&peer("laptop"), eve, None, at(1), NOW)
            .await
            .map(drop),
        store.leave(&peer("laptop"), eve, NOW).await,
        store.leave(&peer("none"), eve, NOW).await,
    ] {
        assert_eq!(refused.unwrap_err().code, ErrorCode::NotFound);
    }
    // Ids are case-sensitive.
    claim.id = peer("Laptop");
    assert_eq!(store.register_peer(&claim, NOW).await.unwrap(), 0);
    store
        .renew_lease(&peer("laptop"), ana, None, at(1), NOW)
        .await
        .unwrap();
}

pub async fn a_peer_id_stays_with_its_account_after_its_lease_ended(store: Arc<dyn Store>) {
    sharing(&store, "laptop", &[file("s/a", "a")]).await;
    let eve = account(&store, "eve").await;
    let mut claim = laptop(eve, "eve", 5002, Holder::default());
    claim.lease = at(3 * LEASE);
    for moment in [at(LEASE), at(2 * LEASE)] {
        assert!(store.online_peers(moment).await.unwrap().is_empty());
        let refused = store.register_peer(&claim, moment).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::PeerTaken);
    }
    assert_eq!(paths(&store, at(2 * LEASE)).await, [""; 0]);
}

/// A registration of `laptop` in a session, from a port, by a home with a key.
fn laptop(account: AccountId, session: &str, port: u16, holder: Holder) -> Registration {
    Registration {
        id: peer("laptop"),
        account,
        session: secret(session),
        addresses: vec![format!("192.0.2.7:{port}").parse().unwrap()],
        lease: at(LEASE),
        transient: false,
        terms: SharingPolicy::default(),
        holder,
    }
}

fn home(key: &str, run: u8, is_starting: bool) -> Holder {
    Holder {
        key: Some(secret(key)),
        run: Some([run; 16]),
        is_starting,
    }
}

pub async fn a_live_lease_passes_only_to_the_home_that_holds_it(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let register = async |session: &str, holder, now| {
        let registration = laptop(ana, session, 5001, holder);
        let registered = store.register_peer(&registration, now).await;
        registered.map_err(|problem| problem.code)
    };
    let renew = async |run: u8| {
        let renewed = store
            .renew_lease(&peer("laptop"), ana, Some([run; 16]), at(LEASE), NOW)
            .await;
        renewed.map(drop).map_err(|problem| problem.code)
    };
    let taken = Err(ErrorCode::PeerTaken);
    assert_eq!(register("one", home("one", 1, true), NOW).await, Ok(0));
    // Another home is refused, whatever it claims, and so is one without a key in the same session.
    assert_eq!(register("two", home("two", 2, true), NOW).await, taken);
    assert_eq!(register("two", home("two", 1, false), NOW).await, taken);
    assert_eq!(register("one", Holder::default(), NOW).await, taken);
    assert_eq!(renew(1).await, Ok(()));
    // The same process may register again, and the same home may start again, in a new session.
    assert_eq!(register("one", home("one", 1, false), NOW).await, Ok(0));
    assert_eq!(register("new", home("one", 3, true), NOW).await, Ok(0));
    // The earlier process of that home, or of its copy, cannot take the id back.
    assert_eq!(renew(1).await, Err(ErrorCode::PeerTaken));
    assert_eq!(register("one", home("one", 1, false), NOW).await, taken);
    assert_eq!(renew(3).await, Ok(()));
    // An expired or released lease is free to the account.
    assert_eq!(
        register("two", home("two", 2, true), at(LEASE)).await,
        Ok(0)
    );
    store.leave(&peer("laptop"), ana, NOW).await.unwrap();
    assert_eq!(renew(2).await, Err(ErrorCode::NotFound));
    assert_eq!(register("one", home("one", 1, false), NOW).await, Ok(0));
}

pub async fn a_peer_without_a_key_is_known_by_its_session_or_its_port(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let register = async |session: &str, port, holder| {
        let registration = laptop(ana, session, port, holder);
        let registered = store.register_peer(&registration, NOW).await;
        registered.map_err(|problem| problem.code)
    };
    let none = Holder::default();
    let taken = Err(ErrorCode::PeerTaken);
    assert_eq!(register("one", 5001, none).await, Ok(0));
    assert_eq!(register("one", 5002, none).await, Ok(0));
    assert_eq!(register("two", 5002, none).await, Ok(0));
    assert_eq!(register("one", 5003, none).await, taken);
    assert_eq!(register("two", 5002, home("one", 1, true)).await, taken);
}

pub async fn a_lapsed_lease_hides_a_peer_until_it_is_renewed(store: Arc<dyn Store>) {
    let shared = file("s/a", "a");
    let ana = sharing(&store, "ana", std::slice::from_ref(&shared)).await;
    let key = store
        .contents(convite_store::ContentKey(0), 1)
        .await
        .unwrap()[0]
        .key;
    let visible = async |now| {
        let peers = store
            .peers(&anyone(), 10, None, now)
            .await
            .unwrap()
            .items
            .len();
        let online = store.online_peers(now).await.unwrap().len();
        let index = whole_index(&store, 10, now).await.len();
        let of_one = store
            .index(&anyone(), Some(&peer("ana")), 10, None, now)
            .await
            .unwrap();
        let located = store
            .locate(&anyone(), &shared.hash, None, now)
            .await
            .unwrap()
            .is_some();
        let summaries = store.summaries(&anyone(), &[key], now).await.unwrap().len();
        let all = [
            peers,
            online,
            index,
            of_one.items.len(),
            located.into(),
            summaries,
        ];
        assert!(all.iter().all(|n| *n == all[0]), "{all:?}");
        all[0] == 1
    };
    assert!(visible(at(LEASE - 1)).await);
    assert!(!visible(at(LEASE)).await);
    let generation = store
        .renew_lease(&peer("ana"), ana, None, at(3 * LEASE), at(2 * LEASE))
        .await;
    assert_eq!(generation.unwrap(), 1);
    assert!(visible(at(2 * LEASE)).await);
    assert!(!visible(at(3 * LEASE)).await);
    assert!(store.peer_key(&peer("ana")).await.unwrap().is_some());
    assert_eq!(store.peer_key(&peer("bea")).await.unwrap(), None);
}

pub async fn a_peer_that_left_must_register(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[file("s/a", "a")]).await;
    store.leave(&peer("ana"), ana, NOW).await.unwrap();
    assert_eq!(store.online_peers(NOW).await.unwrap(), []);
    assert_eq!(paths(&store, NOW).await, [""; 0]);
    let refused = store
        .renew_lease(&peer("ana"), ana, None, at(LEASE), NOW)
        .await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(store.online_peers(NOW).await.unwrap(), []);
    assert_eq!(register(&store, "ana", ana, NOW).await, 1);
    assert_eq!(paths(&store, NOW).await, ["ana:s/a"]);
}

pub async fn since_begins_anew_after_a_break(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[]).await;
    let since = async |millis| {
        let listed = store
            .peers(&anyone(), 10, None, at(millis))
            .await
            .unwrap()
            .items;
        listed[0].summary.since * 1000 - NOW.0
    };
    let renew = async |millis| {
        store
            .renew_lease(&peer("ana"), ana, None, at(millis + LEASE), at(millis))
            .await
            .unwrap();
    };
    assert_eq!(since(0).await, 0);
    renew(LEASE - 1000).await;
    register(&store, "ana", ana, at(LEASE)).await;
    assert_eq!(since(LEASE).await, 0);
    // Its lease expired after twice its length.
    renew(2 * LEASE).await;
    assert_eq!(since(2 * LEASE).await, 2 * LEASE);
    store.leave(&peer("ana"), ana, at(2 * LEASE)).await.unwrap();
    register(&store, "ana", ana, at(2 * LEASE + 1000)).await;
    assert_eq!(since(2 * LEASE + 1000).await, 2 * LEASE + 1000);
}

pub async fn peers_come_in_pages_without_gaps_or_repeats(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let mut expected = Vec::new();
    for n in 0..23 {
        let id = format!("p{n:02}");
        register(&store, &id, ana, NOW).await;
        if n % 5 == 0 {
            store.leave(&peer(&id), ana, NOW).await.unwrap();
        } else {
            expected.push(id);
        }
    }
    for limit in [1, 2, 9, 18, 19, 1000] {
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = store
                .peers(&anyone(), limit, cursor.as_deref(), NOW)
                .await
                .unwrap();
            seen.extend(page.items.iter().map(|p| p.summary.id.to_string()));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "pages of {limit}");
    }
    for cursor in ["", "x", "cGVlcnM", "////", "aW5kZXgAYQBi"] {
        let refused = store
            .peers(&anyone(), 1, Some(cursor), NOW)
            .await
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidArgument, "{cursor}");
    }
}

pub async fn what_a_peer_does_for_others_is_what_it_said_last(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let listed = async |name: &str, now| {
        let found = store.listed_peer(&anyone(), &peer(name), now).await;
        found.unwrap().map(|peer| peer.terms)
    };
    let register = async |name: &str, uploads: &str, loads: &str, transient| {
        let registration = Registration {
            id: peer(name),
            account: ana,
            session: secret("ana"),
            addresses: Vec::new(),
            lease: at(LEASE),
            transient,
            terms: SharingPolicy {
                uploads: uploads.parse().unwrap(),
                loads: loads.parse().unwrap(),
            },
            holder: Holder::default(),
        };
        store.register_peer(&registration, NOW).await.unwrap();
    };
    assert_eq!(listed("ana", NOW).await, None);
    for (uploads, loads) in [("", "*"), ("bob,@lab", ""), ("*", "@lab")] {
        register("ana", uploads, loads, false).await;
        let terms = listed("ana", NOW).await.unwrap();
        assert_eq!(terms.uploads.to_string(), uploads);
        assert_eq!(terms.loads.to_string(), loads);
        let page = store.peers(&anyone(), 10, None, NOW).await.unwrap();
        assert_eq!(page.items[0].terms, terms);
    }
    register("get", "*", "*", true).await;
    assert_eq!(listed("get", NOW).await, None);
    assert_eq!(listed("ana", at(LEASE)).await, None);
    store.leave(&peer("ana"), ana, NOW).await.unwrap();
    assert_eq!(listed("ana", NOW).await, None);
}
