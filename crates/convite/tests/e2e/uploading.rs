//! Uploads to another peer: with the command, with a form, and through the directory.

use std::fs;
use std::path::{Path, PathBuf};

use convite_core::ContentHash;
use serde_json::Value;

use crate::harness::{Directory, Home, Process, contents, text, wait_until};
use crate::peer_http::HttpClient;
use crate::relay::Relay;

const SIZE: usize = 8 << 20;
/// The relay holds here, after several pieces.
const HOLD_AFTER: usize = 3 << 20;

fn session(home: &Home) -> String {
    text(&home.credentials(), "token")
}

/// Starts a peer of ana's that accepts uploads from `who`.
fn open_peer(directory: &Directory, who: &str) -> (Home, Process) {
    let ana = directory.member("ana");
    ana.write("data/a.txt", b"a");
    let peer = ana.peer("desk", &ana.path("data"), &format!("--allow-uploads={who}"));
    (ana, peer)
}

fn inbox(home: &Home, name: &str) -> PathBuf {
    home.root().join("inbox").join(name)
}

fn searchable(home: &Home, word: &str) -> Value {
    wait_until("search finds the file", || {
        let found = home.json(&format!("search {word}")).objects();
        found.into_iter().find(|object| object["hash"].is_string())
    })
}

#[test]
fn an_upload_is_complete_renamed_and_searchable() {
    let directory = Directory::with("");
    let (ana, _peer) = open_peer(&directory, "ben");
    let (ben, cleo) = (directory.member("ben"), directory.member("cleo"));
    let bytes = contents(61, SIZE);
    ben.write("film.mkv", &bytes);
    ben.write("empty", b"");
    let ran = ben.json("put film.mkv empty --to desk").ok();
    let done: Vec<_> = ran
        .objects()
        .into_iter()
        .filter(|o| o["event"] == "done")
        .collect();
    assert_eq!(text(&done[0], "path"), "inbox/ben/film.mkv");
    assert_eq!(text(&done[0], "hash"), ContentHash::of(&bytes).to_string());
    assert_eq!(text(&done[1], "path"), "inbox/ben/empty");
    assert!(fs::read(inbox(&ana, "ben/film.mkv")).unwrap() == bytes);
    assert_eq!(fs::read(inbox(&ana, "ben/empty")).unwrap(), b"");
    searchable(&cleo, "film");
    cleo.run("get film.mkv").ok();
    assert!(fs::read(cleo.path("film.mkv")).unwrap() == bytes);

    // A repeated upload, as after a lost response, stores the file once.
    let status = ana.json("status").ok().objects().remove(0);
    let shown = &status["peer"]["inbox"];
    let place = ana.root().join("inbox").canonicalize().unwrap();
    assert_eq!(shown["folder"], place.to_str().unwrap());
    assert!(shown["used"].as_u64() >= Some(SIZE as u64), "{shown}");
    assert_eq!(
        (&shown["quota"], &shown["coming"]),
        (&(10u64 << 30).into(), &serde_json::json!([]))
    );
    let said = ana.run("status").ok().stdout;
    assert!(said.contains("up to 10.0 GiB for each account"), "{said}");
    let again = ben.json("put film.mkv --to desk").ok().event("done");
    assert_eq!(text(&again, "path"), "inbox/ben/film.mkv");
    assert_eq!(again["resumed"], SIZE);
    assert!(!inbox(&ana, "ben/film (1).mkv").exists());
    // A file with the same size and modification time but other contents is another file.
    ben.write("empty.txt", b"one");
    let (path, modified) = (ben.path("empty.txt"), |path: &Path| {
        path.metadata().unwrap().modified().unwrap()
    });
    let before = modified(&path);
    ben.run("put empty.txt --to desk").ok();
    fs::write(&path, b"two").unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(before).unwrap();
    let done = ben.json("put empty.txt --to desk").ok().event("done");
    assert_eq!(text(&done, "path"), "inbox/ben/empty (1).txt");
    assert_eq!(fs::read(inbox(&ana, "ben/empty (1).txt")).unwrap(), b"two");

    // A different file with the same name gets another name.
    ben.write("film.mkv", b"another");
    let said = ben.run("put film.mkv --to desk").ok().stdout;
    assert!(said.contains("inbox/ben/film (1).mkv"), "{said}");
    assert!(fs::read(inbox(&ana, "ben/film.mkv")).unwrap() == bytes);
    assert_eq!(
        modified(&inbox(&ana, "ben/film (1).mkv")),
        modified(&ben.path("film.mkv"))
    );
}

