//! An account with many peers, names and claims cannot hide the files of others.

use std::sync::Arc;

use convite_core::model::{FileEntry, Provider};
use convite_core::{ErrorCode, SharingPolicy};
use convite_store::{ContentKey, Holder, Registration, Store};

use crate::world::*;

/// A peer with its own account and claim.
async fn claim(store: &Arc<dyn Store>, id: &str, size: u64) {
    let mut lie = file("s/film.mkv", "contents");
    lie.size = size;
    sharing(store, id, &[lie]).await;
}

pub async fn very_many_false_sizes_hide_no_provider(store: Arc<dyn Store>) {
    let honest = file("s/film.mkv", "contents");
    // Each was registered earlier and belongs to a different account, which is the worst case.
    for number in 0..70 {
        let size = if number < 8 { number } else { number + 1 };
        claim(&store, &format!("liar-{number}"), size).await;
    }
    sharing(&store, "honest", std::slice::from_ref(&honest)).await;
    let located = store
        .locate(&anyone(), &honest.hash, None, NOW)
        .await
        .unwrap();
    let located = located.unwrap();
    let found = located.providers.iter().find(|p| p.peer == peer("honest"));
    assert_eq!(found.map(|provider| provider.size), Some(8));
    // One more account makes it the most claimed size.
    sharing(&store, "second", std::slice::from_ref(&honest)).await;
    let located = store
        .locate(&anyone(), &honest.hash, None, NOW)
        .await
        .unwrap();
    let located = located.unwrap();
    assert_eq!((located.size, located.providers.len()), (8, 72));
}

/// Shares a file of a claimed size as an account of its own, for a day.
async fn claim_for_a_day(store: Arc<dyn Store>, id: String, claimed: FileEntry) {
    let account = account(&store, &id).await;
    let registration = Registration {
        id: peer(&id),
        account,
        session: secret(&id),
        addresses: Vec::new(),
        lease: at(24 * 3_600_000),
        transient: false,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    store.register_peer(&registration, NOW).await.unwrap();
    publish(&store, &id, account, 0, upsert(&[claimed])).await;
}

pub async fn a_true_size_is_found_among_more_sizes_than_are_answered(store: Arc<dyn Store>) {
    const MINUTE: i64 = 60_000;
    // Every account claims a size of its own, and the true one is the largest.
    let honest = file("s/film.mkv", &"x".repeat(1000));
    let mut claims = tokio::task::JoinSet::new();
    for number in 0..300 {
        let (mut claimed, mut id) = (honest.clone(), "honest".to_owned());
        if number > 0 {
            claimed.size = number;
            id = format!("liar-{number}");
        }
        claims.spawn(claim_for_a_day(Arc::clone(&store), id, claimed));
    }
    claims.join_all().await;
    let mut found = 0;
    for minute in 0..20 {
        let now = at(minute * MINUTE);
        let located = store
            .locate(&anyone(), &honest.hash, None, now)
            .await
            .unwrap();
        let providers = located.unwrap().providers;
        assert!(providers.len() < 300, "{} sizes", providers.len());
        let is_there = |p: &Provider| p.peer == peer("honest");
        found += u32::from(providers.iter().any(is_there));
    }
    // About 17 of 20: the draw of a minute leaves out 44 of 300.
    assert!(found >= 10, "found {found} times");
}

pub async fn claims_of_peers_that_are_gone_do_not_count(store: Arc<dyn Store>) {
    let honest = file("s/film.mkv", "contents");
    for number in 0..3 {
        claim(&store, &format!("liar-{number}"), 99).await;
    }
    let later = at(2 * LEASE);
    let account = account(&store, "honest").await;
    register(&store, "honest", account, later).await;
    publish(
        &store,
        "honest",
        account,
        0,
        upsert(std::slice::from_ref(&honest)),
    )
    .await;
    let located = store
        .locate(&anyone(), &honest.hash, None, later)
        .await
        .unwrap();
    let located = located.unwrap();
    assert_eq!((located.size, located.providers.len()), (8, 1));
}

pub async fn an_account_names_one_size_for_a_hash_whatever_peers_it_has(store: Arc<dyn Store>) {
    let honest = file("s/film.mkv", "contents");
    let mut lie = honest.clone();
    lie.size = 9;
    let account = sharing(&store, "one", std::slice::from_ref(&honest)).await;
    sharing(&store, "other", &[file("s/a", "a")]).await;
    register(&store, "two", account, NOW).await;
    let change = upsert(std::slice::from_ref(&lie));
    let refused = store
        .publish_change(&peer("two"), account, 0, 1, change, NOW)
        .await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidArgument);
    let sync = store.begin_full(&peer("two"), account, NOW).await.unwrap();
    let refused = store.add_full(sync, vec![lie.clone()], NOW).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidArgument);
    // The true size is accepted. The claim of another account does not matter.
    publish(&store, "two", account, 0, upsert(&[honest])).await;
    claim(&store, "liar", 9).await;
}

pub async fn many_peers_of_one_account_have_one_vote(store: Arc<dyn Store>) {
    let honest = file("s/film.mkv", "contents");
    let liar = account(&store, "liar").await;
    let mut lie = honest.clone();
    lie.size = 99;
    for number in 0..5 {
        let id = format!("liar-{number}");
        register(&store, &id, liar, NOW).await;
        publish(&store, &id, liar, 0, upsert(std::slice::from_ref(&lie))).await;
    }
    for id in ["ana", "bea"] {
        sharing(&store, id, std::slice::from_ref(&honest)).await;
    }
    let located = store
        .locate(&anyone(), &honest.hash, None, NOW)
        .await
        .unwrap();
    let located = located.unwrap();
    assert_eq!((located.size, located.providers.len()), (8, 7));
}

pub async fn names_and_peers_of_one_account_crowd_out_no_others(store: Arc<dyn Store>) {
    let crowd = account(&store, "crowd").await;
    for number in 0..40 {
        let id = format!("crowd-{number:02}");
        register(&store, &id, crowd, NOW).await;
        let names = (0..40).map(|name| file(&format!("s/!{number}-{name}"), "x"));
        publish(&store, &id, crowd, 0, upsert(&names.collect::<Vec<_>>())).await;
    }
    sharing(&store, "honest", &[file("s/paper.pdf", "x")]).await;
    let hash = file("s/x", "x").hash;
    let located = store
        .locate(&anyone(), &hash, None, NOW)
        .await
        .unwrap()
        .unwrap();
    assert!(
        located.names.contains(&"paper.pdf".to_owned()),
        "{:?}",
        located.names
    );
    let document = store.contents(ContentKey(0), 9).await.unwrap().remove(0);
    assert!(document.paths.contains(&"s/paper.pdf".to_owned()));
    assert_eq!(document.peers.len(), 41);
    let summaries = store.summaries(&anyone(), &[document.key], NOW).await;
    let summary = summaries.unwrap().remove(0);
    assert!(summary.names.contains(&"paper.pdf".to_owned()));
    let shown = summary.peers.iter().any(|(id, _)| *id == peer("honest"));
    assert!(shown, "{:?}", summary.peers);
}
