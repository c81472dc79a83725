//! Hearing from the system that something in a share changed, so that it is looked at soon.
//!
//! A hint and no more: what changed is found by looking ([`crate::indexing`]), and everything is
//! looked at again from time to time, because a system may tell too little: folders that appear
//! while others are being watched, a queue that overflowed (inotify(7), "Limitations and caveats"),
//! a limit on watches, a network file system that tells nothing at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::scan::is_hidden;
use crate::shares::Share;

/// A file that nobody touched for so long is looked at: it is not being written just now.
const QUIET: Duration = Duration::from_millis(500);
/// With more places than that to look at, everything is looked at instead.
const PLACES_MAX: usize = 100_000;

/// What was heard and not looked at yet. It knows no clock: times are told.
#[derive(Debug, Default)]
struct Unsettled {
    /// When each place was touched last.
    touched: HashMap<PathBuf, Instant>,
    /// Something was missed: everything has to be looked at.
    everything: bool,
}

impl Unsettled {
    fn note(&mut self, path: PathBuf, now: Instant) {
        if self.everything {
            return;
        }
        if self.touched.len() >= PLACES_MAX && !self.touched.contains_key(&path) {
            self.miss();
            return;
        }
        self.touched.insert(path, now);
    }

    fn miss(&mut self) {
        self.everything = true;
        self.touched.clear();
    }

    /// When there is something to look at; none if nothing was touched.
    fn due(&self, now: Instant) -> Option<Instant> {
        if self.everything {
            return Some(now);
        }
        self.touched.values().min().map(|touched| *touched + QUIET)
    }

    /// Takes the places that are quiet; everything if something was missed.
    fn take(&mut self, now: Instant) -> Look {
        if std::mem::take(&mut self.everything) {
            return Look::Everywhere;
        }
        let mut places = BTreeSet::new();
        self.touched.retain(|path, touched| {
            let quiet = now.saturating_duration_since(*touched) >= QUIET;
            if quiet {
                places.insert(path.clone());
            }
            !quiet
        });
        Look::At(places)
    }
}

/// Where to look.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// At everything that is shared.
    Everywhere,
    /// At these files, and at these folders with all that is below them.
    At(BTreeSet<PathBuf>),
}

#[derive(Default)]
struct Heard {
    unsettled: Mutex<Unsettled>,
    news: Notify,
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Unsettled> {
        self.unsettled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, event: notify::Result<Event>) {
        match event {
            // A watch could not be added, or the queue could not be read.
            Err(_) => self.lock().miss(),
            Ok(event) if event.need_rescan() => self.lock().miss(),
            Ok(event) if !changes(event.kind) => return,
            Ok(event) => {
                let now = Instant::now();
                let mut unsettled = self.lock();
                for path in event.paths {
                    unsettled.note(path, now);
                }
            }
        }
        self.news.notify_one();
    }
}

