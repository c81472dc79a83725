//! Resolution of names: exact matches only.

use std::fs;

use crate::harness::{Finished, Home, Pair, finish, text};

/// Runs `get NAME -o out/`.
fn get(home: &Home, name: &str) -> Finished {
    let mut command = home.command("get");
    command.arg(name).args(["-o", "out/"]);
    finish(command)
}

fn got(home: &Home, name: &str) -> Vec<u8> {
    fs::read(home.path("out").join(name)).unwrap_or_default()
}

#[test]
fn an_exact_name_precedes_similar_names() {
    let pair = Pair::new();
    let digits = "ab".repeat(32);
    for n in 0..120 {
        pair.ana.write(
            &format!("docs/scan_{n:04}.pdf"),
            format!("scan {n}").as_bytes(),
        );
    }
    for name in [
        "scan.pdf",
        "!!!",
        "\u{1f3b5}.txt",
        "-",
        "\"",
        "a:b.txt",
        &digits,
    ] {
        pair.ana.write(&format!("docs/{name}"), name.as_bytes());
    }
    pair.ana.write("docs/new/scan.pdf", b"another scan");
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    get(&pair.ben, "a:b.txt").ok();
    for name in ["!!!", "\u{1f3b5}.txt"] {
        get(&pair.ben, name).ok();
        assert_eq!(got(&pair.ben, name), name.as_bytes(), "{name}");
    }
    // The path selects one of two files with the same name.
    get(&pair.ben, "scan.pdf").ends(1);
    for path in [
        "docs/scan.pdf",
        "peer_1:docs/scan.pdf",
        "peer_1:/docs/scan.pdf",
    ] {
        let _ = fs::remove_dir_all(pair.ben.path("out"));
        get(&pair.ben, path).ok();
        assert_eq!(got(&pair.ben, "scan.pdf"), b"scan.pdf", "{path}");
    }
    get(&pair.ben, "peer_1:docs/none.pdf").ends(3);
    get(&pair.ben, "other/scan.pdf").ends(3);

    // 64 digits are a hash; a file with that name is requested by its path.
    let refused = get(&pair.ben, &digits).ends(3).stderr;
    let place = format!("peer_1:docs/{digits}");
    assert!(refused.contains(&place), "{refused}");
    get(&pair.ben, &place).ok();
    assert_eq!(got(&pair.ben, &digits), digits.as_bytes());
}

#[test]
fn a_file_is_saved_under_the_requested_name() {
    let pair = Pair::new();
    // More names than an answer contains, and more paths than the search index stores.
    for n in 0..80 {
        pair.ana
            .write(&format!("docs/name-{n:02}.txt"), b"the same");
    }
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    for n in [0, 11, 63, 64, 79] {
        let name = format!("name-{n:02}.txt");
        get(&pair.ben, &name).ok();
        assert_eq!(got(&pair.ben, &name), b"the same", "{name}");
    }
    assert_eq!(fs::read_dir(pair.ben.path("out")).unwrap().count(), 5);

    pair.ben.write("mine/own.txt", b"own");
    let _other = pair
        .ben
        .peer("peer_2", &pair.ben.path("mine"), "--downloads loads");
    pair.ben.run("load name-71.txt --on peer_2").ok();
    let index = pair.ben.json("index --peer peer_2").ok().objects();
    let has = |name: &str| index.iter().any(|file| text(file, "path").ends_with(name));
    assert!(has("name-71.txt"), "{index:?}");
}

#[test]
fn a_similar_name_is_not_downloaded_without_confirmation() {
    let pair = Pair::new();
    pair.ana.write("docs/data.csv.bak", b"a backup");
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let refused = pair.ben.run("get data.csv -o data.csv").ends(3);
    assert!(
        refused.stdout.contains("data.csv.bak"),
        "{}",
        refused.stdout
    );
    assert!(
        refused
            .stderr
            .contains("no online peer shares a file named 'data.csv'")
    );
    assert!(!pair.ben.path("data.csv").exists());
    for args in ["get data.csv", "link data.csv", "load data.csv --on peer_1"] {
        let refused = pair.ben.json(args).ends(3);
        assert_eq!(refused.event("candidate")["name"], "data.csv.bak", "{args}");
        assert_eq!(refused.event("error")["code"], "not_found", "{args}");
    }
    // Names without a similar file, and a name without words, which would match all files.
    for name in ["!!!", "nothing.csv"] {
        assert_eq!(get(&pair.ben, name).ends(3).stdout, "", "{name}");
    }
}

#[test]
fn a_failed_download_does_not_stop_the_others() {
    let pair = Pair::new();
    for name in ["a.txt", "b.txt"] {
        pair.ana.write(&format!("docs/{name}"), name.as_bytes());
        pair.ben.write(name, b"in the way");
    }
    let _peer = pair
        .ana
        .peer("peer_1", &pair.ana.path("docs"), "--allow-uploads");
    let ran = pair.ben.json("get a.txt missing b.txt -o out/").ends(3);
    assert_eq!(
        (got(&pair.ben, "a.txt"), got(&pair.ben, "b.txt")),
        (b"a.txt".to_vec(), b"b.txt".to_vec())
    );
    assert_eq!(text(&ran.event("error"), "name"), "missing");
    let summary = ran.event("summary");
    assert_eq!(
        (&summary["done"], &summary["failed"]),
        (&2.into(), &1.into())
    );
    // The exit code is that of the first failure.
    let both = pair.ben.run("get a.txt missing").ends(1);
    assert!(both.stderr.contains("2 of 2 failed"), "{}", both.stderr);

    let ran = pair.ben.json("put a.txt missing b.txt --to peer_1").ends(3);
    let sent = ran
        .objects()
        .iter()
        .filter(|object| object["event"] == "done")
        .count();
    assert_eq!((sent, &ran.event("summary")["failed"]), (2, &1.into()));
}
