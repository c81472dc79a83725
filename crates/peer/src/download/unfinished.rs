//! The unfinished downloads of a home: their files, hidden contents and progress.
//!
//! `HOME/downloads/…/about` is written when a download begins; its last checkpoint contains the
//! progress. A download that is not resumed expires, and a download with a removed target is
//! removed too.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use convite_client::Home;
use convite_client::home::write_private;
use convite_core::display::{format_bytes, shell_word};
use convite_core::{ContentHash, ErrorCode, PieceGeometry, Problem};
use convite_net::task;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::partial::location::lock;
use super::partial::summary::{PartialSummary, is_locked};
use super::target::{Target, disk_problem};
use crate::fs::fallbacks::on_disk;

/// How long an unfinished download is kept after its last progress, by default.
pub const UNFINISHED_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// The time between two sweeps by a peer.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// The number of digits of an id.
const ID: usize = 8;

/// The metadata of a download, written when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DownloadRecord {
    pub(super) hash: ContentHash,
    pub(super) size: u64,
    /// The file name for display.
    pub(super) name: String,
    /// The absolute path of the target.
    pub(super) target: String,
    /// The space of its search scope, empty for the space of everyone; `None` without a scope.
    pub(super) within: Option<String>,
    /// When it began, in seconds since 1970.
    pub(super) begun: u64,
    /// How long it is kept, in seconds.
    pub(super) retention: u64,
}

impl DownloadRecord {
    const FILE: &'static str = "about";

    /// Writes it into the folder of a download. An existing start time is preserved.
    pub(super) fn write(mut self, folder: &Path) -> std::io::Result<()> {
        let known = Self::read(folder);
        if let Some(known) = &known {
            self.begun = known.begun;
        }
        if known.as_ref() == Some(&self) {
            return Ok(());
        }
        write_private(&folder.join(Self::FILE), &serde_json::to_vec(&self)?)
    }

    fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(Self::FILE)).ok()?).ok()
    }
}

/// Returns the time in seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// Returns the absolute path as stored.
pub(super) fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.to_string_lossy().into_owned()
}

/// A download that is unfinished or running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedDownload {
    /// The id for commands.
    pub id: String,
    /// The content hash.
    pub hash: ContentHash,
    /// The name of the file.
    pub name: String,
    /// The size in bytes.
    pub size: u64,
    /// The path of the target.
    pub target: PathBuf,
    /// The hidden file with the contents.
    pub contents_path: PathBuf,
    /// Bytes verified at the last checkpoint.
    pub verified: u64,
    /// Bytes that the hidden file occupies.
    pub on_disk: u64,
    /// When it began.
    pub begun: SystemTime,
    /// When its last checkpoint was written.
    pub last_progress: SystemTime,
    /// When it is removed unless it is resumed.
    pub expires: SystemTime,
    /// Whether a process is downloading it.
    pub is_running: bool,
    /// Whether a command resumes it. Otherwise the peer does, which performs a remote fetch.
    is_resumable: bool,
    folder: PathBuf,
}

impl UnfinishedDownload {
    /// Returns the download with its state in `folder`; `None` if there is none.
    pub(super) fn at(folder: &Path) -> Option<Self> {
        let about = DownloadRecord::read(folder)?;
        let geometry = PieceGeometry::new(about.size)?;
        let remains = PartialSummary::of(folder, &about.hash, geometry);
        let contents_path = remains.contents.first()?.clone();
        let taken = fs::symlink_metadata(&contents_path).map_or(0, |found| on_disk(&found));
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(about.begun);
        let noted = fs::metadata(folder.join("pieces")).and_then(|noted| noted.modified());
        let last_progress = noted.map_or(begun, |noted| noted.max(begun));
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        Some(Self {
            id: blake3::hash(name.as_bytes()).to_hex()[..ID].to_owned(),
            hash: about.hash,
            name: about.name,
            size: about.size,
            target: PathBuf::from(about.target),
            contents_path,
            verified: remains.verified,
            on_disk: taken,
            begun,
            last_progress,
            expires: last_progress + Duration::from_secs(about.retention),
            is_running: is_locked(folder),
            is_resumable: about.within.is_none(),
            folder: folder.to_owned(),
        })
    }

    /// Returns the folder of its state.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the command that resumes it; `None` if the peer resumes it automatically.
    pub fn resume_command(&self) -> Option<String> {
        let target = self.target.to_string_lossy();
        let command = || format!("convite get {} -o {}", self.hash, shell_word(&target));
        self.is_resumable.then(command)
    }

