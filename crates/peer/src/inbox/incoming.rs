//! Receives the bytes of an upload: hashes them on arrival and writes them in blocks.

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
use convite_net::{random, task};
use convite_provider::PieceBuffer;
use tokio::task::JoinHandle;

use super::concurrency::UploadLock;
use super::unfinished::{FOLDER, UnfinishedUpload};
use crate::fs::fallbacks;
use crate::fs::piece_writer::{FileBuffer, PieceWriter};
use crate::fs::positioned_io::write_all_at;

/// The block size in bytes for a file of unknown size.
const BLOCK: u64 = 1 << 20;
/// The number of blocks written concurrently.
const WRITES_MAX: usize = 3;
/// Modification times farther in the future than this are ignored.
const FUTURE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A file that is received in order.
pub(super) struct UploadWriter {
    temporary: TemporaryFile,
    contents: Arc<PieceWriter>,
    hasher: StreamHasher,
    /// `None` if the first bytes were received by an earlier stream.
    crc32: Option<crc32fast::Hasher>,
    block: u64,
    /// The current block, and the number of its bytes received.
    coming: Option<(FileBuffer, u64)>,
    writing: VecDeque<JoinHandle<io::Result<()>>>,
    /// The number of written blocks.
    written: usize,
    notes: Option<HashFile>,
    /// Held by each job on the disk, so that none runs after another stream has started.
    busy: Option<Arc<UploadLock>>,
}

/// The file with the hashes of written pieces.
struct HashFile {
    file: Arc<File>,
    noted: usize,
}

/// A file that is removed on drop, unless it was moved or belongs to an upload that can resume.
pub(super) struct TemporaryFile {
    path: PathBuf,
    goes: bool,
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if self.goes {
            // It does not exist if it was moved to its name.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A complete file, verified and synced.
pub(super) struct VerifiedUpload {
    pub(super) temporary: TemporaryFile,
    pub(super) file: Arc<File>,
    pub(super) hashes: PieceHashes,
    /// The CRC-32 of the contents; `None` if parts were received by an earlier stream.
    pub(super) crc32: Option<u32>,
}

impl VerifiedUpload {
    pub(super) fn path(&self) -> &Path {
        &self.temporary.path
    }
}

impl UploadWriter {
    /// Begins a file of unknown size.
    pub(super) fn begin(inbox: &Path) -> io::Result<Self> {
        let random: [u8; 16] = random::bytes().map_err(io::Error::other)?;
        let name = format!("form-{}", data_encoding::HEXLOWER.encode(&random));
        let temporary = TemporaryFile {
            path: inbox.join(FOLDER).join(name),
            goes: true,
        };
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&temporary.path)?;
        let contents = PieceWriter::new(file, &temporary.path, 0);
        Ok(Self::new(
            temporary,
            contents,
            StreamHasher::default(),
            BLOCK,
            None,
            None,
        ))
    }

    /// Resumes after the pieces with these hashes.
    pub(super) fn resume(
        unfinished: &UnfinishedUpload,
        geometry: &PieceGeometry,
        held: Vec<PieceHash>,
        busy: Arc<UploadLock>,
    ) -> io::Result<Self> {
        let open = |path: &Path| {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            options.open(path)
        };
        let temporary = TemporaryFile {
            path: unfinished.contents(),
            goes: false,
        };
        let contents = PieceWriter::new(
            open(&temporary.path)?,
            &temporary.path,
            geometry.file_size(),
        );
        let file = open(&unfinished.hashes())?;
        // Later pieces are written again, and so are their hashes.
        let noted = held.len() as u64 * 32;
        let file = match fallbacks::set_len(&file, noted) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                drop(file);
                std::fs::remove_file(unfinished.hashes())?;
                let file = open(&unfinished.hashes())?;
                write_all_at(&file, held.as_flattened(), 0)?;
                file
            }
            cut => cut.map(|_| file)?,
        };
        let notes = HashFile {
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
        temporary: TemporaryFile,
        contents: PieceWriter,
        hasher: StreamHasher,
        block: u64,
        notes: Option<HashFile>,
        busy: Option<Arc<UploadLock>>,
    ) -> Self {
        Self {
            temporary,
            contents: Arc::new(contents),
            written: (hasher.len() / block) as usize,
            crc32: hasher.is_empty().then(crc32fast::Hasher::new),
            hasher,
            block,
            coming: None,
            writing: VecDeque::with_capacity(WRITES_MAX),
            notes,
            busy,
        }
    }

