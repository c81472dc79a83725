//! What lands on the disk of whoever fetches, and what never does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Home, Pair, contents, finish, text};

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_existing_file_is_never_replaced_unless_asked_for() {
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"theirs");
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let mine = pair.ben.write("a.txt", b"mine, and different");
    let refused = pair.ben.json("get a.txt").ends(1).event("error");
    assert_eq!(refused["code"], "file_exists");
    assert!(text(&refused, "hint").contains("--force"));
    assert_eq!(std::fs::read(&mine).unwrap(), b"mine, and different");

    pair.ben.run("get a.txt --force").ok();
    assert_eq!(std::fs::read(&mine).unwrap(), b"theirs");
    let again = pair.ben.json("get a.txt").ok().event("done");
    assert_eq!(
        (&again["already_there"], &again["received"]),
        (&true.into(), &0.into())
    );
    let said = pair.ben.run("get a.txt").ok();
    assert!(said.stdout.contains("already there"));

    // A link is not followed to what it names.
    let victim = pair.ben.write("victim.txt", b"not to be touched");
    std::fs::remove_file(&mine).unwrap();
    std::os::unix::fs::symlink(&victim, &mine).unwrap();
    pair.ben.run("get a.txt").ends(1);
    pair.ben.run("get a.txt --force").ok();
    assert_eq!(std::fs::read(&victim).unwrap(), b"not to be touched");
}

#[test]
fn a_name_that_means_several_contents_fetches_none_of_them() {
    let pair = Pair::new();
    pair.ana.write("docs/one/data.csv", b"first");
    pair.ana.write("docs/two/data.csv", b"second");
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let ran = pair.ben.json("get data.csv -o out/").ends(1);
    let objects = ran.objects();
    let candidates: Vec<_> = objects
        .iter()
        .filter(|o| o["event"] == "candidate")
        .collect();
    assert_eq!(candidates.len(), 2);
    assert!(text(&ran.event("error"), "hint").contains("its hash"));
    assert!(!pair.ben.path("out").exists());

    let hash = text(candidates[0], "hash");
    let done = pair
        .ben
        .json(&format!("get {hash} -o out/"))
        .ok()
        .event("done");
    assert_eq!(text(&done, "hash"), hash);
    assert_eq!(files(&pair.ben.path("out")), ["data.csv"]);
}

#[test]
fn names_from_strangers_can_neither_steer_a_terminal_nor_leave_the_folder() {
    let pair = Pair::new();
    let long = format!("{}.txt", "文".repeat(80));
    let hostile = [
        "red\u{1b}[31m\u{1b}]0;owned\u{7}.txt",
        "two\nlines\r.txt",
        "quote\"s 'and' $(touch owned) `x`.txt",
        "x\\..\\..\\up.txt",
        "txt.\u{202e}gpj",
        "-rf hostile.txt",
        &long,
    ];
    for (i, name) in hostile.iter().enumerate() {
        pair.ana
            .write(&format!("docs/{name}"), format!("contents {i}").as_bytes());
    }
    pair.ana.write("docs/.hidden.txt", b"not shared");
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let entries = pair.ben.json("index").ok().objects();
    assert_eq!(entries.len(), hostile.len());
    let paths: Vec<String> = entries.iter().map(|entry| text(entry, "path")).collect();
    assert!(
        paths.contains(&format!("docs/{}", hostile[0])),
        "JSON carries names as they are"
    );

    for args in ["search txt", "index", "search owned", "search gpj"] {
        let said = pair.ben.run(args).ok();
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.stdout.contains(bad), "{args}: {:?}", said.stdout);
        assert!(!said.stderr.contains(bad), "{args}: {:?}", said.stderr);
    }
    let index = pair.ben.run("index").ok().stdout;
    assert_eq!(
        index.lines().count(),
        hostile.len(),
        "a name made a line of its own"
    );

    for entry in &entries {
        let hash = text(entry, "hash");
        let done = pair
            .ben
            .json(&format!("get {hash} -o got/"))
            .ok()
            .event("done");
        let path = PathBuf::from(text(&done, "path"));
        assert_eq!(path.parent(), Some(Path::new("got")));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(!name.starts_with(['.', '-']), "{name}");
        assert!(
            !name.contains(|c: char| c.is_control() || "\\\"\u{202e}".contains(c)),
            "{name}"
        );
        assert!(name.len() <= 255);
        let shared = pair.ana.path(&text(entry, "path"));
        assert_eq!(
            std::fs::read(pair.ben.path("got").join(name)).unwrap(),
            std::fs::read(shared).unwrap()
        );
    }
    assert_eq!(files(&pair.ben.path("got")).len(), hostile.len());
    // Asked for by its own name, through a shell or not.
    let mut get = pair.ben.command("--json get -o named/ --");
    get.arg(hostile[0]);
    finish(get).ok();
    assert_eq!(files(&pair.ben.path("named")).len(), 1);
    assert!(!pair.ben.path("owned").exists());
    assert!(
        !files(pair.ben.path(".").as_path())
            .iter()
            .any(|name| name.contains("up.txt"))
    );
}

/// A small file system of its own, unmounted when this goes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "convite-test"]);
        let status = mount.arg(&at).stderr(std::process::Stdio::null()).status();
        status
            .is_ok_and(|status| status.success())
            .then(|| Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_disk_without_room_is_noticed_before_anything_is_fetched() {
    let pair = Pair::new();
    let Some(disk) = SmallDisk::mount(pair.ben.path("small")) else {
        // Written directly, it is seen even if the test passes.
        let said = b"SKIPPED: a small file system cannot be mounted here (root may)\n";
        let _ = std::io::stderr().write_all(said);
        return;
    };
    pair.ana.write("docs/big.bin", &contents(51, 6 << 20));
    pair.ana.write("docs/fits.bin", &contents(52, 1 << 20));
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let refused = pair
        .ben
        .json("get big.bin -o small/")
        .ends(1)
        .event("error");
    assert_eq!(refused["code"], "no_space");
    let status = &pair.ana.json("status").ok().objects()[0];
    assert_eq!(status["peer"]["bytes_served"], 0, "it began all the same");
    assert!(!disk.0.join("big.bin").exists());

    pair.ben.run("get fits.bin -o small/").ok();
    assert!(std::fs::read(disk.0.join("fits.bin")).unwrap() == contents(52, 1 << 20));
    drop(disk);
}

#[test]
fn a_folder_that_cannot_be_written_is_said_to_be_so() {
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"contents");
    let _peer = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    pair.ben.write("file", b"not a folder");
    let refused = pair
        .ben
        .json("get a.txt -o file/below/")
        .ends(1)
        .event("error");
    assert!(text(&refused, "message").contains("file/below"));
    assert_eq!(Home::new().run("get a.txt").code, 4);
}
