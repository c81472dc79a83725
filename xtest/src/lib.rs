//! Requirements of tests besides Rust: programs, libraries and permissions.
//!
//! A test calls [`Need::is_met`]. If the need is not met, the test is skipped and listed at the end
//! of `cargo test` (`tests/skipped.rs`); if `CONVITE_REQUIRE` names the need, the test fails. Tests
//! install nothing; `cargo xtask test` does.

mod find;
mod record;

use std::io::Write;

pub use find::{AXE_PACKAGE, GRPCIO, axe, faketime, postgres, python, target};
pub use record::{RECORD, Skipped, record_of_this_run, report, skipped};

/// Environment variable with the required needs, separated by commas; `all` for all of them. A test
/// whose required need is not met fails.
pub const REQUIRE: &str = "CONVITE_REQUIRE";

/// A requirement of some tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The programs of a PostgreSQL server.
    Postgres,
    /// Chromium and its WebDriver.
    Chromium,
    /// tmux, for a terminal.
    Tmux,
    /// Python with grpcio.
    Grpcio,
    /// axe-core, which checks pages for accessibility.
    Axe,
    /// Permission to mount file systems.
    Mount,
    /// Loop devices, to mount a file as a disk.
    Loop,
    /// fusefat, a FAT file system of FUSE, and mkfs.vfat.
    FuseFat,
    /// A second file system besides that of the build folder: `/dev/shm`.
    SecondDisk,
    /// User namespaces, to lower a system limit for one process.
    UserNamespace,
    /// Permission to create network namespaces.
    NetworkNamespace,
    /// libfaketime, which gives a process another wall clock.
    Faketime,
    /// nginx with its stream module, curl and openssl.
    Nginx,
}

impl Need {
    /// All needs.
    pub const ALL: [Self; 13] = [
        Self::Postgres,
        Self::Chromium,
        Self::Tmux,
        Self::Grpcio,
        Self::Axe,
        Self::Mount,
        Self::Loop,
        Self::FuseFat,
        Self::SecondDisk,
        Self::UserNamespace,
        Self::NetworkNamespace,
        Self::Faketime,
        Self::Nginx,
    ];

    /// Returns the name used in `CONVITE_REQUIRE`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Chromium => "chromium",
            Self::Tmux => "tmux",
            Self::Grpcio => "grpcio",
            Self::Axe => "axe",
            Self::Mount => "mount",
            Self::Loop => "loop",
            Self::FuseFat => "fusefat",
            Self::SecondDisk => "second-disk",
            Self::UserNamespace => "user-namespace",
            Self::NetworkNamespace => "network-namespace",
            Self::Faketime => "faketime",
            Self::Nginx => "nginx",
        }
    }

    /// Returns whether this need is met. If not, adds the calling test to the list of skipped
    /// tests.
    ///
    /// # Panics
    /// Panics if the need is required and not met.
    #[track_caller]
    pub fn is_met(self) -> bool {
        match self.missing() {
            None => true,
            Some(why) => {
                self.skip(&why);
                false
            }
        }
    }

    /// Adds the calling test to the list of skipped tests.
    ///
    /// # Panics
    /// Panics if the need is required.
    #[track_caller]
    pub fn skip(self, why: &str) {
        let required = std::env::var(REQUIRE).unwrap_or_default();
        assert!(
            !is_required(self, &required),
            "'{}' is missing, and {REQUIRE} requires it: {why}",
            self.name()
        );
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        // Written directly to stderr, because the test harness hides what a passing test prints.
        let _ = writeln!(std::io::stderr(), "*** SKIPPED {test}: {why}");
        record::append(self, test, why);
    }
}

fn is_required(need: Need, required: &str) -> bool {
    let mut names = required.split(',').map(str::trim);
    names.any(|name| name == "all" || name == need.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_required_by_name() {
        assert!(is_required(Need::Tmux, "postgres, tmux"));
        assert!(is_required(Need::Tmux, "all"));
        assert!(!is_required(Need::Tmux, "postgres,tmuxes"));
        assert!(!is_required(Need::Tmux, ""));
    }
}
