//! The source file of an upload: opened once, read and hashed in order, and checked to be unchanged
//! at the end.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use convite_core::verify::hash_piece;
use convite_core::{
    ContentHash, ErrorCode, PieceGeometry, PieceHash, PieceHashes, Problem, StreamHasher, display,
};
use convite_net::task;
use parking_lot::Mutex;
use rayon::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::fs::identity::FileIdentity;
use crate::fs::open_beneath::check_size;
use crate::fs::positioned_io::read_exact_at;
use crate::serve::download::buffers::{LARGE, UploadBuffers};
use crate::sharing::hashing::advise_sequential;

/// Chunks read ahead of the network: 3 MiB, so that reading, hashing and sending run in parallel.
const AHEAD: usize = 12;

/// The file and its identity when it was opened.
pub(super) struct SourceFile {
    file: File,
    name: String,
    identity: FileIdentity,
    geometry: PieceGeometry,
}

impl SourceFile {
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        let shown = path.to_string_lossy();
        let shown = display::escape(&shown);
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Problem::not_found(format!("{shown} does not exist")),
            _ => Problem::invalid(format!("cannot read {shown}: {error}")),
        };
        let metadata = path.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Problem::invalid(format!("{shown} is not a regular file"))
                .hint("name regular files, not folders, pipes or devices"));
        }
        let file = open_at_once(path).map_err(unreadable)?;
        // The file may have been replaced since.
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(Problem::invalid(format!("{shown} is no longer a file")));
        }
        let identity = FileIdentity::of(&file).map_err(unreadable)?;
        check_size(&file, identity.size).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Problem::invalid(format!("cannot send {shown}: {error}"))
                .hint("copy it to a regular file and send the copy"),
            _ => unreadable(error),
        })?;
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name
            .ok_or_else(|| Problem::invalid(format!("the name of {shown} is not valid UTF-8")))?;
        let geometry = PieceGeometry::new(identity.size)
            .ok_or_else(|| Problem::new(ErrorCode::TooLarge, format!("{shown} is too large")))?;
        Ok(Self {
            file,
            name: name.to_owned(),
            identity,
            geometry,
        })
    }

    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    pub(super) fn size(&self) -> u64 {
        self.identity.size
    }

    pub(super) fn modified_ns(&self) -> i64 {
        self.identity.modified_ns
    }

    pub(super) fn piece_size(&self) -> u64 {
        self.geometry.piece_size()
    }

    /// Returns the longest prefix of `held` that matches the file's piece hashes. Blocks.
    pub(super) fn matching_prefix(
        &self,
        mut held: Vec<PieceHash>,
    ) -> Result<Vec<PieceHash>, Problem> {
        // At least the last piece is always sent, even if the receiver claims to have all pieces.
        held.truncate(self.geometry.piece_count().saturating_sub(1) as usize);
        let is_ours = |(index, hash): (usize, &PieceHash)| {
            let index = index as u32;
            let range = self.geometry.piece_range(index);
            let mut piece = vec![0; (range.end - range.start) as usize];
            read_exact_at(&self.file, &mut piece, range.start)
                .map(|()| hash_piece(&self.geometry, index, &piece) == *hash)
        };
        let ours: Result<Vec<bool>, _> = held.par_iter().enumerate().map(is_ours).collect();
        let ours = ours.map_err(|error| self.changed(&error))?;
        held.truncate(ours.iter().take_while(|ours| **ours).count());
        Ok(held)
    }

    /// Returns the file's content hash. Blocks until the whole file is read.
    pub(super) fn hash(&self) -> Result<ContentHash, Problem> {
        let hash = |index: u32| {
            let range = self.geometry.piece_range(index);
            let mut piece = vec![0; (range.end - range.start) as usize];
            read_exact_at(&self.file, &mut piece, range.start)
                .map(|()| hash_piece(&self.geometry, index, &piece))
        };
        let pieces = (0..self.geometry.piece_count()).into_par_iter();
        let hashes: Result<Vec<PieceHash>, _> = pieces.map(hash).collect();
        let hashes = hashes.map_err(|error| self.changed(&error))?;
        self.check_unchanged()?;
        Ok(PieceHashes::fold(self.geometry, hashes)?.content())
    }

    fn check_unchanged(&self) -> Result<(), Problem> {
        let now = FileIdentity::of(&self.file);
        if now.is_ok_and(|now| now == self.identity) {
            Ok(())
        } else {
            Err(changed())
        }
    }

    fn changed(&self, error: &io::Error) -> Problem {
        if error.kind() != io::ErrorKind::UnexpectedEof {
            return Problem::new(
                ErrorCode::Internal,
                format!("cannot read the file: {error}"),
            );
        }
        changed()
    }
}

/// Opens a file without blocking, even if it is a pipe.
fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK.bits();
        options.custom_flags(flags.cast_signed());
    }
    options.open(path)
}

fn changed() -> Problem {
    Problem::new(
        ErrorCode::ContentChanged,
        "the file changed while it was sent",
    )
    .hint("send it again when no program is writing to it")
}

/// A chunk of the file, or the hash at its end.
pub(super) enum SourceChunk {
    Run(u64, Bytes),
    End(ContentHash),
}

/// A thread that reads the file.
pub(super) struct SourceReader {
    pub(super) parts: mpsc::Receiver<SourceChunk>,
    /// The error, if the parts end early.
    pub(super) trouble: Arc<Mutex<Option<Problem>>>,
}

impl SourceReader {
    /// Starts to read after the pieces with the hashes `agreed`.
    pub(super) fn start(opened: Arc<SourceFile>, agreed: Vec<PieceHash>) -> Self {
        let (out, parts) = mpsc::channel(AHEAD);
        let trouble = Arc::new(Mutex::new(None));
        let told = trouble.clone();
        let runtime = Handle::current();
        task::start_blocking(move || {
            if let Err(problem) = read(&opened, agreed, &runtime, &out) {
                *told.lock() = Some(problem);
            }
        });
        Self { parts, trouble }
    }
}

fn read(
    opened: &SourceFile,
    agreed: Vec<PieceHash>,
    runtime: &Handle,
    out: &mpsc::Sender<SourceChunk>,
) -> Result<(), Problem> {
    advise_sequential(&opened.file);
    let buffers = UploadBuffers::new();
    let mut hasher = StreamHasher::resume(&opened.geometry, agreed);
    while hasher.len() < opened.size() {
        let at = hasher.len();
        let wanted = (opened.size() - at).min(LARGE as u64) as usize;
        let Some(room) = runtime.block_on(buffers.acquire(wanted)) else {
            return Ok(());
        };
        let len = room.len().min(wanted);
        let run = room.fill(len, |buffer| read_exact_at(&opened.file, buffer, at));
        let run = run.map_err(|error| opened.changed(&error))?;
        hasher.update(&run);
        if out.blocking_send(SourceChunk::Run(at, run)).is_err() {
            return Ok(());
        }
    }
    opened.check_unchanged()?;
    // The send fails if the connection is gone.
    let _ = out.blocking_send(SourceChunk::End(hasher.finish()?.content()));
    Ok(())
}
