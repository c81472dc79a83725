//! The main job: `up` on one machine, `join`, `search`, `get` on another.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::harness::{Home, Process, contents, text};

/// Puts other contents of the same size into a file, so that it looks untouched.
pub fn change_unnoticed(path: &Path, bytes: &[u8]) {
    let before = std::fs::metadata(path).unwrap();
    assert_eq!(before.len(), bytes.len() as u64);
    std::fs::write(path, bytes).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
}

/// Makes a file look as if it had been written an hour ago.
pub fn make_old(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    file.set_modified(hour_ago).unwrap();
}

fn up(home: &Home, port: &str) -> (Process, Value, Value) {
    let process = home.start(&format!(
        "--json up shared --user ana --listen 127.0.0.1:{port} --port 0"
    ));
    let ready = |kind: &str| process.object(kind, |o| o["event"] == "ready" && o["kind"] == kind);
    let (directory, peer) = (ready("directory"), ready("peer"));
    (process, directory, peer)
}

#[test]
fn what_one_shares_with_up_another_joins_finds_and_gets_bit_for_bit() {
    let ana = Home::new();
    // On both sides of the borders of pieces and of chunks on the wire.
    let sizes = [0, 1, 65_535, 65_536, 65_537, 262_145, (3 << 20) + 7];
    for size in sizes {
        let name = format!("shared/size-{size}.bin");
        ana.write(&name, &contents(size as u64, size));
    }
    let (_up, directory, peer) = up(&ana, "0");
    assert_eq!(peer["files"], sizes.len());

    let ben = Home::new();
    let invite = text(&directory, "invite");
    ben.run(&format!("join {invite} --user ben")).ok();
    for size in sizes {
        let name = format!("size-{size}.bin");
        let found = ben.json(&format!("search {name}")).ok().objects();
        assert!(
            found
                .iter()
                .any(|hit| hit["name"] == *name && hit["size"] == size)
        );
        ben.run(&format!("get {name} -o got/")).ok();
        let got = std::fs::read(ben.path("got").join(&name)).unwrap();
        assert!(got == contents(size as u64, size), "{name} differs");
    }
}

#[test]
fn a_second_up_starts_where_the_first_ended() {
    let ana = Home::new();
    let file = ana.write("shared/data.bin", &contents(1, 300_000));
    make_old(&file);
    let (first, directory, peer) = up(&ana, "0");
    let url = text(&directory, "url");
    let port = url.rsplit(':').next().unwrap().to_owned();
    let index = ana.json("index").ok().objects();
    let hash = text(&index[0], "hash");
    first.stop().ok();

    // Read again, it would be seen to be another file.
    change_unnoticed(&file, &contents(2, 300_000));
    let (_second, directory_again, peer_again) = up(&ana, &port);
    assert_eq!(directory_again["invite"], directory["invite"]);
    assert_eq!(peer_again["id"], peer["id"]);
    let index = ana.json("index").ok().objects();
    assert_eq!(text(&index[0], "hash"), hash, "it was hashed again");
    assert_eq!(ana.credentials()["user"], "ana");

    // The account is the same one: the administrator, so that the next is none.
    ana.run("invite").ok();
    let ben = Home::new();
    let invite = text(&directory, "invite");
    ben.run(&format!("join {invite} --user ben")).ok();
    ben.run("invite").ends(4);
}

#[test]
fn up_says_what_is_wrong_with_a_folder_that_is_not_there() {
    let ana = Home::new();
    let ran = ana.run("up nowhere --listen 127.0.0.1:0").ends(2);
    assert!(ran.stderr.contains("there is no folder nowhere"));
}
