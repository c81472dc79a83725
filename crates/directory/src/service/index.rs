//! The index of a peer's files and folders, published as a change or as a whole.

use convite_core::model::{FileEntry, IndexEntry, Page};
use convite_core::{ErrorCode, PeerId, Problem};
use convite_metrics::catalogue::PUBLISHED_ROWS;
use convite_store::{FullSync, IndexChange, Tally};

use super::paging::list_limit;
use super::{Caller, Service};

/// Maximum number of files in one batch of a whole index, and in one message.
pub const BATCH_MAX: usize = convite_wire::codec::ENTRIES_MAX;
/// Maximum number of entries in one change, upserts and removals together.
pub const CHANGE_MAX: usize = 50_000;

/// A whole index that is being received in batches. If it is dropped before [`Self::finish`], the
/// peer's generation stays unchanged, so that the peer sends the index again.
pub struct IndexUpload<'a> {
    service: &'a Service,
    sync: FullSync,
    generation: u64,
}

impl IndexUpload<'_> {
    /// Adds files: any number, ideally [`BATCH_MAX`] at a time.
    ///
    /// # Errors
    /// Returns `generation_mismatch` if a newer attempt has begun; `invalid_argument` for an
    /// invalid folder ([`FileEntry::check`]); `permission_denied` for a file in a space that the
    /// account does not belong to.
    pub async fn add_batch(&mut self, mut files: Vec<FileEntry>) -> Result<(), Problem> {
        check_entries(&files)?;
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
            service.notify_published();
            service.touch(hashes);
            files = rest;
        }
        Ok(())
    }

    /// Removes the files that were not added, and sets the generation. Sending the same index again
    /// returns the same result.
    ///
    /// # Errors
    /// Returns `generation_mismatch` if a newer attempt has begun.
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
        service.wait_until_searchable().await;
        Ok(tally)
    }
}

impl Service {
    /// Begins to receive the whole index of one of the caller's peers.
    ///
    /// # Errors
    /// Returns `not_found` if the caller has no such peer; `invalid_argument` for generation 0.
    pub async fn begin_publish_index(
        &self,
        caller: &Caller,
        peer: &PeerId,
        generation: u64,
    ) -> Result<IndexUpload<'_>, Problem> {
        caller.require_sharing_role()?;
        check_generation(generation)?;
        let sync = self
            .store()
            .begin_full(peer, caller.account, self.now())
            .await?;
        Ok(IndexUpload {
            service: self,
            sync,
            generation,
        })
    }

    /// Publishes a change to the index of one of the caller's peers, from generation `base`.
    ///
    /// # Errors
    /// Returns `generation_mismatch` if the directory holds another generation; `not_found` if the
    /// caller has no such peer; `too_large` above [`CHANGE_MAX`] entries; `invalid_argument` for an
    /// invalid folder ([`FileEntry::check`]); `permission_denied` for a file in a space that the
    /// account does not belong to.
    pub async fn publish_index_change(
        &self,
        caller: &Caller,
        peer: &PeerId,
        base: u64,
        generation: u64,
        change: IndexChange,
    ) -> Result<Tally, Problem> {
        caller.require_sharing_role()?;
        check_generation(generation)?;
        check_change(&change)?;
        check_entries(&change.upsert)?;
        let now = self.now();
        let hashes: Vec<_> = change.upsert.iter().map(|file| file.hash).collect();
        let tally = self
            .store()
            .publish_change(peer, caller.account, base, generation, change, now)
            .await?;
        self.count_published(tally);
        self.touch(hashes);
        self.wait_until_searchable().await;
        Ok(tally)
    }

    fn count_published(&self, tally: Tally) {
        for (change, rows) in [("upserted", tally.upserted), ("removed", tally.removed)] {
            self.registry().add(&PUBLISHED_ROWS, &[change], rows as f64);
        }
    }

    /// Returns the files and folders of the online peers, or of one of them, that the caller may
    /// see, by peer and path; `limit` is 1 to 1,000 (default 100).
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid limit or cursor.
    pub async fn list_index(
        &self,
        caller: &Caller,
        peer: Option<&PeerId>,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Page<IndexEntry>, Problem> {
        let limit = list_limit(limit)?;
        let (viewer, now) = (&caller.viewer, self.now());
        self.store().index(viewer, peer, limit, cursor, now).await
    }
}

fn check_generation(generation: u64) -> Result<(), Problem> {
    // The store uses signed 64-bit integers.
    if (1..=i64::MAX as u64).contains(&generation) {
        return Ok(());
    }
    Err(
        Problem::invalid(format!("{generation} is not a valid generation"))
            .hint("generations count up from 1"),
    )
}

/// Checks that the fields of the entries agree with their kinds.
fn check_entries(files: &[FileEntry]) -> Result<(), Problem> {
    files.iter().try_for_each(FileEntry::check)
}

/// Checks that a change is small enough for one transaction.
///
/// # Errors
/// Returns `too_large`.
pub(crate) fn check_change(change: &IndexChange) -> Result<(), Problem> {
    if change.upsert.len() + change.remove.len() <= CHANGE_MAX {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::TooLarge,
        format!("a change can have at most {CHANGE_MAX} entries"),
    )
    .hint("send the whole index: omit `base`"))
}

/// Returns the error for a whole index with removals.
pub(crate) fn removals_without_base() -> Problem {
    Problem::invalid("a whole index cannot contain removals")
        .hint("omit `remove`, or set `base` to send a change")
}
