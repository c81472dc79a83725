//! Homes, directories, accounts and peers for tests.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub use crate::process::{Finished, Process, finish, wait_until};
use crate::relay::Relay;

/// The password of every account in the tests.
pub const PASSWORD: &str = "a long enough secret 8316";

/// Returns pseudorandom bytes, equal for equal seeds.
pub fn contents(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A temporary folder with a home; to a process it looks like a separate machine.
pub struct Home {
    folder: TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Like [`Self::new`], on tmpfs.
    pub fn in_memory() -> Self {
        Self {
            folder: tempfile::tempdir_in("/dev/shm").unwrap(),
        }
    }

    /// Returns a path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the folder for `--home`.
    pub fn root(&self) -> PathBuf {
        self.path("home")
    }

    /// Writes a file and creates its parent folders.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Returns a command of the binary with arguments separated by spaces, in a clean environment.
    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_convite"));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("CONVITE_PASSWORD", PASSWORD)
            .arg("--home")
            .arg(self.root())
            .args(args.split_whitespace())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command and waits for its end.
    pub fn run(&self, args: &str) -> Finished {
        finish(self.command(args))
    }

    /// Like [`Self::run`], with `--json`.
    pub fn json(&self, args: &str) -> Finished {
        self.run(&format!("--json {args}"))
    }

    /// Starts a long-running command.
    pub fn start(&self, args: &str) -> Process {
        Process::start(self.command(args))
    }

    /// Starts a directory on a port; 0 for any free port.
    pub fn directory(self, port: u16, args: &str) -> Directory {
        Directory::start(self, port, args)
    }

    /// Starts a peer that shares a folder, and waits until it is listed.
    pub fn peer(&self, id: &str, folder: &Path, args: &str) -> Process {
        let folder = folder.display();
        let process = self.start(&format!(
            "--json peer {id} 0 {folder} --bind 127.0.0.1 --no-menu {args}"
        ));
        process.ready();
        process
    }

    /// Like [`Self::peer`], reachable only through a relay.
    pub fn peer_behind(&self, relay: &Relay, id: &str, folder: &Path) -> Process {
        self.peer_behind_with(relay, id, folder, "")
    }

    /// Like [`Self::peer_behind`], with additional flags.
    pub fn peer_behind_with(&self, relay: &Relay, id: &str, folder: &Path, args: &str) -> Process {
        let folder = folder.display();
        let mut args = format!(
            "--json peer {id} 0 {folder} --bind {} --no-menu {args}",
            Relay::TARGET
        );
        for address in relay.addresses() {
            args.push_str(&format!(" --address {address}"));
        }
        let process = self.start(&args);
        process.ready();
        let running = fs::read(self.root().join("peer/running.json")).unwrap();
        let running: Value = serde_json::from_slice(&running).unwrap();
        relay.lead_to(running["port"].as_u64().unwrap() as u16);
        process
    }

    /// Returns the ids of the online peers that this home sees.
    pub fn peers(&self) -> Vec<String> {
        let ran = self.json("peers").ok();
        ran.objects().iter().map(|peer| text(peer, "id")).collect()
    }

    /// Returns the credentials of the home.
    pub fn credentials(&self) -> Value {
        let bytes = fs::read(self.root().join("credentials.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }
}

/// Returns a text field of an object.
pub fn text(object: &Value, field: &str) -> String {
    match object[field].as_str() {
        Some(text) => text.to_owned(),
        None => panic!("no text '{field}' in {object}"),
    }
}

/// A running directory and its home.
pub struct Directory {
    pub home: Home,
    pub process: Process,
    pub invite: String,
    pub port: u16,
    args: String,
}

impl Directory {
    /// Starts a directory on any free port, with additional flags.
    pub fn with(args: &str) -> Self {
        Home::new().directory(0, args)
    }

    fn start(home: Home, port: u16, args: &str) -> Self {
        let process = home.start(&format!(
            "--json directory --listen 127.0.0.1:{port} {args}"
        ));
        let ready = process.ready();
        let url = text(&ready, "url");
        let port = url.rsplit(':').next().unwrap().parse().unwrap();
        Self {
            invite: text(&ready, "invite"),
            args: args.to_owned(),
            home,
            process,
            port,
        }
    }

    /// Creates a home and an account with that name; the first account is an administrator.
    pub fn member(&self, user: &str) -> Home {
        self.member_at(Home::new(), user)
    }

    /// Like [`Self::member`], with the given home.
    pub fn member_at(&self, home: Home, user: &str) -> Home {
        home.run(&format!("join {} --user {user}", self.invite))
            .ok();
        home
    }

    /// Restarts the directory with the same home and port.
    pub fn restart(self) -> Self {
        let Self {
            home,
            process,
            port,
            args,
            ..
        } = self;
        drop(process);
        Self::start(home, port, &args)
    }
}

/// A directory with two accounts: the administrator and a member.
pub struct Pair {
    pub directory: Directory,
    pub ana: Home,
    pub ben: Home,
}

impl Pair {
    pub fn new() -> Self {
        Self::with("")
    }

    pub fn with(args: &str) -> Self {
        let directory = Directory::with(args);
        let ana = directory.member("ana");
        let ben = directory.member("ben");
        Self {
            directory,
            ana,
            ben,
        }
    }
}

impl Deref for Pair {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.directory
    }
}
