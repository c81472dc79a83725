//! Keeping the catalogue true: looks at the shares, or at some places in them, hashes what is new,
//! and notes for publishing whatever became different.
//!
//! It stops between two files, and inside a large one. When it looks: [`crate::scans`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant, SystemTime};

use convite_core::{ErrorCode, PieceHashes, Problem, SafePath};
use convite_metrics::catalogue::HASHED_BYTES;
use tracing::{debug, warn};

use crate::beneath::Identity;
use crate::cache::Cache;
use crate::catalogue::Served;
use crate::hashing::Hashing;
use crate::scan::{self, Found, Scanned};
use crate::state::PeerState;
use crate::watch;

/// A file modified this short a time before it was hashed may change again without its time of
/// modification showing it (file systems count in ticks, FAT in 2 s): it is hashed again.
pub(crate) const RACY: Duration = Duration::from_secs(2);
/// Results are put on the shelves in runs of up to so many, or for so long.
const RUN_MAX: usize = 1000;
const RUN_WAIT: Duration = Duration::from_millis(50);

/// Scans and hashes for one peer.
pub struct Indexing {
    state: Arc<PeerState>,
    cache: Arc<Cache>,
    hashing: Hashing,
    /// Hashed when they had only just been modified, or not at all because too many files were open.
    racy: Mutex<HashSet<SafePath>>,
    /// Whether everything was found once, and compared with what the directory was told before.
    compared: AtomicBool,
    /// The roots of shares that were not there at the last look at everything.
    away: Mutex<HashSet<Arc<Path>>>,
}

impl Indexing {
    /// Nothing is scanned yet.
    ///
    /// # Errors
    /// `internal` if the system gives no threads.
    pub fn new(state: Arc<PeerState>, cache: Arc<Cache>) -> Result<Self, Problem> {
        Ok(Self {
            state,
            cache,
            hashing: Hashing::new()?,
            racy: Mutex::default(),
            compared: AtomicBool::new(false),
            away: Mutex::default(),
        })
    }

    /// Whose shares these are.
    pub fn state(&self) -> &Arc<PeerState> {
        &self.state
    }

    /// Whether some files were hashed when they had only just been modified.
    pub fn has_racy(&self) -> bool {
        !self.racy().is_empty()
    }

    /// Where those files are.
    pub fn racy_places(&self) -> BTreeSet<PathBuf> {
        let shares = self.state.shares();
        let mut racy = self.racy();
        // One of a share that is shared no more is nobody's concern.
        racy.retain(|path| shares.iter().any(|share| share.holds(path)));
        let place = |path: &SafePath| {
            let share = shares.iter().find(|share| share.holds(path))?;
            Some(match scan::inner(path) {
                "" => share.root.to_path_buf(),
                inner => share.root.join(inner),
            })
        };
        racy.iter().filter_map(place).collect()
    }

