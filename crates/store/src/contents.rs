//! Contents: their providers, and the change log that the search index follows.

use std::collections::HashMap;

use async_trait::async_trait;
use convite_core::model::{FolderEntry, LocatedFile, Page};
use convite_core::{
    ContentHash, EntryKind, PeerAddress, PeerId, Problem, SpaceName, UnixMillis, UserName,
};

use crate::{Named, PeerKey, SpaceKey, Viewer};

/// The number of a content: a hash, its kind, its size and, of a folder, the number of its files.
/// Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentKey(pub i64);

/// The search index entry of one content in one space. It contains nothing from other spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentDocument {
    /// Number of the content.
    pub key: ContentKey,
    /// Content hash, or folder hash.
    pub hash: ContentHash,
    /// Whether it is a file or a folder.
    pub kind: EntryKind,
    /// Space whose members can see it.
    pub space: SpaceKey,
    /// Claimed size in bytes.
    pub size: u64,
    /// Latest modification time of its files, in seconds since 1970. Updated when the names,
    /// providers or size of the content change.
    pub modified: i64,
    /// Distinct paths under which it is shared in this space, at most [`DOCUMENT_PATHS_MAX`].
    pub paths: Vec<String>,
    /// Peers that share it in this space, online or not.
    pub peers: Vec<PeerKey>,
}

/// Maximum number of searchable paths per content and space.
pub const DOCUMENT_PATHS_MAX: usize = 64;

/// A range of the change log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The changed contents, each once, with their current documents: one per space that contains
    /// it, ordered by space; none for a content that no longer exists.
    pub contents: Vec<(ContentKey, Vec<ContentDocument>)>,
    /// Log position after these changes.
    pub position: i64,
    /// The log no longer reaches back to the requested position. The reader must rebuild from
    /// [`Contents::contents`].
    pub lost: bool,
}

/// Maximum length in bytes of the path of a folder that [`Contents::folder`] lists. PostgreSQL
/// indexes longer paths by their beginnings (see `postgres/paths.rs`), and would not find what is
/// directly in such a folder.
pub const FOLDER_PATH_MAX: usize = 1_700;

/// A content as search results show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentSummary {
    /// Number of the content.
    pub key: ContentKey,
    /// Content hash, or folder hash.
    pub hash: ContentHash,
    /// Whether it is a file or a folder.
    pub kind: EntryKind,
    /// Claimed size in bytes.
    pub size: u64,
    /// Claimed number of files below a folder; 0 for a file.
    pub files: u64,
    /// File names (last parts of paths) on online peers, most common first, at most ten.
    pub names: Vec<String>,
    /// For each name, the folder that contains it. If there are several, the alphabetically first;
    /// empty if there is none.
    pub folders: Vec<String>,
    /// Names of the spaces in which the viewer sees it; empty if everyone can see it.
    pub spaces: Vec<SpaceName>,
    /// Number of online peers that share it.
    pub providers: u64,
    /// Up to ten of these peers, with addresses.
    pub peers: Vec<(PeerId, Vec<PeerAddress>)>,
}

/// A transfer: the account of a peer, and the content that the peer sends or receives.
pub type Move = (UserName, ContentHash);

