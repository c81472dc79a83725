//! What an account that only claims a file, or knows its hash, learns about its providers.

use std::sync::Arc;

use convite_store::{Store, Viewer};

use crate::spaces::*;
use crate::world::*;

/// Returns those of these accounts whose transfers of a content a viewer may see.
async fn movers(
    store: &Arc<dyn Store>,
    viewer: &Viewer,
    contents: &str,
    users: &[&str],
) -> Vec<String> {
    let hash = file("x", contents).hash;
    let moves = users.iter().map(|user| (user.parse().unwrap(), hash));
    let moves: Vec<_> = moves.collect();
    let seen = store.moves_seen(viewer, &moves).await.unwrap();
    let mut users: Vec<_> = seen.into_keys().map(|(user, _)| user.to_string()).collect();
    users.sort();
    users
}

pub async fn a_claimed_hash_shows_nobody_who_has_it_from_a_space(store: Arc<dyn Store>) {
    for name in ["board", "lab"] {
        make(&store, name).await;
    }
    let ana = member(&store, "ana", &["board"]).await;
    let bea = member(&store, "bea", &["board", "lab"]).await;
    let fay = member(&store, "fay", &["lab"]).await;
    let eve = member(&store, "eve", &["board"]).await;
    let files = [file_in("board", "s/minutes", "abc")];
    publish(&store, "ana", ana, 0, upsert(&files)).await;
    // Eve is removed from the space but knows the hash.
    take_out(&store, "board", "eve").await;
    let mut claim = file("x", "abc");
    claim.size = 1;
    publish(&store, "eve", eve, 0, upsert(&[claim])).await;
    for (id, account) in [("bea", bea), ("fay", fay)] {
        let (eyes, hash) = (eyes(&store, account).await, file("x", "abc").hash);
        let announced = store
            .announce(&peer(id), account, &eyes, &hash, 3, NOW)
            .await;
        assert!(announced.unwrap().is_news);
    }
    // Peers that downloaded from the claim are shown to all, peers that downloaded in the space to
    // its members.
    let everybody = ["ana", "bea", "eve", "fay"];
    let board = Viewer::of(eyes(&store, ana).await.spaces().iter().copied());
    for (account, expected, moving) in [
        (eve, "[\"x\"] at [\"eve\", \"~fay\"]", vec!["eve", "fay"]),
        (fay, "[\"x\"] at [\"eve\", \"~fay\"]", vec!["eve", "fay"]),
        (
            bea,
            "[\"minutes\", \"x\"] at [\"ana\", \"eve\", \"~bea\", \"~fay\"]",
            everybody.to_vec(),
        ),
        (
            ana,
            "[\"minutes\", \"x\"] at [\"ana\", \"eve\", \"~bea\", \"~fay\"]",
            everybody.to_vec(),
        ),
    ] {
        let viewer = eyes(&store, account).await;
        let shown = seen(&store, &viewer, "abc").await;
        assert!(shown.iter().any(|line| line == expected), "{shown:?}");
        assert_eq!(movers(&store, &viewer, "abc", &everybody).await, moving);
    }
    // A narrowed viewer sees what an account in only that space sees.
    let claimed = seen(&store, &anyone(), "abc").await;
    assert!(claimed.contains(&"[\"x\"] at [\"eve\", \"~fay\"]".to_owned()));
    let narrow = store.narrowed(&board, &space("board")).await.unwrap();
    let inside = seen(&store, &narrow, "abc").await;
    let expected = "[\"minutes\"] at [\"ana\", \"~bea\", \"~fay\"]";
    assert!(inside.contains(&expected.to_owned()), "{inside:?}");
    // Downloads that started in the space stay there, even after the file is removed.
    publish(&store, "ana", ana, 1, remove(&["s/minutes"])).await;
    for (viewer, expected, moving) in [
        (anyone(), "[\"x\"] at [\"eve\", \"~fay\"]", 3),
        (board, "[\"x\"] at [\"eve\", \"~bea\", \"~fay\"]", 4),
    ] {
        let shown = seen(&store, &viewer, "abc").await;
        assert!(shown.iter().any(|line| line == expected), "{shown:?}");
        let movers = movers(&store, &viewer, "abc", &everybody).await;
        assert_eq!(movers.len(), moving, "{movers:?}");
    }
}

pub async fn what_nobody_lets_see_cannot_be_announced_or_located(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let ana = member(&store, "ana", &["lab"]).await;
    let bea = member(&store, "bea", &["lab"]).await;
    let eve = member(&store, "eve", &[]).await;
    publish(
        &store,
        "ana",
        ana,
        0,
        upsert(&[file_in("lab", "s/a", "abc")]),
    )
    .await;
    let hidden = file("x", "abc").hash;
    let unknown = file("x", "nobody has this").hash;
    let viewer = eyes(&store, eve).await;
    let mut refused = Vec::new();
    for hash in [&hidden, &unknown] {
        let announced = store
            .announce(&peer("eve"), eve, &viewer, hash, 3, NOW)
            .await;
        refused.push(announced.unwrap_err());
        assert_eq!(store.locate(&viewer, hash, None, NOW).await.unwrap(), None);
        assert!(!store.sees(&viewer, hash).await.unwrap());
    }
    assert_eq!(refused[0], refused[1]);
    // A download is hidden from accounts that cannot see the file, even while the sharing peer is
    // offline.
    let viewer_in = eyes(&store, bea).await;
    let announced = store
        .announce(&peer("bea"), bea, &viewer_in, &hidden, 3, NOW)
        .await;
    assert!(announced.unwrap().is_news);
    store.leave(&peer("ana"), ana, NOW).await.unwrap();
    let located = store.locate(&viewer_in, &hidden, None, NOW).await.unwrap();
    assert_eq!(located.unwrap().providers[0].peer, peer("bea"));
    assert_eq!(
        store.locate(&viewer, &hidden, None, NOW).await.unwrap(),
        None
    );
}
