//! A PostgreSQL server for tests: of this machine's package, with a folder of its own, reached by a
//! socket in that folder, gone with the process that wanted it.
//!
//! Taken in by `#[path]` where it is needed. Missing, the package is installed if that takes no
//! question (root, and apt); else it says that it skipped.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Starts the server, and ends it when its input ends: however the process ends that holds the other
/// side.
const KEEPER: &str = r#"
trap '' INT TERM HUP
dir=$1 bin=$2 options=$3
if "$bin/pg_ctl" -D "$dir/data" -w -s -l "$dir/log" -o "$options" start >/dev/null 2>&1; then
    echo ready
    cat >/dev/null
    "$bin/pg_ctl" -D "$dir/data" -m immediate -w -s stop >/dev/null 2>&1
else
    tail -n 20 "$dir/log"
fi
rm -rf "$dir"
"#;

/// A running server. Dropping it ends it and removes its folder.
pub struct Cluster {
    folder: PathBuf,
    bin: PathBuf,
    keeper: Child,
    databases: AtomicU64,
}

/// Whom the server runs as: it refuses to be root.
#[derive(Clone, Copy)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Cluster {
    /// The one of this process, started by whoever asks first; none, loudly, if there is no
    /// PostgreSQL here.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(QUICK)).as_ref()
    }

    /// One of its own, with further settings (`-c NAME=VALUE …`).
    pub fn start(options: &str) -> Option<Self> {
        Self::start_with(options, |_| {})
    }

    /// The same; `prepare` may change the data folder before the server reads it.
    pub fn start_with(options: &str, prepare: impl FnOnce(&Path)) -> Option<Self> {
        match binaries() {
            Ok(bin) => Some(Self::begin(bin, options, prepare)),
            Err(why) => {
                // Past the capture of a test's output.
                let _ = writeln!(
                    std::io::stderr(),
                    "\n*** SKIPPED: nothing was tested on PostgreSQL: {why}"
                );
                None
            }
        }
    }

    fn begin(bin: PathBuf, options: &str, prepare: impl FnOnce(&Path)) -> Self {
        let account = unprivileged();
        let folder = tempfile::Builder::new()
            .prefix("convite-pg-")
            .tempdir()
            .unwrap()
            .keep();
        if let Some(Account { uid, gid }) = account {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        initdb(&bin, &folder.join("data"), account);
        prepare(&folder.join("data"));
        let options = format!("-k {} -c listen_addresses= {options}", folder.display());
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]);
        keeper.arg(&folder).arg(&bin).arg(options);
        keeper.current_dir(&folder);
        let keeper = as_account(&mut keeper, account)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut keeper = keeper.unwrap();
        let mut said = BufReader::new(keeper.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        if line != "ready\n" {
            let mut rest = String::new();
            said.read_to_string(&mut rest).unwrap();
            panic!("PostgreSQL does not start: {line}{rest}");
        }
        Self {
            folder,
            bin,
            keeper,
            databases: AtomicU64::new(0),
        }
    }

    /// Makes an empty database, and returns its URL.
    pub fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = Command::new(self.bin.join("createdb"))
            .arg("-h")
            .arg(&self.folder)
            .args(["-U", "postgres", &name])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let socket = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://postgres@{socket}/{name}")
    }

    /// Runs SQL on a database by its URL, and returns what `psql` prints.
    pub fn sql(&self, url: &str, sql: &str) -> String {
        let done = Command::new(self.bin.join("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                url,
                "-c",
                sql,
            ])
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Ends the server at once, as a crash does, and starts it again.
    pub fn crash_and_restart(&self) {
        for how in ["-m immediate stop", "-s start"] {
            let data = self.folder.join("data");
            let mut pg_ctl = Command::new(self.bin.join("pg_ctl"));
            pg_ctl.arg("-D").arg(&data).arg("-w");
            pg_ctl.arg("-l").arg(self.folder.join("log"));
            if how.ends_with("start") {
                let options = format!("-k {} -c listen_addresses=", self.folder.display());
                pg_ctl.arg("-o").arg(options);
            }
            pg_ctl.args(how.split(' ')).current_dir(&self.folder);
            pg_ctl.stdout(Stdio::null()).stderr(Stdio::null());
            let done = as_account(&mut pg_ctl, unprivileged()).status().unwrap();
            assert!(done.success(), "{how}");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// For tests: nothing has to survive a power cut.
pub const QUICK: &str = "-c fsync=off -c full_page_writes=off -c max_connections=300";

/// Where the server's programs are.
fn binaries() -> Result<PathBuf, String> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if unprivileged().is_none() || !Path::new("/usr/bin/apt-get").exists() {
        return Err("it is not installed (Debian: apt-get install postgresql)".into());
    }
    let done = Command::new("apt-get")
        .args([
            "install",
            "-y",
            "-q",
            "--no-install-recommends",
            "postgresql",
        ])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output();
    find().ok_or_else(|| format!("it is not installed, and cannot be: {done:?}"))
}

fn find() -> Option<PathBuf> {
    let version = |bin: &PathBuf| -> u32 {
        let name = bin.parent().and_then(Path::file_name);
        name.and_then(|n| n.to_str()?.parse().ok()).unwrap_or(0)
    };
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let debian = debian.flatten().map(|entry| entry.path().join("bin"));
    let newest = debian
        .filter(|bin| bin.join("initdb").exists())
        .max_by_key(version);
    newest.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|bin| bin.join("initdb").exists())
    })
}

/// If this is root, the account that the server runs as instead.
fn unprivileged() -> Option<Account> {
    let own = std::fs::metadata("/proc/self").ok()?;
    if std::os::unix::fs::MetadataExt::uid(&own) != 0 {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let of = |name: &str| {
        let line = accounts
            .lines()
            .find(|l| l.split(':').next() == Some(name))?;
        let fields: Vec<&str> = line.split(':').collect();
        Some(Account {
            uid: fields.get(2)?.parse().ok()?,
            gid: fields.get(3)?.parse().ok()?,
        })
    };
    of("postgres").or_else(|| of("nobody"))
}

fn as_account(command: &mut Command, account: Option<Account>) -> &mut Command {
    use std::os::unix::process::CommandExt;
    match account {
        Some(Account { uid, gid }) => command.uid(uid).gid(gid),
        None => command,
    }
}

fn initdb(bin: &Path, data: &Path, account: Option<Account>) {
    let run = |collation: &[&str]| {
        let mut command = Command::new(bin.join("initdb"));
        command
            .arg("-D")
            .arg(data)
            .args(["-U", "postgres", "-A", "trust"]);
        command
            .args(["-E", "UTF8", "--no-sync", "--locale=C"])
            .args(collation);
        command.current_dir(data.parent().unwrap());
        as_account(&mut command, account).output().unwrap()
    };
    // An order of words as in a dictionary, if it can: what relies on the order of bytes must say so.
    let dictionary = run(&["--locale-provider=icu", "--icu-locale=en"]);
    if !dictionary.status.success() {
        let plain = run(&[]);
        assert!(plain.status.success(), "{plain:?}");
    }
}
