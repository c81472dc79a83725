//! Quotas of an account: see [`SMALL`].

use std::sync::Arc;

use convite_core::administration::{AuditAction, AuditOutcome};
use convite_core::model::Role;
use convite_core::{ErrorCode, Problem, SharingPolicy};
use convite_store::{
    AccountId, AuditEntry, Holder, InviteRecord, Quotas, Registration, Settings, Store,
};

use crate::folders::folder;
use crate::world::*;

/// The quotas in this module.
pub const SMALL: Settings = Settings {
    quotas: Quotas {
        peers: 3,
        downloads: 2,
        sessions: 3,
        files: 5,
        path_bytes: 60,
        invites: 2,
    },
    disk_reserve: 0,
};

const DAY: i64 = 24 * 3600 * 1000;

async fn try_register(
    store: &Arc<dyn Store>,
    id: &str,
    account: AccountId,
    transient: bool,
    millis: i64,
) -> Result<u64, Problem> {
    let registration = Registration {
        id: peer(id),
        account,
        session: secret(id),
        addresses: Vec::new(),
        lease: at(millis + LEASE),
        transient,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    store.register_peer(&registration, at(millis)).await
}

fn refused<T: std::fmt::Debug>(result: Result<T, Problem>) -> Problem {
    let problem = result.unwrap_err();
    assert_eq!(problem.code, ErrorCode::Quota, "{problem:?}");
    let hint = problem.hint.clone().unwrap_or_default();
    assert!(hint.contains("account-"), "{hint}");
    problem
}

pub async fn an_account_has_so_many_peers(store: Arc<dyn Store>) {
    let (ana, bea) = (account(&store, "ana").await, account(&store, "bea").await);
    for id in ["a", "b", "c"] {
        try_register(&store, id, ana, false, 0).await.unwrap();
    }
    publish(&store, "b", ana, 0, upsert(&[file("s/b", "b")])).await;
    refused(try_register(&store, "d", ana, false, 0).await);
    // Registered peers keep working, and other accounts and transient peers have separate quotas.
    try_register(&store, "a", ana, false, 1).await.unwrap();
    try_register(&store, "e", bea, false, 0).await.unwrap();
    for id in ["x", "y"] {
        try_register(&store, id, ana, true, 0).await.unwrap();
    }
    refused(try_register(&store, "z", ana, true, 0).await);
    // A peer that has been offline for a day makes room, with its files: the one offline longest.
    for id in ["a", "c"] {
        let renewed = store
            .renew_lease(&peer(id), ana, None, at(DAY), at(1))
            .await;
        renewed.unwrap();
    }
    refused(try_register(&store, "d", ana, false, DAY).await);
    try_register(&store, "d", ana, false, DAY + LEASE)
        .await
        .unwrap();
    assert_eq!(store.peer_key(&peer("b")).await.unwrap(), None);
    store.finish_removals().await.unwrap();
    assert_eq!(store.totals(NOW).await.unwrap().files, 0);
}

pub async fn an_account_shares_so_many_files_and_paths(store: Arc<dyn Store>) {
    let ana = sharing(&store, "a", &[file("s/1", "1"), file("s/2", "2")]).await;
    register(&store, "b", ana, NOW).await;
    let many: Vec<_> = (3..=6).map(|n| file(&format!("s/{n}"), "x")).collect();
    let change = upsert(&many);
    refused(
        store
            .publish_change(&peer("b"), ana, 0, 1, change, NOW)
            .await,
    );
    let sync = store.begin_full(&peer("b"), ana, NOW).await.unwrap();
    refused(store.add_full(sync, many.clone(), NOW).await);
    // The change is atomic.
    assert_eq!(store.totals(NOW).await.unwrap().files, 2);
    publish(&store, "b", ana, 0, upsert(&many[..3])).await;
    publish(&store, "a", ana, 1, remove(&["s/1"])).await;
    // One name is too long for the remaining bytes. The same name in place of the other files is
    // not.
    let long = file(&format!("s/{}", "n".repeat(50)), "x");
    let change = upsert(std::slice::from_ref(&long));
    refused(
        store
            .publish_change(&peer("a"), ana, 2, 3, change.clone(), NOW)
            .await,
    );
    publish(&store, "b", ana, 1, remove(&["s/3", "s/4", "s/5"])).await;
    publish(&store, "a", ana, 2, change).await;
    // Existing files can be published again.
    publish(&store, "a", ana, 3, upsert(&[file("s/2", "two")])).await;
    let other = sharing(&store, "other", &[file("s/1", "1")]).await;
    assert_ne!(other, ana);
    // Folders take up space too.
    let folders = (1..=4).map(|n| folder(&format!("f/{n}"), "manifest", 0, 0));
    publish(
        &store,
        "other",
        other,
        1,
        upsert(&folders.collect::<Vec<_>>()),
    )
    .await;
    let change = upsert(&[folder("f", "manifest", 0, 0)]);
    refused(
        store
            .publish_change(&peer("other"), other, 2, 3, change, NOW)
            .await,
    );
}

pub async fn an_account_has_so_many_sessions_and_the_least_used_ends(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let begin = async |token: &str, millis: i64| {
        let (token, end) = (secret(token), at(millis + DAY));
        let begun = store
            .create_session(&token, ana, "phc", None, end, at(millis))
            .await;
        assert!(begun.unwrap());
    };
    for (number, token) in ["one", "two", "three"].iter().enumerate() {
        begin(token, number as i64).await;
    }
    // The oldest session has an online peer, and the next one was used later.
    try_register(&store, "one", ana, false, 3).await.unwrap();
    store
        .extend_session(&secret("two"), at(DAY), at(5))
        .await
        .unwrap();
    begin("four", 10).await;
    let mut alive = Vec::new();
    for token in ["one", "two", "three", "four"] {
        if store.session(&secret(token)).await.unwrap().is_some() {
            alive.push(token);
        }
    }
    assert_eq!(alive, ["one", "two", "four"]);
}

pub async fn an_administrator_has_so_many_invites(store: Arc<dyn Store>) {
    let entry = AuditEntry {
        at: NOW,
        actor: Some("root".parse().unwrap()),
        action: AuditAction::InviteAdd,
        target: String::new(),
        address: None,
        outcome: AuditOutcome::Done,
    };
    let invite = |code: &str| InviteRecord {
        code: secret(code),
        role: Role::Member,
        space: None,
        uses: Some(1),
        expires: at(DAY),
        founds: false,
    };
    for code in ["one", "two"] {
        let made = store.create_invite(&invite(code), Some(&entry), NOW).await;
        made.unwrap();
    }
    refused(
        store
            .create_invite(&invite("three"), Some(&entry), NOW)
            .await,
    );
    // Neither the directory's own invite nor expired ones count.
    store
        .create_invite(&invite("own"), None, NOW)
        .await
        .unwrap();
    let made = store
        .create_invite(&invite("three"), Some(&entry), at(DAY))
        .await;
    made.unwrap();
}
