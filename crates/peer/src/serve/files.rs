//! Finding and opening what was asked for, and reading it ahead of the network into buffers that
//! are used again. A whole file comes before a partial one. Before the first byte and after each
//! read, a whole file must be the one that was hashed; a partial one is the download's own.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHashes, Problem};
use tokio::sync::mpsc;

use super::Serving;
use super::buffers::{Buffers, LARGE, Room};
use super::limits::Pace;
use super::range::merged;
use crate::beneath::{self, Identity};
use crate::catalogue::Served;
use crate::partial_files::Partial;
use crate::positioned::read_exact_at;
use crate::scan::is_starved;

/// Chunks read ahead of the network: with the one being read and those on their way out, an
/// upload holds no more than about 1.25 MiB.
const AHEAD: usize = 2;
/// Chunks that a reader takes in one turn on a blocking thread.
const TURN: usize = 8;

/// Where a content can be read.
pub enum Source {
    /// In one of these files, unless they have changed; never empty.
    Whole(Vec<Arc<Served>>),
    /// In what a download has of it so far.
    Partial(Arc<Partial>),
}

/// Finds where `hash` can be read, without looking at the disk.
///
/// # Errors
/// `not_found` if it is not here.
pub fn find(serving: &Serving, hash: &ContentHash) -> Result<Source, Problem> {
    let holders = serving.catalogue.by_hash(hash);
    if !holders.is_empty() {
        return Ok(Source::Whole(holders));
    }
    let partial = serving.partial_files.get(hash);
    partial
        .map(Source::Partial)
        .ok_or_else(|| Problem::not_found("this peer does not share such a file"))
}

impl Source {
    /// The size of the whole file, in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Whole(holders) => holders.first().map_or(0, |served| served.identity.size),
            Self::Partial(partial) => partial.about.geometry.file_size(),
        }
    }

    /// Its pieces; none for a file that is too large for that.
    pub fn geometry(&self) -> Option<PieceGeometry> {
        PieceGeometry::new(self.size())
    }

    /// Whether every piece is here.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Partial(partial) => partial.is_full(),
        }
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        match self {
            Self::Whole(holders) => holders.first().map_or("", |served| served.path.file_name()),
            Self::Partial(partial) => &partial.about.name,
        }
    }

    /// Checks that all of `ranges`, which lie within the file, is here.
    ///
    /// # Errors
    /// `range_not_satisfiable` if a piece is not here yet.
    pub fn check(&self, ranges: &[Range<u64>]) -> Result<(), Problem> {
        match self {
            Self::Whole(_) => Ok(()),
            Self::Partial(partial) => partial.check(&merged(ranges)),
        }
    }

    /// Opens it: the first of its files that is still what it was.
    ///
    /// # Errors
    /// `content_changed` if none is what it was; `overloaded` with too many files open.
    pub async fn open(self, serving: &Serving) -> Result<OpenFile, Problem> {
        let holders = match self {
            Self::Whole(holders) => holders,
            Self::Partial(partial) => {
                return Ok(OpenFile {
                    file: partial.about.file.clone(),
                    identity: None,
                });
            }
        };
        let opened = in_background(move || {
            for served in holders {
                match beneath::open(&served.root, served.inner()) {
                    Ok((file, identity)) if identity == served.identity => {
                        return Ok(OpenFile {
                            file: Arc::new(file),
                            identity: Some(identity),
                        });
                    }
                    Err(error) if is_starved(&error) => {
                        return Err(Problem::new(
                            ErrorCode::Overloaded,
                            "this peer has too many files open",
                        )
                        .hint("try again in a moment"));
                    }
                    _ => {}
                }
            }
            Err(changed())
        })
        .await;
        if opened
            .as_ref()
            .is_err_and(|problem| problem.code == ErrorCode::ContentChanged)
        {
            serving.rescan.notify_one();
        }
        opened
    }
}

/// A file that is open, and what it has to stay, if anything.
pub struct OpenFile {
    file: Arc<File>,
    identity: Option<Identity>,
}

impl OpenFile {
    fn check(&self) -> Result<(), Problem> {
        let Some(identity) = self.identity else {
            return Ok(());
        };
        let now = Identity::of(&self.file);
        if now.is_ok_and(|now| now == identity) {
            return Ok(());
        }
        Err(changed())
    }

    fn read(&self, at: u64, len: usize, room: Room) -> Result<Bytes, Problem> {
        room.fill(len, |buffer| {
            let read = read_exact_at(&self.file, buffer, at);
            // The check comes after the read, so that no byte of a changed file goes out.
            self.check()?;
            read.map_err(|error| {
                Problem::new(ErrorCode::Unavailable, format!("cannot read: {error}"))
            })
        })
    }
}

