//! Files written by downloads: existing files, hostile names, full disks.

use std::path::{Path, PathBuf};
use std::process::Command;

use xtest::Need;

use crate::harness::{Directory, Home, Pair, contents, finish, text};

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_existing_file_is_replaced_only_with_force() {
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

    // A symbolic link is not followed.
    let victim = pair.ben.write("victim.txt", b"not to be touched");
    std::fs::remove_file(&mine).unwrap();
    std::os::unix::fs::symlink(&victim, &mine).unwrap();
    pair.ben.run("get a.txt").ends(1);
    pair.ben.run("get a.txt --force").ok();
    assert_eq!(std::fs::read(&victim).unwrap(), b"not to be touched");
}

#[test]
fn an_ambiguous_name_downloads_nothing() {
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
    assert!(text(&ran.event("error"), "hint").contains("hash"));
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
fn untrusted_names_are_escaped_and_stay_in_the_folder() {
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
    let mut entries = pair.ben.json("index").ok().objects();
    entries.retain(|entry| entry["kind"] != "folder");
    assert_eq!(entries.len(), hostile.len());
    let paths: Vec<String> = entries.iter().map(|entry| text(entry, "path")).collect();
    assert!(
        paths.contains(&format!("docs/{}", hostile[0])),
        "JSON must contain the unescaped name"
    );

    for args in ["search txt", "index", "search owned", "search gpj"] {
        let said = pair.ben.run(args).ok();
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.stdout.contains(bad), "{args}: {:?}", said.stdout);
        assert!(!said.stderr.contains(bad), "{args}: {:?}", said.stderr);
    }
    let index = pair.ben.run("index").ok().stdout;
    // One line for each file and one for the folder.
    assert_eq!(
        index.lines().count(),
        hostile.len() + 1,
        "a name started a new line"
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
            !name.contains(|c: char| c.is_control() || c == '\u{202e}'),
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
    // Requested by its name.
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

/// A small file system; unmounted on drop.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Returns `None` if mounting is not permitted; the test is then skipped.
    pub fn mount(at: PathBuf, size: &str) -> Option<Self> {
        if !Need::Mount.is_met() {
            return None;
        }
        std::fs::create_dir_all(&at).unwrap();
        let mut mount = Command::new("mount");
        let size = format!("size={size}");
        mount.args(["-t", "tmpfs", "-o", &size, "convite-test"]);
        assert!(mount.arg(&at).status().unwrap().success());
        Some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_detected_before_the_download() {
    let pair = Pair::new();
    let Some(disk) = SmallDisk::mount(pair.ben.path("small"), "4m") else {
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
    assert_eq!(status["peer"]["bytes_served"], 0, "the download started");
    assert!(!disk.0.join("big.bin").exists());

    pair.ben.run("get fits.bin -o small/").ok();
    assert!(std::fs::read(disk.0.join("fits.bin")).unwrap() == contents(52, 1 << 20));
    drop(disk);
}

#[test]
fn uploads_and_remote_fetches_leave_the_owner_a_reserve() {
    let directory = Directory::with("");
    let ana = directory.member("ana");
    let home = Home::new();
    // Declared before the disk, so that the disk is unmounted before the folder is removed.
    let ben;
    let Some(disk) = SmallDisk::mount(home.root(), "32m") else {
        return;
    };
    ben = directory.member_at(home, "ben");
    ben.write("data/a.txt", b"contents");
    let args = "--allow-uploads=ana --allow-loads=ana";
    let _peer = ben.peer("ben-1", &ben.path("data"), args);
    let space = rustix::fs::statvfs(&disk.0).unwrap();
    // Half of the reserve, a twentieth of the disk, would be left.
    let reserve = (32 << 20) / 20;
    let large = (space.f_bavail * space.f_frsize) as usize - reserve / 2;
    ana.write("data/large.bin", &contents(53, large));
    ana.write("data/small.bin", &contents(54, 1 << 20));
    let _source = ana.peer("ana-1", &ana.path("data"), "");

    let failed = ana.json("load large.bin --on ben-1").ends(1);
    let message = text(&failed.event("failed"), "message");
    assert!(message.contains("not have enough disk space"), "{message}");
    let refused = ana.json("put data/large.bin --to ben-1").ends(1);
    assert_eq!(refused.event("error")["code"], "no_space");
    ana.run("load small.bin --on ben-1").ok();
    ana.run("put data/small.bin --to ben-1").ok();
}

#[test]
fn a_read_only_target_folder_is_reported() {
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
