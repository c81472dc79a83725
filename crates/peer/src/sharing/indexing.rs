//! Updates the catalogue: scans all shares or some places in them, hashes new files, and queues
//! differences for publishing.
//!
//! It can stop between two files and within a large file. [`crate::sharing::scan_schedule`] decides
//! when it runs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use convite_core::{ErrorCode, Problem, SafePath};
use convite_metrics::catalogue::HASHED_BYTES;
use parking_lot::Mutex;
use tracing::{debug, warn};

use crate::fs::volume::FileKey;
use crate::sharing::cache::{Cache, CachedHash, HashedFile};
use crate::sharing::catalogue::IndexedFile;
use crate::sharing::changed_places::CHANGING_TIME;
use crate::sharing::folder_readiness::Urgency;
use crate::sharing::folders;
use crate::sharing::hashing::{FileHashes, HashPool};
use crate::sharing::scan::{self, FoundFile, ScanResult};
use crate::sharing::shared_files::SharedFiles;
use crate::sharing::shares::{Share, path_in_share};
use crate::sharing::skipped::{SkipReason, SkippedPaths};
use crate::sharing::unhashed::UnhashedGuard;
use crate::sharing::watch;

/// A file that was modified too shortly before it was hashed
/// ([`crate::fs::identity::FileIdentity::changed_too_recently`]) is hashed again after this time.
pub(crate) const REHASH_DELAY: Duration = Duration::from_secs(2);
/// Results are added to the catalogue in batches of at most this many, collected for at most
/// `BATCH_WAIT`.
const BATCH_MAX: usize = 1000;
const BATCH_WAIT: Duration = Duration::from_millis(50);

/// Scans and hashes the shares of a peer.
pub struct Indexer {
    files: Arc<SharedFiles>,
    cache: Arc<Cache>,
    hashing: HashPool,
    /// Files to hash again soon: just modified when they were hashed, or not opened because too
    /// many files were open.
    to_rehash: Mutex<HashSet<SafePath>>,
    /// Whether a full scan was compared with what is published.
    compared: AtomicBool,
    /// The roots of shares that were missing at the last full scan.
    away: Mutex<HashSet<Arc<Path>>>,
    /// The value of `Cache::reset_count` at the last full scan.
    cache_resets: AtomicU64,
    /// Keys in the cache of file systems that are not mounted.
    foreign_keys: AtomicU64,
}

/// For each share root: files that are not shared because hashing failed.
type HashFailures = HashMap<Arc<Path>, SkippedPaths>;

impl Indexer {
    /// Creates the indexer. Nothing is scanned yet.
    ///
    /// # Errors
    /// Returns `internal` if no threads can be created.
    pub fn new(files: Arc<SharedFiles>, cache: Arc<Cache>) -> Result<Self, Problem> {
        Ok(Self {
            files,
            cache_resets: AtomicU64::new(cache.reset_count()),
            foreign_keys: AtomicU64::new(0),
            cache,
            hashing: HashPool::new()?,
            to_rehash: Mutex::default(),
            compared: AtomicBool::new(false),
            away: Mutex::default(),
        })
    }

    /// Returns the shared files.
    pub fn files(&self) -> &Arc<SharedFiles> {
        &self.files
    }

    /// Returns whether files must be hashed again soon.
    pub fn has_files_to_rehash(&self) -> bool {
        !self.to_rehash.lock().is_empty()
    }

    /// Returns the places of those files.
    pub fn places_to_rehash(&self) -> BTreeSet<PathBuf> {
        let shares = self.files.shares();
        let mut to_rehash = self.to_rehash.lock();
        // Files of shares that were removed need no second look.
        to_rehash.retain(|path| shares.iter().any(|share| share.contains_path(path)));
        let place = |path: &SafePath| {
            let share = shares.iter().find(|share| share.contains_path(path))?;
            Some(match path_in_share(path) {
                "" => share.root.to_path_buf(),
                inner => share.root.join(inner),
            })
        };
        to_rehash.iter().filter_map(place).collect()
    }

