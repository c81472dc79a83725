//! Shares on a disk that is unmounted and mounted again. The disk is an image on a loop device,
//! which requires root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use convite_core::ErrorCode;
use convite_peer::RunningPeer;

use super::{Group, end, settle};

/// An ext4 image and its mount point.
struct Disk {
    image: PathBuf,
    point: PathBuf,
}

fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let ran = Command::new(program).args(args).output();
    let ran = ran.map_err(|error| format!("{program}: {error}"))?;
    if ran.status.success() {
        Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&ran.stderr).into_owned())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl Disk {
    /// Returns `None`, which skips the test, where disks cannot be mounted.
    fn new(group: &Group) -> Option<Self> {
        if !xtest::Need::Loop.is_met() {
            return None;
        }
        let disk = Self {
            image: group.place.path().join("disk.img"),
            point: group.place.path().join("mnt"),
        };
        fs::create_dir(&disk.point).unwrap();
        let image = fs::File::create(&disk.image).unwrap();
        image.set_len(8 << 20).unwrap();
        run("mkfs.ext4", &["-q", text(&disk.image)]).unwrap();
        disk.mount().unwrap();
        Some(disk)
    }

    fn mount(&self) -> Result<(), String> {
        let args = ["-o", "loop", text(&self.image), text(&self.point)];
        run("mount", &args).map(drop)
    }

    fn device(&self) -> String {
        run("findmnt", &["-no", "SOURCE", text(&self.point)]).unwrap()
    }

    /// Mounts it on another loop device than `before`.
    fn mount_on_another(&self, before: &str) {
        let devices = (0..16).map(|number| format!("/dev/loop{number}"));
        let mounted = devices.filter(|device| device != before).any(|device| {
            let option = format!("loop={device}");
            let args = ["-o", &option, text(&self.image), text(&self.point)];
            run("mount", &args).is_ok()
        });
        assert!(mounted, "no other loop device is available");
        assert_ne!(self.device(), before);
    }

    /// Unmounts it. Retries, because the peer may be accessing it.
    fn unmount(&self) {
        let began = std::time::Instant::now();
        while let Err(why) = run("umount", &[text(&self.point)]) {
            assert!(began.elapsed() < Duration::from_secs(20), "{why}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It may already be unmounted.
        let _ = run("umount", &["-l", text(&self.point)]);
    }
}

async fn shown(peer: &RunningPeer, what: &str, is: impl Fn(&str) -> bool) {
    let looking = async {
        while !is(&peer.status().shares[0].trouble) {
            peer.changed().await;
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(30), looking).await;
    assert!(looked.is_ok(), "{what}: {:?}", peer.status().shares[0]);
}

/// The watches of an unmounted disk are gone, even if it is mounted again at once.
#[tokio::test]
async fn changes_after_a_quick_remount_are_noticed() {
    let mut group = Group::new();
    group.rescan = Duration::from_secs(600);
    let Some(disk) = Disk::new(&group) else {
        return;
    };
    let share = disk.point.join("share");
    fs::create_dir(&share).unwrap();
    fs::write(share.join("a"), "one").unwrap();
    settle(&share.join("a"));
    group.folder = share.clone();
    let (mut peer, stop) = group.start().await.unwrap();
    assert_eq!(peer.first_scan_done().await.unwrap(), 1);
    for name in ["b", "c", "d"] {
        disk.unmount();
        disk.mount().unwrap();
        fs::write(share.join(name), "new").unwrap();
        let path = format!("share/{name}");
        group
            .directory
            .until(|held| held.files.contains_key(&path))
            .await;
    }
    end(peer, &stop).await;
    disk.unmount();
}

#[tokio::test]
async fn remounted_disk_is_not_hashed_again() {
    let mut group = Group::new();
    group.rescan = Duration::from_secs(600);
    let Some(disk) = Disk::new(&group) else {
        return;
    };
    let share = disk.point.join("share");
    fs::create_dir(&share).unwrap();
    fs::write(share.join("a"), "one").unwrap();
    fs::write(share.join("b"), "two").unwrap();
    settle(&share.join("b"));
    group.folder = share.clone();
    let (mut peer, stop) = group.start().await.unwrap();
    assert_eq!(peer.first_scan_done().await.unwrap(), 2);

    disk.unmount();
    // A folder that looks like the share is created in the meantime.
    fs::create_dir(&share).unwrap();
    fs::write(share.join("below"), "below the mount point").unwrap();
    group.directory.until(|held| held.files.is_empty()).await;
    shown(&peer, "the share is not mounted", |trouble| {
        trouble.contains("not mounted")
    })
    .await;
    assert!(peer.status().shares[0].hint.contains("mount it"));
    let refused = peer
        .state()
        .files
        .check_mounted(&share.join("new"))
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    let refused = peer.state().share(&share, None).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    // A full scan while the disk is not mounted forgets nothing and finds nothing.
    let scans = *peer.state().files.scans.borrow();
    peer.state().files.rescan.notify_one();
    let mut done = peer.state().files.scans.subscribe();
    done.wait_for(|now| *now > scans).await.unwrap();
    assert!(group.directory.paths().is_empty());

    disk.mount().unwrap();
    group.directory.until(|held| held.files.len() == 2).await;
    shown(&peer, "the share is back", str::is_empty).await;
    assert_eq!(peer.hashed(), 2, "files were hashed again");

    // The disk is not mounted when the peer starts, and is then mounted under another device.
    let before = disk.device();
    disk.unmount();
    end(peer, &stop).await;
    let (mut peer, stop) = group.start().await.unwrap();
    assert_eq!(peer.first_scan_done().await.unwrap(), 0);
    disk.mount_on_another(&before);
    group.directory.until(|held| held.files.len() == 2).await;
    assert_eq!(
        peer.hashed(),
        0,
        "files were hashed again under another device"
    );
    end(peer, &stop).await;
}

#[tokio::test]
async fn another_disk_at_the_mount_point_is_not_shared() {
    let group = Group::new();
    let Some(disk) = Disk::new(&group) else {
        return;
    };
    let mut group = group;
    group.folder = disk.point.clone();
    fs::write(disk.point.join("a"), "one").unwrap();
    settle(&disk.point.join("a"));
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    disk.unmount();
    let other = Disk {
        image: group.place.path().join("other.img"),
        point: disk.point.clone(),
    };
    let image = fs::File::create(&other.image).unwrap();
    image.set_len(8 << 20).unwrap();
    run("mkfs.ext4", &["-q", text(&other.image)]).unwrap();
    other.mount().unwrap();
    fs::write(disk.point.join("secret"), "not shared").unwrap();
    shown(&peer, "another disk is mounted", |trouble| {
        trouble.contains("another file system")
    })
    .await;
    assert!(
        !group
            .directory
            .set(|held| held.ever.iter().any(|(path, _)| path.contains("secret")))
    );
    // Sharing it explicitly accepts the new disk.
    peer.state().share(&disk.point, None).unwrap();
    let is_listed = |held: &super::Held| held.files.keys().any(|path| path.contains("secret"));
    group.directory.until(is_listed).await;
    end(peer, &stop).await;
}
