//! Administrative changes of accounts, sessions, invites and peers, and their entries in the audit
//! log.

use std::sync::Arc;

use convite_core::administration::{AuditAction, AuditOutcome};
use convite_core::model::Role;
use convite_core::{ErrorCode, UserName};
use convite_store::{
    AccountChange, AccountId, Admission, AuditEntry, InviteRecord, ROUTINE_LINES_MAX, Store,
    public_id,
};

use crate::world::*;

fn user(name: &str) -> UserName {
    name.parse().unwrap()
}

fn entry(action: AuditAction, target: &str) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: Some(user("root")),
        action,
        target: target.to_owned(),
        address: None,
        outcome: AuditOutcome::Done,
    }
}

async fn log(store: &Arc<dyn Store>) -> Vec<(AuditAction, String)> {
    let page = store.audit(100, None).await.unwrap();
    let entries = page.items.into_iter();
    entries.map(|line| (line.action, line.target)).collect()
}

async fn administrator(store: &Arc<dyn Store>, name: &str) -> AccountId {
    let admission = Admission::Granted(Role::Admin);
    let name = user(name);
    let made = store.create_account(&name, "phc", admission, NOW).await;
    made.unwrap().id
}

async fn begin(store: &Arc<dyn Store>, token: &str, account: AccountId) {
    let address = Some("192.0.2.9".parse().unwrap());
    store
        .create_session(&secret(token), account, "phc", address, at(LEASE), NOW)
        .await
        .unwrap();
}

pub async fn an_account_is_made_in_its_spaces_or_not_at_all(store: Arc<dyn Store>) {
    let (lab, none) = ("lab".parse().unwrap(), "none".parse().unwrap());
    store
        .create_space(&lab, &entry(AuditAction::SpaceAdd, "lab"), NOW)
        .await
        .unwrap();
    let entry = entry(AuditAction::UserAdd, "ana");
    let ana = user("ana");
    let refused = store
        .add_account(&ana, "phc", Role::Guest, &[lab, none], &entry, NOW)
        .await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(store.account_summary(&ana).await.unwrap(), None);
    let lab = "lab".parse().unwrap();
    store
        .add_account(&ana, "phc", Role::Guest, &[lab], &entry, NOW)
        .await
        .unwrap();
    let kept = store.account_summary(&ana).await.unwrap().unwrap();
    assert_eq!((kept.role, kept.disabled), (Role::Guest, false));
    assert_eq!(kept.created_at, NOW.seconds());
    assert_eq!(kept.spaces.len(), 1);
    let listed = store.accounts(10, None).await.unwrap();
    assert_eq!(listed.items, [kept]);
    assert_eq!(log(&store).await.len(), 2);
}

pub async fn a_change_of_an_account_is_made_whole_or_not_at_all(store: Arc<dyn Store>) {
    administrator(&store, "root").await;
    let entries = [
        entry(AuditAction::UserPassword, "root"),
        entry(AuditAction::UserDisable, "root"),
    ];
    let change = AccountChange {
        password_hash: Some("new".to_owned()),
        disabled: Some(true),
        ..AccountChange::default()
    };
    let refused = store.change_account(&user("root"), &change, &entries).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::LastAdmin);
    let kept = store.account(&user("root")).await.unwrap().unwrap();
    assert_eq!((&*kept.password_hash, kept.disabled), ("phc", false));
    assert_eq!(log(&store).await, []);

    let less = AccountChange {
        role: Some(Role::Member),
        ..AccountChange::default()
    };
    let refused = store.change_account(&user("root"), &less, &[]).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::LastAdmin);
    administrator(&store, "second").await;
    store
        .change_account(&user("root"), &change, &entries)
        .await
        .unwrap();
    let kept = store.account(&user("root")).await.unwrap().unwrap();
    assert_eq!((&*kept.password_hash, kept.disabled), ("new", true));
    assert_eq!(log(&store).await.len(), 2);
    let nobody = store.change_account(&user("nobody"), &less, &[]).await;
    assert_eq!(nobody.unwrap_err().code, ErrorCode::NotFound);
}

