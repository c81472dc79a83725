//! Publishes the index of shared files to the directory.
//!
//! The catalogue is compared with what the cache records as published, only for paths queued as
//! changed, and the difference is sent as the next generation. So no change is lost or sent twice,
//! whatever the order of events, and a restart sends only what changed while the peer was off. If
//! the directory has another generation than the last published one, the whole index is sent.
//!
//! A refusal in one space does not block other spaces: a refused change is sent again space by
//! space, and files of refused spaces are not published ([`crate::announce::refused_spaces`]).
//!
//! One task. If publishing fails, it retries with increasing delays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convite_core::model::FileEntry;
use convite_core::{ErrorCode, Problem, SafePath, SpaceName, UnixMillis};
use convite_net::task::{self, blocking};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::announce::directory::Directory;
use crate::announce::registration::Registration;
use crate::sharing::cache::Cache;
use crate::sharing::catalogue::Catalogue;
use crate::sharing::publish_queue::BATCH;
use crate::sharing::shared_files::SharedFiles;

/// How long changes are collected before they are sent.
const COLLECT_TIME: Duration = Duration::from_millis(200);
/// The first and the longest delay between two attempts.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(500);
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(30);

/// The publishing task's dependencies.
#[derive(Clone)]
pub struct Publisher {
    /// The directory.
    pub directory: Arc<dyn Directory>,
    /// The registration with the directory.
    pub registration: Arc<Registration>,
    /// The files to publish.
    pub files: Arc<SharedFiles>,
    /// Records what is published.
    pub cache: Arc<Cache>,
}

