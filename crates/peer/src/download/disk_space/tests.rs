use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use convite_core::{ContentHash, PieceGeometry, SearchScope};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::download::partial::{Opening, UnfinishedFile};

const SIZE: u64 = 300_000;

/// A home, and a folder that downloads go to.
struct Scene {
    place: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
        }
    }

    fn home(&self) -> Home {
        Home::open(self.place.path().join("home")).unwrap()
    }

    fn target(&self) -> Target {
        Target {
            path: self.place.path().join("out/film.mkv"),
            force: false,
        }
    }

    async fn begin(&self, contents: &[u8]) -> UnfinishedFile {
        let opening = Opening {
            home: self.home(),
            hash: ContentHash::of(contents),
            geometry: PieceGeometry::new(SIZE).unwrap(),
            target: self.target(),
            within: SearchScope::Visible,
            name: "film.mkv".to_owned(),
            retention: Duration::from_secs(60),
            headroom: Headroom::UseAll,
            stop: CancellationToken::new(),
            found: Arc::new(|_| {}),
        };
        UnfinishedFile::open(opening).await.unwrap()
    }

    /// Whether a new download of `wanted` bytes has room.
    fn check(&self, headroom: Headroom, space: Space, wanted: u64) -> Result<(), Problem> {
        let home = self.home();
        let check = DiskSpaceCheck {
            home: &home,
            folder: &home.root().join("downloads/new"),
            target: &self.target(),
            headroom,
        };
        check.check_space(self.place.path(), space, wanted)
    }

    /// The hidden file of the only download.
    fn contents(&self) -> PathBuf {
        let [download] = list(&self.home()).try_into().unwrap();
        download.contents_path
    }
}

const fn space(total: u64, free: u64) -> Space {
    Space { total, free }
}

#[test]
fn a_fetch_for_others_leaves_the_owner_a_reserve() {
    const GIB: u64 = 1 << 30;
    let scene = Scene::new();
    for (space, headroom, most) in [
        (space(100, 50), Headroom::UseAll, 50),
        (space(100, 50), Headroom::KeepSome, 45),
        (space(100, 5), Headroom::KeepSome, 0),
        (space(100, 4), Headroom::KeepSome, 0),
        // At most 1 GiB of a large disk.
        (space(1000 * GIB, 3 * GIB), Headroom::KeepSome, 2 * GIB),
        (space(1000 * GIB, 3 * GIB), Headroom::UseAll, 3 * GIB),
    ] {
        let check = |wanted| scene.check(headroom, space, wanted);
        assert_eq!(check(most), Ok(()), "{space:?} {headroom:?}");
        let refused = check(most + 1).unwrap_err();
        assert_eq!(refused.code, ErrorCode::NoSpace, "{space:?} {headroom:?}");
    }
}

#[tokio::test]
async fn two_downloads_do_not_count_the_same_space() {
    let scene = Scene::new();
    // Room for one and a half.
    let space = space(10 * SIZE, SIZE + SIZE / 2);
    let check = || scene.check(Headroom::UseAll, space, SIZE);
    let running = scene.begin(b"a").await;
    // As on a file system that cannot reserve space: nothing of the file is on the disk.
    let contents = File::options().write(true).open(scene.contents()).unwrap();
    contents.set_len(0).unwrap();
    contents.set_len(SIZE).unwrap();
    let refused = check().unwrap_err();
    assert_eq!(refused.code, ErrorCode::NoSpace);
    let expected = "other running downloads still need 293.0 KiB";
    assert!(refused.message.contains(expected), "{refused}");
    assert_eq!(scene.check(Headroom::UseAll, space, SIZE / 2), Ok(()));
    // A download that is not running needs no space.
    drop(running);
    assert_eq!(check(), Ok(()));
}