/// Whether an event of this kind says that something is different: to be read is nothing.
fn changes(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// Watches the shares of a peer.
pub struct Watch {
    heard: Arc<Heard>,
    /// None where the system has no watches to give.
    watcher: Option<RecommendedWatcher>,
    roots: BTreeSet<PathBuf>,
    /// Whether the last failure was told to the log.
    told: bool,
}

impl Watch {
    /// Watches nothing yet.
    pub fn new() -> Self {
        let heard = Arc::new(Heard::default());
        let config = notify::Config::default().with_follow_symlinks(false);
        let hears = heard.clone();
        let watcher = RecommendedWatcher::new(move |event| hears.hear(event), config);
        if let Err(error) = &watcher {
            warn!("changes are noticed by looking only: {error}");
        }
        Self {
            heard,
            watcher: watcher.ok(),
            roots: BTreeSet::new(),
            told: false,
        }
    }

    /// Watches these shares and no others; what is watched already is walked again for folders
    /// that were missed. Blocks. Whether all of it is watched.
    pub fn follow(&mut self, shares: &[Share]) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        let roots = watched_roots(shares);
        let is_gone = |root: &&PathBuf| !roots.contains_key(*root);
        for gone in self.roots.iter().filter(is_gone) {
            // It may be gone from the disk as well.
            let _ = watcher.unwatch(gone);
        }
        let mut failed = None;
        for (root, mode) in &roots {
            if let Err(error) = watcher.watch(root, *mode) {
                failed = Some(error);
            }
        }
        self.roots = roots.into_keys().collect();
        if let Some(error) = &failed {
            if !self.told {
                explain(error);
            }
        } else if self.told {
            info!("all shares are watched for changes again");
        }
        self.told = failed.is_some();
        failed.is_none()
    }

    /// Waits until there is something to look at.
    pub async fn settled(&self) -> Look {
        loop {
            let now = Instant::now();
            let due = self.heard.lock().due(now);
            match due {
                Some(due) if due <= now => return self.heard.lock().take(now),
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => self.heard.news.notified().await,
            }
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

/// What is watched, and how. A place that is watched with all below it is never watched a second time
/// without: the folders that come to be in it would not be noticed any more.
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

/// What is watched for a share: its folder; for a file the folder it is in, because a file is
/// often replaced by another of its name.
fn watched_root(share: &Share) -> PathBuf {
    match share.root.parent() {
        Some(folder) if share.root.is_file() => folder.to_path_buf(),
        _ => share.root.to_path_buf(),
    }
}

fn explain(error: &notify::Error) {
    let hint = match error.kind {
        ErrorKind::MaxFilesWatch => {
            "; to have them noticed at once, raise fs.inotify.max_user_watches (sysctl)"
        }
        _ => "",
    };
    warn!("not all shares can be watched, changes are noticed by looking: {error}{hint}");
}

/// Where in a share `path` is, if it is in it and every part of the way is shown: the inner path.
pub fn place_in<'a>(share: &Share, path: &'a Path) -> Option<&'a Path> {
    let inner = path.strip_prefix(&*share.root).ok()?;
    let mut parts = inner.components();
    (!parts.any(|part| is_hidden(part.as_os_str()))).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(look: Look) -> Vec<PathBuf> {
        match look {
            Look::At(places) => places.into_iter().collect(),
            Look::Everywhere => panic!("everything"),
        }
    }

    #[test]
    fn what_is_still_written_waits_and_the_rest_does_not() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut unsettled = Unsettled::default();
        assert_eq!(unsettled.due(start), None);
        unsettled.note("a".into(), at(0));
        for ms in (0..2_000).step_by(100) {
            unsettled.note("busy".into(), at(ms));
        }
        assert_eq!(unsettled.due(at(600)), Some(at(500)));
        assert_eq!(places(unsettled.take(at(1_950))), [PathBuf::from("a")]);
        assert_eq!(unsettled.due(at(1_950)), Some(at(2_400)));
        assert!(places(unsettled.take(at(2_399))).is_empty());
        assert_eq!(places(unsettled.take(at(2_400))), [PathBuf::from("busy")]);
        assert_eq!(unsettled.due(at(9_000)), None);
    }

    #[test]
    fn too_much_to_remember_is_everything() {
        let now = Instant::now();
        let mut unsettled = Unsettled::default();
        for number in 0..=PLACES_MAX {
            unsettled.note(number.to_string().into(), now);
        }
        assert_eq!(unsettled.due(now), Some(now));
        assert_eq!(unsettled.take(now), Look::Everywhere);
        assert_eq!(unsettled.due(now), None);
    }

    #[tokio::test]
    async fn folders_that_come_are_watched_also_beside_a_file_that_is_shared_by_itself() {
        let place = tempfile::tempdir().unwrap();
        let root = dunce::canonicalize(place.path()).unwrap();
        std::fs::create_dir(root.join("sub")).unwrap();
        let share = |root: PathBuf| Share {
            space: None,
            name: "s".to_owned(),
            root: root.into(),
        };
        let mut shares = vec![share(root.clone())];
        for name in ["file", "sub/file"] {
            std::fs::write(root.join(name), "x").unwrap();
            shares.push(share(root.join(name)));
        }
        let mut watch = Watch::new();
        assert!(watch.follow(&shares));
        assert!(watch.follow(&shares));
        let heard = async |place: PathBuf| {
            let waits = async { while !places(watch.settled().await).contains(&place) {} };
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
    fn what_was_missed_is_everything() {
        let heard = Heard::default();
        heard.hear(Err(notify::Error::new(ErrorKind::MaxFilesWatch)));
        assert_eq!(heard.lock().take(Instant::now()), Look::Everywhere);
        let overflow = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        heard.hear(Ok(overflow));
        assert_eq!(heard.lock().take(Instant::now()), Look::Everywhere);
    }

    #[test]
    fn to_be_read_is_no_change() {
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
    fn hidden_places_and_those_outside_are_nobodys() {
        let share = Share {
            space: None,
            name: "s".to_owned(),
            root: Path::new("/r/.s").into(),
        };
        let place = |path| place_in(&share, Path::new(path)).and_then(Path::to_str);
        assert_eq!(place("/r/.s/a/b"), Some("a/b"));
        assert_eq!(place("/r/.s"), Some(""));
        assert_eq!(place("/r/.s/.git/x"), None);
        assert_eq!(place("/r/.sa"), None);
    }
}
