//! Computes the folders of the shares: their manifests, bottom-up, for folders with changes only.
//!
//! A folder is computed when everything below it is hashed and its changes have settled
//! ([`crate::sharing::folder_readiness`]). A file that keeps changing is not part of its folders
//! until it rests, so that it does not hold them up.
//!
//! One task, `run_folders`, which ends when the peer stops. A full scan computes folders at its end,
//! too. Only one of them computes at a time, and neither while a scan enters what it found.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use convite_core::folder::{DEPTH_MAX, FOLDERS_MAX};
use convite_core::{ErrorCode, SafePath};
use convite_net::task;
use tracing::{debug, warn};

use crate::sharing::catalogue::{
    Catalogue, ChangeTimes, FolderEntry, FolderLevel, FolderState, IndexedFolder, summary,
};
use crate::sharing::changed_places::CHANGING_TIME;
use crate::sharing::folder_readiness::{ReadyFolders, Urgency};
use crate::sharing::shared_files::SharedFiles;
use crate::sharing::watch::visible_path_in;

/// The time between two checks while nothing is known to change.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);
/// The shortest time between two checks.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Computing folders takes at most one part in this many of the time.
const DUTY_CYCLE: u32 = 5;
/// Results are stored in batches of this many.
const BATCH: usize = 1000;

/// Computes folders until the peer stops.
pub async fn run_folders(files: Arc<SharedFiles>) {
    let mut changes = files.catalogue.changes();
    while !files.stop.is_cancelled() {
        let began = Instant::now();
        changes.mark_unchanged();
        let work = files.clone();
        let settled =
            task::start_blocking(move || settle(&work, Instant::now(), Urgency::Settled)).await;
        let next = settled.unwrap_or_else(|error| {
            warn!("computing folders failed: {error}");
            None
        });
        let pause = (began.elapsed() * DUTY_CYCLE).max(CHECK_INTERVAL);
        let earliest = Instant::now() + pause;
        let next = next.map_or(earliest + IDLE_INTERVAL, |next| next.max(earliest));
        let changed = async {
            tokio::time::sleep_until(earliest.into()).await;
            // The sender lives as long as the files.
            let _ = changes.changed().await;
        };
        tokio::select! {
            () = files.stop.cancelled() => return,
            () = tokio::time::sleep_until(next.into()) => {}
            () = changed => {}
        }
    }
}

/// Computes the folders that are ready and queues them for publishing. Returns when to look again;
/// `None` if nothing is waiting. Blocks.
pub fn settle(files: &SharedFiles, now: Instant, urgency: Urgency) -> Option<Instant> {
    let _turn = files.settling.lock();
    update_left_out(files, now);
    let changed = files.catalogue.changed_folders();
    if changed.is_empty() {
        return None;
    }
    let blocked = blocked_folders(files, now);
    let ready = ReadyFolders::new(&changed, &blocked, now, urgency);
    let queued = compute(files, &changed, &ready);
    if queued {
        files.publish_queue.flush();
    }
    ready.next
}

/// Determines the files that are not part of folders because they keep changing.
fn update_left_out(files: &SharedFiles, now: Instant) {
    let places = {
        let mut changed = files.changed_places.lock();
        if !changed.has_streaks() {
            Vec::new()
        } else {
            changed.changing(now)
        }
    };
    let mut left_out = HashSet::new();
    for place in places {
        for path in published_paths(files, &place) {
            // Folders have events as well. Only files are left out.
            if !files.catalogue.has_folder(&path) {
                left_out.insert(path);
            }
        }
    }
    files.catalogue.set_left_out(left_out);
}

/// Returns the published paths of a place in the shares.
fn published_paths(files: &SharedFiles, place: &Path) -> Vec<SafePath> {
    let shares = files.shares();
    let paths = shares.iter().filter_map(|share| {
        let inner = visible_path_in(share, place)?;
        let path = share.published(inner).ok()?;
        (!share.excludes(place, &shares)).then_some(path)
    });
    paths.collect()
}

