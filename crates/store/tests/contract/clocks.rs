//! A clock that was wrong for a while.

use std::sync::Arc;

use convite_core::administration::{AuditAction, AuditOutcome};
use convite_core::model::Role;
use convite_core::remote_fetch::{LoadId, LoadState};
use convite_core::{ContentHash, UnixMillis};
use convite_store::{AuditEntry, InviteRecord, NewLink, NewLoad, Store};

use crate::world::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn entry(target: &str, at: UnixMillis) -> AuditEntry {
    AuditEntry {
        at,
        actor: None,
        action: AuditAction::UserAdd,
        target: target.to_owned(),
        address: None,
        outcome: AuditOutcome::Done,
    }
}

/// Creates one of everything that expires, at a wrong time.
async fn create_all(store: &Arc<dyn Store>, owner: &str, now: UnixMillis) {
    let account = sharing(store, owner, &[]).await;
    let host = store.host(&peer(owner)).await.unwrap().unwrap();
    let expires = UnixMillis(now.0 + DAY);
    store
        .create_session(&secret("session"), account, "phc", None, expires, now)
        .await
        .unwrap();
    let invite = InviteRecord {
        code: secret("invite"),
        role: Role::Member,
        space: None,
        uses: None,
        expires,
        founds: false,
    };
    store.create_invite(&invite, None, now).await.unwrap();
    let link = NewLink {
        token: secret("link"),
        account,
        hash: ContentHash::of(b"contents"),
        name: None,
        uses: 1,
        expires,
    };
    let log = entry("link", now);
    store.create_link(&link, &log, now).await.unwrap();
    let load = NewLoad {
        id: LoadId(7),
        account,
        peer: host.key,
        hash: ContentHash::of(b"contents"),
        size: 8,
        name: "contents.txt".to_owned(),
    };
    store
        .create_load(&load, &entry("load", now), now)
        .await
        .unwrap();
}

/// What was created while the clock was behind has its full lifetime once the clock is right, even
/// if nobody noticed that it was wrong.
pub async fn what_was_created_while_the_clock_was_behind_is_kept(store: Arc<dyn Store>) {
    store.sweep(100, NOW).await.unwrap();
    let behind = at(-401 * DAY);
    create_all(&store, "ana", behind).await;
    let soon = at(HOUR);
    store.sweep(100, soon).await.unwrap();

    let session = store.session(&secret("session")).await.unwrap().unwrap();
    assert_eq!(session.expires, at(HOUR + DAY));
    let invite = store.invite(&secret("invite"), soon).await.unwrap();
    assert_eq!(invite.unwrap().expires, at(HOUR + DAY));
    let last = at(HOUR + DAY - 1);
    let link = store.link(&secret("link"), "192.0.2.7", last).await;
    assert!(link.unwrap().is_some());
    let ana = session.account.id;
    let load = store.load_of(ana, LoadId(7), soon).await.unwrap().unwrap();
    assert_eq!(load.state, LoadState::Waiting);
    let log = store.audit(10, None).await.unwrap().items;
    let mut targets: Vec<_> = log.iter().map(|line| line.target.as_str()).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["link", "load"]);

    // They expire as usual afterwards.
    let over = at(HOUR + 2 * DAY);
    store.sweep(100, over).await.unwrap();
    assert_eq!(store.session(&secret("session")).await.unwrap(), None);
    let link = store.link(&secret("link"), "192.0.2.7", NOW).await;
    assert!(link.unwrap().is_none());
}

/// The correction does not wait for the next sweep.
pub async fn a_corrected_clock_revives_what_was_created_before(store: Arc<dyn Store>) {
    store.sweep(100, NOW).await.unwrap();
    create_all(&store, "ana", at(-401 * DAY)).await;
    store.mend_times(NOW).await.unwrap();
    let session = store.session(&secret("session")).await.unwrap().unwrap();
    assert_eq!(session.expires, at(DAY));
    let ana = session.account.id;
    let load = store.load_of(ana, LoadId(7), NOW).await.unwrap().unwrap();
    assert_eq!(load.state, LoadState::Waiting);
}

pub async fn leases_from_a_clock_that_was_ahead_end(store: Arc<dyn Store>) {
    // A heartbeat while the clock was ahead would list the peer for a year.
    let ana = sharing(&store, "ana", &[]).await;
    let ahead = at(400 * DAY);
    store
        .renew_lease(&peer("ana"), ana, None, at(400 * DAY + LEASE), ahead)
        .await
        .unwrap();
    assert_eq!(store.online_peers(NOW).await.unwrap().len(), 1);
    store.mend_times(NOW).await.unwrap();
    assert_eq!(store.online_peers(NOW).await.unwrap().len(), 0);
    store
        .renew_lease(&peer("ana"), ana, None, at(LEASE), NOW)
        .await
        .unwrap();
    store.mend_times(NOW).await.unwrap();
    assert_eq!(store.online_peers(NOW).await.unwrap().len(), 1);
}
