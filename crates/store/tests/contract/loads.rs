//! Remote fetches: requests, reports, waiting and deletion.

use std::sync::Arc;

use convite_core::administration::{AuditAction, AuditOutcome};
use convite_core::remote_fetch::{LoadId, LoadReport, LoadState, LoadSummary};
use convite_core::{AccessList, ContentHash, EntryKind, ErrorCode, SharingPolicy, UnixMillis};
use convite_store::{
    AccountId, AuditEntry, Holder, LOAD_KEPT, LOAD_PATIENCE, LOAD_SILENCE, LOADS_MAX, NewLoad,
    PeerKey, Registration, Store, Viewer,
};

use crate::world::*;

fn entry() -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: None,
        action: AuditAction::LoadAdd,
        target: "p and a hash".to_owned(),
        address: None,
        outcome: AuditOutcome::Done,
    }
}

fn load(id: u64, account: AccountId, peer: PeerKey, contents: &str) -> NewLoad {
    NewLoad {
        id: LoadId(id),
        account,
        peer,
        hash: ContentHash::of(contents.as_bytes()),
        size: contents.len() as u64,
        name: format!("{contents}.txt"),
    }
}

fn says(state: LoadState, bytes: u64) -> LoadReport {
    LoadReport {
        state,
        bytes,
        rate: 7,
        message: match state {
            LoadState::Failed => "no room".to_owned(),
            _ => String::new(),
        },
    }
}

/// An account with an online peer, and the peer's number.
async fn host(store: &Arc<dyn Store>, id: &str) -> (AccountId, PeerKey) {
    let account = sharing(store, id, &[]).await;
    let host = store.host(&peer(id)).await.unwrap().unwrap();
    assert_eq!((host.account, host.user.as_str()), (account, id));
    (account, host.key)
}

async fn ask(store: &Arc<dyn Store>, load: NewLoad, now: UnixMillis) -> (LoadId, bool) {
    store.create_load(&load, &entry(), now).await.unwrap()
}

async fn stands(
    store: &Arc<dyn Store>,
    account: AccountId,
    id: u64,
    now: UnixMillis,
) -> LoadSummary {
    let found = store.load_of(account, LoadId(id), now).await.unwrap();
    found.unwrap()
}

async fn open(store: &Arc<dyn Store>, peer: PeerKey, now: UnixMillis) -> Vec<u64> {
    let open = store.open_loads(peer, 100, now).await.unwrap();
    open.iter().map(|load| load.id.0).collect()
}

pub async fn a_load_is_kept_until_its_peer_has_done_it(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let (ben, key) = host(&store, "ben").await;
    // The highest id is stored unchanged too.
    let id = u64::MAX;
    assert_eq!(
        ask(&store, load(id, ana, key, "x"), NOW).await,
        (LoadId(id), true)
    );
    let kept = stands(&store, ana, id, NOW).await;
    assert_eq!(kept.state, LoadState::Waiting);
    assert_eq!((kept.peer.as_str(), kept.name.as_str()), ("ben", "x.txt"));
    assert_eq!((kept.hash, kept.size), (ContentHash::of(b"x"), 1));
    assert_eq!(kept.created_at, NOW.seconds());
    let orders = store.open_loads(key, 100, NOW).await.unwrap();
    assert_eq!((orders[0].account, orders[0].user.as_str()), (ana, "ana"));
    assert_eq!((orders[0].hash, orders[0].size), (kept.hash, 1));

    let report = async |state, bytes, millis| {
        let said = says(state, bytes);
        store
            .report_load(&peer("ben"), ben, LoadId(id), &said, at(millis))
            .await
    };
    assert_eq!(report(LoadState::Running, 1, 10).await.unwrap(), ana);
    let running = stands(&store, ana, id, at(10)).await;
    assert_eq!(
        (running.state, running.bytes, running.rate),
        (LoadState::Running, 1, 7)
    );
    // A peer that returns also receives running requests.
    assert_eq!(open(&store, key, at(10)).await, [id]);
    report(LoadState::Done, 1, 20).await.unwrap();
    let done = stands(&store, ana, id, at(20)).await;
    assert_eq!(
        (done.state, done.rate, done.message),
        (LoadState::Done, 0, None)
    );
    assert!(open(&store, key, at(20)).await.is_empty());
    let again = report(LoadState::Failed, 0, 30).await;
    assert_eq!(again.unwrap_err().code, ErrorCode::NotFound);
    let log = store.audit(10, None).await.unwrap().items;
    assert_eq!(
        log.iter()
            .filter(|e| e.action == AuditAction::LoadAdd)
            .count(),
        1
    );
}

