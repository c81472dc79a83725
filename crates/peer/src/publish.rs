//! Telling the directory what is shared: what it ought to know (the catalogue) is compared with
//! what it was told (the cache), path by path for whatever was noted as different, and the
//! difference is sent as the next generation. So nothing is lost or sent twice, whatever the
//! order of events, and a restart sends only what changed while the peer was off.
//!
//! What the directory refuses in one space holds up nothing in others: a change that it refuses is sent
//! again space by space, and what it refuses even so is told to nobody ([`crate::refusals`]).
//!
//! If the directory holds another generation than the one it was told last, it is sent the whole.
//! One task; while the directory cannot be reached it tries again, less and less often.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use convite_core::model::FileEntry;
use convite_core::{ErrorCode, Problem, SafePath, SpaceName, UnixMillis};
use tokio::sync::{Notify, mpsc, watch};
use tracing::{debug, info, warn};

use crate::cache::Cache;
use crate::catalogue::Catalogue;
use crate::directory::Directory;
use crate::state::PeerState;

/// The most files in one change, and in one batch of the whole.
const BATCH: usize = 5000;
/// How long changes are gathered.
const GATHER: Duration = Duration::from_millis(200);
/// Between two attempts, first and at most.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(500);
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(30);

/// How far publishing is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether the directory was told everything that was noted.
    pub settled: bool,
    /// Why the last attempt failed, if it did.
    pub trouble: Option<Problem>,
}

/// What the directory has not been told yet.
pub struct Pending {
    paths: Mutex<HashSet<SafePath>>,
    news: Notify,
    whole: AtomicBool,
    hurry: AtomicBool,
    progress: watch::Sender<Progress>,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            paths: Mutex::default(),
            news: Notify::new(),
            whole: AtomicBool::new(false),
            hurry: AtomicBool::new(false),
            progress: watch::Sender::new(Progress {
                settled: true,
                trouble: None,
            }),
        }
    }
}

impl Pending {
    /// Notes that `path` may be different from what the directory was told.
    pub fn note(&self, path: SafePath) {
        self.paths().insert(path);
        self.unsettle();
    }

    /// Notes that the directory needs to be told everything.
    pub fn note_whole(&self) {
        self.whole.store(true, Ordering::SeqCst);
        self.unsettle();
    }

    /// Sends what is noted without gathering more: there will be no more for a while.
    pub fn hurry(&self) {
        self.hurry.store(true, Ordering::SeqCst);
        self.news.notify_one();
    }

    /// How far publishing is.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// How many paths are noted.
    pub fn count(&self) -> u64 {
        self.paths().len() as u64
    }

    fn unsettle(&self) {
        self.progress
            .send_if_modified(|progress| std::mem::replace(&mut progress.settled, false));
        self.news.notify_one();
    }

    fn is_empty(&self) -> bool {
        self.paths().is_empty() && !self.whole.load(Ordering::SeqCst)
    }

    /// Takes up to [`BATCH`] paths, in order, as the directory's database likes them.
    fn take(&self) -> Vec<SafePath> {
        let mut paths = self.paths();
        let mut taken: Vec<SafePath> = if paths.len() <= BATCH {
            std::mem::take(&mut *paths).into_iter().collect()
        } else {
            let some: Vec<_> = paths.iter().take(BATCH).cloned().collect();
            for path in &some {
                paths.remove(path);
            }
            some
        };
        taken.sort_unstable();
        taken
    }

    fn done(&self, result: Result<(), Problem>) {
        let paths = self.paths();
        let settled = paths.is_empty() && !self.whole.load(Ordering::SeqCst) && result.is_ok();
        let progress = Progress {
            settled,
            trouble: result.err(),
        };
        // Under the lock, so that what is noted now comes after.
        self.progress.send_if_modified(|old| {
            let changed = *old != progress;
            *old = progress;
            changed
        });
    }

