//! A simulated machine of a run: its own network namespace with an address, folder, disk and clock,
//! as far as the real system allows it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use parking_lot::{Mutex, MutexGuard};

use super::disk::Disk;
use crate::Failure;
use crate::bench::netns::Host;

/// The password of every account.
pub const PASSWORD: &str = "correct horse battery staple";
/// The path of libfaketime, which changes the time of a process, on Debian and other systems.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// A simulated machine.
#[derive(Debug)]
pub struct Machine {
    /// The name in logs.
    pub name: String,
    /// The number of its host in the network.
    pub number: usize,
    /// The IP address.
    pub address: String,
    /// The folder with all of its files.
    pub folder: PathBuf,
    namespace: Option<String>,
    library: Option<PathBuf>,
    disk: Option<Mutex<Disk>>,
}

impl Machine {
    /// Creates a machine with its folder in `root`.
    ///
    /// # Errors
    /// Fails if the folder cannot be created.
    pub fn new(
        root: &Path,
        name: &str,
        (number, host): (usize, &Host),
        library: Option<&Path>,
    ) -> Result<Self, Failure> {
        let folder = root.join(name);
        fs::create_dir_all(folder.join("disk"))
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let machine = Self {
            name: name.to_owned(),
            number,
            address: host.address.clone(),
            folder,
            namespace: host.namespace.clone(),
            library: library.map(Path::to_path_buf),
            disk: None,
        };
        machine.set_clock(0)?;
        Ok(machine)
    }

    /// Returns the mount point of its disk; a plain folder if it has no disk.
    pub fn disk_place(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// Adds a disk.
    pub fn add_disk(&mut self, disk: Disk) {
        self.disk = Some(Mutex::new(disk));
    }

    /// Returns its disk, if it has one. It is not mounted or unmounted while the guard is held.
    pub fn disk(&self) -> Option<MutexGuard<'_, Disk>> {
        let disk = self.disk.as_ref()?;
        Some(disk.lock())
    }

    /// Returns a command that runs `program` on the machine, with a clean environment.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = match &self.namespace {
            None => Command::new(program),
            Some(namespace) => {
                // Not `ip netns exec`, which has its own mounts that a later unmount does not
                // affect.
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{namespace}"));
                command.arg(program);
                command
            }
        };
        command
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .env("RUST_BACKTRACE", "1")
            .env("CONVITE_PASSWORD", PASSWORD);
        if let Some(filter) = std::env::var_os("RUST_LOG") {
            command.env("RUST_LOG", filter);
        }
        if let Some(library) = &self.library {
            // Changes only the wall clock, by the offset in the file, and no file times.
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME_TIMESTAMP_FILE", self.clock_file())
                .env("FAKETIME_CACHE_DURATION", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("FAKETIME_DONT_RESET", "1")
                .env("NO_FAKE_STAT", "1");
        }
        command
    }

    fn clock_file(&self) -> PathBuf {
        self.folder.join("clock")
    }

    /// Sets its clock to `offset` seconds from the correct time. This takes a second or two.
    ///
    /// # Errors
    /// Fails if the file with the offset cannot be written.
    pub fn set_clock(&self, offset: i64) -> Result<(), Failure> {
        let (file, new) = (self.clock_file(), self.folder.join("clock.new"));
        fs::write(&new, format!("{offset:+}\n"))
            .and_then(|()| fs::rename(&new, &file))
            .map_err(|error| format!("{}: {error}", file.display()))
    }
}

/// Returns the path of libfaketime; none if it is not installed.
pub fn clock_library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = folders.map(|folder| folder.path()).collect();
    places.extend(["/usr/lib", "/usr/lib64"].map(PathBuf::from));
    let found = places.into_iter().map(|place| place.join(LIBRARY));
    found.into_iter().find(|library| library.exists())
}
