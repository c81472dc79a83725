//! Accounts, invites and sessions.

use std::sync::Arc;

use convite_core::ErrorCode;
use convite_core::model::Role;
use convite_store::{AccountChange, Admission, InviteRecord, Store, Totals};

use crate::world::*;

const DAY: i64 = 24 * 60 * 60 * 1000;

fn invite(uses: Option<u32>, founds: bool) -> InviteRecord {
    InviteRecord {
        code: secret("code"),
        role: Role::Member,
        space: None,
        uses,
        expires: at(1000),
        founds,
    }
}

async fn come_in(store: &Arc<dyn Store>, user: &str, millis: i64) -> Result<Role, ErrorCode> {
    let user = user.parse().unwrap();
    let admission = Admission::Invite(secret("code"));
    let made = store
        .create_account(&user, "phc", admission, at(millis))
        .await;
    made.map(|account| account.role).map_err(|p| p.code)
}

pub async fn an_account_is_found_by_its_name_and_its_name_is_taken(store: Arc<dyn Store>) {
    let ana = "Ana".parse().unwrap();
    assert_eq!(store.account(&ana).await.unwrap(), None);
    let granted = || Admission::Granted(Role::Admin);
    assert!(!store.has_admin().await.unwrap());
    let made = store
        .create_account(&ana, "phc", granted(), NOW)
        .await
        .unwrap();
    assert_eq!((made.role, made.disabled), (Role::Admin, false));
    assert_eq!(made.password_hash, "phc");
    assert_eq!(store.account(&ana).await.unwrap(), Some(made));
    assert!(store.has_admin().await.unwrap());
    let again = store.create_account(&ana, "other", granted(), NOW).await;
    assert_eq!(again.unwrap_err().code, ErrorCode::UserTaken);
    assert_eq!(
        store.account(&ana).await.unwrap().unwrap().password_hash,
        "phc"
    );
}

pub async fn an_invite_lets_in_as_many_as_it_says(store: Arc<dyn Store>) {
    assert_eq!(come_in(&store, "a", 0).await, Err(ErrorCode::InviteInvalid));
    store
        .create_invite(&invite(Some(2), false), None, NOW)
        .await
        .unwrap();
    let kept = store.invite(&secret("code"), NOW).await.unwrap();
    assert_eq!(kept, Some(invite(Some(2), false)));
    assert_eq!(come_in(&store, "a", 0).await, Ok(Role::Member));
    let left = store.invite(&secret("code"), NOW).await.unwrap().unwrap();
    assert_eq!(left.uses, Some(1));
    assert_eq!(come_in(&store, "b", 0).await, Ok(Role::Member));
    assert_eq!(store.invite(&secret("code"), NOW).await.unwrap(), None);
    assert_eq!(come_in(&store, "c", 0).await, Err(ErrorCode::InviteInvalid));
    assert_eq!(store.account(&"c".parse().unwrap()).await.unwrap(), None);
}

pub async fn the_last_use_of_an_invite_goes_to_one_of_two(store: Arc<dyn Store>) {
    store
        .create_invite(&invite(Some(1), false), None, NOW)
        .await
        .unwrap();
    let many = (0..8).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { come_in(&store, &format!("user{n}"), 0).await })
    });
    let mut let_in = 0;
    for one in many.collect::<Vec<_>>() {
        match one.await.unwrap() {
            Ok(_) => let_in += 1,
            Err(code) => assert_eq!(code, ErrorCode::InviteInvalid),
        }
    }
    assert_eq!(let_in, 1);
    assert_eq!(store.totals(NOW).await.unwrap().accounts, 1);
}

pub async fn a_taken_name_spends_no_invite(store: Arc<dyn Store>) {
    account(&store, "ana").await;
    store
        .create_invite(&invite(Some(1), false), None, NOW)
        .await
        .unwrap();
    assert_eq!(come_in(&store, "ana", 0).await, Err(ErrorCode::UserTaken));
    assert_eq!(come_in(&store, "bea", 0).await, Ok(Role::Member));
}

pub async fn an_invite_that_is_over_lets_nobody_in(store: Arc<dyn Store>) {
    store
        .create_invite(&invite(Some(5), false), None, NOW)
        .await
        .unwrap();
    assert_eq!(come_in(&store, "a", 999).await, Ok(Role::Member));
    assert_eq!(
        come_in(&store, "b", 1000).await,
        Err(ErrorCode::InviteInvalid)
    );
    assert_eq!(store.invite(&secret("code"), at(1000)).await.unwrap(), None);
    store.sweep(100, at(1000 + DAY)).await.unwrap();
    // Queried for an earlier time, so only the deletion can hide it.
    assert_eq!(store.invite(&secret("code"), NOW).await.unwrap(), None);
}

pub async fn a_founding_invite_makes_an_administrator_only_while_there_is_none(
    store: Arc<dyn Store>,
) {
    store
        .create_invite(&invite(None, true), None, NOW)
        .await
        .unwrap();
    account(&store, "early").await;
    assert_eq!(come_in(&store, "first", 0).await, Ok(Role::Admin));
    assert_eq!(come_in(&store, "second", 0).await, Ok(Role::Member));
    let kept = store
        .account(&"first".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept.role, Role::Admin);
}