    /// Scans some places and everything below them, as [`Self::scan_all`] scans all shares. Places
    /// outside the shares are ignored.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn scan_places(&self, places: &BTreeSet<PathBuf>) -> Result<(), Problem> {
        let shares = self.files.shares();
        let mut found = Vec::new();
        let mut folders = Vec::new();
        let mut below: Vec<String> = Vec::new();
        let (mut is_gone, mut is_back) = (false, false);
        for place in places {
            for share in &shares {
                let Some(inner) = watch::visible_path_in(share, place) else {
                    continue;
                };
                let is_there = share.root.symlink_metadata().is_ok();
                is_gone |= !is_there;
                is_back |= is_there && self.away.lock().contains(&share.root);
                let scanned = scan::scan_below(share, &shares, inner);
                found.extend(scanned.files);
                folders.extend(scanned.folders);
                self.files
                    .set_skipped_below(&share.root, inner, scanned.skipped);
                if let Ok(path) = share.published(inner)
                    && !scanned.too_many_open_files
                {
                    below.push(path.as_str().to_owned());
                }
            }
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        found.dedup_by(|a, b| a.path == b.path);
        let (new, unhashed) = {
            let _entering = self.files.settling.lock();
            let seen: HashSet<&SafePath> = found.iter().map(|found| &found.path).collect();
            let seen_folders = folders.iter().map(|folder| &folder.path).collect();
            for place in &below {
                for path in self.files.catalogue.paths_below(place) {
                    if !seen.contains(&path) {
                        self.files.catalogue.remove(&path);
                        self.to_rehash.lock().remove(&path);
                        self.files.publish_queue.add(path);
                    }
                }
                self.files.catalogue.forget_awaited(place, &seen);
                self.files.remove_missing_folders(place, &seen_folders);
            }
            self.files.add_folders(&folders);
            let new = self.add_cached(found.iter(), false)?;
            let unhashed = self.note_unhashed(&new);
            (new, unhashed)
        };
        self.files
            .to_hash
            .store(new.len() as u64, Ordering::Relaxed);
        // A full scan reports files that cannot be read. A share that was removed needs no report.
        for (root, unhashed) in self.hash(&new, unhashed)? {
            self.files.add_skipped(&root, unhashed);
        }
        // A full scan also clears the report of a share that came back.
        if is_gone || is_back {
            self.files.rescan.notify_one();
        }
        self.files.to_hash.store(0, Ordering::Relaxed);
        if !new.is_empty() {
            self.cache.sync()?;
        }
        self.files.publish_queue.flush();
        Ok(())
    }

    /// Scans all shares and blocks until all new files are hashed.
    ///
    /// # Errors
    /// Returns `internal` if the cache fails.
    pub fn scan_all(&self) -> Result<(), Problem> {
        let shares = self.files.shares();
        // After a reset of the damaged cache, all its entries are built again.
        let begun_anew = self.cache.reset_count();
        let is_rebuilding = self.cache_resets.load(Ordering::Relaxed) != begun_anew;
        let mut troubles: HashMap<Arc<Path>, String> = HashMap::new();
        let mut scans: Vec<ScanResult> = Vec::with_capacity(shares.len());
        // Shares with read failures: nothing of them is forgotten, because their files may still
        // exist.
        let mut too_many_open_files: HashSet<Arc<Path>> = HashSet::new();
        for share in &shares {
            let scanned = scan::scan(share, &shares);
            if let Some(trouble) = &scanned.trouble {
                troubles.insert(share.root.clone(), trouble.clone());
            }
            if scanned.too_many_open_files {
                too_many_open_files.insert(share.root.clone());
            }
            scans.push(scanned);
        }
        let lost = shares.iter().zip(&scans);
        let lost = lost.filter(|(_, scanned)| !scanned.root_read);
        *self.away.lock() = lost.map(|(share, _)| share.root.clone()).collect();
        self.files.update_mounts();
        let (new, unhashed) = {
            let _entering = self.files.settling.lock();
            self.remove_missing_files(&scans, &too_many_open_files)?;
            self.enter_folders(&shares, &scans);
            let found = scans.iter().flat_map(|scanned| &scanned.files);
            let new = self.add_cached(found, is_rebuilding)?;
            let unhashed = self.note_unhashed(&new);
            (new, unhashed)
        };
        self.files
            .to_hash
            .store(new.len() as u64, Ordering::Relaxed);
        // Reported before hashing, which may take long.
        let skipped = shares.iter().zip(&scans);
        let skipped = skipped.map(|(share, scan)| (share.root.clone(), scan.skipped.clone()));
        self.files.set_skipped(skipped.collect());
        self.files.set_troubles(troubles.clone());
        let unhashed = self.hash(&new, unhashed)?;
        self.files.to_hash.store(0, Ordering::Relaxed);
        for (root, unhashed) in unhashed {
            if unhashed.has(SkipReason::Unreadable) {
                troubles
                    .entry(root.clone())
                    .or_insert_with(|| "some of its files cannot be read".to_owned());
            }
            self.files.add_skipped(&root, unhashed);
        }
        self.files.set_troubles(troubles);
        if self.files.stop.is_cancelled() {
            return Ok(());
        }
        // Otherwise a share whose disk is not mounted now would have to be hashed again later.
        if too_many_open_files.is_empty() && scans.iter().all(|scanned| scanned.root_read) {
            self.prune_cache(&shares, &scans)?;
        }
        if !new.is_empty() {
            self.cache.sync()?;
        }
        self.cache_resets.store(begun_anew, Ordering::Relaxed);
        folders::settle(&self.files, Instant::now(), Urgency::Now);
        self.files.scans.send_modify(|scans| *scans += 1);
        self.files.publish_queue.flush();
        Ok(())
    }

