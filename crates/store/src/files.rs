//! Files: the published index of each peer. A folder is a row like a file.

use async_trait::async_trait;
use convite_core::model::{FileEntry, IndexEntry, Page};
use convite_core::{PeerId, Problem, SafePath, UnixMillis};

use crate::{AccountId, PeerKey, Viewer};

/// A change of a peer's index.
#[derive(Debug, Clone, Default)]
pub struct IndexChange {
    /// New and changed files and folders. If a path occurs twice, the last one counts.
    pub upsert: Vec<FileEntry>,
    /// Paths that are no longer shared. Unknown paths are ignored. A path that is also in `upsert`
    /// is kept.
    pub remove: Vec<SafePath>,
}

/// Numbers of files and folders that a publication changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// New and changed ones, without those that were already stored unchanged.
    pub upserted: u64,
    /// Removed ones.
    pub removed: u64,
}

/// A full publication that is in progress: see [`Files::begin_full`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullSync {
    /// The peer.
    pub peer: PeerKey,
    /// Number that marks the rows of this attempt. Unique per peer.
    pub attempt: i64,
    /// Files changed so far. The caller adds the result of each batch; the sum is the final answer.
    pub tally: Tally,
}

/// The files and folders of the peers; *file* below means both.
///
/// Each method is one transaction unless stated otherwise. All methods return `internal` if the
/// database fails; further errors are listed per method.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// Applies a change to the index of a peer of `account` if its generation is `base`, and sets
    /// the generation to `generation`. If the generation is already `generation`, the same change
    /// was applied before and its reply was lost: does nothing and returns the same result again.
    ///
    /// # Errors
    /// Returns `generation_mismatch` if the stored generation is not `base`; `not_found` if the
    /// account has no such peer; `invalid_argument` if `generation` is not above `base`;
    /// `permission_denied` for a file in a space that does not exist or that the account is not a
    /// member of.
    async fn publish_change(
        &self,
        peer: &PeerId,
        account: AccountId,
        base: u64,
        generation: u64,
        change: IndexChange,
        now: UnixMillis,
    ) -> Result<Tally, Problem>;

    /// Starts a full publication: any number of [`Self::add_full`], each a transaction, and one
    /// [`Self::finish_full`]. Until that, the peer keeps its generation, and its index has both the
    /// old files and the new ones, which replace old files at the same path. An abandoned attempt
    /// leaves this state, which the next full publication corrects. A newer attempt cancels an
    /// older one.
    ///
    /// # Errors
    /// Returns `not_found` if the account has no such peer.
    async fn begin_full(
        &self,
        peer: &PeerId,
        account: AccountId,
        now: UnixMillis,
    ) -> Result<FullSync, Problem>;

    /// Adds a batch of files.
    ///
    /// # Errors
    /// Returns `generation_mismatch` if a newer attempt has started, and `permission_denied` as
    /// [`Self::publish_change`] does; then no file of the batch is added.
    async fn add_full(
        &self,
        sync: FullSync,
        files: Vec<FileEntry>,
        now: UnixMillis,
    ) -> Result<Tally, Problem>;

    /// Removes the files that this attempt did not contain, and sets the generation. The removal
    /// may take several transactions; the last one sets the generation. Returns the changes of the
    /// whole attempt. If it changed nothing because the same index was published before, returns
    /// the result of that publication.
    ///
    /// # Errors
    /// Returns `generation_mismatch` if a newer attempt has started.
    async fn finish_full(
        &self,
        sync: FullSync,
        generation: u64,
        now: UnixMillis,
    ) -> Result<Tally, Problem>;

    /// Lists the files and folders of the online peers, or of one of them, that `viewer` can see, by
    /// peer and path.
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid cursor.
    async fn index(
        &self,
        viewer: &Viewer,
        peer: Option<&PeerId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<IndexEntry>, Problem>;
}
