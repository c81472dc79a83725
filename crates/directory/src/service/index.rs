//! The index: what each peer shares, published by it as a change or as a whole.

use convite_core::model::{FileEntry, IndexEntry, Page};
use convite_core::{ErrorCode, PeerId, Problem};
use convite_metrics::catalogue::PUBLISHED_ROWS;
use convite_store::{FullSync, IndexChange, Tally};

use super::peers::page_limit;
use super::{Caller, Service};

/// The most files in one batch of a whole index, and in one message.
pub const BATCH_MAX: usize = 5_000;
/// The most files and removals in one change.
pub const CHANGE_MAX: usize = 50_000;

const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;

/// A whole index on its way in, batch by batch. Dropped before [`Self::finish`], it leaves the
/// peer's generation as it was, so that the peer knows to send it again.
pub struct WholeIndex<'a> {
    service: &'a Service,
    sync: FullSync,
    generation: u64,
}

impl WholeIndex<'_> {
    /// Takes in files; any number of them, though [`BATCH_MAX`] at once is what suits.
    ///
    /// # Errors
    /// `generation_mismatch` if a newer attempt has begun; `permission_denied` for a file in a space
    /// that the account does not belong to.
    pub async fn add(&mut self, mut files: Vec<FileEntry>) -> Result<(), Problem> {
        while !files.is_empty() {
            let rest = files.split_off(files.len().min(BATCH_MAX));
            let service = self.service;
            let hashes: Vec<_> = files.iter().map(|file| file.hash).collect();
            let tally = service
                .store()
                .add_full(self.sync, files, service.now())
                .await?;
            service.count_published(tally);
            self.sync.tally.upserted += tally.upserted;
            self.sync.tally.removed += tally.removed;
            service.has_published();
            service.touch(hashes);
            files = rest;
        }
        Ok(())
    }

    /// Drops what was not named, and sets the generation. The same index sent again is answered as
    /// it was the first time.
    ///
    /// # Errors
    /// `generation_mismatch` if a newer attempt has begun.
    pub async fn finish(self) -> Result<Tally, Problem> {
        let service = self.service;
        let tally = service
            .store()
            .finish_full(self.sync, self.generation, service.now())
            .await?;
        service.count_published(Tally {
            upserted: 0,
            removed: tally.removed.saturating_sub(self.sync.tally.removed),
        });
        service.until_found().await;
        Ok(tally)
    }
}

impl Service {
    /// Begins to take in the whole index of a peer of the caller's.
    ///
    /// # Errors
    /// `not_found` if the caller has no such peer; `invalid_argument` for generation 0.
    pub async fn begin_index(
        &self,
        caller: &Caller,
        peer: &PeerId,
        generation: u64,
    ) -> Result<WholeIndex<'_>, Problem> {
        caller.must_share()?;
        check_generation(generation)?;
        let sync = self
            .store()
            .begin_full(peer, caller.account, self.now())
            .await?;
        Ok(WholeIndex {
            service: self,
            sync,
            generation,
        })
    }

    /// Publishes a change of the index of a peer of the caller's, which had generation `base`.
    ///
    /// # Errors
    /// `generation_mismatch` if the directory holds another generation; `not_found` if the caller
    /// has no such peer; `too_large` above [`CHANGE_MAX`] entries; `permission_denied` for a file in
    /// a space that the account does not belong to.
    pub async fn publish_change(
        &self,
        caller: &Caller,
        peer: &PeerId,
        base: u64,
        generation: u64,
        change: IndexChange,
    ) -> Result<Tally, Problem> {
        caller.must_share()?;
        check_generation(generation)?;
        check_change(&change)?;
        let now = self.now();
        let hashes: Vec<_> = change.upsert.iter().map(|file| file.hash).collect();
        let tally = self
            .store()
            .publish_change(peer, caller.account, base, generation, change, now)
            .await?;
        self.count_published(tally);
        self.touch(hashes);
        self.until_found().await;
        Ok(tally)
    }

    fn count_published(&self, tally: Tally) {
        for (change, rows) in [("upserted", tally.upserted), ("removed", tally.removed)] {
            self.counted().add(&PUBLISHED_ROWS, &[change], rows as f64);
        }
    }

    /// The files of the peers online, or of one of them, that the caller may see, by peer and path; `limit` 1 to 1,000, 100
    /// by default.
    ///
    /// # Errors
    /// `invalid_argument` for a limit or cursor that is not valid.
    pub async fn list_index(
        &self,
        caller: &Caller,
        peer: Option<&PeerId>,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<IndexEntry>, Problem> {
        let limit = page_limit(limit, PAGE_DEFAULT, PAGE_MAX)?;
        let (viewer, now) = (&caller.viewer, self.now());
        self.store().index(viewer, peer, limit, cursor, now).await
    }
}

fn check_generation(generation: u64) -> Result<(), Problem> {
    // The storage counts in 64 bits with a sign.
    if (1..=i64::MAX as u64).contains(&generation) {
        return Ok(());
    }
    Err(
        Problem::invalid(format!("{generation} is not a generation"))
            .hint("generations count up from 1"),
    )
}

/// Whether a change is small enough to be one transaction.
///
/// # Errors
/// `too_large`.
pub(crate) fn check_change(change: &IndexChange) -> Result<(), Problem> {
    if change.upsert.len() + change.remove.len() <= CHANGE_MAX {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::TooLarge,
        format!("a change has at most {CHANGE_MAX} entries"),
    )
    .hint("send the whole index instead: without `base`"))
}

/// What a whole index with removals is refused with.
pub(crate) fn whole_removes_nothing() -> Problem {
    Problem::invalid("a whole index has nothing to remove")
        .hint("leave `remove` out, or name the `base` that it changes")
}
