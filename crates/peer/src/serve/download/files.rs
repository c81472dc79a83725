//! Finds, opens and reads requested files. Complete files are preferred to partial ones. A complete file must be unchanged since it was hashed,
//! which is checked before the first byte and after each read; a partial file belongs to its
//! download.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHashes, Problem, SafePath};
use convite_net::task::blocking;
use convite_wire::reader_ticket::ReaderTicket;

use crate::fs::fallbacks::is_too_many_open_files;
use crate::fs::identity::FileIdentity;
use crate::fs::open_beneath;
use crate::fs::positioned_io::read_exact_at;
use crate::serve::context::ServeContext;
use crate::serve::download::buffers::BufferPermit;
use crate::serve::download::byte_ranges::merged;
use crate::serve::download::read_ahead::{Chunk, ReadChunks, is_news};
use crate::sharing::catalogue::{IndexedFile, RemovalReason};
use crate::sharing::partial_files::ServedPartialFile;
use crate::sharing::read_failures::{ReadFailures, read_failed};

/// A source of a file's contents.
pub enum Source {
    /// One of these files, unless it has changed; never empty. The reader may read all of them.
    Complete(Vec<Arc<IndexedFile>>),
    /// The part that a download has so far.
    Partial(Arc<ServedPartialFile>),
}

/// Returns the shared files with this hash that the reader may read: those in a share of one of the
/// reader's spaces or of the space of everyone.
pub(crate) fn readable(
    serving: &ServeContext,
    reader: &ReaderTicket,
    hash: &ContentHash,
) -> Vec<Arc<IndexedFile>> {
    let mut holders = serving.catalogue.by_hash(hash);
    holders.retain(|file| reader.may_read(file.space.as_deref()));
    holders
}

/// Returns a source of `hash`. Does not access the disk.
///
/// # Errors
/// Returns `not_found` if this peer does not have the file or the reader may not read it, with the
/// same text; `content_changed` if the reader might have read it and it changed; `unavailable` if it
/// is a download that the directory does not list yet.
pub fn find(
    serving: &ServeContext,
    reader: &ReaderTicket,
    hash: &ContentHash,
) -> Result<Source, Problem> {
    let holders = readable(serving, reader, hash);
    if !holders.is_empty() {
        return Ok(Source::Complete(holders));
    }
    if let Some(partial) = serving.partial_files.get(hash) {
        let audience = partial.audience()?;
        if reader.may_read_all(audience) {
            return Ok(Source::Partial(partial));
        }
    }
    Err(match removal_reason(serving, reader, hash) {
        Some(RemovalReason::Changed) => changed(),
        Some(RemovalReason::Removed) => deleted(),
        None => not_shared(),
    })
}

/// Returns why a content is no longer served, if the reader might have read it.
pub(crate) fn removal_reason(
    serving: &ServeContext,
    reader: &ReaderTicket,
    hash: &ContentHash,
) -> Option<RemovalReason> {
    let removal = serving.catalogue.removal(hash)?;
    let was_readable = reader.may_read(removal.space.as_deref());
    was_readable.then_some(removal.reason)
}

impl Source {
    /// Returns the size of the complete file in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Complete(holders) => holders.first().map_or(0, |served| served.identity.size),
            Self::Partial(partial) => partial.about.geometry.file_size(),
        }
    }

    /// Returns the file's pieces; `None` if the file is too large to have pieces.
    pub fn geometry(&self) -> Option<PieceGeometry> {
        PieceGeometry::new(self.size())
    }

    /// Returns the file name for display.
    pub fn name(&self) -> &str {
        match self {
            Self::Complete(holders) => holders.first().map_or("", |served| served.path.file_name()),
            Self::Partial(partial) => &partial.about.name,
        }
    }

    /// Checks that all bytes of `ranges` are available. The ranges must be within the file.
    ///
    /// # Errors
    /// Returns `range_not_satisfiable` if a piece is not available yet.
    pub fn check(&self, ranges: &[Range<u64>]) -> Result<(), Problem> {
        match self {
            Self::Complete(_) => Ok(()),
            Self::Partial(partial) => partial.check(&merged(ranges)),
        }
    }

    /// Opens the first of its files that is unchanged.
    ///
    /// # Errors
    /// Returns `content_changed` if all of them have changed, `not_found` if they were deleted, and
    /// `overloaded` if too many files are open.
    pub async fn open(self, serving: &ServeContext) -> Result<OpenFile, Problem> {
        let holders = match self {
            Self::Complete(holders) => holders,
            Self::Partial(partial) => {
                return Ok(OpenFile {
                    file: partial.about.file.clone(),
                    identity: None,
                    path: None,
                    failures: serving.read_failures.clone(),
                });
            }
        };
        let failures = serving.read_failures.clone();
        let opened = blocking(move || {
            let mut why = changed();
            for served in holders {
                match open_beneath::open(&served.root, served.inner()) {
                    Ok((file, identity)) if identity == served.identity => {
                        return Ok(OpenFile {
                            file: Arc::new(file),
                            identity: Some(identity),
                            path: Some(served.path.clone()),
                            failures,
                        });
                    }
                    Ok(_) => {}
                    Err(error) => match open_problem(&served.path, &error, &failures) {
                        problem if problem.code == ErrorCode::Overloaded => return Err(problem),
                        problem if problem.code == ErrorCode::ContentChanged => {}
                        problem => why = problem,
                    },
                }
            }
            Err(why)
        })
        .await;
        if opened.as_ref().is_err_and(|problem| is_news(problem.code)) {
            serving.rescan.notify_one();
        }
        opened
    }
}

