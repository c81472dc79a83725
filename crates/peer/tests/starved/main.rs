//! A peer that has too many files open, alone in its process: the limit is everybody's there.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::sync::Arc;

use convite_core::UnixMillis;
use convite_peer::cache::Cache;
use convite_peer::indexing::Indexing;
use convite_peer::serve::uploads::{UploadLimits, Uploads};
use convite_peer::shares::ShareList;
use convite_peer::state::PeerState;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

#[test]
fn what_cannot_be_read_with_too_many_files_open_is_not_gone() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap().join("share");
    fs::create_dir_all(root.join("inner")).unwrap();
    for name in ["a", "inner/b"] {
        fs::write(root.join(name), name).unwrap();
    }
    let mut shares = ShareList::load(place.path().join("shares.json")).unwrap();
    shares.add(&root, None).unwrap();
    let state = Arc::new(PeerState::new(
        "peer_1".parse().unwrap(),
        None,
        shares,
        Uploads::new(UploadLimits::default()),
        CancellationToken::new(),
        UnixMillis(0),
    ));
    let cache = Arc::new(Cache::open(&place.path().join("cache.redb")).unwrap());
    let indexing = Indexing::new(state.clone(), cache.clone()).unwrap();
    indexing.scan_once().unwrap();
    assert_eq!(state.catalogue.totals().0, 2);

    let limits = getrlimit(Resource::Nofile);
    let few = Rlimit {
        current: Some(256),
        ..limits
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let mut open = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        open.push(file);
    }
    indexing.scan_once().unwrap();
    assert_eq!(state.catalogue.totals().0, 2);
    indexing.look_at(&[root.join("inner")].into()).unwrap();
    assert_eq!(state.catalogue.totals().0, 2);
    // What is gone is noticed when it can be.
    fs::remove_file(root.join("inner/b")).unwrap();
    drop(open);
    indexing.scan_once().unwrap();
    assert_eq!(state.catalogue.totals().0, 1);
}
