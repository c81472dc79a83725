//! Opening what was asked for, and reading it ahead of the network into buffers that are used
//! again. Before the first byte and after each read, the file must be the one that was hashed.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use convite_core::{ContentHash, ErrorCode, PieceHashes, Problem};
use tokio::sync::mpsc;

use super::Serving;
use crate::beneath::{self, Identity};
use crate::catalogue::Served;

/// Bytes of a file in one message, and read at once.
pub const CHUNK: usize = 256 << 10;
/// Chunks read ahead of the network: with the one being read and those on their way out, an
/// upload holds no more than about 1.25 MiB.
const AHEAD: usize = 2;
/// Chunks that a reader takes in one turn on a blocking thread.
const TURN: usize = 8;
/// Buffers kept for use again.
const POOL_MAX: usize = 128;

/// A file that is open and is what was hashed.
pub struct OpenFile {
    file: File,
    served: Arc<Served>,
}

impl OpenFile {
    /// What it is.
    pub fn served(&self) -> &Served {
        &self.served
    }

    fn check(&self) -> Result<(), Problem> {
        let now = self.file.metadata().map(|m| Identity::of(&m));
        if now.is_ok_and(|now| now == self.served.identity) {
            return Ok(());
        }
        Err(changed())
    }

    fn read(&self, at: u64, len: usize) -> Result<Bytes, Problem> {
        let mut buffer = Buffer::take(len);
        let read = self.file.read_exact_at(&mut buffer.bytes[..len], at);
        // The check comes after the read, so that no byte of a changed file goes out.
        self.check()?;
        read.map_err(|error| {
            Problem::new(ErrorCode::Unavailable, format!("cannot read: {error}"))
        })?;
        Ok(Bytes::from_owner(buffer))
    }
}

fn changed() -> Problem {
    Problem::new(
        ErrorCode::ContentChanged,
        "the file changed since it was hashed",
    )
    .hint("fetch it from another provider, or search again in a minute")
}

/// Opens a file that holds `hash`: the first of them that is still what it was.
///
/// # Errors
/// `not_found` if none is shared, `content_changed` if none is what it was.
pub async fn open(serving: &Serving, hash: ContentHash) -> Result<OpenFile, Problem> {
    let holders = serving.catalogue.by_hash(&hash);
    if holders.is_empty() {
        return Err(Problem::not_found("this peer does not share such a file"));
    }
    let opened = in_background(move || {
        for served in holders {
            match beneath::open(&served.root, served.inner()) {
                Ok((file, identity)) if identity == served.identity => {
                    return Ok(OpenFile { file, served });
                }
                _ => {}
            }
        }
        Err(changed())
    })
    .await;
    if opened.is_err() {
        serving.rescan.notify_one();
    }
    opened
}

/// The piece hashes of a file that is shared.
///
/// # Errors
/// `not_found` if it is not shared or the cache does not know it (any more).
pub async fn pieces(serving: &Serving, hash: ContentHash) -> Result<PieceHashes, Problem> {
    let holders = serving.catalogue.by_hash(&hash);
    let size = holders
        .first()
        .map(|served| served.identity.size)
        .ok_or_else(|| Problem::not_found("this peer does not share such a file"))?;
    let cache = serving.cache.clone();
    in_background(move || cache.pieces(hash, size))
        .await?
        .ok_or_else(|| Problem::not_found("the piece hashes of the file are not known here"))
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

/// Reads `ranges` of `file`, a little ahead of who takes the chunks. After an error there are no
/// more. Ends when the receiver is dropped.
pub fn read_ahead(
    file: OpenFile,
    ranges: Vec<Range<u64>>,
    serving: &Serving,
) -> mpsc::Receiver<Chunk> {
    let (out, chunks) = mpsc::channel(AHEAD);
    let rescan = serving.rescan.clone();
    tokio::spawn(async move {
        let mut reader = Reader {
            file,
            ranges: ranges.into_iter(),
            at: 0..0,
        };
        // A slow taker must hold no thread: the wait is here, only the reading is over there.
        loop {
            let Ok(room) = out.clone().reserve_owned().await else {
                return;
            };
            let turn = tokio::task::spawn_blocking(move || {
                let mut room = Some(room);
                for _ in 0..TURN {
                    let Some(place) = room.take() else {
                        return Some(Ok(reader));
                    };
                    let chunk = reader.next()?;
                    let failure = chunk.as_ref().err().map(|problem| problem.code);
                    let out = place.send(chunk);
                    if let Some(code) = failure {
                        return Some(Err(code));
                    }
                    room = out.try_reserve_owned().ok();
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

impl Iterator for Reader {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        while self.at.is_empty() {
            self.at = self.ranges.next()?;
        }
        let offset = self.at.start;
        let len = (CHUNK as u64).min(self.at.end - offset);
        self.at.start += len;
        let read = self.file.read(offset, len as usize);
        Some(read.map(|data| (offset, data)))
    }
}

/// A buffer that goes back to the pool when the network has let go of it.
struct Buffer {
    bytes: Vec<u8>,
    len: usize,
}

static POOL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

impl Buffer {
    fn take(len: usize) -> Self {
        let pooled = if len > CHUNK / 4 {
            POOL.lock().unwrap_or_else(PoisonError::into_inner).pop()
        } else {
            // Small files need no large buffer.
            Some(vec![0; len])
        };
        Self {
            bytes: pooled.unwrap_or_else(|| vec![0; CHUNK]),
            len,
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() == CHUNK {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            if pool.len() < POOL_MAX {
                pool.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}