    /// Removes files that were not found from the catalogue, except in places that could not be
    /// read.
    fn remove_missing_files(
        &self,
        scans: &[ScanResult],
        too_many_open_files: &HashSet<Arc<Path>>,
    ) -> Result<(), Problem> {
        let found = scans.iter().flat_map(|scanned| &scanned.files);
        let seen: HashSet<&SafePath> = found.map(|found| &found.path).collect();
        if too_many_open_files.is_empty() {
            self.to_rehash.lock().retain(|path| seen.contains(path));
        }
        let gone = self
            .files
            .catalogue
            .files_where_not(|f| seen.contains(&f.path) || too_many_open_files.contains(&f.root));
        for path in gone {
            self.files.catalogue.remove(&path);
            self.files.publish_queue.add(path);
        }
        if too_many_open_files.is_empty() && !self.compared.swap(true, Ordering::Relaxed) {
            // What is published of a folder stays until the folder is computed.
            let folders = scans.iter().flat_map(|scanned| &scanned.folders);
            let folders: HashSet<&SafePath> = folders.map(|folder| &folder.path).collect();
            let told = self.cache.published_paths_where_not(|path| {
                path.parse::<SafePath>()
                    .is_ok_and(|path| seen.contains(&path) || folders.contains(&path))
            })?;
            told.into_iter()
                .for_each(|path| self.files.publish_queue.add(path));
        }
        Ok(())
    }

    /// Enters the folders of the shares that could be read.
    fn enter_folders(&self, shares: &[Share], scans: &[ScanResult]) {
        for (share, scanned) in shares.iter().zip(scans) {
            if !scanned.too_many_open_files {
                let seen = scanned.files.iter().map(|found| &found.path).collect();
                self.files.catalogue.forget_awaited(&share.name, &seen);
                let found = scanned.folders.iter().map(|folder| &folder.path).collect();
                self.files.remove_missing_folders(&share.name, &found);
            }
            self.files.add_folders(&scanned.folders);
        }
    }

    /// Notes the files that are about to be hashed, so that their folders wait for them, except
    /// files that keep changing.
    fn note_unhashed(&self, new: &[&FoundFile]) -> UnhashedGuard {
        let catalogue = &self.files.catalogue;
        let now = Instant::now();
        let awaited = new.iter().map(|found| &found.path);
        let awaited = awaited.filter(|path| !catalogue.is_overdue(path, now, CHANGING_TIME));
        self.files.unhashed.add(awaited)
    }

    /// Removes the hashes of deleted files from the cache, for file systems that are mounted.
    fn prune_cache(&self, shares: &[Share], scans: &[ScanResult]) -> Result<(), Problem> {
        let found = || scans.iter().flat_map(|scanned| &scanned.files);
        let keys = || found().flat_map(|found| found.keys().iter());
        let foreign = self.foreign_keys.load(Ordering::Relaxed);
        if self.cache.key_count()? <= keys().count() as u64 + foreign {
            return Ok(());
        }
        let keys: HashSet<FileKey> = keys().collect();
        let mut volumes = HashSet::new();
        for (share, scanned) in shares.iter().zip(scans) {
            let there = scanned.volumes.iter().filter(|v| v.is_mounted());
            volumes.extend(there.flat_map(|volume| volume.key_volumes(&share.root)));
        }
        let contents = self.files.catalogue.content_hashes();
        let foreign = self.cache.retain_files(&keys, &volumes, &contents)?;
        self.foreign_keys.store(foreign, Ordering::Relaxed);
        Ok(())
    }

