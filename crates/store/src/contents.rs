//! Contents: who holds each, and the log of their changes that the search index follows.

use std::collections::HashMap;

use async_trait::async_trait;
use convite_core::model::LocatedFile;
use convite_core::{ContentHash, PeerAddress, PeerId, Problem, SpaceName, UnixMillis, UserName};

use crate::{PeerKey, SpaceKey, Viewer};

/// The number of a content (a hash and a size), never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentKey(pub i64);

/// Everything the search index holds of one content in one space. Nothing in it is of another space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentDocument {
    /// Its number.
    pub key: ContentKey,
    /// Its identity.
    pub hash: ContentHash,
    /// Whose members may see it.
    pub space: SpaceKey,
    /// In bytes, as claimed.
    pub size: u64,
    /// When the newest of these files was last changed, in seconds since 1970, as it was when its
    /// names, providers or size changed last.
    pub modified: i64,
    /// The distinct paths under which it is shared there, at most [`DOCUMENT_PATHS_MAX`].
    pub paths: Vec<String>,
    /// The peers that share it there, online or not.
    pub peers: Vec<PeerKey>,
}

/// The most paths of one content in one space that are searchable.
pub const DOCUMENT_PATHS_MAX: usize = 64;

/// A run of the change log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Contents that changed, each once, with their documents as they are now, one for each space
    /// in which it is, by space; none for one that is gone.
    pub contents: Vec<(ContentKey, Vec<ContentDocument>)>,
    /// The position after them.
    pub position: i64,
    /// Whether the log no longer reaches back to the position that was asked from, so that the
    /// follower must start anew from [`Contents::contents`].
    pub lost: bool,
}

/// One content as a search result shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentSummary {
    /// Its number.
    pub key: ContentKey,
    /// Its identity.
    pub hash: ContentHash,
    /// In bytes, as claimed.
    pub size: u64,
    /// File names (last parts of paths) with peers online, the most common first, at most ten.
    pub names: Vec<String>,
    /// For each of these names the folder above it, as a peer publishes it; of several the first by
    /// alphabet, and empty where there is none.
    pub folders: Vec<String>,
    /// Where it lies, by name, as far as the viewer sees; none if everyone may see it.
    pub spaces: Vec<SpaceName>,
    /// How many peers that are online hold it.
    pub providers: u64,
    /// Up to ten of them.
    pub peers: Vec<(PeerId, Vec<PeerAddress>)>,
}

/// A content on its way, to or from a peer of that account.
pub type Move = (UserName, ContentHash);

/// The contents.
///
/// Every method is one transaction unless it says otherwise. Errors are `internal` for a failing
/// database, and what each method names.
#[async_trait]
pub trait Contents: Send + Sync + 'static {
    /// Who holds a content, as far as `viewer` may see, with empty tickets; none if nobody online
    /// does. Partial providers are seen by who may see any file of the content, its peer online or
    /// not; but not those whose account sees one in a space that `viewer` is not in, or did when they
    /// were announced, because anybody can claim to share a hash. First those that share
    /// it, by id, then partial providers, by id; nobody twice. `size` is the one that most of those
    /// that share it claim, or else most partial providers (the smaller of two that tie). Without
    /// anyone who shares it there are no names.
    async fn locate(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<Option<LocatedFile>, Problem>;

    /// Whether there is any file of a content that `viewer` may see, its peer online or not.
    async fn sees(&self, viewer: &Viewer, hash: &ContentHash) -> Result<bool, Problem>;

    /// Of these movements those that `viewer` may know of, each with a name (last part of a path) of
    /// a file of the content that it may see, its peer online or not. Of an account that sees the
    /// content in a space that `viewer` is not in, it knows of none.
    async fn moves_seen(
        &self,
        viewer: &Viewer,
        moves: &[Move],
    ) -> Result<HashMap<Move, String>, Problem>;

    /// The spaces in which peers online share a content, by name, as far as `viewer` may see: none
    /// of them if everyone may see it, and none at all if nobody shares it.
    async fn lies_in(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<Option<Vec<SpaceName>>, Problem>;

    /// The contents of these keys that a peer online holds, in the order given, as far as `viewer`
    /// may see.
    async fn summaries(
        &self,
        viewer: &Viewer,
        keys: &[ContentKey],
        now: UnixMillis,
    ) -> Result<Vec<ContentSummary>, Problem>;

    /// Up to `limit` entries of the change log after `position`.
    async fn changes(&self, position: i64, limit: u32) -> Result<Changes, Problem>;

    /// The position of the last entry of the change log.
    async fn last_change(&self) -> Result<i64, Problem>;

    /// The documents of up to `limit` contents with keys above `after`, by key and space: a walk
    /// over all of them. Those of one content are never parted.
    async fn contents(
        &self,
        after: ContentKey,
        limit: u32,
    ) -> Result<Vec<ContentDocument>, Problem>;
}