pub async fn the_same_asked_for_again_is_the_same_load(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let (ben, key) = host(&store, "ben").await;
    let many = (1..=8).map(|number| {
        let (store, wanted) = (Arc::clone(&store), load(number, ana, key, "x"));
        tokio::spawn(async move { ask(&store, wanted, NOW).await })
    });
    let mut kept = Vec::new();
    for one in many.collect::<Vec<_>>() {
        kept.push(one.await.unwrap());
    }
    assert_eq!(kept.iter().filter(|(_, is_new)| *is_new).count(), 1);
    assert!(kept.iter().all(|(id, _)| *id == kept[0].0));
    // A request of another account is separate, and so is a new request after a failure.
    assert!(ask(&store, load(21, ben, key, "x"), NOW).await.1);
    assert!(ask(&store, load(22, ana, key, "y"), NOW).await.1);
    let said = says(LoadState::Failed, 0);
    let first = kept[0].0;
    store
        .report_load(&peer("ben"), ben, first, &said, NOW)
        .await
        .unwrap();
    let failed = stands(&store, ana, first.0, NOW).await;
    assert_eq!(failed.message.as_deref(), Some("no room"));
    assert!(ask(&store, load(23, ana, key, "x"), NOW).await.1);
}

pub async fn only_its_own_peer_reports_of_a_load(store: Arc<dyn Store>) {
    let (ana, _) = host(&store, "ana").await;
    let (ben, key) = host(&store, "ben").await;
    register(&store, "ben-2", ben, NOW).await;
    ask(&store, load(1, ana, key, "x"), NOW).await;
    for (id, account, number) in [
        ("ana", ana, 1),
        ("ben", ana, 1),
        ("ben-2", ben, 1),
        ("ben", ben, 2),
        ("nobody", ben, 1),
    ] {
        let said = says(LoadState::Done, 1);
        let refused = store
            .report_load(&peer(id), account, LoadId(number), &said, NOW)
            .await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::NotFound, "{id}");
    }
    assert_eq!(stands(&store, ana, 1, NOW).await.state, LoadState::Waiting);
    let said = LoadReport {
        bytes: u64::MAX,
        ..says(LoadState::Running, 0)
    };
    let refused = store
        .report_load(&peer("ben"), ben, LoadId(1), &said, NOW)
        .await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidArgument);
}

pub async fn a_silent_peer_makes_a_load_wait_and_an_hour_ends_it(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let (ben, key) = host(&store, "ben").await;
    ask(&store, load(1, ana, key, "x"), NOW).await;
    let said = says(LoadState::Running, 1);
    let report = async |millis| {
        store
            .report_load(&peer("ben"), ben, LoadId(1), &said, at(millis))
            .await
    };
    report(0).await.unwrap();
    let state = async |millis| stands(&store, ana, 1, at(millis)).await.state;
    assert_eq!(state(LOAD_SILENCE - 1).await, LoadState::Running);
    assert_eq!(state(LOAD_SILENCE).await, LoadState::Waiting);
    // While the peer is online, it may only be slow.
    let lease = at(LOAD_SILENCE + LEASE);
    store
        .renew_lease(&peer("ben"), ben, None, lease, at(1))
        .await
        .unwrap();
    assert_eq!(state(LOAD_SILENCE).await, LoadState::Running);
    assert_eq!(open(&store, key, at(LOAD_PATIENCE - 1)).await, [1]);
    assert!(open(&store, key, at(LOAD_PATIENCE)).await.is_empty());
    assert_eq!(state(LOAD_PATIENCE).await, LoadState::Failed);
    let late = report(LOAD_PATIENCE).await.unwrap_err();
    assert_eq!(late.code, ErrorCode::NotFound);
    // After the sweep the state is the same, for one more day.
    store.sweep(100, at(LOAD_PATIENCE)).await.unwrap();
    let swept = stands(&store, ana, 1, NOW).await;
    assert_eq!(swept.state, LoadState::Failed);
    assert_eq!(
        swept.message,
        stands(&store, ana, 1, at(LOAD_PATIENCE)).await.message
    );
    assert!(swept.message.unwrap().contains("offline"));
}

pub async fn loads_come_in_pages_newest_first_and_each_sees_the_own(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let (ben, key) = host(&store, "ben").await;
    for number in 0..7 {
        // Two at each time, with ids in reverse order of time.
        let wanted = load(100 - number, ana, key, &number.to_string());
        ask(&store, wanted, at(number as i64 / 2)).await;
    }
    ask(&store, load(200, ben, key, "x"), NOW).await;
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = store
            .loads(ana, 3, cursor.as_deref(), at(10))
            .await
            .unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items.into_iter().map(|load| load.load.0));
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, [94, 96, 95, 98, 97, 100, 99]);
    assert!(
        store
            .load_of(ana, LoadId(200), NOW)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        store
            .load_of(ben, LoadId(100), NOW)
            .await
            .unwrap()
            .is_none()
    );
    let refused = store.loads(ana, 3, Some("bG9hZHM"), NOW).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidArgument);
    assert_eq!(store.open_loads(key, 3, at(10)).await.unwrap().len(), 3);
}

