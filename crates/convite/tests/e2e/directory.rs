//! Start, restart and stop of the directory, and the leases of peers.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Directory, Home, Pair, contents, wait_until};
use crate::up::make_old;

/// Returns how often an index was published to the directory.
fn published(directory: &Directory) -> usize {
    let log = directory.process.stderr();
    let answers = log.lines().filter(|line| line.contains("answered"));
    answers
        .filter(|line| line.contains("convite.v1.Directory/PublishIndex"))
        .count()
}

#[test]
fn a_restarted_directory_has_the_same_state() {
    let lease = Duration::from_secs(2);
    let Pair {
        directory,
        ana,
        ben,
    } = Pair::with("--lease 2s");
    ana.write("docs/a.bin", &contents(31, 100_000));
    let peer = ana.peer("peer_1", &ana.path("docs"), "");
    let (port, invite) = (directory.port, directory.invite.clone());
    directory.process.signal(Signal::KILL);
    let killed = Instant::now();
    wait_until("all leases have expired", || {
        (killed.elapsed() > lease).then_some(())
    });

    let directory = directory.restart();
    assert_eq!((directory.port, &directory.invite), (port, &invite));
    wait_until("the peer is listed again", || {
        (ben.peers() == ["peer_1"]).then_some(())
    });
    assert_eq!(ben.json("search a.bin").ok().objects().len(), 1);
    ben.run("get a.bin").ok();
    assert!(std::fs::read(ben.path("a.bin")).unwrap() == contents(31, 100_000));
    let cleo = Home::new();
    cleo.run(&format!("join {invite} --user cleo")).ok();
    peer.stop().ok();
}

#[test]
fn a_silent_peer_is_hidden_and_returns_without_a_new_index() {
    let directory = Directory::with("--lease 2s -v");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    // A recently written file would be hashed again.
    make_old(&ana.write("docs/a.txt", b"contents"));
    let peer = ana.peer("peer_1", &ana.path("docs"), "");
    let before = published(&directory);
    assert!(
        before > 0,
        "the log shows no publication, so the test cannot fail"
    );
    peer.signal(Signal::STOP);
    let silent = Instant::now();
    wait_until("the peer is not listed", || {
        ben.peers().is_empty().then_some(())
    });
    assert!(silent.elapsed() < Duration::from_secs(40));
    ben.run("search a.txt").ends(3);
    ben.run("get a.txt").ends(3);
    assert!(ben.json("index").ok().objects().is_empty());

    peer.signal(Signal::CONT);
    wait_until("the peer is listed again", || {
        (ben.peers() == ["peer_1"]).then_some(())
    });
    // The search index can be a second behind.
    wait_until("search finds its file", || {
        (ben.run("search a.txt").code == 0).then_some(())
    });
    ben.run("get a.txt").ok();

    peer.kill();
    wait_until("the peer is not listed", || {
        ben.peers().is_empty().then_some(())
    });
    let peer = ana.peer("peer_1", &ana.path("docs"), "");
    ben.run("get a.txt -o again/").ok();
    assert_eq!(published(&directory), before, "the index was sent again");
    peer.stop().ok();
}

#[test]
fn sigterm_removes_a_peer_and_stops_a_directory_cleanly() {
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"contents");
    for signal in [Signal::TERM, Signal::INT] {
        let peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
        assert_eq!(pair.ben.peers(), ["peer_1"]);
        let asked = Instant::now();
        peer.signal(signal);
        peer.ended().ok();
        assert!(asked.elapsed() < Duration::from_secs(30));
        // Long before its lease of a minute expires.
        assert!(pair.ben.peers().is_empty());
    }
    // With a peer still connected.
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let asked = Instant::now();
    pair.directory.process.stop().ok();
    assert!(asked.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_second_directory_on_a_port_fails_without_effect() {
    let directory = Directory::with("");
    let home = Home::new();
    let port = directory.port;
    let refused = home.json(&format!("directory --listen 127.0.0.1:{port}"));
    assert_ne!(refused.code, 0);
    let refused = refused.event("error");
    assert!(
        refused["hint"]
            .as_str()
            .unwrap()
            .contains("another directory")
    );
    directory.member("ana").run("peers").ok();
}

#[test]
fn the_environment_creates_an_administrator() {
    let home = Home::new();
    let mut command = home.command("--json directory --listen 127.0.0.1:0");
    command.env("CONVITE_ADMIN_PASSWORD", crate::harness::PASSWORD);
    let process = crate::harness::Process::start(command);
    let invite = crate::harness::text(&process.ready(), "invite");
    let ben = Home::new();
    let joined = ben.json(&format!("join {invite} --user ben")).ok();
    assert_eq!(joined.event("joined")["role"], "member");
    ben.run("login --user admin").ok();
    ben.run("invite").ok();
}