pub async fn a_new_password_ends_the_other_sessions(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let bob = account(&store, "bob").await;
    for token in ["here", "there"] {
        begin(&store, token, ana).await;
    }
    begin(&store, "bobs", bob).await;
    let change = AccountChange {
        password_hash: Some("new".to_owned()),
        keep: Some(secret("here")),
        ..AccountChange::default()
    };
    store
        .change_account(&user("ana"), &change, &[])
        .await
        .unwrap();
    for (token, alive) in [("here", true), ("there", false), ("bobs", true)] {
        let session = store.session(&secret(token)).await.unwrap();
        assert_eq!(session.is_some(), alive, "{token}");
    }
}

pub async fn one_who_becomes_a_guest_or_is_disabled_has_no_peer_on_the_list(store: Arc<dyn Store>) {
    let changes = [
        AccountChange {
            role: Some(Role::Guest),
            ..AccountChange::default()
        },
        AccountChange {
            disabled: Some(true),
            ..AccountChange::default()
        },
    ];
    for (name, change) in ["ana", "bob"].iter().zip(changes) {
        let id = account(&store, name).await;
        begin(&store, name, id).await;
        register(&store, name, id, NOW).await;
        assert_eq!(store.online_peers(NOW).await.unwrap().len(), 1);
        store
            .change_account(&user(name), &change, &[])
            .await
            .unwrap();
        assert_eq!(store.online_peers(NOW).await.unwrap(), []);
        // A heartbeat does not bring it back either.
        let lease = store
            .renew_lease(&peer(name), id, None, at(LEASE), NOW)
            .await;
        assert_eq!(lease.unwrap_err().code, ErrorCode::NotFound);
    }
    assert!(store.session(&secret("ana")).await.unwrap().is_some());
    assert!(store.session(&secret("bob")).await.unwrap().is_none());
}

