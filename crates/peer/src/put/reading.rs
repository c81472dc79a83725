//! The file that is put: opened once, read and hashed in order, and the same at the end as at the
//! beginning.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use convite_core::verify::hash_piece;
use convite_core::{
    ContentHash, ErrorCode, PieceGeometry, PieceHash, PieceHashes, Problem, StreamHasher, display,
};
use rayon::prelude::*;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::beneath::Identity;
use crate::hashing::read_in_order;
use crate::positioned::read_exact_at;
use crate::serve::buffers::{Buffers, LARGE};

/// Chunks read ahead of the network: 3 MiB, so that reading, hashing and sending need not wait for each other.
const AHEAD: usize = 12;

/// A file, as it was when it was opened.
pub(super) struct Opened {
    file: File,
    name: String,
    identity: Identity,
    geometry: PieceGeometry,
}

impl Opened {
    pub(super) fn open(path: &Path) -> Result<Self, Problem> {
        let shown = path.to_string_lossy();
        let shown = display::escape(&shown);
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Problem::not_found(format!("there is no file {shown}")),
            _ => Problem::invalid(format!("cannot read {shown}: {error}")),
        };
        let metadata = path.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(Problem::invalid(format!("{shown} is not a file"))
                .hint("name files; a folder can be packed into one before"));
        }
        let file = File::open(path).map_err(unreadable)?;
        let identity = Identity::of(&file).map_err(unreadable)?;
        let name = path.file_name().and_then(|name| name.to_str());
        let name =
            name.ok_or_else(|| Problem::invalid(format!("{shown} is not named in UTF-8")))?;
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

    /// Of these hashes of the first pieces those that are the file's. Blocks.
    pub(super) fn agreed(&self, mut held: Vec<PieceHash>) -> Result<Vec<PieceHash>, Problem> {
        // Of a file that is there whole something is left to send: whoever says otherwise errs.
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

    /// The file's content hash. Blocks until all of it is read.
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
        let now = Identity::of(&self.file);
        match now.is_ok_and(|now| now == self.identity) {
            true => Ok(()),
            false => Err(changed()),
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

fn changed() -> Problem {
    Problem::new(
        ErrorCode::ContentChanged,
        "the file changed while it was sent",
    )
    .hint("send it again when nobody writes to it")
}

/// A run of the file, or its hash at the end.
pub(super) enum Part {
    Run(u64, Bytes),
    End(ContentHash),
}

/// Reads the file on a thread of its own.
pub(super) struct Reading {
    pub(super) parts: mpsc::Receiver<Part>,
    /// Why no more comes, if that is not the end.
    pub(super) trouble: Arc<Mutex<Option<Problem>>>,
}

impl Reading {
    /// Reads what comes after the pieces with these hashes.
    pub(super) fn start(opened: Arc<Opened>, agreed: Vec<PieceHash>) -> Self {
        let (out, parts) = mpsc::channel(AHEAD);
        let trouble = Arc::new(Mutex::new(None));
        let told = trouble.clone();
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            if let Err(problem) = read(&opened, agreed, &runtime, &out)
                && let Ok(mut told) = told.lock()
            {
                *told = Some(problem);
            }
        });
        Self { parts, trouble }
    }
}

fn read(
    opened: &Opened,
    agreed: Vec<PieceHash>,
    runtime: &Handle,
    out: &mpsc::Sender<Part>,
) -> Result<(), Problem> {
    read_in_order(&opened.file);
    let buffers = Buffers::new();
    let mut hasher = StreamHasher::resume(&opened.geometry, agreed);
    while hasher.len() < opened.size() {
        let at = hasher.len();
        let wanted = (opened.size() - at).min(LARGE as u64) as usize;
        let Some(room) = runtime.block_on(buffers.room(wanted)) else {
            return Ok(());
        };
        let len = room.len().min(wanted);
        let run = room.fill(len, |buffer| read_exact_at(&opened.file, buffer, at));
        let run = run.map_err(|error| opened.changed(&error))?;
        hasher.update(&run);
        if out.blocking_send(Part::Run(at, run)).is_err() {
            return Ok(());
        }
    }
    opened.check_unchanged()?;
    // Nobody listens any more if the other side broke off.
    let _ = out.blocking_send(Part::End(hasher.finish()?.content()));
    Ok(())
}
