//! The world of a run: its machines, processes and accounts, and their known state.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use super::command::{self, CommandResult, TimeLimits};
use super::database::Database;
use super::machine::Machine;
use super::model::{Model, Moment, Place};
use super::plan::{FileAt, Operation, Target};
use super::planner::Setting;
use super::publisher::Publisher;
use super::report::Report;
use super::service::Service;
use crate::bench::netns::Network;
use crate::cleanup::Cleanup;

/// The maximum duration of a command under faults.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(75);

/// An account and the home of its commands.
pub struct Account {
    pub name: String,
    pub machine: Arc<Machine>,
    pub home: PathBuf,
}

/// An unfinished download.
#[derive(Debug, Clone)]
pub struct Unfinished {
    pub account: usize,
    /// The target folder.
    pub folder: PathBuf,
    /// The requested name.
    pub name: String,
    /// The hash of the requested contents, if known.
    pub hash: Option<String>,
}

/// An acknowledged result, which is checked in each calm.
#[derive(Debug, Clone)]
pub enum Acknowledged {
    /// A downloaded file.
    Got { path: PathBuf, hash: String },
    /// Contents in the inbox of a peer.
    Put { peer: usize, hash: String },
    /// A link.
    Link {
        maker: usize,
        url: String,
        hash: String,
    },
    /// A load and its id.
    Load {
        asker: usize,
        peer: usize,
        load: String,
        hash: String,
    },
}

/// The world. Its fields are dropped in the order of their declaration.
pub struct World {
    pub services: Vec<Arc<Service>>,
    pub database: Option<Database>,
    pub accounts: Vec<Account>,
    pub machines: Vec<Arc<Machine>>,
    pub cleanup: Cleanup,
    pub network: Option<Network>,
    pub setting: Setting,
    pub folder: PathBuf,
    pub binary: PathBuf,
    pub model: Mutex<Model>,
    pub report: Report,
    pub publisher: Mutex<Publisher>,
    /// The acknowledged results.
    pub acknowledged: Mutex<Vec<Acknowledged>>,
    pub unfinished: Mutex<Vec<Unfinished>>,
    /// The downloaded files whose visibility was checked when they appeared. They stay when the
    /// account may no longer see them.
    pub downloaded: Mutex<HashSet<PathBuf>>,
    /// Changes with an unknown outcome, with their queues; they are repeated in a calm.
    pub unknown_outcomes: Mutex<Vec<(usize, Operation)>>,
    /// The end of the last fault; none during faults.
    pub faults_ended: Mutex<Option<Instant>>,
}

impl World {
    /// Returns the time since the start of the run.
    pub fn now(&self) -> Moment {
        self.report.begin().elapsed()
    }

    /// Returns the end of the last fault; none during faults.
    pub fn faults_ended(&self) -> Option<Instant> {
        *self.faults_ended.lock()
    }

    /// Reports an error as a failure of the run.
    pub fn check<T, E: std::fmt::Display>(&self, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.report.failure(&error.to_string());
                None
            }
        }
    }

    /// Runs a command of `account`.
    pub fn run(&self, account: usize, words: &[&str]) -> Option<CommandResult> {
        self.run_killed(account, words, None)
    }

    /// Runs a command of `account`, and kills it after `kill`, if given.
    pub fn run_killed(
        &self,
        account: usize,
        words: &[&str],
        kill: Option<Duration>,
    ) -> Option<CommandResult> {
        let account = self.accounts.get(account)?;
        self.run_at(&account.machine, &account.home, words, kill)
    }

    /// Runs a command of the home `home`.
    pub fn run_at(
        &self,
        machine: &Machine,
        home: &Path,
        words: &[&str],
        kill: Option<Duration>,
    ) -> Option<CommandResult> {
        let limits = TimeLimits {
            kill,
            interrupt: COMMAND_TIMEOUT,
        };
        let place = (machine, self.binary.as_path(), home);
        let ran = self.check(command::run(place, words, limits, self.report.begin()))?;
        self.report.note(&ran.shown());
        self.report.checked("exit codes", 1);
        if let Some(what) = ran.misbehaviour() {
            self.report.failure(&format!("{}: {what}", ran.arguments));
        }
        Some(ran)
    }

    /// Returns the process of `target`.
    pub fn service(&self, target: Target) -> Option<&Arc<Service>> {
        self.services.iter().find(|one| one.target == target)
    }

    /// Returns the machine of `target`; all replicas run on one machine.
    pub fn machine_of(&self, target: Target) -> Option<&Arc<Machine>> {
        match target {
            Target::Directory(_) => self.machines.first(),
            Target::Peer(number) => self.machines.get(number + 1),
        }
    }

    /// Returns the URL in the last ready line of a peer or directory; none if it is not ready.
    pub fn url_of(&self, target: Target) -> Option<String> {
        let ready = self.service(target)?.ready()?;
        ready["url"].as_str().map(str::to_owned)
    }

    /// Returns the path of a peer's folder.
    pub fn folder_of(&self, (peer, folder): Place) -> PathBuf {
        let machine = self.machine_of(Target::Peer(peer));
        let disk = machine.map(|machine| machine.disk_place());
        disk.unwrap_or_default().join(folder)
    }

    /// Returns the path of a file.
    pub fn path_of(&self, file: &FileAt) -> PathBuf {
        self.folder_of((file.peer, file.folder)).join(&file.name)
    }

    /// Returns the session token of an account; none if its home cannot be read at the moment.
    pub fn token(&self, account: usize) -> Option<String> {
        let path = self.accounts.get(account)?.home.join("credentials.json");
        let credentials: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        credentials["token"].as_str().map(str::to_owned)
    }

    /// Returns the URL of directory `number` if it is ready, otherwise of the next ready one.
    pub fn directory_url(&self, number: usize) -> Option<String> {
        let all = (0..self.setting.directories).map(|at| (at + number) % self.setting.directories);
        let mut urls = all.filter_map(|at| self.url_of(Target::Directory(at)));
        urls.next()
    }

    /// Returns the path of a file for curl's answers, one per thread.
    pub fn scratch(&self) -> PathBuf {
        let thread = format!("{:?}", std::thread::current().id());
        let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
        self.folder.join(format!("answer-{thread}"))
    }
}
