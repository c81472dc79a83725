//! Downloads of folders: they arrive equal, resume after a kill, and are refused where they must be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::harness::{Directory, Home, Pair, Process, contents, text, wait_until};
use crate::relay::Relay;
use crate::up::{Mapped, make_old};

const MIB: usize = 1 << 20;

/// Writes a folder with small, large, equal, empty and executable files, and empty folders.
fn fill(home: &Home, name: &str) {
    let file = |path: &str, bytes: &[u8]| home.write(&format!("{name}/{path}"), bytes);
    for number in 0..400 {
        file(
            &format!("small/{:02}/{number:03}.txt", number % 7),
            &contents(number, 50 + 10 * number as usize),
        );
    }
    for folder in ["one", "two"] {
        file(&format!("equal/{folder}/large"), &contents(77, 2 * MIB + 5));
        file(&format!("equal/{folder}/none"), b"");
    }
    file("large.bin", &contents(78, 5 * MIB + 1));
    let run = file("bin/run", b"#!/bin/sh\n");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(home.path(&format!("{name}/void/inner"))).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let opened = fs::File::options().write(true).open(run).unwrap();
    opened.set_modified(old).unwrap();
}

fn hash(home: &Home, path: &Path) -> String {
    let hashed = home.json(&format!("hash {}", path.display())).ok();
    text(&hashed.objects()[0], "hash")
}

/// Waits until a folder is listed.
fn wait_listed(home: &Home, path: &str) {
    wait_until("the folder is listed", || {
        let listed = home.json("index").ok().objects();
        let mut listed = listed.iter();
        listed
            .any(|entry| entry["kind"] == "folder" && entry["path"] == path)
            .then_some(())
    });
}

fn bytes_of(home: &Home, path: &str) -> u64 {
    let hashed = home.json(&format!("hash {path}")).ok().objects();
    hashed[0]["size"].as_u64().unwrap()
}

#[test]
fn folder_arrives_equal_and_is_known_afterwards() {
    let pair = Pair::new();
    fill(&pair.ana, "photos");
    let _peer = pair.ana.peer("ana-1", &pair.ana.path("photos"), "");
    wait_listed(&pair.ben, "photos");
    let wanted = hash(&pair.ana, &pair.ana.path("photos"));
    let size = bytes_of(&pair.ana, "photos");
    let done = pair.ben.json("get photos").ok().event("done");
    assert_eq!(
        (text(&done, "kind"), text(&done, "hash")),
        ("folder".to_owned(), wanted.clone())
    );
    assert_eq!(
        text(&done, "path"),
        pair.ben
            .path("photos")
            .canonicalize()
            .unwrap()
            .to_str()
            .unwrap()
    );
    assert_eq!(done["files"], 406);
    assert_eq!(done["files_total"], 406);
    assert_eq!(done["bytes"], size);
    assert!(
        done["received"].as_u64().unwrap() < size,
        "equal files are received once"
    );
    assert_eq!(hash(&pair.ben, &pair.ben.path("photos")), wanted);
    assert!(pair.ben.path("photos/void/inner").is_dir());
    let run = fs::metadata(pair.ben.path("photos/bin/run")).unwrap();
    assert_eq!(run.permissions().mode() & 0o111, 0o111);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    assert_eq!(run.modified().unwrap(), old);
    let plain = fs::metadata(pair.ben.path("photos/large.bin")).unwrap();
    assert_eq!(plain.permissions().mode() & 0o111, 0);
    for hidden in [".convite-unfinished", ".convite-parts"] {
        assert!(!pair.ben.path("photos").join(hidden).exists());
    }
    // By path, into folders as `cp -r`, and by hash.
    let again = pair.ben.json("get ana-1:photos").ok().event("done");
    assert_eq!(
        (&again["already_there"], &again["received"]),
        (&true.into(), &0.into())
    );
    fs::create_dir(pair.ben.path("there")).unwrap();
    for (what, target, place) in [
        ("photos/equal/one", "there", "there/one"),
        ("ana-1:photos/equal", "new", "new"),
        (&*wanted, "by-hash/", "by-hash/photos"),
    ] {
        let done = pair
            .ben
            .json(&format!("get {what} -o {target}"))
            .ok()
            .event("done");
        let place = pair.ben.path(place);
        assert_eq!(
            text(&done, "path"),
            place.canonicalize().unwrap().to_str().unwrap()
        );
        assert_eq!(text(&done, "hash"), hash(&pair.ben, &place));
    }
    // A part of a folder.
    pair.ben
        .run("get photos -o part --include small --exclude 00*.txt --exclude 06")
        .ok();
    assert!(pair.ben.path("part/small/05/397.txt").exists());
    for absent in ["small/00/007.txt", "small/06", "bin", "void", "large.bin"] {
        assert!(!pair.ben.path("part").join(absent).exists(), "{absent}");
    }
}