pub async fn sessions_come_in_pages_and_say_whose_they_are(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let bob = account(&store, "bob").await;
    for number in 0..5 {
        begin(&store, &format!("a{number}"), ana).await;
    }
    begin(&store, "bob-1", bob).await;
    register(&store, "bob-1", bob, NOW).await;
    store
        .extend_session(&secret("bob-1"), at(LEASE * 2), at(5_000))
        .await
        .unwrap();
    let (mut ids, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = store.sessions(None, 2, cursor.as_deref(), NOW).await;
        let page = page.unwrap();
        ids.extend(page.items.into_iter().map(|session| session.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let mut wanted: Vec<_> = ["a0", "a1", "a2", "a3", "a4", "bob-1"]
        .map(|token| public_id(&secret(token)))
        .into();
    wanted.sort();
    assert_eq!(ids, wanted);
    let own = store.sessions(Some(bob), 10, None, NOW).await.unwrap();
    let [session] = &own.items[..] else {
        panic!("{own:?}")
    };
    assert_eq!((&session.user, session.current), (&user("bob"), false));
    assert_eq!(session.peer, Some(peer("bob-1")));
    assert_eq!(session.address, Some("192.0.2.9".parse().unwrap()));
    assert_eq!(session.created_at, NOW.seconds());
    assert_eq!(session.last_used_at, at(5_000).seconds());
    assert_eq!(session.expires_at, at(LEASE * 2).seconds());
    // Expired sessions are not listed.
    let later = store.sessions(None, 10, None, at(LEASE)).await.unwrap();
    assert_eq!(later.items.len(), 1);
}

pub async fn a_revoked_session_takes_its_peer_off_the_list(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let bob = account(&store, "bob").await;
    for (name, id) in [("ana", ana), ("bob", bob)] {
        begin(&store, name, id).await;
        register(&store, name, id, NOW).await;
    }
    let id = public_id(&secret("bob"));
    let revoke = entry(AuditAction::SessionRevoke, &id);
    // Another account's session looks like an unknown one, and neither is logged.
    for (id, of) in [(&*id, Some(ana)), ("0011223344556677", None), ("bob", None)] {
        let refused = store.revoke_session(id, of, &revoke).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::NotFound, "{id}");
    }
    assert_eq!(log(&store).await, []);
    store.revoke_session(&id, Some(bob), &revoke).await.unwrap();
    assert_eq!(store.session(&secret("bob")).await.unwrap(), None);
    assert!(store.session(&secret("ana")).await.unwrap().is_some());
    assert_eq!(store.online_peers(NOW).await.unwrap().len(), 1);
    let wanted = format!("bob {id}");
    assert_eq!(log(&store).await, [(AuditAction::SessionRevoke, wanted)]);
    let renewed = store
        .renew_lease(&peer("bob"), bob, None, at(LEASE), NOW)
        .await;
    assert_eq!(renewed.unwrap_err().code, ErrorCode::NotFound);
}

pub async fn a_revoked_invite_is_gone_and_the_others_are_listed(store: Arc<dyn Store>) {
    let invite = |code: &str, uses| InviteRecord {
        code: secret(code),
        role: Role::Member,
        space: None,
        uses,
        expires: at(1000),
        founds: false,
    };
    let made = entry(AuditAction::InviteAdd, "x");
    for (code, uses) in [("a", Some(3)), ("b", Some(1)), ("spent", Some(0))] {
        store
            .create_invite(&invite(code, uses), Some(&made), NOW)
            .await
            .unwrap();
    }
    store
        .create_invite(&invite("standing", None), None, NOW)
        .await
        .unwrap();
    let (mut listed, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = store.invites(1, cursor.as_deref(), NOW).await.unwrap();
        listed.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert!(listed.is_sorted_by(|a, b| a.id < b.id));
    assert_eq!(listed.len(), 3);
    let of = |code: &str| {
        let id = public_id(&secret(code));
        listed.iter().find(|invite| invite.id == id).unwrap()
    };
    assert_eq!(
        (of("a").uses_left, &of("a").created_by),
        (Some(3), &Some(user("root")))
    );
    assert_eq!(
        (of("standing").uses_left, &of("standing").created_by),
        (None, &None)
    );
    assert_eq!(of("b").created_at, NOW.seconds());
    assert_eq!(store.invites(10, None, at(1000)).await.unwrap().items, []);

    let id = public_id(&secret("a"));
    let revoke = entry(AuditAction::InviteRevoke, &id);
    store.revoke_invite(&id, &revoke).await.unwrap();
    assert_eq!(store.invite(&secret("a"), NOW).await.unwrap(), None);
    assert!(store.invite(&secret("b"), NOW).await.unwrap().is_some());
    assert_eq!(
        log(&store).await[0],
        (AuditAction::InviteRevoke, id.clone())
    );
    let noted = log(&store).await.len();
    for id in [&*id, "", "0011223344556677"] {
        let refused = store.revoke_invite(id, &revoke).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::NotFound, "{id}");
    }
    assert_eq!(log(&store).await.len(), noted);
}

pub async fn a_removed_peer_is_forgotten_with_its_files(store: Arc<dyn Store>) {
    let files = [file("a/one.txt", "one"), file("a/two.txt", "two")];
    let ana = sharing(&store, "ana", &files).await;
    sharing(&store, "bob", &files[..1]).await;
    let remove = entry(AuditAction::PeerRemove, "ana");
    store.remove_peer(&peer("ana"), &remove).await.unwrap();
    assert_eq!(paths(&store, NOW).await, ["bob:a/one.txt"]);
    assert_eq!(store.peer_key(&peer("ana")).await.unwrap(), None);
    let gone = store.locate(&anyone(), &files[1].hash, None, NOW).await;
    assert_eq!(gone.unwrap(), None);
    assert_eq!(
        log(&store).await,
        [(AuditAction::PeerRemove, "ana".to_owned())]
    );
    let again = store.remove_peer(&peer("ana"), &remove).await;
    assert_eq!(again.unwrap_err().code, ErrorCode::NotFound);
    // Its id is free for any account, with an empty index.
    let lease = store
        .renew_lease(&peer("ana"), ana, None, at(LEASE), NOW)
        .await;
    assert_eq!(lease.unwrap_err().code, ErrorCode::NotFound);
    let carl = account(&store, "carl").await;
    assert_eq!(register(&store, "ana", carl, NOW).await, 0);
    let shown = store.peers(&anyone(), 10, None, NOW).await.unwrap().items;
    let shown: Vec<_> = shown.iter().map(|p| p.summary.id.to_string()).collect();
    assert_eq!(shown, ["ana", "bob"]);
    for _ in 0..2 {
        store.finish_removals().await.unwrap();
        assert_eq!(store.totals(NOW).await.unwrap().files, 1);
        assert_eq!(paths(&store, NOW).await, ["bob:a/one.txt"]);
    }
}

pub async fn routine_acts_are_added_up_by_actor_and_push_nothing_out(store: Arc<dyn Store>) {
    let added = entry(AuditAction::UserAdd, "ana");
    store.record(&added).await.unwrap();
    let by = |name: &str, action: AuditAction, target: String, millis: i64| AuditEntry {
        at: at(millis),
        actor: Some(user(name)),
        target,
        ..entry(action, "")
    };
    const HOUR: i64 = 3_600_000;
    for number in 0..500 {
        let link = by(
            "eve",
            AuditAction::LinkAdd,
            format!("file {number}"),
            number,
        );
        store.record(&link).await.unwrap();
    }
    let own = by("eve", AuditAction::SessionRevoke, "eve 1".to_owned(), 0);
    let others = by("root", AuditAction::SessionRevoke, "eve 2".to_owned(), 0);
    for entry in [
        own,
        others,
        by("ana", AuditAction::LinkAdd, "file".to_owned(), 0),
    ] {
        store.record(&entry).await.unwrap();
    }
    let all = store.audit(1000, None).await.unwrap().items;
    let of = |name: &str, action: AuditAction| {
        let lines = all.iter();
        let lines = lines.filter(|line| line.actor == Some(user(name)) && line.action == action);
        lines.cloned().collect::<Vec<_>>()
    };
    let links = of("eve", AuditAction::LinkAdd);
    assert_eq!(links.len(), ROUTINE_LINES_MAX + 1);
    let times: u64 = links.iter().map(|line| line.times).sum();
    assert_eq!(times, 500);
    // Entries above the limit form one line, with first and last time.
    let beyond = &links[0];
    assert_eq!(beyond.target, "");
    assert_eq!(beyond.times, 500 - ROUTINE_LINES_MAX as u64);
    assert!(beyond.at <= beyond.last);
    assert_eq!(of("ana", AuditAction::LinkAdd).len(), 1);
    assert_eq!(of("root", AuditAction::UserAdd).len(), 1);
    // The next day starts new lines.
    let later = by("eve", AuditAction::LinkAdd, "file".to_owned(), 25 * HOUR);
    store.record(&later).await.unwrap();
    let newest = store.audit(1, None).await.unwrap().items.remove(0);
    assert_eq!((newest.target.as_str(), newest.times), ("file", 1));
}

pub async fn the_last_sweep_and_named_values_are_remembered(store: Arc<dyn Store>) {
    assert_eq!(store.last_sweep().await.unwrap(), None);
    store.sweep(100, at(7)).await.unwrap();
    assert_eq!(store.last_sweep().await.unwrap(), Some(at(7)));
    assert_eq!(store.mark("ticket").await.unwrap(), None);
    for value in [&b"one"[..], b"two"] {
        store.set_mark("ticket", value).await.unwrap();
        assert_eq!(store.mark("ticket").await.unwrap().as_deref(), Some(value));
    }
}