pub async fn open_loads_are_bounded_and_those_over_forgotten(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let (ben, key) = host(&store, "ben").await;
    for number in 0..u64::from(LOADS_MAX) {
        ask(&store, load(number, ana, key, &number.to_string()), NOW).await;
    }
    let one_more = load(5_000, ana, key, "one more");
    let refused = store.create_load(&one_more, &entry(), NOW).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::TooManyRequests);
    // A repeated request does not count, and another account has its own limit.
    assert!(!ask(&store, load(5_001, ana, key, "7"), NOW).await.1);
    assert!(ask(&store, load(5_002, ben, key, "one more"), NOW).await.1);
    let said = says(LoadState::Done, 1);
    store
        .report_load(&peer("ben"), ben, LoadId(7), &said, NOW)
        .await
        .unwrap();
    assert!(ask(&store, one_more, NOW).await.1);
    store.sweep(100, at(LOAD_KEPT - 1)).await.unwrap();
    assert!(store.load_of(ana, LoadId(7), NOW).await.unwrap().is_some());
    store.sweep(100, at(LOAD_KEPT)).await.unwrap();
    assert!(store.load_of(ana, LoadId(7), NOW).await.unwrap().is_none());
    // The others have failed by then, and are kept as failed.
    assert!(store.load_of(ana, LoadId(8), NOW).await.unwrap().is_some());
}

pub async fn a_peer_is_told_of_loads_of_every_account(store: Arc<dyn Store>) {
    let (ana, eve) = (account(&store, "ana").await, account(&store, "eve").await);
    let (_, key) = host(&store, "ben").await;
    for number in 0..100 {
        ask(&store, load(number, eve, key, &number.to_string()), NOW).await;
    }
    ask(&store, load(5_000, ana, key, "one"), at(1)).await;
    let told = store.open_loads(key, 64, at(1)).await.unwrap();
    assert!(told.iter().any(|load| load.account == ana));
    assert_eq!(told.len(), 64);
}

pub async fn a_removed_peer_takes_its_loads_with_it(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let (_, key) = host(&store, "ben").await;
    ask(&store, load(1, ana, key, "x"), NOW).await;
    store.remove_peer(&peer("ben"), &entry()).await.unwrap();
    assert!(store.load_of(ana, LoadId(1), NOW).await.unwrap().is_none());
    assert!(store.host(&peer("ben")).await.unwrap().is_none());
}

pub async fn only_peers_that_stay_are_asked(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let loads: AccessList = "ben,@lab".parse().unwrap();
    let mut registration = Registration {
        id: peer("p"),
        account: ana,
        session: secret("p"),
        addresses: Vec::new(),
        lease: at(LEASE),
        transient: true,
        terms: SharingPolicy {
            loads: loads.clone(),
            ..SharingPolicy::default()
        },
        holder: Holder::default(),
    };
    store.register_peer(&registration, NOW).await.unwrap();
    assert!(store.host(&peer("p")).await.unwrap().is_none());
    registration.transient = false;
    store.register_peer(&registration, NOW).await.unwrap();
    // The result is the same for an offline peer.
    store.leave(&peer("p"), ana, NOW).await.unwrap();
    let host = store.host(&peer("p")).await.unwrap().unwrap();
    assert_eq!(host.terms.loads, loads);
}

pub async fn a_content_lies_where_peers_online_share_it(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[]).await;
    let ben = sharing(&store, "ben", &[]).await;
    let lab = "lab".parse().unwrap();
    let club = "club".parse().unwrap();
    for (space, member) in [(&lab, "ana"), (&lab, "ben"), (&club, "ben")] {
        // The second time, the file is already stored.
        let _ = store.create_space(space, &entry(), NOW).await;
        store
            .add_member(space, &member.parse().unwrap(), &entry(), NOW)
            .await
            .unwrap();
    }
    let eyes = [
        store.viewer(ana).await.unwrap(),
        store.viewer(ben).await.unwrap(),
    ];
    let common = eyes[0].common(&eyes[1]);
    assert_eq!(common, eyes[0]);
    assert_eq!(Viewer::everyone().common(&eyes[1]), Viewer::everyone());
    let lies = async |viewer: &Viewer, now| {
        let spaces = store
            .lies_in(viewer, &ContentHash::of(b"x"), EntryKind::File, now)
            .await
            .unwrap();
        spaces.map(|spaces| spaces.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(lies(&eyes[1], NOW).await, None);
    let mut shared = file("a", "x");
    shared.space = Some(lab.clone());
    let mut own = file("b", "x");
    own.space = Some(club);
    publish(&store, "ben", ben, 0, upsert(&[shared.clone(), own])).await;
    assert_eq!(lies(&eyes[1], NOW).await.unwrap(), ["club", "lab"]);
    assert_eq!(lies(&common, NOW).await.unwrap(), ["lab"]);
    assert_eq!(lies(&Viewer::everyone(), NOW).await, None);
    shared.space = None;
    publish(&store, "ana", ana, 0, upsert(&[shared])).await;
    assert!(lies(&common, NOW).await.unwrap().is_empty());
    assert!(lies(&Viewer::everyone(), NOW).await.unwrap().is_empty());
    assert_eq!(lies(&eyes[1], at(LEASE)).await, None);
}
