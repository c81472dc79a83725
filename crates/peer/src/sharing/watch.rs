//! Watches shared folders for changes, so that they are scanned soon.
//!
//! Events are hints only: scans find out what changed ([`crate::sharing::indexing`]), and full
//! scans run periodically, because systems may miss events: folders created while others are being
//! added, a queue overflow (inotify(7), "Limitations and caveats"), a limit on watches, a network
//! file system that reports nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use notify::event::{AccessKind, AccessMode};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::fs::names::{UNFINISHED_MARKER, is_hidden};
use crate::sharing::changed_places::{ChangedPlaces, ScanScope};
use crate::sharing::shares::Share;
use crate::sharing::skipped::{SkipReason, SkippedPaths};

/// The events of the watches, as changed places.
struct WatchEvents {
    unsettled: Arc<Mutex<ChangedPlaces>>,
    news: Notify,
}

impl WatchEvents {
    fn handle_event(&self, event: notify::Result<Event>) {
        match event {
            // A watch could not be added, or the queue could not be read.
            Err(_) => self.unsettled.lock().mark_missed(),
            Ok(event) if event.need_rescan() => self.unsettled.lock().mark_missed(),
            Ok(event) if !changes(event.kind) => return,
            Ok(event) => {
                let now = Instant::now();
                let mut unsettled = self.unsettled.lock();
                for path in event.paths {
                    unsettled.note(scanned_place(path), now);
                }
            }
        }
        self.news.notify_one();
    }
}

/// Returns the place to scan after an event at `path`. The marker of an unfinished download is
/// hidden, but says something about its folder.
fn scanned_place(path: PathBuf) -> PathBuf {
    match path.parent() {
        Some(folder)
            if path
                .file_name()
                .is_some_and(|name| name == UNFINISHED_MARKER) =>
        {
            folder.to_path_buf()
        }
        _ => path,
    }
}