pub async fn an_invite_without_limit_stays(store: Arc<dyn Store>) {
    store
        .create_invite(&invite(None, false), None, NOW)
        .await
        .unwrap();
    for user in ["a", "b", "c"] {
        assert_eq!(come_in(&store, user, 0).await, Ok(Role::Member));
    }
    let kept = store.invite(&secret("code"), NOW).await.unwrap().unwrap();
    assert_eq!(kept.uses, None);
}

pub async fn a_session_is_returned_after_its_end_until_it_is_swept(store: Arc<dyn Store>) {
    let token = secret("token");
    assert_eq!(store.session(&token).await.unwrap(), None);
    let ana = account(&store, "ana").await;
    store
        .create_session(&token, ana, "phc", None, at(10), NOW)
        .await
        .unwrap();
    let session = store.session(&token).await.unwrap().unwrap();
    assert_eq!((session.account.id, session.expires), (ana, at(10)));
    assert_eq!(session.peer, None);
    store.extend_session(&token, at(20), NOW).await.unwrap();
    store
        .extend_session(&secret("other"), at(99), NOW)
        .await
        .unwrap();
    assert_eq!(
        store.session(&token).await.unwrap().unwrap().expires,
        at(20)
    );
    store.sweep(100, at(20 + DAY - 1)).await.unwrap();
    assert!(store.session(&token).await.unwrap().is_some());
    store.sweep(100, at(20 + DAY)).await.unwrap();
    assert_eq!(store.session(&token).await.unwrap(), None);
}

pub async fn a_session_begins_only_while_what_was_checked_is_so(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let user = "ana".parse().unwrap();
    let begins = async |token: &str, hash: &str| {
        let token = secret(token);
        let begun = store.create_session(&token, ana, hash, None, at(10), NOW);
        let begun = begun.await.unwrap();
        assert_eq!(store.session(&token).await.unwrap().is_some(), begun);
        begun
    };
    let change = async |change: AccountChange| {
        store.change_account(&user, &change, &[]).await.unwrap();
    };
    assert!(begins("a", "phc").await);
    let changed = AccountChange {
        password_hash: Some("other".to_owned()),
        ..AccountChange::default()
    };
    change(changed).await;
    assert!(!begins("b", "phc").await);
    assert!(begins("c", "other").await);
    let disabled = |disabled| AccountChange {
        disabled: Some(disabled),
        ..AccountChange::default()
    };
    change(disabled(true)).await;
    assert!(!begins("d", "other").await);
    change(disabled(false)).await;
    assert!(begins("e", "other").await);
}

pub async fn ending_a_session_takes_its_peers_off_the_list(store: Arc<dyn Store>) {
    let ana = sharing(&store, "one", &[file("s/a", "a")]).await;
    register(&store, "two", ana, NOW).await;
    store
        .create_session(&secret("one"), ana, "phc", None, at(99), NOW)
        .await
        .unwrap();
    let session = store.session(&secret("one")).await.unwrap().unwrap();
    assert_eq!(session.peer, Some(peer("one")));
    store.end_session(&secret("one"), NOW).await.unwrap();
    store.end_session(&secret("one"), NOW).await.unwrap();
    assert_eq!(store.session(&secret("one")).await.unwrap(), None);
    let two = store.peer_key(&peer("two")).await.unwrap().unwrap();
    assert_eq!(store.online_peers(NOW).await.unwrap(), [two]);
    assert_eq!(paths(&store, NOW).await, [""; 0]);
    // The peer returns with its index in another session.
    assert_eq!(register(&store, "one", ana, NOW).await, 1);
    assert_eq!(paths(&store, NOW).await, ["one:s/a"]);
}

pub async fn totals_count_what_is_there(store: Arc<dyn Store>) {
    assert_eq!(store.totals(NOW).await.unwrap(), Totals::default());
    let ana = sharing(&store, "ana", &[file("s/a", "a"), file("s/b", "b")]).await;
    sharing(&store, "bea", &[file("s/a", "a")]).await;
    store.leave(&peer("bea"), ana, NOW).await.unwrap_err();
    publish(&store, "ana", ana, 1, remove(&["s/a"])).await;
    let session = async |name, expires| {
        let token = secret(name);
        let made = store.create_session(&token, ana, "phc", None, expires, NOW);
        made.await.unwrap();
    };
    session("long", at(2 * LEASE)).await;
    session("short", at(LEASE)).await;
    let totals = |accounts, peers, files, sessions| Totals {
        accounts,
        peers,
        files,
        sessions,
    };
    assert_eq!(store.totals(NOW).await.unwrap(), totals(2, 2, 2, 2));
    assert_eq!(store.totals(at(LEASE)).await.unwrap(), totals(2, 0, 2, 1));
}

pub async fn a_write_of_no_meaning_is_counted_and_changes_nothing(store: Arc<dyn Store>) {
    let before = (store.load(), store.totals(NOW).await.unwrap());
    store.check_writable(at(5000)).await.unwrap();
    let after = store.load();
    assert_eq!(after.transactions, before.0.transactions + 1);
    assert!(after.transaction_time > before.0.transaction_time);
    assert_eq!((after.queued, after.busy), (0, 0));
    assert!(after.connections > 0);
    assert_eq!(store.totals(NOW).await.unwrap(), before.1);
}