/// The contents.
///
/// Each method is one transaction unless stated otherwise. All methods return `internal` if the
/// database fails; further errors are listed per method.
#[async_trait]
pub trait Contents: Send + Sync + 'static {
    /// Returns the providers of each of `hashes` that `viewer` can see, in their order, with empty
    /// tickets, or `None` if no provider is online. Without a kind, it is the content of the kind that most accounts
    /// claim.
    ///
    /// Peers that share the file come first, then partial providers, both by id and without
    /// duplicates. `size` is the size that most sharing peers claim, or without them most partial
    /// providers; of two equally common sizes, the smaller. Without a sharing peer there are no
    /// names.
    ///
    /// Partial providers are visible to accounts that can see any file of the content, even one on
    /// an offline peer. They have no kind: those of a file and of a folder with the same hash are not
    /// told apart. A partial provider is hidden if its account can see the content, or could
    /// when it announced it, in a space that `viewer` cannot see: anybody can claim to share a
    /// hash.
    async fn locate_many(
        &self,
        viewer: &Viewer,
        hashes: &[ContentHash],
        kind: Option<EntryKind>,
        now: UnixMillis,
    ) -> Result<Vec<Option<LocatedFile>>, Problem>;

    /// Returns for each peer the names of the spaces, sorted, that both `viewer` sees and the account
    /// of the peer belongs to. Peers without such spaces, and unknown peers, are omitted.
    async fn common_spaces(
        &self,
        viewer: &Viewer,
        peers: &[&PeerId],
    ) -> Result<HashMap<PeerId, Vec<SpaceName>>, Problem>;

    /// Returns the providers of one content: see [`Self::locate_many`].
    async fn locate(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        kind: Option<EntryKind>,
        now: UnixMillis,
    ) -> Result<Option<LocatedFile>, Problem> {
        let one = std::slice::from_ref(hash);
        let mut located = self.locate_many(viewer, one, kind, now).await?;
        Ok(located.pop().flatten())
    }

    /// Returns a page of the entries of a folder, one level, by name, or `None` if no online peer
    /// shares the folder. All entries are from one peer, chosen among those that share the folder
    /// as most accounts claim it, and in the space in which that peer shares the folder. They are
    /// what this peer publishes at present below the folder's path; only the manifest of the folder
    /// proves what the folder contains.
    ///
    /// A page may be shorter than `limit`, even empty, before the last one: an answer skips a
    /// limited number of entries in other spaces. Folders with a path longer than
    /// [`FOLDER_PATH_MAX`] are not listed.
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid cursor.
    async fn folder(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Option<Page<FolderEntry>>, Problem>;

    /// Returns the contents that online peers share under `path`, or under a path that ends with
    /// `/` and `path`, as far as `viewer` can see. With `peer`, only contents that this peer shares
    /// under exactly `path`. If `path` contains a `/` and some contents are shared under exactly
    /// `path`, only those.
    async fn named(
        &self,
        viewer: &Viewer,
        path: &str,
        peer: Option<&PeerId>,
        now: UnixMillis,
    ) -> Result<Named, Problem>;

    /// Returns whether `viewer` can see any file of a content, on an online or offline peer.
    async fn sees(&self, viewer: &Viewer, hash: &ContentHash) -> Result<bool, Problem>;

    /// Returns those of `moves` that `viewer` may know about, each with a file name of the content
    /// that `viewer` can see, on an online or offline peer. Excludes transfers of an account that
    /// sees the content in a space that `viewer` cannot see.
    async fn moves_seen(
        &self,
        viewer: &Viewer,
        moves: &[Move],
    ) -> Result<HashMap<Move, String>, Problem>;

    /// Returns the names of the spaces in which online peers share a content of this kind, as far as
    /// `viewer` can see: an empty vector if everyone can see it, `None` if no peer shares it.
    async fn lies_in(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        kind: EntryKind,
        now: UnixMillis,
    ) -> Result<Option<Vec<SpaceName>>, Problem>;

    /// Returns the contents with these keys that an online peer shares and `viewer` can see, in the
    /// order of `keys`.
    async fn summaries(
        &self,
        viewer: &Viewer,
        keys: &[ContentKey],
        now: UnixMillis,
    ) -> Result<Vec<ContentSummary>, Problem>;

    /// Returns up to `limit` entries of the change log after `position`.
    async fn changes(&self, position: i64, limit: u32) -> Result<Changes, Problem>;

    /// Returns the position of the last entry of the change log.
    async fn last_change(&self) -> Result<i64, Problem>;

    /// Returns the documents of up to `limit` contents with keys above `after`, ordered by key and
    /// space. All documents of one content are in the same page.
    async fn contents(
        &self,
        after: ContentKey,
        limit: u32,
    ) -> Result<Vec<ContentDocument>, Problem>;
}
