//! Access: passwords, sessions, pinning, plaintext, and their error messages.

use std::process::Stdio;

use crate::harness::{Directory, Home, PASSWORD, Pair, finish, text, wait_until};
use crate::sharing::now;

#[test]
fn wrong_credentials_are_refused() {
    let pair = Pair::new();
    let with_password = |args: &str, password: &str| {
        let mut command = pair.ben.command(args);
        command.env("CONVITE_PASSWORD", password);
        finish(command)
    };
    let refused = with_password("--json login", "not the password").ends(4);
    assert_eq!(refused.event("error")["code"], "wrong_credentials");
    // An invite cannot take over an existing account.
    let link = &pair.invite;
    let stranger = Home::new();
    let mut join = stranger.command(&format!("--json join {link} --user ana"));
    join.env("CONVITE_PASSWORD", "not the password");
    assert_ne!(finish(join).code, 0);
    with_password("login", PASSWORD).ok();
}

#[test]
fn a_password_is_read_from_a_file_or_stdin() {
    let directory = Directory::with("");
    let file = |home: &Home| home.write("password", format!("{PASSWORD}\n").as_bytes());
    let command = |home: &Home, args: &str| {
        let mut command = home.command(args);
        command.env_remove("CONVITE_PASSWORD");
        command
    };
    let ana = Home::new();
    let path = file(&ana);
    let link = &directory.invite;
    finish(command(
        &ana,
        &format!("join {link} --user ana --password-file password"),
    ))
    .ok();
    let mut from_stdin = command(&ana, "login --password-file -");
    from_stdin.stdin(Stdio::from(std::fs::File::open(path).unwrap()));
    finish(from_stdin).ok();
    let nobody_to_ask = finish(command(&ana, "login")).ends(2);
    assert!(
        nobody_to_ask
            .stderr
            .contains("hint: set it with --password-file")
    );
}

#[test]
fn a_home_without_a_session_gets_a_hint() {
    let stranger = Home::new();
    for args in [
        "search x", "get x", "peers", "index", "invite", "peer p 0", "status", "logout",
    ] {
        let refused = stranger.json(args).ends(4).event("error");
        assert_eq!(refused["code"], "unauthenticated", "{args}");
        assert!(text(&refused, "hint").contains("convite join"), "{args}");
    }
    let pair = Pair::new();
    pair.ben.run("logout").ok();
    let refused = pair.ben.json("peers").ends(4).event("error");
    assert!(text(&refused, "hint").contains("convite login"));
}

#[test]
fn an_expired_session_is_refused_and_a_new_login_works() {
    let directory = Directory::with("--session-lifetime 1s");
    let ana = directory.member("ana");
    let session = ana.json("login").ok().event("logged_in");
    let expires = session["expires_at"].as_i64().unwrap();
    wait_until("the session has expired", || {
        (now() > expires + 1).then_some(())
    });
    let refused = ana.json("peers").ends(4).event("error");
    assert!(text(&refused, "hint").contains("convite login"));
    ana.run("login").ok();
}

#[test]
fn an_unreachable_directory_and_another_directory_have_different_errors() {
    let pair = Pair::new();
    let Pair { directory, ben, .. } = pair;
    let port = directory.port;
    directory.process.kill();
    let gone = ben.json("peers").ends(5).event("error");
    assert_eq!(gone["code"], "unavailable");

    let _other = Home::new().directory(port, "");
    let refused = ben.json("peers");
    assert_ne!(refused.code, 5);
    let refused = refused.event("error");
    assert_eq!(refused["code"], "untrusted");
    assert!(text(&refused, "hint").contains("reinstalled"));
}

#[test]
fn a_link_with_another_fingerprint_sends_no_secret() {
    let directory = Directory::with("");
    let (link, fingerprint) = directory.invite.split_once("?ca=").unwrap();
    let other: String = fingerprint
        .chars()
        .map(|c| if c == '0' { '1' } else { '0' })
        .collect();
    let ana = Home::new();
    let refused = ana.json(&format!("join {link}?ca={other} --user ana"));
    assert_eq!(refused.event("error")["code"], "untrusted");
    assert!(!ana.root().join("credentials.json").exists());
    // The attempts changed nothing: the invite still makes its first user an administrator.
    let joined = ana
        .json(&format!("join {} --user ana", directory.invite))
        .ok();
    assert_eq!(joined.event("joined")["role"], "admin");
}

#[test]
fn a_home_cannot_join_a_second_directory() {
    let pair = Pair::new();
    let other = Directory::with("");
    let refused = pair
        .ben
        .json(&format!("join {} --user ben", other.invite))
        .ends(4);
    assert!(text(&refused.event("error"), "message").contains("another directory"));
    assert_eq!(pair.ben.peers().len(), 0);
}

#[test]
fn plaintext_mode_works_and_prints_a_warning() {
    let home = Home::new();
    let directory = home.start("directory --listen 127.0.0.1:0 --plaintext");
    wait_until("the warning is printed", || {
        directory.stderr().contains("WARNING").then_some(())
    });
    drop(directory);
    let directory = Directory::with("--plaintext");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    ana.write("docs/plain.txt", b"plain");
    let _peer = ana.peer("peer_1", &ana.path("docs"), "");
    ben.run("get plain.txt").ok();
    assert_eq!(std::fs::read(ben.path("plain.txt")).unwrap(), b"plain");
}