#[test]
fn an_upload_without_permission_is_refused_with_the_reason() {
    let directory = Directory::with("");
    let (ana, peer) = open_peer(&directory, "ben,@lab");
    let (ben, cleo) = (directory.member("ben"), directory.member("cleo"));
    cleo.write("x.txt", b"x");
    ben.write("x.txt", b"x");
    let refused = cleo.json("put x.txt --to desk").ends(4).event("error");
    assert_eq!(text(&refused, "code"), "permission_denied");
    let listed = |home: &Home| home.json("peers").ok().objects()[0]["uploads"].clone();
    assert_eq!((listed(&ben), listed(&cleo)), (true.into(), false.into()));
    let marked = |home: &Home| home.run("peers").ok().stdout.contains("uploads");
    assert_eq!((marked(&ben), marked(&cleo)), (true, false));
    // Members of a space on the access list are accepted, once they are in the space.
    ana.run("space add lab").ok();
    ana.run("space member add lab cleo").ok();
    cleo.run("put x.txt --to desk").ok();
    assert!(inbox(&ana, "cleo/x.txt").exists());
    ben.json("put x.txt --to nobody").ends(3).event("error");
    ben.json("put nothing --to desk").ends(3).event("error");
    let folder = ben.json("put . --to desk").ends(2).event("error");
    assert_eq!(text(&folder, "code"), "invalid_argument");
    // A guest cannot upload to any peer.
    ana.run("user role ben guest").ok();
    ben.json("put x.txt --to desk").ends(4).event("error");
    drop(peer);

    // Without --allow-uploads, no account can upload, not even the owner.
    let _peer = ana.peer("desk", &ana.path("data"), "");
    ana.write("x.txt", b"x");
    ana.json("put x.txt --to desk").ends(4).event("error");
}

#[test]
fn an_upload_resumes_after_either_side_is_killed() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let bytes = contents(62, SIZE);
    ben.write("big.bin", &bytes);
    ana.write("data/a.txt", b"a");
    let start =
        |relay: &Relay| ana.peer_behind_with(relay, "desk", &ana.path("data"), "--allow-uploads");
    let unfinished = || inbox(&ana, ".convite-uploads");
    let noted = || {
        let kept = fs::read_dir(unfinished()).ok()?.next()?.ok()?.path();
        fs::metadata(kept.join("hashes"))
            .ok()
            .filter(|noted| noted.len() >= 640)
    };
    let relay = Relay::holding_received(HOLD_AFTER);
    let peer = start(&relay);
    let put = ben.start("--json put big.bin --to desk");
    relay.wait_until_held();
    wait_until("some pieces are noted", noted);
    assert!(
        !inbox(&ana, "ben").exists(),
        "visible before it was complete"
    );
    // The sender is killed, and another resumes; then the peer is killed.
    put.kill();
    relay.cut();
    relay.release();
    relay.hold_after(HOLD_AFTER);
    let put = ben.start("--json put big.bin --to desk");
    relay.wait_until_held();
    peer.kill();
    relay.cut();
    let second = Relay::open();
    let _peer = start(&second);
    let done = put.ended();
    // The running upload resumes by itself if the peer is back in time.
    let done = match done
        .objects()
        .iter()
        .find(|object| object["event"] == "done")
    {
        Some(done) => done.clone(),
        None => ben.json("put big.bin --to desk").ok().event("done"),
    };
    assert!(done["resumed"].as_u64() >= Some(1 << 20), "{done}");
    assert!(fs::read(inbox(&ana, "ben/big.bin")).unwrap() == bytes);
    let kept = fs::read_dir(unfinished()).unwrap().flatten();
    assert_eq!(kept.filter(|kept| kept.path().is_dir()).count(), 0);
}

#[test]
fn a_form_upload_works_directly_and_through_the_directory() {
    let directory = Directory::with("");
    let (ana, peer) = open_peer(&directory, "ben");
    let (ben, cleo) = (directory.member("ben"), directory.member("cleo"));
    let client = HttpClient::of_directory(&directory, &ben);
    let token = session(&ben);
    let bytes = contents(63, SIZE);
    let files: [(&str, &[u8]); 2] = [("one.bin", &bytes), ("two.txt", b"two")];
    let answer = client.post_files("/peers/desk/upload", Some(&token), &files);
    assert_eq!(answer.status, 200);
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(text(&said["files"][0], "path"), "inbox/ben/one.bin");
    assert_eq!(
        text(&said["files"][0], "hash"),
        ContentHash::of(&bytes).to_string()
    );
    assert!(fs::read(inbox(&ana, "ben/one.bin")).unwrap() == bytes);
    assert_eq!(fs::read(inbox(&ana, "ben/two.txt")).unwrap(), b"two");
    searchable(&cleo, "one");

    let refused = |path: &str, token: &str, status: u16| {
        let answer = client.post_files(path, Some(token), &[("x", b"x")]);
        assert_eq!(answer.status, status, "{path}");
    };
    refused("/peers/desk/upload", &session(&cleo), 403);
    refused("/peers/nobody/upload", &token, 404);
    refused("/peers/desk/upload", "nothing", 401);

    // With a ticket to the peer itself, as `curl -F` would.
    let path = "/peers/desk/upload-ticket";
    let grant = client.post_files(path, Some(&token), &[]);
    assert_eq!(grant.status, 201);
    let grant: Value = serde_json::from_slice(&grant.body).unwrap();
    let path = format!("/upload?ticket={}", text(&grant, "ticket"));
    let at_peer = HttpClient::of_peer(&peer, &ben);
    let answer = at_peer.post_files(&path, None, &[("three.txt", b"three")]);
    assert_eq!(answer.status, 200);
    assert_eq!(fs::read(inbox(&ana, "ben/three.txt")).unwrap(), b"three");
    // The ticket is in no log.
    for said in [peer.stderr(), directory.process.stderr()] {
        assert!(!said.contains(&text(&grant, "ticket")), "{said}");
    }
}