    fn paths(&self) -> MutexGuard<'_, HashSet<SafePath>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What publishing needs.
#[derive(Clone)]
pub struct Publishing {
    /// Whom to tell.
    pub directory: Arc<dyn Directory>,
    /// Who tells.
    pub state: Arc<PeerState>,
    /// What was told.
    pub cache: Arc<Cache>,
}

impl Publishing {
    /// Publishes until the peer stops; only while the directory lists it.
    pub async fn run_publishing(self) {
        let stop = self.state.stop.clone();
        let work = async {
            let mut online = self.state.online.subscribe();
            let mut pause = RETRY_FIRST;
            loop {
                if online.wait_for(|online| online.listed).await.is_err() {
                    return;
                }
                self.gather().await;
                let result = self.publish().await;
                if let Err(problem) = &result {
                    debug!("publishing failed: {problem}");
                }
                let failed = result.is_err();
                self.state.pending.done(result);
                if failed {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                } else {
                    pause = RETRY_FIRST;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    /// Waits for something to publish, and a little for more of it.
    async fn gather(&self) {
        let pending = &self.state.pending;
        while pending.is_empty() {
            pending.news.notified().await;
        }
        let enough = async {
            while !pending.hurry.swap(false, Ordering::SeqCst) && pending.paths().len() < BATCH {
                pending.news.notified().await;
            }
        };
        // That the time ran out is as good.
        let _ = tokio::time::timeout(GATHER, enough).await;
    }

    /// Publishes once: the whole if that is needed, else one batch of changes.
    async fn publish(&self) -> Result<(), Problem> {
        let pending = &self.state.pending;
        if pending.whole.load(Ordering::SeqCst) {
            return self.publish_whole().await;
        }
        let paths = pending.take();
        let more = !pending.paths().is_empty();
        if more {
            pending.hurry.store(true, Ordering::SeqCst);
        }
        let result = self.publish_change(&paths, more).await;
        match &result {
            Ok(()) => {}
            Err(problem) if problem.code == ErrorCode::GenerationMismatch => {
                info!("the directory holds another state of this peer: sending all of it");
                pending.note_whole();
                pending.paths().extend(paths);
                return self.publish_whole().await;
            }
            Err(_) => pending.paths().extend(paths),
        }
        result
    }

    async fn publish_change(&self, paths: &[SafePath], more: bool) -> Result<(), Problem> {
        let PeerState {
            catalogue,
            refusals,
            ..
        } = &*self.state;
        let shown = |path| {
            let file = catalogue.by_path(path);
            let file = file.filter(|file| refusals.allow(file.space.as_deref()));
            file.map(|file| file.entry())
        };
        let wanted = paths.iter().map(|p| (p.clone(), shown(p))).collect();
        let cache = self.cache.clone();
        let (upsert, remove) = in_background(move || cache.unpublished(wanted)).await?;
        if upsert.is_empty() && remove.is_empty() {
            return Ok(());
        }
        let in_spaces = upsert.iter().any(|file| file.space.is_some());
        match self.send(upsert.clone(), remove.clone()).await {
            Err(problem) if problem.code == ErrorCode::PermissionDenied && in_spaces => {
                self.send_by_space(upsert, remove).await?;
            }
            sent => sent?,
        }
        // Forgotten by a kill, the generation would cost the sending of the whole index.
        if more {
            return Ok(());
        }
        let cache = self.cache.clone();
        in_background(move || cache.sync()).await
    }

    /// Sends one change and notes it as told.
    async fn send(&self, upsert: Vec<FileEntry>, remove: Vec<SafePath>) -> Result<(), Problem> {
        let cache = self.cache.clone();
        let base = in_background(move || cache.generation()).await?;
        let published = self
            .directory
            .publish_change(
                &self.state.id,
                base,
                next_generation(base),
                upsert.clone(),
                remove.clone(),
            )
            .await?;
        let cache = self.cache.clone();
        in_background(move || cache.published(published.generation, &upsert, &remove)).await
    }

    /// Sends a change space by space, so that one which is refused takes no other with it.
    async fn send_by_space(
        &self,
        upsert: Vec<FileEntry>,
        remove: Vec<SafePath>,
    ) -> Result<(), Problem> {
        let mut spaces = BTreeMap::<Option<SpaceName>, Vec<FileEntry>>::new();
        for file in upsert {
            spaces.entry(file.space.clone()).or_default().push(file);
        }
        let for_everyone = spaces.remove(&None).unwrap_or_default();
        if !for_everyone.is_empty() || !remove.is_empty() {
            self.send(for_everyone, remove).await?;
        }
        for (space, files) in spaces {
            let Some(space) = space else { continue };
            let paths: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
            match self.send(files, Vec::new()).await {
                Err(problem) if problem.code == ErrorCode::PermissionDenied => {
                    if self.state.refusals.note(space, problem.clone()) {
                        warn!("the directory takes no files in a space: {problem}");
                    }
                    // What was told of them before is taken back.
                    self.state.pending.paths().extend(paths);
                }
                sent => sent?,
            }
        }
        Ok(())
    }

    async fn publish_whole(&self) -> Result<(), Problem> {
        self.state.refusals.forget_all();
        let sent = match self.send_whole(Part::All).await {
            Err(problem) if problem.code == ErrorCode::PermissionDenied => {
                let in_spaces = self
                    .state
                    .catalogue
                    .paths_where_not(|file| file.space.is_none());
                match in_spaces.is_empty() {
                    true => Err(problem),
                    false => self.send_whole(Part::OfEveryone).await.map(|()| {
                        self.state.pending.paths().extend(in_spaces);
                    }),
                }
            }
            sent => sent,
        };
        if sent.is_err() {
            self.state.pending.note_whole();
        }
        sent
    }

    async fn send_whole(&self, part: Part) -> Result<(), Problem> {
        let cache = self.cache.clone();
        let before = in_background(move || {
            let before = cache.generation()?;
            cache.begin_publishing_all()?;
            Ok(before)
        })
        .await?;
        // A need that arises from now on is a need for another time.
        self.state.pending.whole.store(false, Ordering::SeqCst);
        let (out, batches) = mpsc::channel(2);
        let (cache, catalogue) = (self.cache.clone(), self.state.catalogue.clone());
        let sending = tokio::task::spawn_blocking(move || send_all(&cache, &catalogue, part, &out));
        let published = self
            .directory
            .publish_all(&self.state.id, next_generation(before), batches)
            .await;
        let sent = sending
            .await
            .unwrap_or_else(|_| Err(Problem::new(ErrorCode::Internal, "publishing failed")));
        match (published, sent) {
            (Ok(published), Ok(true)) => {
                let cache = self.cache.clone();
                in_background(move || {
                    cache.published(published.generation, &[], &[])?;
                    cache.sync()
                })
                .await
            }
            (Err(problem), _) | (_, Err(problem)) => Err(problem),
            (Ok(_), Ok(false)) => Err(Problem::new(
                ErrorCode::Unavailable,
                "the directory did not take all of the index",
            )),
        }
    }
}

/// How much of the catalogue is sent as the whole index.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    /// Only what everyone may see; the rest follows as changes.
    OfEveryone,
}

/// Sends the catalogue in batches, noting each as told; false if nobody takes them.
fn send_all(
    cache: &Cache,
    catalogue: &Catalogue,
    part: Part,
    out: &mpsc::Sender<Vec<FileEntry>>,
) -> Result<bool, Problem> {
    let mut last: Option<SafePath> = None;
    loop {
        let mut batch = catalogue.entries_after(last.as_ref(), BATCH);
        let Some(end) = batch.last() else {
            return Ok(true);
        };
        last = Some(end.path.clone());
        if part == Part::OfEveryone {
            batch.retain(|file| file.space.is_none());
        }
        cache.published(0, &batch, &[])?;
        if !batch.is_empty() && out.blocking_send(batch).is_err() {
            return Ok(false);
        }
    }
}

/// Grows with the clock, so that a home restored from a backup does not repeat a generation.
fn next_generation(before: u64) -> u64 {
    let now = u64::try_from(UnixMillis::from(SystemTime::now()).0).unwrap_or(0);
    now.max(before + 1)
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        warn!("publishing failed: {error}");
        Err(Problem::new(ErrorCode::Internal, "publishing failed"))
    })
}
