//! Sharing step by step: accounts, invites, shares, index, sessions, ports, peer ids.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Directory, Home, Pair, contents, text, wait_until};

/// Returns the paths of the listed files.
fn paths(home: &Home) -> Vec<String> {
    let index = home.json("index").ok().objects();
    let files = index.iter().filter(|entry| entry["kind"] != "folder");
    let mut paths: Vec<String> = files.map(|entry| text(entry, "path")).collect();
    paths.sort();
    paths
}

#[test]
fn the_first_account_is_the_administrator() {
    let directory = Directory::with("");
    let role = |user: &str| {
        let home = Home::new();
        let joined = home.json(&format!("join {} --user {user}", directory.invite));
        let role = text(&joined.ok().event("joined"), "role");
        (home, role)
    };
    let (ana, first) = role("ana");
    let (ben, second) = role("ben");
    assert_eq!((first.as_str(), second.as_str()), ("admin", "member"));

    let refused = ben.json("invite").ends(4).event("error");
    assert_eq!(refused["code"], "permission_denied");
    let made = ana.json("invite --uses 2 --expires 1h").ok().objects();
    assert_eq!(made[0]["uses"], 2);
}

#[test]
fn an_invite_works_for_its_number_of_uses() {
    let pair = Pair::new();
    let made = pair.ana.json("invite --uses 2 --expires 1h").ok().objects();
    let hour = now() + 3_600 - made[0]["expires_at"].as_i64().unwrap();
    assert!((0..120).contains(&hour), "{hour} s short of an hour");
    let link = text(&made[0], "invite");
    let join = |user: &str| Home::new().json(&format!("join {link} --user {user}"));
    join("cleo").ok();
    join("dan").ok();
    let refused = join("eve").ends(4).event("error");
    assert_eq!(refused["code"], "invite_invalid");
}

/// Returns the Unix time in seconds.
pub fn now() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    since.as_secs() as i64
}

#[test]
fn share_index_search_get_and_unshare() {
    let pair = Pair::new();
    pair.ana.write("docs/annual report.txt", b"report");
    pair.ana.write("docs/deep/notes.md", b"notes");
    let folder = pair.ana.path("docs");
    let peer = pair.ana.peer("peer_1", &folder, "");
    assert_eq!(pair.ben.peers(), ["peer_1"]);
    let whole = ["docs/annual report.txt", "docs/deep/notes.md"];
    assert_eq!(paths(&pair.ben), whole);

    let hits = pair.ben.json("search report").ok().objects();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0]["providers"], 1);
    pair.ben.json("search nothing-of-the-kind").ends(3);
    pair.ben.run("get notes.md").ok();
    assert_eq!(std::fs::read(pair.ben.path("notes.md")).unwrap(), b"notes");
    let missing = pair.ben.json("get nowhere.txt").ends(3).event("error");
    assert_eq!(missing["code"], "not_found");

    let status = &pair.ana.json("status").ok().objects()[0];
    assert_eq!(status["user"], "ana");
    assert_eq!(status["peer"]["id"], "peer_1");
    assert_eq!(status["peer"]["online"], true);
    assert_eq!(status["peer"]["files"], 2);
    assert_eq!(status["peer"]["bytes_served"], 5);

    pair.ana.write("more/extra.csv", b"1,2,3");
    pair.ana.run("share more").ok();
    wait_until("the new folder is listed", || {
        (paths(&pair.ben).len() == 3).then_some(())
    });
    pair.ana.run("unshare more").ok();
    wait_until("the folder is no longer listed", || {
        (paths(&pair.ben) == whole).then_some(())
    });
    pair.ana.run("unshare more").ends(3);

    pair.ana.run("leave").ok();
    peer.ended().ok();
    assert!(pair.ben.peers().is_empty());
    assert!(paths(&pair.ben).is_empty());
    pair.ben.run("get notes.md -o again/").ends(3);
    pair.ana.run("leave").ends(3);
}

#[test]
fn logout_ends_the_session_and_the_peer() {
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"a");
    let peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let token = text(&pair.ana.credentials(), "token");
    pair.ana.run("logout").ok();
    peer.ended().ok();
    assert!(pair.ben.peers().is_empty());
    assert!(pair.ana.credentials()["token"].is_null());
    pair.ana.run("search a").ends(4);

    // The token is no longer valid.
    let mut old = pair.ana.credentials();
    old["token"] = Value::String(token);
    let path = pair.ana.root().join("credentials.json");
    std::fs::write(path, old.to_string()).unwrap();
    pair.ana.run("search a").ends(4);
    pair.ana.run("login").ok();
    pair.ana.run("peers").ok();
}

