//! Failed downloads report the provider's reason at once.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Pair, Process, contents, text};

const SIZE: usize = 6 << 20;
/// The maximum time of a failing download; waiting for the provider would take longer.
const AT_ONCE: Duration = Duration::from_secs(20);

fn begun(get: &Process) {
    get.object("a part is there", |object| {
        object["event"] == "progress" && object["bytes"].as_u64() > Some(0)
    });
}

#[test]
fn changed_and_deleted_files_are_reported_at_once() {
    let pair = Pair::new();
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("appended.log", append),
        ("truncated.bin", truncate),
        ("replaced.bin", replace),
        ("deleted.bin", |path| fs::remove_file(path).unwrap()),
    ];
    for (seed, (name, ..)) in (60..).zip(&changes) {
        pair.ana
            .write(&format!("data/{name}"), &contents(seed, SIZE));
    }
    pair.ana.write("other/unshared.bin", &contents(70, SIZE));
    let args = format!(
        "--upload-limit 3MiB --share {}",
        pair.ana.path("other").display()
    );
    let peer = pair.ana.peer("prov", &pair.ana.path("data"), &args);
    let get = |name: &str| pair.ben.start(&format!("--json get {name}"));
    let gets: Vec<Process> = changes.iter().map(|(name, ..)| get(name)).collect();
    let unshared = get("unshared.bin");
    gets.iter().chain([&unshared]).for_each(begun);
    let began = Instant::now();
    for (name, change) in &changes {
        change(&pair.ana.path(&format!("data/{name}")));
    }
    let other = pair.ana.path("other");
    pair.ana.run(&format!("unshare {}", other.display())).ok();
    for (get, (name, _)) in gets.into_iter().zip(changes) {
        let ended = get.ended();
        let failed = ended.event("error");
        let message = text(&failed, "message");
        assert!(message.starts_with("prov: "), "{name}: {message}");
        assert!(message.contains("since it was listed"), "{name}: {message}");
        // A deletion may be reported as a change.
        let code = text(&failed, "code");
        let is_deleted = name == "deleted.bin" && code == "not_found";
        assert!(is_deleted || code == "content_changed", "{name}: {failed}");
        assert_eq!(ended.code, if is_deleted { 3 } else { 5 }, "{failed}");
        let hint = text(&failed, "hint");
        assert!(hint.contains("`convite get "), "{name}: {hint}");
    }
    let failed = unshared.ended().ends(3).event("error");
    assert!(text(&failed, "message").starts_with("prov: "), "{failed}");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    drop(peer);
}

fn append(path: &Path) {
    use std::io::Write;
    let mut file = fs::File::options().append(true).open(path).unwrap();
    file.write_all(b"one more line\n").unwrap();
}

fn truncate(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(1000).unwrap();
}

fn replace(path: &Path) {
    let aside = path.with_extension("new");
    fs::write(&aside, contents(80, SIZE)).unwrap();
    fs::rename(&aside, path).unwrap();
}

#[test]
fn a_killed_provider_is_not_waited_for() {
    let pair = Pair::new();
    pair.ana.write("data/big.bin", &contents(81, SIZE));
    let peer = pair.ana.peer("prov", &pair.ana.path("data"), "");
    peer.kill();
    let began = Instant::now();
    let failed = pair.ben.json("get big.bin").ends(5).event("error");
    assert_eq!(failed["code"], "unavailable");
    let message = text(&failed, "message");
    assert!(message.contains("connection refused"), "{message}");
    assert!(message.starts_with("prov: "), "{message}");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

/// A file system in an image file, which fails when the image is truncated.
struct FailingDisk {
    at: std::path::PathBuf,
    image: std::path::PathBuf,
}

impl FailingDisk {
    fn mount(folder: &Path) -> Self {
        let (at, image) = (folder.join("disk"), folder.join("disk.img"));
        fs::create_dir_all(&at).unwrap();
        fs::File::create(&image).unwrap().set_len(48 << 20).unwrap();
        let run = |program: &str, args: &[&str], last: &Path| {
            let mut command = Command::new(program);
            command.args(args).arg(&image).arg(last);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            assert!(command.status().unwrap().success(), "{program}");
        };
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", "-F"]).arg(&image);
        assert!(make.status().unwrap().success(), "mkfs.ext4");
        run("mount", &["-o", "loop"], &at);
        Self { at, image }
    }

    /// Makes the disk unreadable.
    fn fail(&self, file: &Path) {
        let file = fs::File::open(file).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let image = fs::File::options().write(true).open(&self.image).unwrap();
        image.set_len(1 << 20).unwrap();
    }
}

impl Drop for FailingDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

#[test]
fn an_unreadable_disk_is_reported_to_both_sides() {
    if !xtest::Need::Loop.is_met() {
        return;
    }
    let pair = Pair::new();
    let disk = FailingDisk::mount(&pair.ana.path(""));
    let file = disk.at.join("big.bin");
    fs::write(&file, contents(82, SIZE)).unwrap();
    let _peer = pair.ana.peer("prov", &disk.at, "");
    disk.fail(&file);
    let began = Instant::now();
    let failed = pair.ben.json("get big.bin").ends(5).event("error");
    assert_eq!(failed["code"], "read_failed", "{failed}");
    assert!(text(&failed, "message").starts_with("prov: the peer's disk cannot read"));
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    let status = &pair.ana.json("status").ok().objects()[0];
    let failure = &status["peer"]["read_failures"][0];
    assert_eq!(failure["path"], "disk/big.bin", "{status}");
    let said = pair.ana.run("status").ok();
    assert!(
        said.stdout.contains("cannot read disk/big.bin"),
        "{}",
        said.stdout
    );
}
