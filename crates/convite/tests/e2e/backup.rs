//! Backup of a running directory and restore to another home.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Directory, Home, Pair, contents, wait_until};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Returns all files below a folder, by name.
fn listing(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(&path).unwrap_or_default())
    };
    let mut all: Vec<_> = entries.map(file).collect();
    all.sort();
    all
}

/// Returns a stopped directory with one account, and its backup.
fn stopped_with_backup() -> (Home, std::path::PathBuf) {
    let directory = Directory::with("");
    directory.member("ana");
    let Directory { home, process, .. } = directory;
    home.run("directory backup copy").ok();
    process.stop().ok();
    let copy = home.path("copy");
    (home, copy)
}

#[test]
fn a_backup_during_writes_restores_without_losing_files() {
    let Pair {
        directory,
        ana,
        ben,
    } = Pair::new();
    for number in 0..300 {
        ana.write(&format!("docs/early {number}.txt"), &contents(number, 100));
    }
    ana.write("docs/early.bin", &contents(7, 300_000));
    let peer = ana.peer("peer_1", &ana.path("docs"), "");

    // Concurrent writes.
    let enough = AtomicBool::new(false);
    let copy = directory.home.path("copies/copy");
    fs::create_dir(copy.parent().unwrap()).unwrap();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut done = 0;
            while !enough.load(Ordering::Relaxed) {
                ana.run("invite").ok();
                ana.write(
                    &format!("docs/during {done}.txt"),
                    &contents(1000 + done, 100),
                );
                done += 1;
            }
            done
        });
        let made = directory.home.json("directory backup copies/copy").ok();
        assert_eq!(made.event("backup")["path"], "copies/copy");
        enough.store(true, Ordering::Relaxed);
        assert!(writing.join().unwrap() > 0);
    });
    assert_eq!(mode(&copy), 0o700);
    let names: Vec<_> = listing(&copy).into_iter().map(|(name, _)| name).collect();
    let wanted = [
        // Excludes the folder from shares.
        ".convite-private",
        "authority.key",
        "authority.pem",
        "directory.db",
        "invite",
        "manifest.json",
        "ticket.key",
    ];
    assert_eq!(names, wanted);
    for name in &names {
        assert_eq!(mode(&copy.join(name)), 0o600, "{name}");
    }
    assert_eq!(
        listing(copy.parent().unwrap()).len(),
        1,
        "unexpected files remain"
    );
    let before = listing(&copy);
    let refused = directory.home.json("directory backup copies/copy").ends(1);
    assert_eq!(refused.event("error")["code"], "file_exists");
    assert!(listing(&copy) == before, "the backup was modified");

    // Changes after the backup: another file, a later session, a later account.
    ana.write("docs/late.bin", &contents(8, 200_000));
    wait_until("search finds the late file", || {
        (ben.run("search late.bin").code == 0).then_some(())
    });
    ben.run("login").ok();
    let cleo = directory.member("cleo");
    let (port, invite) = (directory.port, directory.invite.clone());
    directory.process.stop().ok();

    let other = Home::new();
    let restore = format!("directory restore {}", copy.display());
    other.json(&restore).ok();
    let restored = other.directory(port, "");
    assert_eq!((restored.port, &restored.invite), (port, &invite));

    // The later sessions are unknown, and the hint says what to do.
    for home in [&ben, &cleo] {
        let refused = home.json("search early.bin").ends(4);
        let hint = refused.event("error")["hint"].to_string();
        assert!(hint.contains("convite login"), "{hint}");
    }
    ben.run("login").ok();
    // The peer, whose session is older than the backup, registers again by itself. Its index is newer
    // than the directory's, so it sends the whole index.
    wait_until("the peer is listed again", || {
        (ben.peers() == ["peer_1"]).then_some(())
    });
    wait_until("search finds all files", || {
        let found = |name: &str| ben.run(&format!("search {name}")).code == 0;
        (found("early.bin") && found("late.bin")).then_some(())
    });
    ben.run("get early.bin").ok();
    ben.run("get late.bin").ok();
    assert!(fs::read(ben.path("early.bin")).unwrap() == contents(7, 300_000));
    assert!(fs::read(ben.path("late.bin")).unwrap() == contents(8, 200_000));
    peer.stop().ok();
}