    /// Returns the number of bytes received, including those before a resume.
    pub(super) fn len(&self) -> u64 {
        self.hasher.len()
    }

    /// Appends bytes.
    pub(super) async fn take(&mut self, mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            let at = self.hasher.len();
            let (gathered, filled) = self.coming.get_or_insert_with(|| {
                let range = at..at + self.block;
                (self.contents.buffer_for(&range), 0)
            });
            let room = usize::try_from(self.block - *filled).unwrap_or(usize::MAX);
            let part = bytes.split_to(bytes.len().min(room));
            *filled += part.len() as u64;
            self.hasher.update(&part);
            if let Some(crc32) = &mut self.crc32 {
                crc32.update(&part);
            }
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
        if self.writing.len() >= WRITES_MAX {
            self.written().await?;
        }
        let (note, busy) = (self.note(), self.busy.clone());
        let write = self.contents.clone().write_job(gathered).await;
        self.writing.push_back(task::start_blocking(move || {
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

    /// Returns the job that stores the hashes of pieces written since the last call.
    fn note(&mut self) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let mut job = None;
        if let Some(notes) = &mut self.notes {
            let hashes = self.hasher.complete_hashes();
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

    /// Ends the file and syncs it. Returns `corrupt_contents` if its hash is not `expected`.
    pub(super) async fn finish(
        mut self,
        expected: Option<ContentHash>,
        modified_ns: i64,
    ) -> io::Result<Result<VerifiedUpload, Problem>> {
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
                "the received data does not match the sender's hash",
            )
            .hint("the file may have changed during the upload; send it again")));
        }
        let (file, busy) = (self.contents.file().clone(), self.busy);
        let whole = file.clone();
        task::blocking(move || {
            let _busy = busy;
            fallbacks::set_len(&file, size)?;
            if let Some(modified) = plausible_time(modified_ns) {
                fallbacks::if_supported(file.set_modified(modified))?;
            }
            fallbacks::sync_all(&file)
        })
        .await?;
        Ok(Ok(VerifiedUpload {
            temporary: self.temporary,
            file: whole,
            hashes,
            crc32: self.crc32.map(crc32fast::Hasher::finalize),
        }))
    }
}

fn plausible_time(modified_ns: i64) -> Option<SystemTime> {
    let since = u64::try_from(modified_ns).ok().filter(|ns| *ns > 0)?;
    let modified = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(since))?;
    (modified <= SystemTime::now() + FUTURE_MAX).then_some(modified)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::concurrency::UploadSlots;
    use super::super::unfinished::UploadRecord;
    use super::*;

    #[test]
    fn interrupted_upload_stays_locked_until_its_last_write() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let inbox = tempfile::tempdir().unwrap();
        let about = UploadRecord {
            user: "ana".parse().unwrap(),
            name: "x".to_owned(),
            size: 200_000,
            modified_ns: 0,
        };
        let id = about.id();
        UnfinishedUpload::create(inbox.path(), &id, &about).unwrap();
        let unfinished = UnfinishedUpload::open(inbox.path(), &id).unwrap();
        let geometry = PieceGeometry::new(about.size).unwrap();
        let turns = UploadSlots::default();
        let busy = turns.lock_upload(&id).unwrap();
        let mut incoming = UploadWriter::resume(&unfinished, &geometry, Vec::new(), busy).unwrap();
        runtime.block_on(async {
            // Simulates a slow disk: its only thread is busy.
            let (ready, wait) = mpsc::channel::<()>();
            let other = task::start_blocking(move || wait.recv());
            incoming.take(vec![1; 100_000].into()).await.unwrap();
            drop(incoming);
            assert!(turns.lock_upload(&id).is_err());
            ready.send(()).unwrap();
            other.await.unwrap().unwrap();
            task::start_blocking(|| ()).await.unwrap();
            assert!(turns.lock_upload(&id).is_ok());
        });
        assert_eq!(std::fs::read(unfinished.contents()).unwrap(), [1; 65_536]);
    }
}
