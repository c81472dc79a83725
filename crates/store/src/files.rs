//! Files: what each peer shares.

use async_trait::async_trait;
use convite_core::model::{FileEntry, IndexEntry, Page};
use convite_core::{PeerId, Problem, SafePath, UnixMillis};

use crate::{AccountId, PeerKey, Viewer};

/// One change of a peer's index.
#[derive(Debug, Clone, Default)]
pub struct IndexChange {
    /// New and changed files. A path that occurs twice counts as its last.
    pub upsert: Vec<FileEntry>,
    /// Paths that are shared no more; those that were not shared are passed over. A path that is
    /// also in `upsert` is kept.
    pub remove: Vec<SafePath>,
}

/// How many files a publication touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// New and changed files (those that were exactly so already do not count).
    pub upserted: u64,
    /// Files that went.
    pub removed: u64,
}

/// A whole index on its way in, in batches: see [`Files::begin_full`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullSync {
    /// Whose.
    pub peer: PeerKey,
    /// Marks the rows of this attempt; never the same twice for a peer.
    pub attempt: i64,
    /// What its batches touched: whoever adds them counts here, for the answer in the end.
    pub tally: Tally,
}

/// The files of the peers.
///
/// Every method is one transaction unless it says otherwise. Errors are `internal` for a failing
/// database, and what each method names.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// Applies a change to the index of a peer of `account`, if its generation is `base`, and sets
    /// it to `generation`. If the peer's generation is `generation` already, this very change was
    /// applied before (its answer got lost): nothing happens, and the answer is what it was.
    ///
    /// # Errors
    /// `generation_mismatch`; `not_found` if there is no such peer of this account;
    /// `invalid_argument` if `generation` is not above `base`; `permission_denied` for a file in a
    /// space that the account does not belong to, or that does not exist.
    async fn publish_change(
        &self,
        peer: &PeerId,
        account: AccountId,
        base: u64,
        generation: u64,
        change: IndexChange,
        now: UnixMillis,
    ) -> Result<Tally, Problem>;

    /// Begins to take in a whole index, in any number of [`Self::add_full`], each a transaction,
    /// and one [`Self::finish_full`]. Until then the peer's generation is what it was, and its
    /// files are the old ones with the new ones over them. An attempt that is not finished leaves
    /// no more behind than that; the next one mends it. A newer attempt voids an older.
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account.
    async fn begin_full(
        &self,
        peer: &PeerId,
        account: AccountId,
        now: UnixMillis,
    ) -> Result<FullSync, Problem>;

    /// Takes in a batch of files.
    ///
    /// # Errors
    /// `generation_mismatch` if a newer attempt has begun; `permission_denied` as for
    /// [`Self::publish_change`], and then nothing of the batch is taken in.
    async fn add_full(
        &self,
        sync: FullSync,
        files: Vec<FileEntry>,
        now: UnixMillis,
    ) -> Result<Tally, Problem>;

    /// Drops the files that this attempt did not name, and sets the generation. The removal may
    /// take several transactions; the generation is set in the last. Returns what the whole attempt
    /// touched; of one that touched nothing because the very same was taken in before, what that
    /// was answered with.
    ///
    /// # Errors
    /// `generation_mismatch` if a newer attempt has begun.
    async fn finish_full(
        &self,
        sync: FullSync,
        generation: u64,
        now: UnixMillis,
    ) -> Result<Tally, Problem>;

    /// The files of the peers online (or of one of them) that `viewer` may see, by peer and path.
    ///
    /// # Errors
    /// `invalid_argument` for a cursor that no page returned.
    async fn index(
        &self,
        viewer: &Viewer,
        peer: Option<&PeerId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<IndexEntry>, Problem>;
}
