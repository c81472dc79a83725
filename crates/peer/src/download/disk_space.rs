//! Checks and allocates disk space before a download begins.
//!
//! Where the file system supports it, the space of the whole file is allocated at the start, so
//! that other downloads do not count it as free. Elsewhere the space still needed by other running
//! downloads of the home is subtracted. One process of a home does this at a time.

use std::fs::File;
use std::path::Path;

use convite_client::Home;
use convite_core::display::format_bytes;
use convite_core::{ErrorCode, Problem};

use crate::fs::free_space::Space;

use super::partial::location::same_device;
use super::target::Target;
use super::unfinished::{UnfinishedDownload, list};

/// The number of unfinished downloads named in a message.
const NAMED_DOWNLOADS_MAX: usize = 3;

/// The part of the disk that a download may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Headroom {
    /// All of it: the owner of the disk requested the file.
    #[default]
    UseAll,
    /// All but 5 % or 1 GiB, whichever is less.
    KeepSome,
}

/// Returns the space that a download may fill.
fn available(space: Space, headroom: Headroom) -> u64 {
    match headroom {
        Headroom::UseAll => space.free,
        Headroom::KeepSome => space.free.saturating_sub(space.reserve()),
    }
}

/// Locks the home while disk space is checked and allocated; `None` where locks are not supported.
pub(super) fn lock_allocation(home: &Home) -> Option<File> {
    let path = home.root().join("downloads.lock");
    let file = File::create(path).ok()?;
    file.lock().is_ok().then_some(file)
}

/// The download for which disk space is checked.
pub(super) struct DiskSpaceCheck<'a> {
    pub(super) home: &'a Home,
    /// The folder of this download, which does not count as another one.
    pub(super) folder: &'a Path,
    pub(super) target: &'a Target,
    pub(super) headroom: Headroom,
}

impl DiskSpaceCheck<'_> {
    /// Checks that the file system of `place` has `wanted` more bytes free.
    ///
    /// # Errors
    /// Returns `no_space`, with other downloads that occupy space in the hint.
    pub(super) fn check(&self, place: &Path, wanted: u64) -> Result<(), Problem> {
        match Space::of(place) {
            Some(space) => self.check_space(place, space, wanted),
            None => Ok(()),
        }
    }

    /// [`Self::check`] with this `space` on the file system of `place`.
    fn check_space(&self, place: &Path, space: Space, wanted: u64) -> Result<(), Problem> {
        let free = available(space, self.headroom);
        let others: Vec<_> = list(self.home)
            .into_iter()
            .filter(|other| other.folder() != self.folder)
            .filter(|other| same_device(&other.contents_path, place).unwrap_or(false))
            .collect();
        let promised: u64 = others.iter().map(still_needed).sum();
        if wanted.saturating_add(promised) <= free {
            return Ok(());
        }
        Err(self.refusal(wanted, free, promised, &others))
    }

    fn refusal(
        &self,
        wanted: u64,
        free: u64,
        promised: u64,
        others: &[UnfinishedDownload],
    ) -> Problem {
        let mut message = format!(
            "{} has too little free space: {} are needed, {} are free",
            self.target.folder().display(),
            format_bytes(wanted),
            format_bytes(free)
        );
        if promised > 0 {
            message.push_str(&format!(
                ", and other running downloads still need {}",
                format_bytes(promised)
            ));
        }
        let mut hint = "free disk space, or choose another target with -o PATH".to_owned();
        let holding = || others.iter().filter(|other| other.on_disk > 0);
        for other in holding().take(NAMED_DOWNLOADS_MAX) {
            hint.push_str("; ");
            hint.push_str(&other.describe());
        }
        if holding().count() > NAMED_DOWNLOADS_MAX {
            hint.push_str("; and more");
        }
        Problem::new(ErrorCode::NoSpace, message).hint(hint)
    }
}

/// Returns the bytes that a running download will still allocate.
fn still_needed(other: &UnfinishedDownload) -> u64 {
    if other.is_running {
        other.size.saturating_sub(other.on_disk)
    } else {
        0
    }
}

#[cfg(test)]
mod tests;