    /// Looks at some places, each with all that is below it, as [`Self::scan_once`] looks at
    /// everything; those that are in no share are passed over.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn look_at(&self, places: &BTreeSet<PathBuf>) -> Result<(), Problem> {
        let shares = self.state.shares();
        let mut found = Vec::new();
        let mut below: Vec<String> = Vec::new();
        let (mut is_gone, mut is_back) = (false, false);
        for place in places {
            for share in &shares {
                let Some(inner) = watch::place_in(share, place) else {
                    continue;
                };
                let is_there = share.root.symlink_metadata().is_ok();
                is_gone |= !is_there;
                is_back |= is_there && self.away().contains(&share.root);
                let scanned = scan::scan_below(share, &shares, inner);
                found.extend(scanned.files);
                if let Ok(path) = share.published(inner)
                    && !scanned.starved
                {
                    below.push(path.as_str().to_owned());
                }
            }
        }
        found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        found.dedup_by(|a, b| a.path == b.path);
        let seen: HashSet<&SafePath> = found.iter().map(|found| &found.path).collect();
        for place in &below {
            for path in self.state.catalogue.paths_below(place) {
                if !seen.contains(&path) {
                    self.state.catalogue.remove(&path);
                    self.racy().remove(&path);
                    self.state.pending.note(path);
                }
            }
        }
        let new = self.sort_out(found.iter())?;
        self.state
            .to_hash
            .store(new.len() as u64, Ordering::Relaxed);
        // Files that cannot be read are the trouble of the next look at everything. A share that
        // is gone is its owner's concern now.
        self.hash(&new)?;
        // Nor is what was noted of one that is back its owner's concern any more.
        if is_gone || is_back {
            self.state.rescan.notify_one();
        }
        self.state.to_hash.store(0, Ordering::Relaxed);
        if !new.is_empty() {
            self.cache.sync()?;
        }
        self.state.pending.hurry();
        Ok(())
    }

    /// Scans all shares once; blocks until everything new is hashed.
    ///
    /// # Errors
    /// `internal` if the cache fails.
    pub fn scan_once(&self) -> Result<(), Problem> {
        let shares = self.state.shares();
        let mut troubles: HashMap<Arc<Path>, String> = HashMap::new();
        let mut scans: Vec<Scanned> = Vec::with_capacity(shares.len());
        // Of those nothing is forgotten: what is in them may be there all the same.
        let mut starved: HashSet<Arc<Path>> = HashSet::new();
        for share in &shares {
            let scanned = scan::scan(share, &shares);
            if let Some(trouble) = &scanned.trouble {
                troubles.insert(share.root.clone(), trouble.clone());
            }
            if scanned.starved {
                starved.insert(share.root.clone());
            }
            scans.push(scanned);
        }
        let lost = shares.iter().zip(&scans);
        let lost = lost.filter(|(_, scanned)| !scanned.root_read);
        *self.away() = lost.map(|(share, _)| share.root.clone()).collect();
        let found = || scans.iter().flat_map(|scanned| &scanned.files);

        let seen: HashSet<&SafePath> = found().map(|found| &found.path).collect();
        if starved.is_empty() {
            self.racy().retain(|path| seen.contains(path));
        }
        let gone = self
            .state
            .catalogue
            .paths_where_not(|f| seen.contains(&f.path) || starved.contains(&f.root));
        for path in gone {
            self.state.catalogue.remove(&path);
            self.state.pending.note(path);
        }
        if starved.is_empty() && !self.compared.swap(true, Ordering::Relaxed) {
            let told = self.cache.published_but_not(|path| {
                path.parse::<SafePath>()
                    .is_ok_and(|path| seen.contains(&path))
            })?;
            told.into_iter()
                .for_each(|path| self.state.pending.note(path));
        }

        let new = self.sort_out(found())?;
        self.state
            .to_hash
            .store(new.len() as u64, Ordering::Relaxed);
        let unreadable = self.hash(&new)?;
        self.state.to_hash.store(0, Ordering::Relaxed);
        for root in unreadable {
            troubles
                .entry(root)
                .or_insert_with(|| "some of its files cannot be read".to_owned());
        }
        self.state.set_troubles(troubles);
        if self.state.stop.is_cancelled() {
            return Ok(());
        }
        // A share that is away just then (a disk not mounted) comes back unhashed otherwise.
        if starved.is_empty() && scans.iter().all(|scanned| scanned.root_read) {
            let identities: HashSet<Identity> = found().map(|found| found.identity).collect();
            if self.cache.file_count()? > identities.len() as u64 {
                let contents = self.state.catalogue.contents();
                self.cache.keep_only(&identities, &contents)?;
            }
        }
        if !new.is_empty() {
            self.cache.sync()?;
        }
        self.state.scans.send_modify(|scans| *scans += 1);
        self.state.pending.hurry();
        Ok(())
    }

    /// Puts on the shelves what was hashed before; returns the rest.
    fn sort_out<'a>(&self, found: impl Iterator<Item = &'a Found>) -> Result<Vec<Found>, Problem> {
        let mut new = Vec::new();
        for found in found {
            let served = self.state.catalogue.by_path(&found.path);
            let was_racy = self.racy().remove(&found.path);
            let is_unsure = was_racy || self.state.catalogue.is_doubted(&found.path);
            match &served {
                Some(served)
                    if served.identity == found.identity
                        && served.root == found.root
                        && served.space == found.space
                        && !is_unsure => {}
                _ => match self.cache.content(&found.identity)? {
                    Some(hash) if !is_unsure => self.put(found, hash),
                    _ => {
                        // Its old contents are no more. The directory hears of it when the new
                        // ones are known.
                        if served.is_some_and(|served| served.identity != found.identity) {
                            self.state.catalogue.remove(&found.path);
                        }
                        new.push(found.clone());
                    }
                },
            }
        }
        Ok(new)
    }

    fn put(&self, found: &Found, hash: convite_core::ContentHash) {
        // Not, if what is shared changed since it was found; then a look follows.
        self.state.put(Served {
            path: found.path.clone(),
            root: found.root.clone(),
            space: found.space.clone(),
            identity: found.identity,
            hash,
        });
        self.state.pending.note(found.path.clone());
    }

    /// Hashes `new`; returns the roots of shares with files that cannot be read.
    fn hash(&self, new: &[Found]) -> Result<HashSet<Arc<Path>>, Problem> {
        if new.is_empty() {
            return Ok(HashSet::new());
        }
        let started = nanoseconds(SystemTime::now());
        let is_racy =
            |identity: &Identity| identity.modified_ns.abs_diff(started) < RACY.as_nanos() as u64;
        let (results, hashed) = mpsc::sync_channel(2 * RUN_MAX);
        std::thread::scope(|scope| {
            let shelving = scope.spawn(|| self.shelve(new, hashed, &is_racy));
            self.hashing.hash_all(new, &self.state.stop, |at, result| {
                // If shelving failed, its error is what is returned.
                let _ = results.send((at, result));
            });
            drop(results);
            shelving
                .join()
                .unwrap_or_else(|_| Err(Problem::new(ErrorCode::Internal, "the scan failed")))
        })
    }

    fn shelve(
        &self,
        new: &[Found],
        hashed: mpsc::Receiver<(usize, Result<PieceHashes, Problem>)>,
        is_racy: &dyn Fn(&Identity) -> bool,
    ) -> Result<HashSet<Arc<Path>>, Problem> {
        let mut unreadable = HashSet::new();
        while let Ok(first) = hashed.recv() {
            let begun = Instant::now();
            let mut run = vec![first];
            while run.len() < RUN_MAX
                && let Ok(next) = hashed.recv_timeout(RUN_WAIT.saturating_sub(begun.elapsed()))
            {
                run.push(next);
            }
            self.state
                .to_hash
                .fetch_sub(run.len() as u64, Ordering::Relaxed);
            let mut good = Vec::with_capacity(run.len());
            let mut placed = Vec::with_capacity(run.len());
            for (at, result) in run {
                let found = &new[at];
                match result {
                    Ok(hashes) => {
                        let racy = is_racy(&found.identity);
                        if racy {
                            self.racy().insert(found.path.clone());
                        }
                        placed.push((found, hashes.content()));
                        good.push((found.identity, racy, hashes));
                    }
                    Err(problem) if problem.code == ErrorCode::Overloaded => {
                        debug!("{problem}; soon again");
                        self.racy().insert(found.path.clone());
                        unreadable.insert(found.root.clone());
                    }
                    Err(problem) => {
                        if problem.code == ErrorCode::ContentChanged {
                            debug!("{problem}; at the next scan again");
                        } else if !self.state.stop.is_cancelled() {
                            warn!("{problem}");
                            unreadable.insert(found.root.clone());
                        }
                        self.state.catalogue.remove(&found.path);
                        self.state.pending.note(found.path.clone());
                    }
                }
            }
            self.state
                .hashed
                .fetch_add(good.len() as u64, Ordering::Relaxed);
            let bytes: u64 = good.iter().map(|(identity, ..)| identity.size).sum();
            self.state.counted.add(&HASHED_BYTES, &[], bytes as f64);
            // The piece hashes first: whoever sees a file served may ask for them.
            self.cache.remember(&good)?;
            for (found, hash) in placed {
                self.put(found, hash);
            }
        }
        Ok(unreadable)
    }

    fn away(&self) -> std::sync::MutexGuard<'_, HashSet<Arc<Path>>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn racy(&self) -> std::sync::MutexGuard<'_, HashSet<SafePath>> {
        self.racy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
}