#[test]
fn a_peer_uses_the_first_free_port_of_the_range() {
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"a");
    let (taken, free) = neighbours();
    let port = taken.local_addr().unwrap().port();
    let process = pair.ana.start(&format!(
        "--json peer peer_1 --share docs --bind 127.0.0.1 --no-menu --port-range {port}-{free}"
    ));
    let url = text(&process.ready(), "url");
    assert_eq!(url, format!("https://127.0.0.1:{free}"));
    let none = pair.ben.run(&format!(
        "peer peer_2 --bind 127.0.0.1 --no-menu --port-range {port}-{port}"
    ));
    assert_ne!(none.code, 0);
    assert!(none.stderr.contains("no port from"), "{}", none.stderr);
}

/// Returns a listener on a port whose next port is free, and that next port.
fn neighbours() -> (std::net::TcpListener, u16) {
    let listen = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port));
    wait_until("two adjacent ports are found", || {
        let first = listen(0).ok()?;
        let next = first.local_addr().ok()?.port().checked_add(1)?;
        listen(next).ok().map(|_| (first, next))
    })
}

#[test]
fn a_peer_id_belongs_to_one_account_and_a_home_to_one_peer() {
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"a");
    pair.ben.write("docs/b.txt", b"b");
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let taken = pair
        .ben
        .json("peer peer_1 0 docs --bind 127.0.0.1 --no-menu");
    assert_eq!(taken.ends(1).event("error")["code"], "peer_taken");
    let second = pair
        .ana
        .run("peer peer_9 0 docs --bind 127.0.0.1 --no-menu");
    assert_ne!(second.code, 0);
    assert_eq!(pair.ben.peers(), ["peer_1"]);
}

#[test]
fn changed_and_deleted_files_are_published() {
    let pair = Pair::new();
    pair.ana.write("docs/note.txt", b"old");
    pair.ana.write("docs/gone.txt", b"to be removed");
    let _peer = pair
        .ana
        .peer("peer_1", &pair.ana.path("docs"), "--rescan 1s");
    let hash = |name: &str| {
        let index = pair.ben.json("index").ok().objects();
        let entry = index.iter().find(|entry| text(entry, "path") == name)?;
        Some(text(entry, "hash"))
    };
    let old = hash("docs/note.txt").unwrap();
    let gone = hash("docs/gone.txt").unwrap();
    pair.ana.write("docs/note.txt", &contents(3, 70_000));
    std::fs::remove_file(pair.ana.path("docs/gone.txt")).unwrap();
    wait_until("the change is listed", || {
        let changed = hash("docs/note.txt").is_some_and(|hash| hash != old);
        (changed && hash("docs/gone.txt").is_none()).then_some(())
    });
    pair.ben.run("search gone.txt").ends(3);
    pair.ben.run(&format!("get {old}")).ends(3);
    pair.ben.run(&format!("get {gone}")).ends(3);
    pair.ben.run("get note.txt").ok();
    let got = std::fs::read(pair.ben.path("note.txt")).unwrap();
    assert!(got == contents(3, 70_000));
}

#[test]
fn a_share_that_contains_homes_excludes_them() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    ana.write("notes.txt", b"for all");
    // The parent folder of ana's home.
    let around = ana.root().parent().unwrap().to_owned();
    let peer = ana.peer("ana-1", &around, "--allow-uploads");
    ben.write("gift.txt", b"for ana");
    ben.run("put gift.txt --to ana-1").ok();
    let around = around.file_name().unwrap().to_str().unwrap();
    let expected = vec![
        format!("{around}/notes.txt"),
        "inbox/ben/gift.txt".to_owned(),
    ];
    wait_until("no file of the home is listed", || {
        (paths(&ben) == expected).then_some(())
    });

    // An explicit `share` is refused too, and a home created later is excluded too.
    for private in ["", "peer", "credentials.json"] {
        let refused = ana.run(&format!("share {}", ana.root().join(private).display()));
        assert!(
            refused.ends(1).stderr.contains("home of Convite"),
            "{private}"
        );
    }
    let mut second = Command::new(env!("CARGO_BIN_EXE_convite"));
    second.arg("--home").arg(ana.path("second")).arg("status");
    second.output().unwrap();
    ana.write("second/credentials.json", b"token");
    ana.write("later.txt", b"for all");
    let later = |path: &String| path.ends_with("later.txt");
    wait_until("the later file is listed", || {
        paths(&ben).iter().any(later).then_some(())
    });
    assert_eq!(paths(&ben).len(), 3);
    drop(peer);
}

#[cfg(unix)]
#[test]
fn a_change_that_the_running_peer_does_not_learn_of_is_refused() {
    use rustix::process::Signal;
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"contents");
    let peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let shares = || std::fs::read(pair.ana.root().join("peer/shares.json")).unwrap();
    let before = shares();
    peer.signal(Signal::STOP);
    let ran = pair.ana.run("unshare docs");
    peer.signal(Signal::CONT);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("does not answer"), "{}", ran.stderr);
    assert!(shares() == before, "the peer would share it until its end");
    pair.ana.run("unshare docs").ok();
    assert_eq!(pair.ana.run("unshare docs").code, 3);
}