#[test]
fn killed_folder_download_resumes() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    for number in 0..600 {
        ana.write(&format!("data/{number:03}"), &contents(number, 10_000));
    }
    ana.write("data/large.bin", &contents(700, 12 * MIB));
    let relay = Relay::open();
    let _peer: Process = ana.peer_behind(&relay, "ana-1", &ana.path("data"));
    wait_listed(&ben, "data");
    relay.hold_after(9 * MIB);
    let get = ben.start("--json get data");
    relay.wait_until_held();
    let progress = get.object("most of the sent bytes are here", |object| {
        object["event"] == "progress" && object["bytes"].as_u64() >= Some(6 << 20)
    });
    assert_eq!(progress["kind"], "folder");
    assert_eq!(progress["files_total"], 601);
    let here = progress["bytes"].as_u64().unwrap();
    assert!(ben.path("data/.convite-unfinished").exists());
    get.kill();
    let sent = relay.sent();
    relay.release();
    let done = ben.json("get data").ok().event("done");
    let size = bytes_of(&ana, "data");
    let received = done["received"].as_u64().unwrap();
    assert!(received <= size - here, "{received} of {size} after {here}");
    assert!(done["resumed"].as_u64().unwrap() >= here);
    // Counted on the way: the rest, manifests and the protocol.
    let second = relay.sent() - sent;
    assert!(second < size - here + MIB as u64, "{second}");
    assert_eq!(hash(&ben, &ben.path("data")), hash(&ana, &ana.path("data")));
    assert!(!ben.path("data/.convite-unfinished").exists());
}

#[test]
fn wrong_bytes_of_a_provider_never_get_a_name() {
    if !xtest::Need::SecondDisk.is_met() {
        return;
    }
    let directory = Directory::with("");
    let mut peers = Vec::new();
    for id in ["liar", "honest"] {
        // On tmpfs, where a change of a file can go unnoticed.
        let home = directory.member_at(Home::in_memory(), id);
        let mut mapped = Vec::new();
        for (name, seed, len) in [("data/small", 1, 9_000), ("data/large", 2, 6 * MIB)] {
            let file = home.write(name, &contents(seed, len));
            mapped.push((Mapped::open(&file), len));
            make_old(&file);
        }
        home.write("data/right", b"right");
        let process = home.peer(id, &home.path("data"), "");
        peers.push((home, process, mapped));
    }
    let cleo = directory.member("cleo");
    wait_until("both peers list the folder", || {
        let listed = cleo.json("index").ok().objects();
        let folders = listed.iter().filter(|entry| entry["kind"] == "folder");
        (folders.count() == 2).then_some(())
    });
    let wanted = hash(&cleo, &peers[1].0.path("data"));
    for (mapped, len) in std::mem::take(&mut peers[0].2) {
        mapped.change_unnoticed(&contents(99, len));
    }
    let done = cleo
        .json(&format!("get {wanted} -o both"))
        .ok()
        .event("done");
    assert!(
        done["providers"]
            .as_array()
            .unwrap()
            .contains(&"honest".into())
    );
    assert_eq!(hash(&cleo, &cleo.path("both")), wanted);
    let (_home, honest, _) = peers.remove(1);
    honest.stop();
    let refused = cleo.json(&format!("get {wanted} -o one"));
    assert_ne!(refused.code, 0);
    for name in ["small", "large"] {
        assert!(!cleo.path("one").join(name).exists(), "{name}");
    }
}

