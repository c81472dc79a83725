//! A peer with too many open files. It has its own process because the limit applies to the
//! process.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::sync::Arc;

use convite_core::UnixMillis;
use convite_peer::node::state::PeerState;
use convite_peer::serve::download::uploads::{UploadLimits, Uploads};
use convite_peer::sharing::cache::Cache;
use convite_peer::sharing::indexing::Indexer;
use convite_peer::sharing::shares::ShareList;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

#[test]
fn files_stay_listed_with_too_many_open_files() {
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
    let indexing = Indexer::new(state.files.clone(), cache.clone()).unwrap();
    indexing.scan_all().unwrap();
    assert_eq!(state.files.catalogue.totals().0, 2);

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
    indexing.scan_all().unwrap();
    assert_eq!(state.files.catalogue.totals().0, 2);
    indexing.scan_places(&[root.join("inner")].into()).unwrap();
    assert_eq!(state.files.catalogue.totals().0, 2);
    // A removed file is noticed once files can be opened again.
    fs::remove_file(root.join("inner/b")).unwrap();
    drop(open);
    indexing.scan_all().unwrap();
    assert_eq!(state.files.catalogue.totals().0, 1);
}
