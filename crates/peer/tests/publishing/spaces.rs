//! Publishing of files in spaces, including spaces that the directory refuses.

use std::path::PathBuf;
use std::time::Duration;

use convite_core::SpaceName;

use super::{Group, end};

fn space(name: &str) -> SpaceName {
    name.parse().unwrap()
}

impl Group {
    fn root(&self) -> PathBuf {
        self.place.path().join("share").canonicalize().unwrap()
    }

    /// Returns the published paths with their spaces.
    fn told(&self) -> Vec<String> {
        self.directory.set(|held| {
            let files = held.files.values();
            let shown = files.map(|file| match &file.space {
                Some(space) => format!("{}@{space}", file.path),
                None => file.path.to_string(),
            });
            shown.collect()
        })
    }
}

#[tokio::test]
async fn moving_a_share_to_a_space_hashes_nothing() {
    let group = Group::new();
    group.write("a", "one");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    assert_eq!(group.told(), ["share/a"]);
    for name in ["lab", "club"] {
        let state = peer.state();
        let share = state.share(&group.root(), Some(space(name))).unwrap();
        assert_eq!(share.space, name);
        let wanted = space(name);
        let is_there = |file: &convite_core::model::FileEntry| file.space.as_ref() == Some(&wanted);
        let told = |held: &super::Held| held.files.values().any(is_there);
        group.directory.until(told).await;
        assert_eq!(group.told(), [format!("share/a@{name}")]);
    }
    // After a restart the space is still set, and sharing without a space does not change it.
    peer.state().share(&group.root(), None).unwrap();
    peer.first_scan_done().await.unwrap();
    end(peer, &stop).await;
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    assert_eq!(group.told(), ["share/a@club"]);
    assert_eq!(peer.status().shares[0].space, "club");
    assert_eq!(peer.hashed(), 0);
    end(peer, &stop).await;
}

#[tokio::test]
async fn refused_space_blocks_nothing_else() {
    let group = Group::new();
    group.write("a", "one");
    let other = group.place.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("b"), "two").unwrap();
    group.directory.set(|held| held.closed = vec![space("lab")]);
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    // Files in the space of everyone move to a refused space: they are withdrawn.
    peer.state()
        .share(&group.root(), Some(space("lab")))
        .unwrap();
    peer.state().share(&other, None).unwrap();
    let settled = |held: &super::Held| held.files.keys().eq(["other/b"]);
    group.directory.until(settled).await;
    assert_eq!(group.told(), ["other/b"]);
    // The files of the space may be sent after the others.
    let refused = async {
        while peer.status().shares[0].trouble.is_empty() {
            peer.changed().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), refused)
        .await
        .expect("the refusal was not reported");
    let status = peer.status();
    let share = &status.shares[0];
    assert!(
        share.trouble.contains("refused by the directory"),
        "{}",
        share.trouble
    );
    assert_eq!(share.hint, "ask");
    assert_eq!(status.shares[1].trouble, "");

    // A directory that needs the whole index again (here because it lost it) gets no more than
    // that.
    group.directory.set(|held| {
        held.files.clear();
        held.ever.clear();
        held.generation = 0;
    });
    group.directory.until(settled).await;
    let ever = group.directory.set(|held| std::mem::take(&mut held.ever));
    assert!(!ever.is_empty(), "nothing was published again");
    let others = |path: &str| matches!(path, "other" | "other/b");
    assert!(ever.iter().all(|(path, _)| others(path)), "{ever:?}");

    // When the account is added to the space, its index is reset and everything is published.
    group.directory.set(|held| {
        held.closed.clear();
        held.generation = 0;
    });
    group.directory.until(|held| held.files.len() == 2).await;
    assert_eq!(group.told(), ["other/b", "share/a@lab"]);
    assert_eq!(peer.status().shares[0].trouble, "");
    let ever = group.directory.set(|held| std::mem::take(&mut held.ever));
    let to_everyone =
        |(path, space): &(String, Option<SpaceName>)| path == "share/a" && space.is_none();
    assert!(!ever.iter().any(to_everyone), "{ever:?}");
    end(peer, &stop).await;
}

#[tokio::test]
async fn only_the_refused_space_is_withheld() {
    let group = Group::new();
    group.write("a", "one");
    let other = group.place.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("b"), "two").unwrap();
    group.directory.set(|held| held.closed = vec![space("lab")]);
    // Shared before the first start, so that everything is one change.
    let (peer, stop) = group.start().await.unwrap();
    end(peer, &stop).await;
    let list = group.place.path().join("home/peer/shares.json");
    let mut shares = convite_peer::sharing::shares::ShareList::load(list).unwrap();
    shares.add(&group.root(), Some(space("lab"))).unwrap();
    shares.add(&other, Some(space("club"))).unwrap();
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    group
        .directory
        .until(|held| held.files.contains_key("other/b"))
        .await;
    assert_eq!(group.told(), ["other/b@club"]);
    // The directory is asked again when a folder is shared in that space again.
    group.directory.set(|held| held.closed.clear());
    peer.state()
        .share(&group.root(), Some(space("lab")))
        .unwrap();
    group.directory.until(|held| held.files.len() == 2).await;
    assert_eq!(group.told(), ["other/b@club", "share/a@lab"]);
    end(peer, &stop).await;
}

#[tokio::test]
async fn innermost_of_nested_shares_decides() {
    let group = Group::new();
    let inner = group.root().join("inner");
    std::fs::create_dir_all(inner.join("open")).unwrap();
    for path in ["a", "inner/b", "inner/open/c"] {
        group.write(path, path);
    }
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    assert_eq!(group.told().len(), 3);
    let state = peer.state().clone();
    state.share(&inner, Some(space("lab"))).unwrap();
    let in_lab = |held: &super::Held| held.files.contains_key("inner/b") && held.files.len() == 3;
    group.directory.until(in_lab).await;
    assert_eq!(group.told(), ["inner/b@lab", "inner/open/c@lab", "share/a"]);
    // Changes inside belong to the nested share, also when only they are noticed.
    group.write("inner/d", "new");
    let has_new = |held: &super::Held| held.files.contains_key("inner/d");
    group.directory.until(has_new).await;
    assert!(
        !group
            .told()
            .iter()
            .any(|path| path.starts_with("share/inner"))
    );
    state.files.unshare(&inner).unwrap();
    let outer = |held: &super::Held| held.files.contains_key("share/inner/d");
    group.directory.until(outer).await;
    assert_eq!(group.told().len(), 4);
    end(peer, &stop).await;
}
