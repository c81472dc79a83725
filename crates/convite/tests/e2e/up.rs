//! The main use: `up` on one machine; `join`, `search`, `get` on another.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::harness::{Home, Process, contents, text};

/// A file on tmpfs that is written through a memory map: once its pages are dirty, further writes do not
/// change its times, and on tmpfs pages stay dirty.
pub struct Mapped {
    path: PathBuf,
    python: Child,
}

impl Mapped {
    /// Maps the file; call this before it is hashed.
    pub fn open(path: &Path) -> Self {
        const WRITE: &str = "import mmap, sys
with open(sys.argv[1], 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:
    for at in range(0, len(m), 4096):
        m[at] = m[at]
    print('mapped', flush=True)
    data = sys.stdin.buffer.read()
    if data:
        m[:] = data
";
        let mut python = Command::new("python3")
            .args(["-c", WRITE])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = python.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        assert_eq!(line, "mapped\n");
        Self {
            path: path.to_owned(),
            python,
        }
    }

    /// Replaces the contents with others of the same size, without a change of the times.
    pub fn change_unnoticed(mut self, bytes: &[u8]) {
        let path = &self.path;
        let times = || {
            let now = std::fs::metadata(path).unwrap();
            (now.len(), now.mtime_nsec(), now.ctime(), now.ctime_nsec())
        };
        let before = times();
        let mut input = self.python.stdin.take().unwrap();
        input.write_all(bytes).unwrap();
        drop(input);
        assert!(self.python.wait().unwrap().success());
        assert_eq!(times(), before, "the times changed");
        assert!(std::fs::read(path).unwrap() == bytes);
    }
}

/// Sets the modification time an hour back, and waits until the file is old enough not to be hashed
/// twice.
pub fn make_old(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    file.set_modified(hour_ago).unwrap();
    let changed = || {
        let now = file.metadata().unwrap();
        let since = Duration::new(now.ctime() as u64, now.ctime_nsec() as u32);
        SystemTime::UNIX_EPOCH + since
    };
    while changed().elapsed().unwrap_or_default() < Duration::from_millis(100) {
        std::thread::yield_now();
    }
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
fn up_join_search_and_get() {
    let ana = Home::new();
    // Sizes around the boundaries of pieces and network chunks.
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
fn a_second_up_continues_with_the_same_home() {
    // On tmpfs, where a change of a file can go unnoticed.
    let ana = Home::in_memory();
    let file = ana.write("shared/data.bin", &contents(1, 300_000));
    let mapped = Mapped::open(&file);
    make_old(&file);
    let (first, directory, peer) = up(&ana, "0");
    let url = text(&directory, "url");
    let port = url.rsplit(':').next().unwrap().to_owned();
    let index = ana.json("index").ok().objects();
    let hash = text(&index[0], "hash");
    first.stop().ok();

    // If it were hashed again, the hash would differ.
    mapped.change_unnoticed(&contents(2, 300_000));
    let (_second, directory_again, peer_again) = up(&ana, &port);
    assert_eq!(directory_again["invite"], directory["invite"]);
    assert_eq!(peer_again["id"], peer["id"]);
    let index = ana.json("index").ok().objects();
    assert_eq!(text(&index[0], "hash"), hash, "it was hashed again");
    assert_eq!(ana.credentials()["user"], "ana");

    // The account is the same administrator, so the next account is none.
    ana.run("invite").ok();
    let ben = Home::new();
    let invite = text(&directory, "invite");
    ben.run(&format!("join {invite} --user ben")).ok();
    ben.run("invite").ends(4);
}

#[test]
fn up_reports_a_missing_folder() {
    let ana = Home::new();
    let ran = ana.run("up nowhere --listen 127.0.0.1:0").ends(2);
    assert!(ran.stderr.contains("there is no folder nowhere"));
}