/// An open file, and the identity that it must keep, if any.
pub struct OpenFile {
    file: Arc<File>,
    identity: Option<FileIdentity>,
    /// The published path; `None` for a partial file.
    path: Option<SafePath>,
    failures: Arc<ReadFailures>,
}

impl OpenFile {
    /// Reads `ranges`, which must be within the file.
    pub(crate) fn reader(self, ranges: Vec<Range<u64>>) -> FileReader {
        FileReader {
            file: self,
            ranges: ranges.into_iter(),
            at: 0..0,
        }
    }

    fn check(&self) -> Result<(), Problem> {
        let Some(identity) = self.identity else {
            return Ok(());
        };
        let now = FileIdentity::of(&self.file);
        if now.is_ok_and(|now| now == identity) {
            return Ok(());
        }
        Err(changed())
    }

    fn read(&self, at: u64, len: usize, room: BufferPermit) -> Result<Bytes, Problem> {
        room.fill(len, |buffer| {
            let read = read_exact_at(&self.file, buffer, at);
            // Checked after the read, so that no byte of a changed file is sent.
            self.check()?;
            read.map_err(|error| match &self.path {
                Some(path) => self.failures.record(path, &error),
                None => read_failed(&error),
            })
        })
    }
}

/// Returns the problem if the file at `path` cannot be opened: `not_found` if it was deleted,
/// `content_changed` if something else replaced it, `overloaded` if too many files are open, and
/// otherwise the recorded failure.
pub(crate) fn open_problem(path: &SafePath, error: &io::Error, failures: &ReadFailures) -> Problem {
    if error.kind() == io::ErrorKind::NotFound {
        return deleted();
    }
    if is_too_many_open_files(error) {
        return Problem::new(ErrorCode::Overloaded, "this peer has too many files open")
            .hint("try again in a moment");
    }
    // The file was replaced by a link or by something that is not a file.
    if error.kind() == io::ErrorKind::InvalidInput || is_of_path(error) {
        return changed();
    }
    failures.record(path, error)
}

/// Returns the error for a file that this peer does not have, or that the reader may not read: the
/// two cannot be distinguished by guessing.
pub(crate) fn not_shared() -> Problem {
    Problem::not_found("this peer does not share this file")
}

fn changed() -> Problem {
    Problem::new(
        ErrorCode::ContentChanged,
        "the file changed since it was listed",
    )
    .hint("download it from another source, or search again in a minute")
}

fn deleted() -> Problem {
    Problem::not_found("the file was deleted or unshared since it was listed")
        .hint("download it from another source, or search again in a minute")
}

/// Returns whether the error means that a component of the path was replaced by a link or is not a
/// folder.
fn is_of_path(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let known = [Errno::LOOP, Errno::NOTDIR, Errno::XDEV, Errno::ISDIR];
        Errno::from_io_error(error).is_some_and(|errno| known.contains(&errno))
    }
    #[cfg(not(unix))]
    {
        error.kind() == io::ErrorKind::NotADirectory
    }
}

/// Returns the piece hashes of a complete or partial file.
///
/// # Errors
/// As [`find`], and `unavailable` if the cache lost the piece hashes: the file is hashed again then.
pub async fn pieces(
    serving: &ServeContext,
    reader: &ReaderTicket,
    hash: ContentHash,
) -> Result<Arc<PieceHashes>, Problem> {
    let source = find(serving, reader, &hash)?;
    let size = source.size();
    let holders = match source {
        Source::Complete(holders) => holders,
        Source::Partial(partial) => return Ok(partial.about.hashes.clone()),
    };
    let cache = serving.cache.clone();
    if let Some(pieces) = blocking(move || cache.pieces(hash, size)).await? {
        return Ok(Arc::new(pieces));
    }
    request_rehash(serving, &holders);
    Err(Problem::new(
        ErrorCode::Unavailable,
        "the piece hashes of the file are not available at the moment",
    )
    .hint("the file is being hashed again; try again in a moment"))
}

/// Requests that one of these files is hashed again, because its piece hashes are unknown.
pub(crate) fn request_rehash(serving: &ServeContext, holders: &[Arc<IndexedFile>]) {
    let holder = holders.first();
    if holder.is_some_and(|file| serving.catalogue.request_rehash(&file.path)) {
        serving.rescan.notify_one();
    }
}

/// Reads ranges of a file.
pub(crate) struct FileReader {
    file: OpenFile,
    ranges: std::vec::IntoIter<Range<u64>>,
    at: Range<u64>,
}

impl ReadChunks for FileReader {
    fn next_len(&mut self, most: usize) -> usize {
        while self.at.is_empty() {
            match self.ranges.next() {
                Some(range) => self.at = range,
                None => return 0,
            }
        }
        (most as u64).min(self.at.end - self.at.start) as usize
    }

    fn next(&mut self, room: BufferPermit) -> Chunk {
        let offset = self.at.start;
        let len = (room.len() as u64).min(self.at.end - offset);
        self.at.start += len;
        let data = self.file.read(offset, len as usize, room)?;
        Ok((offset, data))
    }
}
