//! The PostgreSQL server of a run, with its own data folder and a socket in that folder.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::service::signal;
use crate::cleanup::{Cleanup, Resource};
use crate::{Failure, workspace};

const READY_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The server's settings: no data of a run must survive a power failure.
const SETTINGS: [&str; 3] = ["fsync=off", "full_page_writes=off", "max_connections=200"];

/// The server.
pub struct Database {
    bin: PathBuf,
    folder: PathBuf,
    /// The user and group of the server, which refuses to run as root.
    account: Option<(u32, u32)>,
    child: Mutex<Option<Child>>,
}

impl Database {
    /// Creates a server in `folder` and starts it.
    ///
    /// # Errors
    /// Fails if PostgreSQL is not installed, or does not start.
    pub fn start(folder: &Path, cleanup: &Cleanup) -> Result<Self, Failure> {
        let bin = programs().ok_or("PostgreSQL is not installed")?;
        let account = unprivileged();
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir_all(folder).map_err(failed)?;
        if let Some((user, group)) = account {
            chown(folder, Some(user), Some(group)).map_err(failed)?;
        }
        let database = Self {
            bin,
            folder: folder.to_path_buf(),
            account,
            child: Mutex::default(),
        };
        let mut make = database.command("initdb");
        make.args(["-U", "postgres", "-A", "trust", "-E", "UTF8"])
            .args(["--no-sync", "--locale=C", "-D"])
            .arg(folder.join("data"));
        workspace::output(&mut make)?;
        database.begin(cleanup)?;
        let mut make = database.command("createdb");
        make.arg("-h")
            .arg(folder)
            .args(["-U", "postgres", "convite"]);
        workspace::output(&mut make)?;
        Ok(database)
    }

    /// Returns the database URL for directories.
    pub fn url(&self) -> String {
        let socket = self.folder.to_string_lossy().replace('/', "%2F");
        format!("postgres://postgres@{socket}/convite")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// Ends the server at once, like a crash.
    pub fn crash(&self) {
        let mut child = self.child.lock();
        if let Some(mut child) = child.take() {
            signal(child.id(), "QUIT");
            let _ = child.wait();
        }
    }

    /// Starts the server, and waits until it answers.
    ///
    /// # Errors
    /// Fails if it does not answer in time.
    pub fn begin(&self, cleanup: &Cleanup) -> Result<(), Failure> {
        let mut running = self.child.lock();
        let deadline = Instant::now() + READY_TIMEOUT;
        while Instant::now() < deadline {
            let is_over = match running.as_mut() {
                None => true,
                Some(child) => matches!(child.try_wait(), Ok(Some(_))),
            };
            if is_over {
                let child = self.spawn()?;
                cleanup.add(&Resource::Process(child.id()));
                *running = Some(child);
            }
            let mut ask = self.command("pg_isready");
            ask.arg("-q").arg("-h").arg(&self.folder);
            if ask.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Err(format!(
            "PostgreSQL does not answer: see {}",
            self.folder.join("log").display()
        ))
    }

    fn spawn(&self) -> Result<Child, Failure> {
        let log = self.folder.join("log");
        let failed = |error: std::io::Error| format!("{}: {error}", log.display());
        let log = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(failed)?;
        let mut serve = self.command("postgres");
        serve.arg("-D").arg(self.folder.join("data"));
        serve
            .arg("-k")
            .arg(&self.folder)
            .args(["-c", "listen_addresses="]);
        for setting in SETTINGS {
            serve.args(["-c", setting]);
        }
        serve
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("PostgreSQL cannot be started: {error}"))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.crash();
    }
}

/// Returns the folder of the server's programs; none if it is not installed.
pub fn programs() -> Option<PathBuf> {
    let version = |bin: &PathBuf| -> u32 {
        let name = bin.parent().and_then(Path::file_name);
        name.and_then(|name| name.to_str()?.parse().ok())
            .unwrap_or(0)
    };
    let debian = std::fs::read_dir("/usr/lib/postgresql");
    let debian = debian.into_iter().flatten().flatten();
    let debian = debian.map(|entry| entry.path().join("bin"));
    let newest = debian
        .filter(|bin| bin.join("initdb").exists())
        .max_by_key(version);
    newest.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|bin| bin.join("initdb").exists())
    })
}

/// Returns the user and group for the server if this process is root.
fn unprivileged() -> Option<(u32, u32)> {
    if std::fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let line = accounts
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}