#[test]
fn a_damaged_backup_is_refused_and_changes_nothing() {
    let (home, copy) = stopped_with_backup();
    let other = Home::new();
    let refuse = |code: &str| {
        let refused = other.json(&format!("directory restore {}", copy.display()));
        assert_ne!(refused.code, 0);
        assert_eq!(refused.event("error")["code"], code);
        assert!(!other.root().join("directory").exists());
        assert!(
            listing(&other.root())
                .iter()
                .all(|(name, _)| !name.contains("partial"))
        );
    };
    for name in ["directory.db", "ticket.key"] {
        let whole = fs::read(copy.join(name)).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        fs::write(copy.join(name), &damaged).unwrap();
        refuse("corrupt_contents");
        fs::write(copy.join(name), &whole).unwrap();
    }
    // A forged manifest cannot name files outside the folder.
    let whole = fs::read_to_string(copy.join("manifest.json")).unwrap();
    let astray = whole.replace("\"ticket.key\"", "\"../../stolen\"");
    assert_ne!(astray, whole);
    fs::write(copy.join("manifest.json"), astray).unwrap();
    refuse("corrupt_contents");
    fs::remove_file(copy.join("manifest.json")).unwrap();
    refuse("not_found");
    fs::write(copy.join("manifest.json"), &whole).unwrap();
    other
        .run(&format!("directory restore {}", copy.display()))
        .ok();
    drop(home);
}

#[test]
fn a_restore_needs_force_and_a_stopped_directory() {
    let (home, copy) = stopped_with_backup();
    let restore = format!("directory restore {}", copy.display());
    let before = listing(&home.root().join("directory"));
    let refused = home.json(&restore).ends(1);
    assert_eq!(refused.event("error")["code"], "file_exists");
    let directory = home.directory(0, "");
    let refused = directory.home.json(&format!("{restore} --force")).ends(1);
    assert!(
        refused.event("error")["message"]
            .to_string()
            .contains("running")
    );
    let Directory { home, process, .. } = directory;
    process.stop().ok();
    let done = home.json(&format!("{restore} --force --end-sessions")).ok();
    let aside = done.event("restored")["aside"].as_str().unwrap().to_owned();
    let key = |listing: &[(String, Vec<u8>)]| {
        listing
            .iter()
            .find(|(name, _)| name == "ticket.key")
            .cloned()
            .unwrap()
    };
    assert_eq!(key(&listing(Path::new(&aside))), key(&before));
    assert_eq!(key(&listing(&home.root().join("directory"))), key(&before));
}

#[test]
fn a_restore_without_sessions_requires_new_logins() {
    let directory = Directory::with("");
    let ana = directory.member("ana");
    let port = directory.port;
    directory.home.run("directory backup copy").ok();
    let Directory { home, process, .. } = directory;
    process.stop().ok();
    let other = Home::new();
    let copy = home.path("copy");
    other
        .run(&format!(
            "directory restore {} --end-sessions",
            copy.display()
        ))
        .ok();
    let _restored = other.directory(port, "");
    ana.run("peers").ends(4);
    ana.run("login").ok();
    ana.run("peers").ok();
}

#[test]
fn backup_of_postgres_names_its_own_tools() {
    let home = Home::new();
    let mut command = home.command("--json directory backup copy");
    command.env(
        "CONVITE_DATABASE",
        "postgres://user:hunter2@127.0.0.1:1/none",
    );
    let refused = crate::harness::finish(command).ends(1);
    let error = refused.event("error");
    assert!(error["hint"].as_str().unwrap().contains("pg_dump"));
    assert!(!refused.stdout.contains("hunter2") && !refused.stderr.contains("hunter2"));
    let refused = home.json("directory backup copy").ends(3);
    assert_eq!(refused.event("error")["code"], "not_found");
}
