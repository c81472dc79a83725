//! The bytes of an upload on their way to the disk: hashed as they come, written in blocks.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use convite_core::{
    ContentHash, ErrorCode, PieceGeometry, PieceHash, PieceHashes, Problem, StreamHasher,
};
use tokio::task::JoinHandle;

use super::turns::Busy;
use super::unfinished::{FOLDER, Unfinished};
use crate::contents::{Contents, Gathered};
use crate::positioned::write_all_at;

/// What is written at once of a file whose size is not known, in bytes.
const BLOCK: u64 = 1 << 20;
/// Blocks that are being written at once.
const WRITING: usize = 3;
/// A time of modification farther in the future than this is not believed.
const FUTURE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A file that comes, in order.
pub(super) struct Incoming {
    temporary: Temporary,
    contents: Arc<Contents>,
    hasher: StreamHasher,
    block: u64,
    /// The block that is coming, and how much of it has come.
    coming: Option<(Gathered, u64)>,
    writing: VecDeque<JoinHandle<io::Result<()>>>,
    /// Blocks that are written.
    written: usize,
    notes: Option<Notes>,
    /// Held by each job on the disk, so that none comes after somebody else has begun.
    busy: Option<Arc<Busy>>,
}

/// Where the hashes of pieces are noted that are written.
struct Notes {
    file: Arc<File>,
    noted: usize,
}

/// A file that is removed when it was not taken; none of an upload that can go on.
pub(super) struct Temporary {
    path: PathBuf,
    goes: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.goes {
            // Gone already if it got its name.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A file that came whole, checked and synced.
pub(super) struct Whole {
    pub(super) temporary: Temporary,
    pub(super) hashes: PieceHashes,
}

impl Whole {
    pub(super) fn path(&self) -> &Path {
        &self.temporary.path
    }
}

impl Incoming {
    /// A file of which nothing is known.
    pub(super) fn begin(inbox: &Path) -> io::Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("form-{}", data_encoding::HEXLOWER.encode(&random));
        let temporary = Temporary {
            path: inbox.join(FOLDER).join(name),
            goes: true,
        };
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&temporary.path)?;
        let contents = Contents::new(file, &temporary.path, 0);
        Ok(Self::new(
            temporary,
            contents,
            StreamHasher::default(),
            BLOCK,
            None,
            None,
        ))
    }

    /// Goes on after the pieces of which these are the hashes.
    pub(super) fn resume(
        unfinished: &Unfinished,
        geometry: &PieceGeometry,
        held: Vec<PieceHash>,
        busy: Arc<Busy>,
    ) -> io::Result<Self> {
        let open = |path: &Path| {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            options.open(path)
        };
        let temporary = Temporary {
            path: unfinished.contents(),
            goes: false,
        };
        let contents = Contents::new(
            open(&temporary.path)?,
            &temporary.path,
            geometry.file_size(),
        );
        let file = open(&unfinished.hashes())?;
        // What comes after is written anew, and so are its notes.
        file.set_len(held.len() as u64 * 32)?;
        let notes = Notes {
            file: Arc::new(file),
            noted: held.len(),
        };
        let hasher = StreamHasher::resume(geometry, held);
        let block = geometry.piece_size();
        Ok(Self::new(
            temporary,
            contents,
            hasher,
            block,
            Some(notes),
            Some(busy),
        ))
    }

    fn new(
        temporary: Temporary,
        contents: Contents,
        hasher: StreamHasher,
        block: u64,
        notes: Option<Notes>,
        busy: Option<Arc<Busy>>,
    ) -> Self {
        Self {
            temporary,
            contents: Arc::new(contents),
            written: (hasher.len() / block) as usize,
            hasher,
            block,
            coming: None,
            writing: VecDeque::with_capacity(WRITING),
            notes,
            busy,
        }
    }

    /// Bytes that came, those before a resume included.
    pub(super) fn len(&self) -> u64 {
        self.hasher.len()
    }

