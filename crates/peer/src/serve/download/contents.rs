//! A requested content: a file or a folder.

use std::ops::Range;
use std::sync::Arc;

use convite_core::{ContentHash, FolderPieces, PieceGeometry, PieceIndex, Problem};
use convite_wire::reader_ticket::ReaderTicket;
use tokio::sync::mpsc;

use crate::serve::context::ServeContext;
use crate::serve::download::files::{self, OpenFile, Source};
use crate::serve::download::folder_layout::{FolderLayout, folder_changed};
use crate::serve::download::folder_reader::OpenFolder;
use crate::serve::download::promises::PieceTable;
use crate::serve::download::rate_limits::UploadPace;
use crate::serve::download::read_ahead::{Chunk, read_ahead};
use crate::sharing::catalogue::{IndexedFolder, RemovalReason};

/// A source of a content.
pub(crate) enum ContentSource {
    /// A file.
    File(Source),
    /// One of these folders, unless it has changed; never empty. The reader may read all of them.
    Folder(Vec<Arc<IndexedFolder>>),
}

/// Returns a source of `hash`. Does not access the disk.
///
/// # Errors
/// As [`files::find`].
pub(crate) fn find(
    serving: &ServeContext,
    reader: &ReaderTicket,
    hash: &ContentHash,
) -> Result<ContentSource, Problem> {
    match find_folders(serving, reader, hash) {
        Ok(holders) => Ok(ContentSource::Folder(holders)),
        Err(_) => files::find(serving, reader, hash).map(ContentSource::File),
    }
}

/// Returns the folders with this hash that the reader may read: those in a share of one of the
/// reader's spaces or of the space of everyone. Not empty.
///
/// # Errors
/// Returns `not_found` if there are none, and `content_changed` if there were and they changed.
pub(crate) fn find_folders(
    serving: &ServeContext,
    reader: &ReaderTicket,
    hash: &ContentHash,
) -> Result<Vec<Arc<IndexedFolder>>, Problem> {
    let mut holders = serving.catalogue.folders_by_hash(hash);
    holders.retain(|folder| reader.may_read(folder.space.as_deref()));
    if !holders.is_empty() {
        return Ok(holders);
    }
    Err(match files::removal_reason(serving, reader, hash) {
        Some(RemovalReason::Changed) => folder_changed(),
        Some(RemovalReason::Removed) => {
            Problem::not_found("the folder was deleted or unshared since it was listed")
        }
        None => Problem::not_found("this peer does not share this folder"),
    })
}

/// Returns the first of `holders` that is still what it was, with its layout.
///
/// # Errors
/// Returns `content_changed` if all of them have changed.
pub(crate) async fn open_folder(
    serving: &ServeContext,
    holders: &[Arc<IndexedFolder>],
) -> Result<(Arc<IndexedFolder>, Arc<FolderLayout>), Problem> {
    for folder in holders {
        let layout = serving.folder_layouts.of(&serving.catalogue, folder).await;
        if let Ok(layout) = layout {
            return Ok((folder.clone(), layout));
        }
    }
    Err(folder_changed())
}

impl ContentSource {
    /// Returns the size of the complete content in bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.size(),
            Self::Folder(holders) => holders.first().map_or(0, |folder| folder.size),
        }
    }

    /// Returns the name for display.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::File(file) => file.name(),
            Self::Folder(holders) => holders.first().map_or("", |folder| folder.path.file_name()),
        }
    }

    /// Checks that all bytes of `ranges` are available. The ranges must be within the content.
    ///
    /// # Errors
    /// Returns `range_not_satisfiable` if a piece is not available yet.
    pub(crate) fn check(&self, ranges: &[Range<u64>]) -> Result<(), Problem> {
        match self {
            Self::File(file) => file.check(ranges),
            Self::Folder(_) => Ok(()),
        }
    }

    /// Opens the content.
    ///
    /// # Errors
    /// As [`Source::open`], and `content_changed` if a folder has changed.
    pub(crate) async fn open(self, serving: &ServeContext) -> Result<OpenContent, Problem> {
        match self {
            Self::File(file) => {
                let geometry = file.geometry();
                Ok(OpenContent::File(file.open(serving).await?, geometry))
            }
            Self::Folder(holders) => {
                let (folder, layout) = open_folder(serving, &holders).await?;
                Ok(OpenContent::Folder(OpenFolder::new(
                    folder, layout, serving,
                )))
            }
        }
    }
}

/// An open content.
pub(crate) enum OpenContent {
    /// A file with its pieces; `None` if it is too large to have pieces.
    File(OpenFile, Option<PieceGeometry>),
    /// A folder.
    Folder(OpenFolder),
}

impl OpenContent {
    /// Notes that the pieces in `ranges` are promised.
    pub(crate) fn promise(&self, serving: &ServeContext, hash: ContentHash, ranges: &[Range<u64>]) {
        match self {
            Self::File(_, None) => {}
            Self::File(_, Some(geometry)) => serving.promises.note(hash, geometry, ranges),
            Self::Folder(folder) => {
                let pieces = folder.layout().pieces();
                serving.promises.note(hash, pieces, ranges);
            }
        }
    }

    /// Reads `ranges` ahead of the network, as [`read_ahead`].
    pub(crate) fn read_ahead(
        self,
        ranges: Vec<Range<u64>>,
        pace: Option<UploadPace>,
        serving: &ServeContext,
    ) -> mpsc::Receiver<Chunk> {
        match self {
            Self::File(file, _) => read_ahead(file.reader(ranges), pace, serving),
            Self::Folder(folder) => read_ahead(folder.reader(ranges), pace, serving),
        }
    }
}

impl PieceTable for FolderPieces {
    fn piece_count(&self) -> u32 {
        self.piece_count()
    }

    fn pieces_within(&self, range: &Range<u64>) -> Range<PieceIndex> {
        let Range { mut start, mut end } = self.pieces_of(range.clone());
        if start < end && self.piece_range(start).start < range.start {
            start += 1;
        }
        if start < end && self.piece_range(end - 1).end > range.end {
            end -= 1;
        }
        start..end
    }
}