impl Publisher {
    /// Publishes until the peer stops, whenever the peer is registered.
    pub async fn run_publisher(self) {
        let stop = self.registration.stop.clone();
        let work = async {
            let mut online = self.registration.state.subscribe();
            let mut pause = RETRY_FIRST;
            loop {
                if online.wait_for(|online| online.is_listed).await.is_err() {
                    return;
                }
                self.files.publish_queue.collect(COLLECT_TIME).await;
                let result = self.publish().await;
                if let Err(problem) = &result {
                    debug!("publishing failed: {problem}");
                }
                let failed = result.is_err();
                self.files.publish_queue.finish(result);
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

    /// Publishes once: the whole index if that is requested, otherwise one batch of changes.
    async fn publish(&self) -> Result<(), Problem> {
        let queue = &self.files.publish_queue;
        if queue.needs_full() {
            return self.publish_index().await;
        }
        let (paths, more) = queue.take();
        let result = self.publish_change(&paths, more).await;
        match &result {
            Ok(()) => {}
            Err(problem) if problem.code == ErrorCode::GenerationMismatch => {
                info!(
                    "the directory has another generation of this peer's index: publishing the whole index"
                );
                queue.request_full();
                queue.put_back(paths);
                return self.publish_index().await;
            }
            Err(_) => queue.put_back(paths),
        }
        result
    }

    async fn publish_change(&self, paths: &[SafePath], more: bool) -> Result<(), Problem> {
        let catalogue = &self.files.catalogue;
        let refused = &self.registration.refused_spaces;
        let shown = |path| {
            catalogue.entry_at(path, |entry| {
                refused.allows(entry.space.map(|space| &**space))
            })
        };
        let wanted = paths.iter().map(|p| (p.clone(), shown(p))).collect();
        let cache = self.cache.clone();
        let (upsert, remove) = blocking(move || cache.diff_published(wanted)).await?;
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
        // If a kill lost the generation, the whole index would have to be sent.
        if more {
            return Ok(());
        }
        let cache = self.cache.clone();
        blocking(move || cache.sync()).await
    }

    /// Sends one change and records it as published.
    async fn send(&self, upsert: Vec<FileEntry>, remove: Vec<SafePath>) -> Result<(), Problem> {
        let cache = self.cache.clone();
        let base = blocking(move || cache.generation()).await?;
        let published = self
            .directory
            .publish_change(
                &self.registration.id,
                base,
                next_generation(base),
                upsert.clone(),
                remove.clone(),
            )
            .await?;
        let cache = self.cache.clone();
        blocking(move || cache.record_published(published.generation, &upsert, &remove)).await
    }

    /// Sends a change space by space, so that a refusal in one space does not affect the others.
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
                    if self
                        .registration
                        .refused_spaces
                        .record(space, problem.clone())
                    {
                        warn!("the directory refused files in a space: {problem}");
                    }
                    // Queue them again, to withdraw what was published of them before.
                    self.files.publish_queue.put_back(paths);
                }
                sent => sent?,
            }
        }
        Ok(())
    }

    async fn publish_index(&self) -> Result<(), Problem> {
        self.registration.refused_spaces.forget_all();
        let sent = match self.send_index(IndexPart::All).await {
            Err(problem) if problem.code == ErrorCode::PermissionDenied => {
                let in_spaces = self
                    .files
                    .catalogue
                    .paths_where_not(|entry| entry.space.is_none());
                if in_spaces.is_empty() {
                    Err(problem)
                } else {
                    self.send_index(IndexPart::EveryoneOnly).await.map(|()| {
                        self.files.publish_queue.put_back(in_spaces);
                    })
                }
            }
            sent => sent,
        };
        if sent.is_err() {
            self.files.publish_queue.request_full();
        }
        sent
    }

    async fn send_index(&self, part: IndexPart) -> Result<(), Problem> {
        let cache = self.cache.clone();
        let before = blocking(move || {
            let before = cache.generation()?;
            cache.clear_published()?;
            Ok::<_, Problem>(before)
        })
        .await?;
        // A request from now on requires another full publication.
        self.files.publish_queue.full_began();
        let (out, batches) = mpsc::channel(2);
        let (cache, catalogue) = (self.cache.clone(), self.files.catalogue.clone());
        let sending = task::start_blocking(move || send_all(&cache, &catalogue, part, &out));
        let published = self
            .directory
            .publish_index(&self.registration.id, next_generation(before), batches)
            .await;
        let sent = sending
            .await
            .unwrap_or_else(|_| Err(Problem::new(ErrorCode::Internal, "publishing failed")));
        match (published, sent) {
            (Ok(published), Ok(true)) => {
                let cache = self.cache.clone();
                blocking(move || {
                    cache.record_published(published.generation, &[], &[])?;
                    cache.sync()
                })
                .await
            }
            (Err(problem), _) | (_, Err(problem)) => Err(problem),
            (Ok(_), Ok(false)) => Err(Problem::new(
                ErrorCode::Unavailable,
                "the directory did not accept the whole index",
            )),
        }
    }
}

/// The part of the catalogue that is sent as the whole index.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IndexPart {
    All,
    /// Only files in the space of everyone; the rest follows as changes.
    EveryoneOnly,
}

/// Sends the catalogue in batches and records each as published. Returns false if the receiver is
/// gone.
fn send_all(
    cache: &Cache,
    catalogue: &Catalogue,
    part: IndexPart,
    out: &mpsc::Sender<Vec<FileEntry>>,
) -> Result<bool, Problem> {
    let mut last: Option<SafePath> = None;
    loop {
        let mut batch = catalogue.entries_after(last.as_ref(), BATCH);
        let Some(end) = batch.last() else {
            return Ok(true);
        };
        last = Some(end.path.clone());
        if part == IndexPart::EveryoneOnly {
            batch.retain(|file| file.space.is_none());
        }
        cache.record_published(0, &batch, &[])?;
        if !batch.is_empty() && out.blocking_send(batch).is_err() {
            return Ok(false);
        }
    }
}

/// Returns a generation that grows with the clock, so that a home restored from a backup does not
/// repeat one.
fn next_generation(before: u64) -> u64 {
    let now = u64::try_from(UnixMillis::from(SystemTime::now()).0).unwrap_or(0);
    now.max(before + 1)
}
