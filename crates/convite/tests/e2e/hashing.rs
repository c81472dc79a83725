//! Hashing and sharing: unnoticed changes of files, a damaged cache, special files, and files that are
//! not shared.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use xtest::Need;

use crate::harness::{Home, Pair, Process, contents, wait_until};
use crate::signals::wrapped;

/// Returns the status of the first share of a home's peer.
fn share(home: &Home) -> Value {
    home.json("status").ok().objects()[0]["peer"]["shares"][0].clone()
}

/// Returns the number of files excluded for a reason, and the first path.
fn left_out(share: &Value, reason: &str) -> Option<(u64, String)> {
    let groups = share["skipped"].as_array().unwrap();
    let group = groups.iter().find(|group| group["reason"] == reason)?;
    Some((group["count"].as_u64().unwrap(), group["paths"].to_string()))
}

#[test]
fn a_changed_file_with_its_old_modification_time_is_hashed_again() {
    let pair = Pair::new();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
    let write = |bytes: &[u8]| {
        let path = pair.ana.write("docs/x.bin", bytes);
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(old).unwrap();
    };
    write(&contents(71, 300_000));
    let peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    pair.ben.run("get x.bin -o one/").ok();
    // While the peer runs.
    write(&contents(72, 300_000));
    let listed = |hash: &str| {
        let found = pair.ben.json("search x.bin").objects();
        found.iter().any(|hit| hit["hash"] == hash)
    };
    let second = convite_core::ContentHash::of(&contents(72, 300_000)).to_string();
    wait_until("the new contents are listed", || {
        listed(&second).then_some(())
    });
    pair.ben.run("get x.bin -o two/").ok();
    assert!(fs::read(pair.ben.path("two/x.bin")).unwrap() == contents(72, 300_000));
    peer.stop().ok();
    // While the peer is stopped.
    write(&contents(73, 300_000));
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    pair.ben.run("get x.bin -o three/").ok();
    assert!(fs::read(pair.ben.path("three/x.bin")).unwrap() == contents(73, 300_000));
}

#[test]
fn the_hash_of_a_folder_is_the_same_on_disk_and_in_the_index() {
    let pair = Pair::new();
    // The example of docs/formats.md.
    for (name, bytes) in [
        ("tree/README.txt", &b"hello\n"[..]),
        ("tree/empty", b""),
        ("tree/raw/\u{e9}.bin", b"123456789"),
        ("tree/.hidden", b"not a part"),
    ] {
        pair.ana.write(name, bytes);
    }
    fs::create_dir(pair.ana.path("tree/void")).unwrap();
    let hash = "48c763186d9f82960253b0b79cf4480494839e1ba9d797e0db9e66b599b8449e";
    let path = pair.ana.path("tree");
    let folder = path.display();
    let printed = pair.ana.run(&format!("hash {folder}")).ok();
    assert_eq!(printed.stdout, format!("{hash}  {folder}\n"));
    assert!(printed.stderr.contains("1 hidden"), "{}", printed.stderr);
    let printed = pair
        .ana
        .json(&format!("hash {folder} {folder}/README.txt"))
        .ok();
    let printed = printed.objects();
    assert_eq!(printed[0]["kind"], "folder");
    assert_eq!(
        (&printed[0]["files"], &printed[0]["size"]),
        (&3.into(), &15.into())
    );
    assert_eq!(printed[0]["skipped"]["hidden"], 1);
    assert_eq!(
        printed[1]["hash"],
        convite_core::ContentHash::of(b"hello\n").to_string()
    );
    let failed = pair.ana.json(&format!("hash {folder} {folder}/nothing"));
    assert_eq!(failed.code, 3);
    assert_eq!(failed.objects()[0]["hash"], hash);

    let _peer = pair.ana.peer("peer_1", &path, "");
    let found = pair.ben.json("search tree --type folder").objects();
    assert_eq!(
        (&found[0]["hash"], &found[0]["files"]),
        (&hash.into(), &3.into())
    );
}