/// Returns whether an event of this kind means a change. Reading is no change.
fn changes(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// The watches of a peer's shares.
pub struct ShareWatcher {
    events: Arc<WatchEvents>,
    /// `None` if the system provides no watches.
    watcher: Option<RecommendedWatcher>,
    roots: BTreeSet<PathBuf>,
    /// Whether the current failure is logged.
    is_failure_logged: bool,
}

impl ShareWatcher {
    /// Creates an instance without watches that reports to `changed`.
    pub fn new(changed: Arc<Mutex<ChangedPlaces>>) -> Self {
        let events = Arc::new(WatchEvents {
            unsettled: changed,
            news: Notify::new(),
        });
        let config = notify::Config::default().with_follow_symlinks(false);
        let handler = events.clone();
        let watcher = RecommendedWatcher::new(move |event| handler.handle_event(event), config);
        if let Err(error) = &watcher {
            warn!("cannot watch shares, changes are found by periodic scans only: {error}");
        }
        Self {
            events,
            watcher: watcher.ok(),
            roots: BTreeSet::new(),
            is_failure_logged: false,
        }
    }

    /// Watches exactly these shares. Watched folders are walked again, for subfolders that were
    /// missed. Blocks.
    pub fn watch_shares(&mut self, shares: &[Share]) -> WatchResult {
        let Some(watcher) = &mut self.watcher else {
            let whole = shares.iter().map(|share| (share.root.clone(), whole()));
            return WatchResult {
                all: false,
                unwatched: whole.collect(),
            };
        };
        let roots = watched_roots(shares);
        let is_gone = |root: &&PathBuf| !roots.contains_key(*root);
        for gone in self.roots.iter().filter(is_gone) {
            // The folder may no longer exist.
            let _ = watcher.unwatch(gone);
        }
        let mut failures = WatchFailures::default();
        for (root, mode) in &roots {
            watch_tree(watcher, root, *mode, &mut failures);
        }
        self.roots = roots.into_keys().collect();
        let mut unwatched = Unwatched::new();
        let mut all = true;
        for folder in &failures.folders {
            for share in shares {
                // Hidden folders are not shared.
                let Some(inner) = visible_path_in(share, folder) else {
                    continue;
                };
                all = false;
                if folder.symlink_metadata().is_ok() {
                    let skipped = unwatched.entry(share.root.clone()).or_default();
                    skipped.note(SkipReason::Unwatched, inner);
                }
            }
        }
        match &failures.first {
            Some(error) if !all && !self.is_failure_logged => explain(error),
            None if self.is_failure_logged => info!("all shares are watched for changes again"),
            _ => {}
        }
        self.is_failure_logged = !all;
        WatchResult { all, unwatched }
    }

    /// Waits until a scan is needed and returns its scope. No scan runs meanwhile.
    pub async fn next_scope(&self) -> ScanScope {
        self.events.unsettled.lock().end_scan();
        loop {
            let now = Instant::now();
            let due = self.events.unsettled.lock().due(now);
            match due {
                Some(due) if due <= now => return self.events.unsettled.lock().take(now),
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => self.events.news.notified().await,
            }
        }
    }
}

/// For each share root: folders that cannot be watched, each with everything below it.
pub type Unwatched = HashMap<Arc<Path>, SkippedPaths>;

/// The result of watching the shares.
#[derive(Debug)]
pub struct WatchResult {
    /// Whether all folders are watched.
    pub all: bool,
    /// The folders that exist and are not watched.
    pub unwatched: Unwatched,
}

fn whole() -> SkippedPaths {
    let mut skipped = SkippedPaths::default();
    skipped.note(SkipReason::Unwatched, Path::new(""));
    skipped
}

/// Folders that cannot be watched, each with everything below it.
#[derive(Default)]
struct WatchFailures {
    folders: Vec<PathBuf>,
    first: Option<notify::Error>,
}

/// Watches a folder. The watcher fails for a whole tree if one folder in it cannot be read. Then
/// the subfolders are watched one by one.
fn watch_tree(
    watcher: &mut RecommendedWatcher,
    folder: &Path,
    mode: RecursiveMode,
    failures: &mut WatchFailures,
) {
    let Err(error) = watcher.watch(folder, mode) else {
        return;
    };
    let is_itself = error.paths.is_empty() || error.paths.iter().any(|path| path == folder);
    failures.first.get_or_insert(error);
    if is_itself || mode == RecursiveMode::NonRecursive {
        failures.folders.push(folder.to_owned());
        return;
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        failures.folders.push(folder.to_owned());
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            watch_tree(watcher, &entry.path(), mode, failures);
        }
    }
}

/// Returns the folders to watch and how. A folder that is watched recursively is never added a
/// second time without recursion: new subfolders would no longer be noticed.
fn watched_roots(shares: &[Share]) -> BTreeMap<PathBuf, RecursiveMode> {
    let (whole, alone): (Vec<PathBuf>, Vec<PathBuf>) = {
        let roots = shares.iter().map(|share| (watched_root(share), share));
        let (whole, alone): (Vec<_>, Vec<_>) =
            roots.partition(|(root, share)| *root == *share.root);
        let only =
            |pairs: Vec<(PathBuf, &Share)>| pairs.into_iter().map(|(root, _)| root).collect();
        (only(whole), only(alone))
    };
    let mut alone = alone;
    alone.retain(|folder| !whole.iter().any(|root| folder.starts_with(root)));
    let alone = alone
        .into_iter()
        .map(|root| (root, RecursiveMode::NonRecursive));
    let whole = whole
        .into_iter()
        .map(|root| (root, RecursiveMode::Recursive));
    alone.chain(whole).collect()
}

/// Returns the folder to watch for a share: the shared folder, or the folder that contains a shared
/// file, because a file is often replaced by another of the same name.
fn watched_root(share: &Share) -> PathBuf {
    match share.root.parent() {
        Some(folder) if share.root.is_file() => folder.to_path_buf(),
        _ => share.root.to_path_buf(),
    }
}

