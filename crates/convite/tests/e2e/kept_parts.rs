//! The kept parts of interrupted downloads.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use xtest::Need;

use crate::harness::{Directory, Home, Pair, contents, text};
use crate::local_files::SmallDisk;

const SIZE: usize = 8 << 20;
/// Makes a download take some seconds.
const SLOW: &str = "--upload-limit 2MiB";

/// Returns the state file of the only download of a home.
fn state(home: &Home) -> PathBuf {
    let downloads = fs::read_dir(home.root().join("downloads")).unwrap();
    let [state] = downloads
        .map(|entry| entry.unwrap().path())
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    state
}

/// Returns the first piece that is verified in the last checkpoint.
fn noted_piece(state: &Path) -> u64 {
    let noted = fs::read(state.join("pieces")).unwrap();
    let bitmap = noted.splitn(3, |byte| *byte == b'\n').nth(2).unwrap();
    let byte = bitmap.iter().position(|byte| *byte != 0).unwrap();
    byte as u64 * 8 + u64::from(bitmap[byte].trailing_zeros())
}

fn hidden_file(state: &Path) -> PathBuf {
    let mut names = fs::read_dir(state).unwrap().map(|entry| entry.unwrap());
    let is_hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("contents-");
    names
        .find(|entry| is_hidden(&entry.file_name()))
        .unwrap()
        .path()
}

#[test]
fn a_partial_file_changed_from_outside_is_verified_again() {
    let pair = Pair::new();
    let bytes = contents(90, SIZE);
    pair.ana.write("data/big.bin", &bytes);
    let _peer = pair.ana.peer("prov", &pair.ana.path("data"), SLOW);
    for signal in [Signal::KILL, Signal::INT] {
        let get = pair.ben.start("--json get big.bin");
        get.object("a part is noted", |object| {
            object["event"] == "progress" && object["bytes"].as_u64() >= Some(3 << 20)
        });
        get.signal(signal);
        let ended = get.ended();
        assert_ne!(ended.code, 0);
        let state = state(&pair.ben);
        let hidden = hidden_file(&state);
        if signal == Signal::INT {
            let interrupted = ended.event("interrupted");
            assert_eq!(text(&interrupted, "kept_at"), hidden.display().to_string());
            assert!(text(&interrupted, "resume").starts_with("convite get "));
        }
        let file = File::options().write(true).open(&hidden).unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        let at = noted_piece(&state) * 65_536 + 5_000;
        file.write_all_at(&[0xaa; 4096], at).unwrap();
        file.set_modified(before).unwrap();
        drop(file);

        let done = pair.ben.json("get big.bin").ok().event("done");
        let got = fs::read(pair.ben.path("big.bin")).unwrap();
        assert!(got == bytes, "wrong bytes after {signal:?}");
        let received = done["received"].as_u64().unwrap();
        assert!(received < SIZE as u64, "no parts were kept");
        let left = fs::read_dir(pair.ben.root().join("downloads")).unwrap();
        assert_eq!(left.count(), 0, "the state of the download remains");
        fs::remove_file(pair.ben.path("big.bin")).unwrap();
    }
}

#[test]
fn two_homes_download_one_file_to_the_same_path() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    let cleo = directory.member("cleo");
    let bytes = contents(91, SIZE);
    ana.write("data/big.bin", &bytes);
    let _peer = ana.peer("prov", &ana.path("data"), "--upload-limit 4MiB");
    // On a different file system than the homes, if available, so that the hidden files are there.
    let place = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let args = format!("--json get big.bin -o {}/", place.path().display());
    let gets = [ben.start(&args), cleo.start(&args)];
    for get in gets {
        get.ended().ok().event("done");
    }
    assert!(fs::read(place.path().join("big.bin")).unwrap() == bytes);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "remains");
    for home in [&ben, &cleo] {
        let left = fs::read_dir(home.root().join("downloads")).unwrap();
        assert_eq!(left.count(), 0, "the state of the download remains");
    }
}