    /// Takes the next bytes.
    pub(super) async fn take(&mut self, mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            let at = self.hasher.len();
            let (gathered, filled) = self.coming.get_or_insert_with(|| {
                let range = at..at + self.block;
                (self.contents.gather(&range), 0)
            });
            let room = usize::try_from(self.block - *filled).unwrap_or(usize::MAX);
            let part = bytes.split_to(bytes.len().min(room));
            *filled += part.len() as u64;
            self.hasher.update(&part);
            gathered.push(part);
            if *filled == self.block {
                self.write().await?;
            }
        }
        Ok(())
    }

    async fn write(&mut self) -> io::Result<()> {
        let Some((gathered, _)) = self.coming.take() else {
            return Ok(());
        };
        if self.writing.len() >= WRITING {
            self.written().await?;
        }
        let (note, busy) = (self.note(), self.busy.clone());
        let write = self.contents.clone().writing(gathered.finish()).await;
        self.writing.push_back(tokio::task::spawn_blocking(move || {
            let _busy = busy;
            write()?;
            note()
        }));
        Ok(())
    }

    /// Waits for the oldest write.
    async fn written(&mut self) -> io::Result<()> {
        if let Some(writing) = self.writing.pop_front() {
            writing.await.unwrap_or_else(|e| Err(io::Error::other(e)))?;
            self.written += 1;
        }
        Ok(())
    }

    /// The job of noting the hashes of what is written and was not noted.
    fn note(&mut self) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let mut job = None;
        if let Some(notes) = &mut self.notes {
            let hashes = self.hasher.finished();
            let to = self.written.min(hashes.len());
            if notes.noted < to {
                let bytes = hashes[notes.noted..to].as_flattened().to_vec();
                job = Some((notes.file.clone(), bytes, notes.noted as u64 * 32));
                notes.noted = to;
            }
        }
        move || match job {
            Some((file, bytes, at)) => write_all_at(&file, &bytes, at),
            None => Ok(()),
        }
    }

    /// Nothing more comes. Syncs what came, if it is `expected`, else `corrupt_contents`.
    pub(super) async fn finish(
        mut self,
        expected: Option<ContentHash>,
        modified_ns: i64,
    ) -> io::Result<Result<Whole, Problem>> {
        let size = self.hasher.len();
        self.write().await?;
        while !self.writing.is_empty() {
            self.written().await?;
        }
        let hashes = match self.hasher.finish() {
            Ok(hashes) => hashes,
            Err(problem) => return Ok(Err(problem)),
        };
        if expected.is_some_and(|expected| expected != hashes.content()) {
            return Ok(Err(Problem::new(
                ErrorCode::CorruptContents,
                "what came is not what was sent",
            )
            .hint("the file may have changed meanwhile: send it again")));
        }
        let (contents, busy) = (self.contents, self.busy);
        let synced = tokio::task::spawn_blocking(move || {
            let _busy = busy;
            let file = contents.file();
            file.set_len(size)?;
            if let Some(modified) = believed(modified_ns) {
                file.set_modified(modified)?;
            }
            file.sync_all()
        });
        synced.await.unwrap_or_else(|e| Err(io::Error::other(e)))?;
        Ok(Ok(Whole {
            temporary: self.temporary,
            hashes,
        }))
    }
}

fn believed(modified_ns: i64) -> Option<SystemTime> {
    let since = u64::try_from(modified_ns).ok().filter(|ns| *ns > 0)?;
    let modified = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(since))?;
    (modified <= SystemTime::now() + FUTURE_MAX).then_some(modified)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::turns::Turns;
    use super::super::unfinished::About;
    use super::*;

    #[test]
    fn an_upload_that_broke_off_is_nobody_elses_before_its_last_write_is_done() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let inbox = tempfile::tempdir().unwrap();
        let about = About {
            user: "ana".parse().unwrap(),
            name: "x".to_owned(),
            size: 200_000,
            modified_ns: 0,
        };
        let id = about.id();
        Unfinished::create(inbox.path(), &id, &about).unwrap();
        let unfinished = Unfinished::open(inbox.path(), &id).unwrap();
        let geometry = PieceGeometry::new(about.size).unwrap();
        let turns = Turns::default();
        let busy = turns.occupy(&id).unwrap();
        let mut incoming = Incoming::resume(&unfinished, &geometry, Vec::new(), busy).unwrap();
        runtime.block_on(async {
            // The disk is slow: the one thread for it has something else to do.
            let (ready, wait) = mpsc::channel::<()>();
            let other = tokio::task::spawn_blocking(move || wait.recv());
            incoming.take(vec![1; 100_000].into()).await.unwrap();
            drop(incoming);
            assert!(turns.occupy(&id).is_err());
            ready.send(()).unwrap();
            other.await.unwrap().unwrap();
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            assert!(turns.occupy(&id).is_ok());
        });
        assert_eq!(std::fs::read(unfinished.contents()).unwrap(), [1; 65_536]);
    }
}
