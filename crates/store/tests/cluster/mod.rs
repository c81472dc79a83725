//! A PostgreSQL server for tests, from this machine's package. It has a separate folder, listens on
//! a socket in that folder, and ends with the test process.
//!
//! Included with `#[path]` where it is needed. Without PostgreSQL, a test is skipped
//! ([`Need::Postgres`]).
#![allow(dead_code, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use xtest::Need;

/// Starts the server, and stops it when stdin is closed, however the process at the other end
/// terminates.
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

/// A running server. Dropping it stops the server and removes its folder.
pub struct Cluster {
    folder: PathBuf,
    bin: PathBuf,
    keeper: Child,
    databases: AtomicU64,
}

/// The account that runs the server, which refuses to run as root.
#[derive(Clone, Copy)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Cluster {
    /// Returns the server of this process, started on first use. Returns `None` and skips the test
    /// without PostgreSQL.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        let bin = binaries()?;
        Some(SHARED.get_or_init(|| Self::begin(bin, QUICK, |_| {})))
    }

    /// Starts a separate server with more settings (`-c NAME=VALUE …`).
    pub fn start(options: &str) -> Option<Self> {
        Self::start_with(options, |_| {})
    }

    /// Like [`Self::start`]; `prepare` can change the data folder before the server starts.
    pub fn start_with(options: &str, prepare: impl FnOnce(&Path)) -> Option<Self> {
        Some(Self::begin(binaries()?, options, prepare))
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
            panic!("PostgreSQL failed to start: {line}{rest}");
        }
        Self {
            folder,
            bin,
            keeper,
            databases: AtomicU64::new(0),
        }
    }

    /// Returns the server's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Creates an empty database and returns its URL.
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

    /// Runs SQL on the database at `url` and returns the output of `psql`.
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

    /// Stops the server immediately, like a crash, and starts it again.
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

/// Settings for tests, where nothing must survive a power failure.
pub const QUICK: &str = "-c fsync=off -c full_page_writes=off -c max_connections=300";

/// Returns the folder with the server's programs.
fn binaries() -> Option<PathBuf> {
    Need::Postgres.is_met().then(xtest::postgres).flatten()
}

/// Returns the account that runs the server if this process runs as root.
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
    // Dictionary order if available, so that code that depends on byte order must request it
    // explicitly.
    let dictionary = run(&["--locale-provider=icu", "--icu-locale=en"]);
    if !dictionary.status.success() {
        let plain = run(&[]);
        assert!(plain.status.success(), "{plain:?}");
    }
}