#[test]
fn a_damaged_hash_cache_is_replaced_and_reported() {
    let pair = Pair::new();
    for number in 0..300 {
        pair.ana
            .write(&format!("docs/{number}"), &contents(number, 100));
    }
    let folder = pair.ana.path("docs");
    let peer = pair.ana.peer("peer_1", &folder, "");
    peer.stop().ok();
    let cache = pair.ana.root().join("peer/cache.redb");
    let mut bytes = fs::read(&cache).unwrap();
    // Every page but the first two, zeroed.
    bytes[8192..].fill(0);
    fs::write(&cache, &bytes).unwrap();
    let peer = pair.ana.peer("peer_1", &folder, "");
    assert!(
        peer.stderr().contains("cache.redb.damaged"),
        "{}",
        peer.stderr()
    );
    let status = pair.ana.json("status").ok().objects()[0].clone();
    let notes = status["peer"]["notes"].to_string();
    assert!(notes.contains("damaged"), "{notes}");
    assert_eq!(status["peer"]["files"], 300);
    assert!(
        pair.ana
            .run("status")
            .ok()
            .stdout
            .contains("cache.redb.damaged")
    );
    pair.ben.run("get 7").ok();
    // If the cache is damaged while the peer runs, the peer stops and starts as usual.
    bytes.fill(0xa5);
    fs::write(&cache, &bytes).unwrap();
    peer.stop().ok();
    let peer = pair.ana.peer("peer_1", &folder, "");
    pair.ben.run("get 8").ok();
    peer.stop().ok();
}

#[test]
fn a_file_with_more_or_fewer_bytes_than_its_size_is_not_shared() {
    let pair = Pair::new();
    let _peer = pair
        .ana
        .peer("peer_1", &pair.ana.path(""), "--allow-uploads");
    let pipe = pair.ben.path("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    for (file, why) in [
        ("/proc/cpuinfo", "more bytes"),
        ("/sys/kernel/mm/transparent_hugepage/enabled", "fewer bytes"),
        (pipe.to_str().unwrap(), "not a regular file"),
        ("/dev/null", "not a regular file"),
    ] {
        if !std::path::Path::new(file).exists() {
            continue;
        }
        let refused = pair.ben.json(&format!("put {file} --to peer_1"));
        let refused = refused.event("error");
        let said = refused["message"].as_str().unwrap();
        assert!(said.contains(why), "{file}: {said}");
    }
    for file in ["/proc/cpuinfo", "/proc", "/sys"] {
        let refused = pair.ana.json(&format!("share {file}"));
        assert_ne!(refused.code, 0, "{file} is shared");
        let refused = refused.event("error");
        assert!(refused["hint"].as_str().is_some(), "{file}: {refused}");
    }
}

#[test]
fn an_unreadable_folder_is_reported_and_the_rest_is_watched() {
    let pair = Pair::new();
    for file in ["docs/a/1", "docs/closed/2", "docs/z/deep/3", "docs/.hidden"] {
        pair.ana.write(file, b"x");
    }
    let closed = pair.ana.path("docs/closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let command = pair.ana.command(&format!(
        "--json peer peer_1 0 {} --bind 127.0.0.1 --no-menu",
        pair.ana.path("docs").display()
    ));
    // Root can read every folder unless it drops that capability.
    let command = if fs::read_dir(&closed).is_ok() {
        let less = "-dac_override,-dac_read_search";
        let args = ["--bounding-set", less, "--inh-caps", less];
        wrapped("setpriv", &args, &command)
    } else {
        command
    };
    let peer = Process::start(command);
    peer.ready();
    let now = share(&pair.ana);
    for reason in ["unreadable", "unwatched"] {
        let (count, paths) = left_out(&now, reason).unwrap();
        assert_eq!((count, paths.as_str()), (1, "[\"closed\"]"), "{reason}");
    }
    assert_eq!(left_out(&now, "hidden").unwrap().1, "[\".hidden\"]");
    let said = pair.ana.run("status").ok().stdout;
    assert!(
        said.contains("cannot be read") && said.contains("closed"),
        "{said}"
    );
    let began = Instant::now();
    pair.ana.write("docs/z/deep/new", b"new");
    wait_until("the change is noticed", || {
        (pair.ben.run("search new").code == 0).then_some(())
    });
    // Polling would have taken up to 30 s.
    assert!(began.elapsed() < Duration::from_secs(20));
    peer.stop().ok();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn exhausted_watches_are_reported_and_replaced_by_scans() {
    if !Need::UserNamespace.is_met() {
        return;
    }
    let pair = Pair::new();
    for number in 0..40 {
        pair.ana.write(&format!("docs/{number:02}/x"), b"x");
    }
    let command = pair.ana.command(&format!(
        "--json peer peer_1 0 {} --bind 127.0.0.1 --no-menu",
        pair.ana.path("docs").display()
    ));
    let limit = "echo 20 > /proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"";
    let args = ["--user", "--map-root-user", "sh", "-c", limit];
    let peer = Process::start(wrapped("unshare", &args, &command));
    peer.ready();
    let (count, _) = left_out(&share(&pair.ana), "unwatched").unwrap();
    // The share itself uses some of the 20 watches.
    assert!((20..40).contains(&count), "{count}");
    let said = pair.ana.run("status").ok().stdout;
    assert!(said.contains("max_user_watches"), "{said}");
    peer.stop().ok();
}