#[test]
fn downloads_that_exceed_the_disk_together_are_refused() {
    let pair = Pair::new();
    let Some(disk) = SmallDisk::mount(pair.ben.path("small"), "12m") else {
        return;
    };
    pair.ana.write("data/one.bin", &contents(92, SIZE));
    pair.ana.write("data/two.bin", &contents(93, SIZE));
    let peer = pair.ana.peer("prov", &pair.ana.path("data"), SLOW);
    let first = pair.ben.start("--json get one.bin -o small/");
    first.object("a part is there", |object| {
        object["event"] == "progress" && object["bytes"].as_u64() >= Some(2 << 20)
    });
    let refused = pair
        .ben
        .json("get two.bin -o small/")
        .ends(1)
        .event("error");
    assert_eq!(refused["code"], "no_space");
    let hint = text(&refused, "hint");
    assert!(hint.contains("small/.convite-"), "{hint}");
    assert!(hint.contains("small/one.bin` resumes"), "{hint}");
    // Without the provider, the error names the kept parts and the command that resumes.
    peer.stop();
    let failed = first.ended().event("error");
    let hint = text(&failed, "hint");
    let command = hint.rsplit('`').nth(1).unwrap();
    assert!(command.starts_with("convite get "), "{hint}");
    let _peer = pair.ana.peer("prov", &pair.ana.path("data"), "");
    let resumed = pair
        .ben
        .json(&command["convite ".len()..])
        .ok()
        .event("done");
    assert!(resumed["resumed"].as_u64().unwrap() > 0);
    assert_eq!(fs::read_dir(pair.ben.path("small")).unwrap().count(), 1);
    drop(disk);
}

/// A FAT file system, mounted with fusefat: without `ftruncate`, links and rename flags.
struct Fat(PathBuf);

impl Fat {
    fn mount(home: &Home) -> Self {
        let (at, image) = (home.path("fat"), home.path("fat.img"));
        fs::create_dir_all(&at).unwrap();
        File::create(&image).unwrap().set_len(48 << 20).unwrap();
        let run = |command: &mut Command| {
            command.stdout(Stdio::null()).stderr(Stdio::null());
            assert!(command.status().unwrap().success());
        };
        run(Command::new("mkfs.vfat").arg(&image));
        let mut mount = Command::new("fusefat");
        run(mount.args(["-o", "rw+"]).arg(&image).arg(&at));
        Self(at)
    }
}

impl Drop for Fat {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn downloads_work_on_a_minimal_file_system() {
    let pair = Pair::new();
    if !Need::FuseFat.is_met() {
        return;
    }
    let fat = Fat::mount(&pair.ben);
    let bytes = contents(94, SIZE + 1234);
    pair.ana.write("data/big.bin", &bytes);
    let _peer = pair.ana.peer("prov", &pair.ana.path("data"), SLOW);
    let get = pair.ben.start("--json get big.bin -o fat/");
    get.object("a part is there", |object| {
        object["event"] == "progress" && object["bytes"].as_u64() >= Some(1 << 20)
    });
    get.signal(Signal::KILL);
    get.ended();
    let done = pair.ben.json("get big.bin -o fat/").ok().event("done");
    assert!(done["resumed"].as_u64().unwrap() > 0, "no parts were kept");
    assert!(fs::read(fat.0.join("big.bin")).unwrap() == bytes);
    // Existing files are not replaced there either.
    pair.ana.write("data/other.bin", b"other");
    fs::write(fat.0.join("mine.bin"), b"mine").unwrap();
    crate::harness::wait_until("search finds the file", || {
        let found = pair.ben.json("search other.bin");
        (found.objects().len() == 1).then_some(())
    });
    pair.ben.run("get other.bin -o fat/mine.bin").ends(1);
    assert_eq!(fs::read(fat.0.join("mine.bin")).unwrap(), b"mine");
    let mut names: Vec<_> = fs::read_dir(&fat.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["big.bin", "mine.bin"]);
}
