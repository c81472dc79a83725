//! Homes, and the directories, accounts and peers that tests make of them.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub use crate::process::{Process, Ran, finish, until};
use crate::relay::Relay;

/// Of every account that tests make.
pub const PASSWORD: &str = "a long enough secret 8316";

/// Bytes that look random and are the same each time.
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

/// A machine of its own, as far as a process can tell: a folder with the home in it.
pub struct Home {
    folder: TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A path on this machine.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of `--home`.
    pub fn root(&self) -> PathBuf {
        self.path("home")
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The binary with those arguments, separated by spaces, in a clean environment.
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

    /// Runs to the end.
    pub fn run(&self, args: &str) -> Ran {
        finish(self.command(args))
    }

    /// The same, with `--json`.
    pub fn json(&self, args: &str) -> Ran {
        self.run(&format!("--json {args}"))
    }

    /// Starts what runs on.
    pub fn start(&self, args: &str) -> Process {
        Process::start(self.command(args))
    }

    /// Starts a directory on a port, 0 for any.
    pub fn directory(self, port: u16, args: &str) -> Directory {
        Directory::start(self, port, args)
    }

    /// Starts a peer that shares a folder and is listed.
    pub fn peer(&self, id: &str, folder: &Path, args: &str) -> Process {
        let folder = folder.display();
        let process = self.start(&format!(
            "--json peer {id} 0 {folder} --bind 127.0.0.1 --no-menu {args}"
        ));
        process.ready();
        process
    }

    /// The same, reached through a relay alone.
    pub fn peer_behind(&self, relay: &Relay, id: &str, folder: &Path) -> Process {
        self.peer_behind_with(relay, id, folder, "")
    }

    /// The same, with further flags.
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

    /// The ids of the peers online, as this home sees them.
    pub fn peers(&self) -> Vec<String> {
        let ran = self.json("peers").ok();
        ran.objects().iter().map(|peer| text(peer, "id")).collect()
    }

    /// The credentials of the home.
    pub fn credentials(&self) -> Value {
        let bytes = fs::read(self.root().join("credentials.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }
}

/// A field with text in it.
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
    /// On any free port, with further flags.
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

    /// A new home whose account of that name is made; the first is the administrator.
    pub fn member(&self, user: &str) -> Home {
        let home = Home::new();
        home.run(&format!("join {} --user {user}", self.invite))
            .ok();
        home
    }

    /// Starts it again, with the same home, on the same port.
    pub fn again(self) -> Self {
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

/// Two accounts of a directory: the administrator and a member.
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