/// Returns the folders with entries that are unknown: files that are being hashed, and files and
/// folders that changed since they were scanned.
fn blocked_folders(files: &SharedFiles, now: Instant) -> HashSet<String> {
    let catalogue = &files.catalogue;
    let mut blocked = catalogue.folders_with_unknown_files(now, CHANGING_TIME);
    blocked.extend(files.unhashed.folders());
    let unscanned: Vec<_> = {
        let changed = files.changed_places.lock();
        changed.unscanned().map(Path::to_path_buf).collect()
    };
    for place in unscanned {
        for path in published_paths(files, &place) {
            // New files and folders do not count: without them, the folder is what it was.
            if catalogue.has_folder(&path) {
                blocked.insert(path.to_string());
            } else if catalogue.by_path(&path).is_some() && !catalogue.is_left_out(&path) {
                blocked.extend(path.parent().map(str::to_owned));
            }
        }
    }
    blocked
}

/// Computes the changed folders that are ready, innermost first. Returns whether any was queued for
/// publishing.
fn compute(
    files: &SharedFiles,
    changed: &HashMap<SafePath, ChangeTimes>,
    ready: &ReadyFolders<'_>,
) -> bool {
    let mut levels: BTreeMap<usize, BTreeSet<SafePath>> = BTreeMap::new();
    for path in changed.keys() {
        if ready.contains(path.as_str()) {
            let depth = path.parts().count();
            levels.entry(depth).or_default().insert(path.clone());
        }
    }
    let mut queued = false;
    while let Some((depth, paths)) = levels.pop_last() {
        let paths: Vec<SafePath> = paths.into_iter().collect();
        for batch in paths.chunks(BATCH) {
            for (path, times) in compute_batch(files, batch) {
                if let Some(parent) = path.parent() {
                    files.catalogue.mark_folder(parent, times);
                    if ready.contains(parent)
                        && let Ok(parent) = parent.parse()
                    {
                        levels.entry(depth - 1).or_default().insert(parent);
                    }
                }
                files.publish_queue.add(path);
                queued = true;
            }
        }
    }
    queued
}

/// Computes folders that do not contain each other. Returns those that are different now, each with
/// the times of the changes.
fn compute_batch(files: &SharedFiles, paths: &[SafePath]) -> Vec<(SafePath, ChangeTimes)> {
    let catalogue = &files.catalogue;
    let mut computed = Vec::with_capacity(paths.len());
    let mut all_times = HashMap::with_capacity(paths.len());
    for path in paths {
        let Some(times) = catalogue.take_folder_mark(path) else {
            continue;
        };
        match folder_state(catalogue, path) {
            Some(state) => {
                computed.push((path.clone(), state));
                all_times.insert(path, times);
            }
            None => catalogue.mark_folder(path.as_str(), times),
        }
    }
    let stored = catalogue.store_folders(computed).into_iter();
    let stored = stored.filter_map(|path| {
        let times = *all_times.get(&path)?;
        Some((path, times))
    });
    stored.collect()
}

/// Computes a folder from its entries; `None` if one of them is not known yet.
fn folder_state(catalogue: &Catalogue, path: &SafePath) -> Option<FolderState> {
    let entries = match catalogue.folder_level(path) {
        FolderLevel::Entries(entries) => entries,
        FolderLevel::NotReady => return None,
        FolderLevel::Unfinished => return Some(FolderState::Unfinished),
        FolderLevel::TooLarge => return Some(FolderState::TooLarge),
        FolderLevel::AboveTooLarge => return Some(FolderState::AboveTooLarge),
    };
    let (mut folders, mut depth) = (0, 0);
    for entry in &entries {
        depth = depth.max(match entry {
            FolderEntry::File(_) => 1,
            FolderEntry::Folder(folder) => 1 + folder.depth,
        });
        if let FolderEntry::Folder(folder) = entry {
            folders += 1 + folder.folders;
        }
    }
    if depth > DEPTH_MAX || folders > FOLDERS_MAX {
        return Some(FolderState::TooLarge);
    }
    let manifest = match summary(&entries) {
        Ok(manifest) => manifest,
        Err(problem) if problem.code == ErrorCode::TooLarge => return Some(FolderState::TooLarge),
        Err(problem) => {
            // A file became a folder of the same name during a scan.
            debug!("{path}: {problem}");
            return None;
        }
    };
    catalogue.folder_share(path, |share| {
        FolderState::Known(Arc::new(IndexedFolder {
            path: path.clone(),
            root: share.root.clone(),
            space: share.space.cloned(),
            hash: manifest.hash,
            size: manifest.size,
            files: manifest.files,
            folders,
            depth,
        }))
    })
}

#[cfg(test)]
mod tests;
