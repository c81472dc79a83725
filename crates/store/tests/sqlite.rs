//! Guarantees of the SQLite store alone: acknowledged changes are durable.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used)]

use convite_core::administration::{AuditAction, AuditOutcome};
use convite_core::model::{FileEntry, Role};
use convite_core::{ContentHash, ErrorCode, SharingPolicy, UnixMillis};
use convite_store::{
    Admission, AuditEntry, Holder, IndexChange, NewLink, Registration, SecretHash, Settings, Store,
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn change(n: u64) -> IndexChange {
    IndexChange {
        upsert: vec![FileEntry::file(
            format!("s/{n}").parse().unwrap(),
            n,
            ContentHash::of(&n.to_le_bytes()),
        )],
        remove: Vec::new(),
    }
}

async fn open(path: &std::path::Path) -> std::sync::Arc<dyn Store> {
    let url = format!("sqlite:{}", path.display());
    convite_store::open(&url, Settings::default())
        .await
        .unwrap()
}

async fn count(store: &std::sync::Arc<dyn Store>) -> usize {
    store
        .index(&convite_store::Viewer::everyone(), None, 1000, None, NOW)
        .await
        .unwrap()
        .items
        .len()
}

#[tokio::test]
async fn a_copy_made_as_if_by_a_crash_has_every_acknowledged_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.sqlite");
    let store = open(&path).await;
    let user = "ana".parse().unwrap();
    let granted = Admission::Granted(Role::Admin);
    let account = store
        .create_account(&user, "phc", granted, NOW)
        .await
        .unwrap();
    let id = "laptop".parse().unwrap();
    let registration = Registration {
        id,
        account: account.id,
        session: [7; 32],
        addresses: Vec::new(),
        lease: UnixMillis(NOW.0 + 1),
        transient: false,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    store.register_peer(&registration, NOW).await.unwrap();
    for n in 1..=20 {
        let published = store
            .publish_change(&registration.id, account.id, n - 1, n, change(n), NOW)
            .await;
        assert_eq!(published.unwrap().upserted, 1);
        // The state after a killed process: the files as they are, without a checkpoint.
        let copy = folder.path().join(format!("copy{n}.sqlite"));
        for suffix in ["", "-wal"] {
            let from = format!("{}{suffix}", path.display());
            std::fs::copy(from, format!("{}{suffix}", copy.display())).unwrap();
        }
        assert_eq!(count(&open(&copy).await).await, n as usize);
    }
    drop(store);
    let again = open(&path).await;
    assert_eq!(count(&again).await, 20);
    assert_eq!(again.last_change().await.unwrap(), 20);
    assert_eq!(again.account(&user).await.unwrap(), Some(account));
}

#[tokio::test]
async fn changes_sent_at_once_share_commits_and_fail_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("d.sqlite")).await;
    let made = (0..200).map(|n| {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move {
            // Every second name occurs twice.
            let user = format!("user{}", n / 2 * 2).parse().unwrap();
            let granted = Admission::Granted(Role::Member);
            store.create_account(&user, "phc", granted, NOW).await
        })
    });
    let mut taken = 0;
    for one in made.collect::<Vec<_>>() {
        if let Err(problem) = one.await.unwrap() {
            assert_eq!(problem.code, ErrorCode::UserTaken);
            taken += 1;
        }
    }
    assert_eq!(taken, 100);
    assert_eq!(store.totals(NOW).await.unwrap().accounts, 100);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/d.sqlite");
    let _store = open(&path).await;
    for suffix in ["", "-wal"] {
        let file = format!("{}{suffix}", path.display());
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn what_is_no_database_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(
        &path,
        "dear diary, this is not a database at all\n".repeat(100),
    )
    .unwrap();
    let refused = convite_store::sqlite::SqliteStore::open(&path, Settings::default())
        .err()
        .unwrap();
    assert_eq!(refused.code, ErrorCode::Internal);
    assert!(refused.hint.is_some());
    let unknown = convite_store::open("mysql://user:secret@host/db", Settings::default()).await;
    let refused = unknown.err().unwrap();
    assert_eq!(refused.code, ErrorCode::InvalidArgument);
    assert!(!refused.message.contains("secret"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_database_that_was_removed_or_replaced_takes_no_changes() {
    let folder = tempfile::tempdir().unwrap();
    for replaced in [false, true] {
        let path = folder.path().join(format!("{replaced}.sqlite"));
        let store = open(&path).await;
        store.check_writable(NOW).await.unwrap();
        let aside = folder.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        if replaced {
            std::fs::copy(&aside, &path).unwrap();
        }
        let lost = store.check_writable(NOW).await.unwrap_err();
        assert_eq!(lost.code, ErrorCode::Unavailable, "{lost:?}");
        let granted = Admission::Granted(Role::Admin);
        let user = "ana".parse().unwrap();
        let refused = store.create_account(&user, "", granted, NOW).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::Unavailable);
        // The database works again when the file is back.
        std::fs::rename(&aside, &path).unwrap();
        store.check_writable(NOW).await.unwrap();
        assert_eq!(store.account(&user).await.unwrap(), None);
    }
}

/// A small disk that is unmounted when dropped.
#[cfg(target_os = "linux")]
struct SmallDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    /// Returns `None`, and the test is skipped, where nothing can be mounted.
    fn mounted(megabytes: u32) -> Option<Self> {
        if !xtest::Need::Mount.is_met() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder.path())
            .status();
        assert!(mounted.unwrap().success());
        Some(Self(folder))
    }

    /// Writes until about `left` bytes are free.
    fn fill_up_to(&self, left: u64) {
        use std::io::Write;
        const PART: u64 = 1 << 16;
        let path = self.0.path().join("filler");
        let mut file = std::fs::File::create(path).unwrap();
        while fs4::available_space(self.0.path()).unwrap() >= left + PART {
            file.write_all(&[7; PART as usize]).unwrap();
        }
    }

    /// Fills the disk.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.path().join("filler")).unwrap();
        for part in [1 << 16, 1 << 12, 1] {
            let bytes = vec![7; part];
            while file.write_all(&bytes).is_ok() {}
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.0.path())
            .status();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_full_disk_logins_and_heartbeats_go_on_and_the_rest_says_why() {
    let Some(disk) = SmallDisk::mounted(64) else {
        return;
    };
    let store = open(&disk.0.path().join("d.sqlite")).await;
    let user = "ana".parse().unwrap();
    let granted = || Admission::Granted(Role::Admin);
    let account = store.create_account(&user, "phc", granted(), NOW).await;
    let account = account.unwrap().id;
    let registration = Registration {
        id: "laptop".parse().unwrap(),
        account,
        session: [7; 32],
        addresses: Vec::new(),
        lease: UnixMillis(NOW.0 + 1),
        transient: false,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    store.register_peer(&registration, NOW).await.unwrap();
    let peer = &registration.id;
    let published = store.publish_change(peer, account, 0, 1, change(1), NOW);
    published.await.unwrap();

    disk.fill();
    // Free space reported a moment ago may still be used.
    let began = std::time::Instant::now();
    let mut generation = 1;
    let full = loop {
        let change = change(generation + 1);
        let next = generation + 1;
        match store
            .publish_change(peer, account, generation, next, change, NOW)
            .await
        {
            Ok(_) => generation = next,
            Err(problem) => break problem,
        }
        break_if_late(began);
    };
    assert_eq!(full.code, ErrorCode::NoSpace, "{full:?}");
    let other = "bea".parse().unwrap();
    let refused = store.create_account(&other, "phc", granted(), NOW).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::NoSpace);
    // More than the log or the file can hold without growing, unless space is reserved.
    for number in 0..2_000_u32 {
        let lease = UnixMillis(NOW.0 + i64::from(number));
        let renewed = store.renew_lease(peer, account, None, lease, NOW).await;
        renewed.unwrap_or_else(|problem| panic!("heartbeat {number}: {problem:?}"));
        let mut token = [0; 32];
        token[..4].copy_from_slice(&number.to_le_bytes());
        if number < 500 {
            let end = UnixMillis(NOW.0 + 1_000);
            let begun = store.create_session(&token, account, "phc", None, end, NOW);
            assert!(begun.await.unwrap());
        }
    }
    store.check_writable(NOW).await.unwrap();
    let left = store.publish_change(
        peer,
        account,
        generation,
        9_000_000,
        IndexChange::default(),
        NOW,
    );
    left.await.unwrap();
    store.end_session(&[0; 32], NOW).await.unwrap();

    // With free space again, everything works.
    std::fs::remove_file(disk.0.path().join("filler")).unwrap();
    let began = std::time::Instant::now();
    while let Err(problem) = store.create_account(&other, "phc", granted(), NOW).await {
        assert_eq!(problem.code, ErrorCode::NoSpace);
        break_if_late(began);
    }
    drop(store);
    let again = open(&disk.0.path().join("d.sqlite")).await;
    assert_eq!(again.totals(NOW).await.unwrap().sessions, 499);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_last_megabytes_of_a_disk_are_kept_from_published_files() {
    // A twentieth is kept free of files: 6.4 MiB.
    let Some(disk) = SmallDisk::mounted(128) else {
        return;
    };
    let store = open(&disk.0.path().join("d.sqlite")).await;
    let user = "ana".parse().unwrap();
    let granted = Admission::Granted(Role::Admin);
    let account = store.create_account(&user, "phc", granted, NOW).await;
    let account = account.unwrap().id;
    let registration = Registration {
        id: "laptop".parse().unwrap(),
        account,
        session: [7; 32],
        addresses: Vec::new(),
        lease: UnixMillis(NOW.0 + 1),
        transient: false,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    store.register_peer(&registration, NOW).await.unwrap();
    let publish = async |base: u64| {
        let change = change(base + 1);
        let published =
            store.publish_change(&registration.id, account, base, base + 1, change, NOW);
        published.await.map_err(|problem| problem.code)
    };
    publish(0).await.unwrap();

    disk.fill_up_to(5 << 20);
    assert_eq!(publish(1).await, Err(ErrorCode::NoSpace));
    // What takes a few rows goes on, until there is less than that.
    let entry = AuditEntry {
        at: NOW,
        actor: None,
        action: AuditAction::LinkAdd,
        target: String::new(),
        address: None,
        outcome: AuditOutcome::Done,
    };
    let link = async |token: SecretHash| {
        let link = NewLink {
            token,
            account,
            hash: change(1).upsert[0].hash,
            name: None,
            uses: 1,
            expires: UnixMillis(NOW.0 + 1_000),
        };
        let made = store.create_link(&link, &entry, NOW).await;
        made.map_err(|problem| problem.code)
    };
    assert_eq!(link([1; 32]).await, Ok(()));
    disk.fill();
    assert_eq!(link([2; 32]).await, Err(ErrorCode::NoSpace));
}

#[cfg(target_os = "linux")]
fn break_if_late(began: std::time::Instant) {
    assert!(began.elapsed().as_secs() < 10, "still full");
    std::thread::yield_now();
}