fn changed() -> Problem {
    Problem::new(
        ErrorCode::ContentChanged,
        "the file changed since it was hashed",
    )
    .hint("fetch it from another provider, or search again in a minute")
}

/// The piece hashes of a file that is here, or will be.
///
/// # Errors
/// `not_found` if it is not; `unavailable` if the cache does not know it any more: it is hashed again.
pub async fn pieces(serving: &Serving, hash: ContentHash) -> Result<Arc<PieceHashes>, Problem> {
    let source = find(serving, &hash)?;
    let size = match &source {
        Source::Whole(_) => source.size(),
        Source::Partial(partial) => return Ok(partial.about.hashes.clone()),
    };
    let cache = serving.cache.clone();
    if let Some(pieces) = in_background(move || cache.pieces(hash, size)).await? {
        return Ok(Arc::new(pieces));
    }
    if serving.catalogue.doubt(&hash) {
        serving.rescan.notify_one();
    }
    Err(Problem::new(
        ErrorCode::Unavailable,
        "the piece hashes of the file are not known here just now",
    )
    .hint("the file is read again for them: try again in a moment"))
}

/// Runs what blocks where it may.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Problem::new(
            ErrorCode::Internal,
            "a task of the peer failed",
        ))
    })
}

/// A chunk, and where in the file it belongs.
pub type Chunk = Result<(u64, Bytes), Problem>;

/// Reads `ranges` of `file`, a little ahead of who takes the chunks and no faster than `pace`
/// allows. After an error there are no more. Ends when the receiver is dropped.
pub fn read_ahead(
    file: OpenFile,
    ranges: Vec<Range<u64>>,
    pace: Option<Pace>,
    serving: &Serving,
) -> mpsc::Receiver<Chunk> {
    let (out, chunks) = mpsc::channel(AHEAD);
    let rescan = serving.rescan.clone();
    tokio::spawn(async move {
        let buffers = Arc::new(Buffers::new());
        let most = pace.as_ref().map_or(LARGE, |pace| pace.chunk().min(LARGE));
        let turns = if pace.is_some() { 1 } else { TURN };
        let mut reader = Reader {
            file,
            ranges: ranges.into_iter(),
            at: 0..0,
        };
        // A slow taker must hold no thread: the waits are here, only the reading is over there.
        loop {
            let Ok(place) = out.clone().reserve_owned().await else {
                return;
            };
            let wanted = reader.next_len(most);
            if wanted == 0 {
                return;
            }
            if let Some(pace) = &pace {
                tokio::select! {
                    () = pace.wait(wanted) => {}
                    () = out.closed() => return,
                }
            }
            // Memory last: nobody holds any while it waits.
            let Some(room) = buffers.room(wanted).await else {
                return;
            };
            let buffers = buffers.clone();
            let turn = tokio::task::spawn_blocking(move || {
                let mut next = Some((place, room));
                for _ in 0..turns {
                    let Some((place, room)) = next.take() else {
                        return Some(Ok(reader));
                    };
                    let chunk = reader.next(room);
                    let failure = chunk.as_ref().err().map(|problem| problem.code);
                    let out = place.send(chunk);
                    if let Some(code) = failure {
                        return Some(Err(code));
                    }
                    let wanted = reader.next_len(most);
                    if wanted == 0 {
                        return None;
                    }
                    next = out.try_reserve_owned().ok().zip(buffers.room_now(wanted));
                }
                Some(Ok(reader))
            });
            match turn.await {
                Ok(Some(Ok(next))) => reader = next,
                Ok(Some(Err(code))) => {
                    if code == ErrorCode::ContentChanged {
                        rescan.notify_one();
                    }
                    return;
                }
                Ok(None) | Err(_) => return,
            }
        }
    });
    chunks
}

struct Reader {
    file: OpenFile,
    ranges: std::vec::IntoIter<Range<u64>>,
    at: Range<u64>,
}

impl Reader {
    /// The length of the next chunk, up to `most`; 0 if there is none.
    fn next_len(&mut self, most: usize) -> usize {
        while self.at.is_empty() {
            match self.ranges.next() {
                Some(range) => self.at = range,
                None => return 0,
            }
        }
        (most as u64).min(self.at.end - self.at.start) as usize
    }

    /// The next chunk, as much as [`Self::next_len`] found and `room` holds.
    fn next(&mut self, room: Room) -> Chunk {
        let offset = self.at.start;
        let len = (room.len() as u64).min(self.at.end - offset);
        self.at.start += len;
        let data = self.file.read(offset, len as usize, room)?;
        Ok((offset, data))
    }
}
