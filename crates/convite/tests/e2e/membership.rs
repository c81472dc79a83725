//! Joining and leaving a directory.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;
use std::time::Instant;

use crate::harness::{Directory, Home, PASSWORD, Pair, finish, text, wait_until};

fn credentials(home: &Home) -> Option<Vec<u8>> {
    fs::read(home.root().join("credentials.json")).ok()
}

/// Returns the secret part of an invite link.
fn code(link: &str) -> &str {
    link.rsplit('/').next().unwrap().split('?').next().unwrap()
}

#[test]
fn up_refuses_a_home_of_another_directory() {
    let pair = Pair::new();
    let before = credentials(&pair.ben).unwrap();
    pair.ben.write("docs/a.txt", b"contents");
    let args = "up docs --listen 127.0.0.1:0 --port 0 --bind 127.0.0.1";
    let refused = pair.ben.json(args).ends(4).event("error");
    assert_eq!(refused["message"], "this home belongs to another directory");
    assert!(text(&refused, "hint").contains("convite logout"));
    assert!(
        credentials(&pair.ben).unwrap() == before,
        "the credentials changed"
    );
    assert!(!pair.ben.root().join("directory").exists());
    pair.ben.run("logout").ok();
    let up = pair.ben.start(&format!("--json {args}"));
    up.object("the peer", |object| object["kind"] == "peer");
}

#[test]
fn a_failed_up_changes_no_credentials() {
    let home = Home::new();
    home.write("docs/a.txt", b"contents");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let args = format!("up docs --listen 127.0.0.1:0 --bind 127.0.0.1 --port {port}");
    home.json(&args).ends(1).event("error");
    assert!(credentials(&home).is_none());
    let up = home.start("--json up docs --listen 127.0.0.1:0 --port 0 --user ana");
    up.object("the peer", |object| object["kind"] == "peer");
    up.stop().ok();
    let before = credentials(&home).unwrap();
    home.json(&format!("{args} --user ben")).ends(1);
    assert!(
        credentials(&home).unwrap() == before,
        "the credentials changed"
    );
}

#[test]
fn logout_works_without_the_directory() {
    let pair = Pair::new();
    let Pair {
        directory,
        ana,
        ben,
    } = pair;
    let port = directory.port;
    ana.write("docs/a.txt", b"contents");
    let peer = ana.peer("peer_1", &ana.path("docs"), "");
    directory.process.kill();
    let begun = Instant::now();
    for home in [&ana, &ben] {
        let out = home.json("logout").ok().event("logged_out");
        assert_eq!(out["directory_told"], false);
        assert!(home.credentials()["token"].is_null());
        home.run("logout").ok();
    }
    assert!(begun.elapsed().as_secs() < 30);
    peer.ended();

    // A new directory on the same port.
    let anew = Home::new().directory(port, "");
    for (home, user) in [(&ana, "ana"), (&ben, "ben")] {
        home.run(&format!("join {} --user {user}", anew.invite))
            .ok();
        home.run("peers").ok();
    }
}

#[test]
fn a_directory_that_switched_to_tls_gives_a_usable_hint() {
    let old = Directory::with("--plaintext");
    let ana = old.member("ana");
    let port = old.port;
    old.process.kill();
    let new = Home::new().directory(port, "");
    let join = format!("join {} --user ana", new.invite);
    let refused = ana.json("search x").ends(5).event("error");
    assert!(text(&refused, "hint").contains("convite logout"));
    let refused = ana.json(&join).ends(4).event("error");
    assert!(text(&refused, "hint").contains("convite logout"));
    ana.run("logout").ok();
    ana.run(&join).ok();
    ana.run("peers").ok();
    // With unreadable credentials, the error says to join, and joining replaces them.
    fs::write(ana.root().join("credentials.json"), b"{").unwrap();
    let damaged = ana.json("peers").ends(1).event("error");
    assert!(text(&damaged, "hint").contains("convite join"));
    ana.run(&join).ok();
    ana.run("peers").ok();
}

#[test]
fn an_invite_is_read_from_stdin_or_a_prompt() {
    let directory = Directory::with("");
    let link = directory.invite.clone();
    let ana = Home::new();
    let mut join = ana.command("--json join - --user ana");
    join.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = join.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Empty until the kernel has executed the new program.
    let shown = wait_until("the process has arguments", || {
        let shown = fs::read_to_string(format!("/proc/{}/cmdline", child.id())).unwrap();
        shown.contains("join").then_some(shown)
    });
    assert!(!shown.contains(code(&link)), "{shown}");
    writeln!(
        stdin,
        "> Hi Ana, here is the link:\n> {}\n> {}.",
        &link[..30],
        &link[30..]
    )
    .unwrap();
    drop(stdin);
    assert!(child.wait_with_output().unwrap().status.success());

    // The password may follow the link.
    let ben = Home::new();
    let both = ben.write("both", format!("{link}\n{PASSWORD}\n").as_bytes());
    let mut join = ben.command("join - --user ben --password-file -");
    join.env_remove("CONVITE_PASSWORD");
    join.stdin(Stdio::from(File::open(both).unwrap()));
    finish(join).ok();
    ben.run("login").ok();

    // A pasted line as the argument; no argument and no terminal to prompt on.
    let eve = Home::new();
    let mut join = eve.command("join");
    join.arg(format!("convite join '{link}' --user NAME."))
        .args(["--user", "eve"]);
    finish(join).ok();
    let nobody = Home::new().run("join --user x").ends(2);
    assert!(
        nobody.stderr.contains("convite join -"),
        "{}",
        nobody.stderr
    );
}

#[test]
fn a_peer_creates_a_missing_shared_folder() {
    let pair = Pair::new();
    let folder = pair.ana.path("new/folder");
    let peer = pair.ana.peer("peer_1", &folder, "");
    assert!(folder.is_dir());
    peer.stop().ok();
    let shown = pair
        .ben
        .start("peer peer_2 0 more --bind 127.0.0.1 --no-menu");
    shown.says("ready", |text| text.contains("peer ready").then_some(()));
    assert!(
        shown.stderr().contains("created the folder more"),
        "{}",
        shown.stderr()
    );
    shown.stop().ok();
    let missing = pair.ana.json("share none").ends(3).event("error");
    assert_eq!(missing["code"], "not_found");
}