fn explain(error: &notify::Error) {
    let hint = match error.kind {
        ErrorKind::MaxFilesWatch => {
            "; to notice them at once, raise fs.inotify.max_user_watches (sysctl)"
        }
        _ => "",
    };
    warn!(
        "some shares cannot be watched, their changes are found by periodic scans: {error}{hint}"
    );
}

/// Returns the path of `path` relative to a share, if it is in the share and no component of it is
/// hidden.
pub fn visible_path_in<'a>(share: &Share, path: &'a Path) -> Option<&'a Path> {
    let inner = path.strip_prefix(&*share.root).ok()?;
    let mut parts = inner.components();
    (!parts.any(|part| is_hidden(part.as_os_str()))).then_some(inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn places(look: ScanScope) -> Vec<PathBuf> {
        match look {
            ScanScope::Places(places) => places.into_iter().collect(),
            ScanScope::All => panic!("everything"),
        }
    }

    #[tokio::test]
    async fn new_folders_are_watched_beside_a_shared_file() {
        let place = tempfile::tempdir().unwrap();
        let root = dunce::canonicalize(place.path()).unwrap();
        std::fs::create_dir(root.join("sub")).unwrap();
        let share = |root: PathBuf| Share {
            space: None,
            mount: None,
            name: "s".to_owned(),
            root: root.into(),
        };
        let mut shares = vec![share(root.clone())];
        for name in ["file", "sub/file"] {
            std::fs::write(root.join(name), "x").unwrap();
            shares.push(share(root.join(name)));
        }
        let mut watch = ShareWatcher::new(Arc::default());
        assert!(watch.watch_shares(&shares).all);
        assert!(watch.watch_shares(&shares).all);
        let heard = async |place: PathBuf| {
            let waits = async { while !places(watch.next_scope().await).contains(&place) {} };
            let heard = tokio::time::timeout(Duration::from_secs(20), waits).await;
            assert!(heard.is_ok(), "{}", place.display());
        };
        for folder in ["new", "sub/new"] {
            let folder = root.join(folder);
            std::fs::create_dir(&folder).unwrap();
            heard(folder.clone()).await;
            std::fs::write(folder.join("x"), "x").unwrap();
            heard(folder.join("x")).await;
        }
    }

    #[test]
    fn missed_events_cause_a_full_scan() {
        let events = WatchEvents {
            unsettled: Arc::default(),
            news: Notify::new(),
        };
        events.handle_event(Err(notify::Error::new(ErrorKind::MaxFilesWatch)));
        assert_eq!(events.unsettled.lock().take(Instant::now()), ScanScope::All);
        let overflow = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        events.handle_event(Ok(overflow));
        assert_eq!(events.unsettled.lock().take(Instant::now()), ScanScope::All);
    }

    #[test]
    fn reading_is_not_a_change() {
        use notify::event::{CreateKind, ModifyKind, RemoveKind};
        assert!(!changes(EventKind::Access(AccessKind::Open(
            AccessMode::Any
        ))));
        assert!(!changes(EventKind::Access(AccessKind::Close(
            AccessMode::Read
        ))));
        assert!(changes(EventKind::Access(AccessKind::Close(
            AccessMode::Write
        ))));
        assert!(changes(EventKind::Create(CreateKind::Any)));
        assert!(changes(EventKind::Modify(ModifyKind::Any)));
        assert!(changes(EventKind::Remove(RemoveKind::Any)));
    }

    #[test]
    fn hidden_and_outside_paths_are_ignored() {
        let share = Share {
            space: None,
            mount: None,
            name: "s".to_owned(),
            root: Path::new("/r/.s").into(),
        };
        let place = |path| visible_path_in(&share, Path::new(path)).and_then(Path::to_str);
        assert_eq!(place("/r/.s/a/b"), Some("a/b"));
        assert_eq!(place("/r/.s"), Some(""));
        assert_eq!(place("/r/.s/.git/x"), None);
        assert_eq!(place("/r/.sa"), None);
    }
}