#[test]
fn folder_of_a_space_is_refused_to_a_stranger() {
    let directory = Directory::with("");
    let (ana, ben, eve) = (
        directory.member("ana"),
        directory.member("ben"),
        directory.member("eve"),
    );
    ana.run("space add lab").ok();
    for user in ["ana", "ben"] {
        ana.run(&format!("space member add lab {user}")).ok();
    }
    ana.write("open/x", b"open");
    ana.write("secret/formula", b"for the lab alone");
    let _peer = ana.peer("ana-1", &ana.path("open"), "");
    ana.run("share secret --space lab").ok();
    wait_listed(&ben, "secret");
    let secret = hash(&ana, &ana.path("secret"));
    for what in ["secret", "ana-1:secret", &secret] {
        eve.run(&format!("get {what} -o stolen")).ends(3);
        assert!(!eve.path("stolen").exists());
    }
    ben.run(&format!("get {secret} -o got")).ok();
    assert_eq!(hash(&ben, &ben.path("got")), secret);
}

#[test]
fn differing_target_is_refused_without_update() {
    let pair = Pair::new();
    for (name, bytes) in [("a", "one"), ("b", "two"), ("c/d", "three")] {
        pair.ana.write(&format!("notes/{name}"), bytes.as_bytes());
    }
    let _peer = pair.ana.peer("ana-1", &pair.ana.path("notes"), "");
    wait_listed(&pair.ben, "notes");
    pair.ben.write("notes/a", b"mine");
    let refused = pair.ben.run("get notes").ends(1);
    assert!(
        refused.stderr.contains("1 file in the target differs: 'a'"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--update"), "{}", refused.stderr);
    assert!(!pair.ben.path("notes/b").exists());
    let planned = pair.ben.json("get notes --update --dry-run").ok().objects();
    let planned: Vec<_> = planned
        .iter()
        .map(|change| (text(change, "action"), text(change, "path")))
        .collect();
    let wanted = [("keep_other", "a"), ("create", "b"), ("create", "c/d")];
    let wanted = wanted.map(|(action, path)| (action.to_owned(), path.to_owned()));
    assert_eq!(planned, wanted);
    assert_eq!(fs::read_dir(pair.ben.path("notes")).unwrap().count(), 1);
    pair.ben.run("get notes --update").ok();
    assert_eq!(fs::read(pair.ben.path("notes/a")).unwrap(), b"one");
    assert_eq!(
        fs::read(pair.ben.path("notes/a (conflict)")).unwrap(),
        b"mine"
    );

    // A newer version.
    pair.ana.write("notes/b", b"newer");
    fs::remove_file(pair.ana.path("notes/c/d")).unwrap();
    fs::remove_dir(pair.ana.path("notes/c")).unwrap();
    let newer = hash(&pair.ana, &pair.ana.path("notes"));
    wait_until("the newer version is listed", || {
        let listed = pair.ben.json("index").ok().objects();
        listed
            .iter()
            .any(|entry| entry["hash"] == *newer)
            .then_some(())
    });
    pair.ben.run("get notes").ends(1);
    let done = pair
        .ben
        .json("get notes --update --delete")
        .ok()
        .event("done");
    assert_eq!(done["removed"], serde_json::json!(["c/d"]));
    assert_eq!(fs::read(pair.ben.path("notes/b")).unwrap(), b"newer");
    assert!(!pair.ben.path("notes/c").exists());
    fs::remove_file(pair.ben.path("notes/a (conflict)")).unwrap();
    assert_eq!(hash(&pair.ben, &pair.ben.path("notes")), newer);
}