    /// Describes how much is kept, where, and how to resume it.
    pub fn describe(&self) -> String {
        let kept = format!(
            "{} of {} are kept in {}",
            format_bytes(self.verified),
            format_bytes(self.size),
            self.contents_path.display()
        );
        match self.resume_command() {
            Some(command) => format!("{kept}; `{command}` resumes the download"),
            None => kept,
        }
    }

    /// Returns whether its contents or the folder of its target are gone.
    fn is_orphaned(&self) -> bool {
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let parent_is_there = |path: &Path| path.parent().is_some_and(is_there);
        // If the disk of the target is not mounted, the hidden file beside the target is not gone.
        let contents_gone = !is_there(&self.contents_path) && parent_is_there(&self.contents_path);
        let is_inside = self.contents_path.starts_with(&self.folder);
        contents_gone || (is_inside && !parent_is_there(&self.target))
    }

    /// Removes its contents and state, unless a process is downloading it.
    fn remove(&self) -> Result<(), Problem> {
        let _lock = lock(&self.folder)?;
        let failed = |error| disk_problem("remove", &self.folder, &error);
        let geometry = PieceGeometry::new(self.size)
            .ok_or_else(|| Problem::invalid("the file exceeds the maximum file size"))?;
        let target = Target {
            path: self.target.clone(),
            force: false,
        };
        for contents in PartialSummary::of(&self.folder, &self.hash, geometry).contents {
            for path in [target.copy_path(&contents), contents] {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(failed(error));
                    }
                    _ => {}
                }
            }
        }
        fs::remove_dir_all(&self.folder).map_err(failed)
    }
}

/// Returns the unfinished downloads of a home, the oldest first. Blocks.
pub fn list(home: &Home) -> Vec<UnfinishedDownload> {
    let Ok(entries) = fs::read_dir(home.downloads()) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .flatten()
        .filter_map(|entry| UnfinishedDownload::at(&entry.path()))
        .collect();
    found.sort_by_key(|download| download.begun);
    found
}

/// Removes an unfinished download with its contents. Blocks.
///
/// # Errors
/// Returns `not_found` if the id is unknown, and `in_use` if a process is downloading it. Fails
/// otherwise as the file system does.
pub fn drop_unfinished(home: &Home, id: &str) -> Result<(), Problem> {
    let mut downloads = list(home).into_iter();
    match downloads.find(|download| download.id == id) {
        Some(download) => download.remove(),
        None => Err(Problem::not_found(format!(
            "no unfinished download has the id '{id}'"
        ))),
    }
}

/// Removes downloads that have expired by `now` and downloads without a target. Blocks.
pub fn sweep(home: &Home, now: SystemTime) {
    for download in list(home) {
        if download.is_running || !(download.expires <= now || download.is_orphaned()) {
            continue;
        }
        match download.remove() {
            Ok(()) => tracing::info!(
                path = %download.contents_path.display(),
                "removed an unfinished download"
            ),
            // A process has started to download it.
            Err(problem) if problem.code == ErrorCode::InUse => {}
            Err(problem) => tracing::warn!("{problem}"),
        }
    }
}

/// Sweeps the unfinished downloads of a peer's home until the peer stops.
pub async fn run_sweeps(home: Home, stop: CancellationToken) {
    loop {
        let home = home.clone();
        // Failures are logged by `sweep`.
        let _ = task::start_blocking(move || sweep(&home, SystemTime::now())).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
    }
}

/// Removes the state of ended downloads of this content into this folder. Blocks.
pub(crate) fn remove_ended_in(home: &Home, hash: &ContentHash, folder: &Path) {
    let folder = PathBuf::from(absolute(folder));
    forget(home, |download| {
        download.hash == *hash && download.target.starts_with(&folder)
    });
}

/// Removes the state of downloads of this content to this target, because the file is in place.
/// Blocks.
pub(super) fn remove_completed(home: &Home, hash: &ContentHash, target: &Path) {
    let target = PathBuf::from(absolute(target));
    forget(home, |download| {
        download.hash == *hash && download.target == target
    });
}

fn forget(home: &Home, is_over: impl Fn(&UnfinishedDownload) -> bool) {
    let over = list(home).into_iter().filter(is_over);
    for download in over.filter(|download| !download.is_running) {
        if let Err(problem) = download.remove() {
            tracing::debug!("{problem}");
        }
    }
}

#[cfg(test)]
mod tests;