    /// Adds files with a cached hash to the catalogue. Returns the other files; all of them if
    /// `anew`.
    fn add_cached<'a>(
        &self,
        found: impl Iterator<Item = &'a FoundFile>,
        anew: bool,
    ) -> Result<Vec<&'a FoundFile>, Problem> {
        let mut new = Vec::new();
        for found in found {
            let served = self.files.catalogue.by_path(&found.path);
            let was_racy = self.to_rehash.lock().remove(&found.path);
            let is_unsure = anew || was_racy || self.files.catalogue.needs_rehash(&found.path);
            match &served {
                Some(served)
                    if served.identity == found.identity
                        && served.root == found.root
                        && served.space == found.space
                        && !is_unsure => {}
                _ => match self.cache.content(&found.keys())? {
                    Some(hash) if !is_unsure => self.add_file(found, hash),
                    _ => {
                        // The old contents are gone. The directory is notified when the new
                        // contents are hashed.
                        if served.is_some_and(|served| served.identity != found.identity) {
                            self.files.catalogue.remove_changed(&found.path);
                        }
                        new.push(found);
                    }
                },
            }
        }
        Ok(new)
    }

    fn add_file(&self, found: &FoundFile, hashed: CachedHash) {
        // Refused if the shares changed since the file was found; another scan follows then.
        self.files.add_file(IndexedFile {
            path: found.path.clone(),
            root: found.root.clone(),
            space: found.space.clone(),
            identity: found.identity,
            hash: hashed.hash,
            crc32: Some(hashed.crc32),
        });
        self.files.publish_queue.add(found.path.clone());
    }

    /// Hashes `new`, which are noted in `unhashed`. Returns the files that could not be hashed.
    fn hash(&self, new: &[&FoundFile], unhashed: UnhashedGuard) -> Result<HashFailures, Problem> {
        if new.is_empty() {
            return Ok(HashFailures::new());
        }
        let started = SystemTime::now();
        let (results, hashed) = mpsc::sync_channel(2 * BATCH_MAX);
        std::thread::scope(|scope| {
            let ingesting = scope.spawn(|| self.ingest_results(new, hashed, started, unhashed));
            self.hashing.hash_all(new, &self.files.stop, |at, result| {
                // A failed send means that ingest failed; its error is returned.
                let _ = results.send((at, result));
            });
            drop(results);
            ingesting
                .join()
                .unwrap_or_else(|_| Err(Problem::new(ErrorCode::Internal, "the scan failed")))
        })
    }

    fn ingest_results(
        &self,
        new: &[&FoundFile],
        hashed: mpsc::Receiver<(usize, Result<FileHashes, Problem>)>,
        started: SystemTime,
        mut waiting: UnhashedGuard,
    ) -> Result<HashFailures, Problem> {
        let mut unhashed = HashFailures::new();
        while let Ok(first) = hashed.recv() {
            let begun = Instant::now();
            let mut run = vec![first];
            while run.len() < BATCH_MAX
                && let Ok(next) = hashed.recv_timeout(BATCH_WAIT.saturating_sub(begun.elapsed()))
            {
                run.push(next);
            }
            self.files
                .to_hash
                .fetch_sub(run.len() as u64, Ordering::Relaxed);
            let mut good = Vec::with_capacity(run.len());
            let mut placed = Vec::with_capacity(run.len());
            for (at, result) in run {
                let found = new[at];
                match result {
                    Ok(hashes) => {
                        let is_racy = found.identity.changed_too_recently(started);
                        if is_racy {
                            self.to_rehash.lock().insert(found.path.clone());
                        }
                        let FileHashes { pieces, crc32 } = hashes;
                        let hash = pieces.content();
                        placed.push((found, CachedHash { hash, crc32 }));
                        good.push(HashedFile {
                            keys: (!is_racy).then(|| found.keys()),
                            pieces,
                            crc32,
                        });
                    }
                    Err(problem) => {
                        if let Some(reason) = self.handle_hash_failure(found, &problem) {
                            let skipped = unhashed.entry(found.root.clone()).or_default();
                            skipped.note(reason, Path::new(path_in_share(&found.path)));
                        }
                        waiting.done(&found.path);
                    }
                }
            }
            self.files
                .hashed
                .fetch_add(good.len() as u64, Ordering::Relaxed);
            let bytes: u64 = placed.iter().map(|(found, _)| found.identity.size).sum();
            self.files.metrics.add(&HASHED_BYTES, &[], bytes as f64);
            // Piece hashes first: a reader may request them as soon as the file is in the
            // catalogue.
            self.cache.store_hashes(&good)?;
            for (found, hashed) in placed {
                self.add_file(found, hashed);
                waiting.done(&found.path);
                self.files
                    .clear_skipped(&found.root, path_in_share(&found.path));
            }
        }
        Ok(unhashed)
    }

    /// Removes a file that could not be hashed from the catalogue. Returns the reason to report,
    /// unless the file is retried soon.
    fn handle_hash_failure(&self, found: &FoundFile, problem: &Problem) -> Option<SkipReason> {
        let reason = match problem.code {
            ErrorCode::Overloaded => {
                debug!("{problem}; retrying soon");
                self.to_rehash.lock().insert(found.path.clone());
                return Some(SkipReason::Unreadable);
            }
            ErrorCode::ContentChanged => {
                debug!("{problem}; retrying at the next scan");
                Some(SkipReason::Changing)
            }
            _ if self.files.stop.is_cancelled() => None,
            ErrorCode::InvalidArgument => Some(SkipReason::WrongSize),
            _ => {
                warn!("{problem}");
                Some(SkipReason::Unreadable)
            }
        };
        if problem.code == ErrorCode::ContentChanged {
            self.files.catalogue.remove_changed(&found.path);
        } else {
            self.files.catalogue.remove(&found.path);
        }
        self.files.publish_queue.add(found.path.clone());
        reason
    }
}
