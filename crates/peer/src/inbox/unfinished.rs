//! Unfinished uploads on disk.
//!
//! ```text
//! INBOX/.convite-uploads/ID/about     the account, file name and size
//! INBOX/.convite-uploads/ID/contents  the received part of the file
//! INBOX/.convite-uploads/ID/hashes    the hashes of its pieces, each stored after its piece was
//! written
//! INBOX/.convite-uploads/ID.done      the result of a finished upload: see `finished`
//! INBOX/.convite-uploads/form-N       a file of a form: removed if the upload is interrupted
//! ```
//!
//! This folder is in the inbox so that files can be renamed within one file system. Neither
//! contents nor hashes are synced before the end: after a power failure they are verified.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use convite_client::home::write_private;
use convite_core::verify::hash_piece;
use convite_core::{PieceGeometry, PieceHash, UserName};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::fs::names::PARTIAL_PREFIX;
use crate::fs::positioned_io::read_exact_at;
use crate::fs::stamp::FileStamp;

/// The folder in the inbox; hidden, so that it is not shared.
pub(super) const FOLDER: &str = ".convite-uploads";
const _: () = assert!(PARTIAL_PREFIX.len() < FOLDER.len());
/// The suffix of the files that record finished uploads.
pub(super) const SUFFIX: &str = ".done";

/// The metadata of an upload, known before its contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UploadRecord {
    pub(super) user: UserName,
    /// The file name in the inbox.
    pub(super) name: String,
    pub(super) size: u64,
    /// The modification time in nanoseconds since 1970; 0 if it is unknown.
    pub(super) modified_ns: i64,
}

impl UploadRecord {
    /// Returns an id that is equal for the same file of the same account, so that an upload can
    /// resume.
    pub(super) fn id(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [self.user.as_str(), &self.name] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(&self.size.to_le_bytes());
        hasher.update(&self.modified_ns.to_le_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// An unfinished upload.
pub(super) struct UnfinishedUpload {
    folder: PathBuf,
}

impl UnfinishedUpload {
    /// Creates the folder of an upload.
    pub(super) fn create(inbox: &Path, id: &str, about: &UploadRecord) -> io::Result<()> {
        let folder = inbox.join(FOLDER).join(id);
        fs::create_dir_all(&folder)?;
        write_private(&folder.join("about"), &serde_json::to_vec(about)?)
    }

    pub(super) fn open(inbox: &Path, id: &str) -> io::Result<Self> {
        let folder = inbox.join(FOLDER).join(id);
        if folder.join("about").is_file() {
            Ok(Self { folder })
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    pub(super) fn contents(&self) -> PathBuf {
        self.folder.join("contents")
    }

    pub(super) fn hashes(&self) -> PathBuf {
        self.folder.join("hashes")
    }

    /// Returns the stamp of the contents; `None` if there are none or the file system does not
    /// support it.
    pub(super) fn stamp(&self) -> io::Result<Option<FileStamp>> {
        match File::open(self.contents()) {
            Ok(file) => FileStamp::of(&file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the hashes of the verified pieces, from the first on. The last piece is never
    /// included, so that something is left to send.
    pub(super) fn verified(&self, geometry: &PieceGeometry) -> io::Result<Vec<PieceHash>> {
        let (noted, file) = match (fs::read(self.hashes()), File::open(self.contents())) {
            (Ok(noted), Ok(file)) => (noted, file),
            (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Vec::new());
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let (noted, _) = noted.as_chunks::<32>();
        let most = geometry.piece_count().saturating_sub(1) as usize;
        let noted = &noted[..noted.len().min(most)];
        let is_right = |(index, hash): (usize, &PieceHash)| {
            let index = index as u32;
            let mut piece = vec![0; geometry.piece_len(index) as usize];
            let read = read_exact_at(&file, &mut piece, geometry.piece_range(index).start);
            read.is_ok() && hash_piece(geometry, index, &piece) == *hash
        };
        let right: Vec<bool> = noted.par_iter().enumerate().map(is_right).collect();
        let held = right.iter().take_while(|right| **right).count();
        Ok(noted[..held].to_vec())
    }
}

/// Returns all unfinished uploads with the time of their last change. Removes those that are
/// damaged or cannot resume.
pub(super) fn all(inbox: &Path) -> io::Result<Vec<(String, UploadRecord, SystemTime)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(inbox.join(FOLDER))? {
        let entry = entry?;
        let id = entry.file_name().to_string_lossy().into_owned();
        if id.ends_with(SUFFIX) {
            continue;
        }
        let about = fs::read(entry.path().join("about"))
            .ok()
            .and_then(|bytes| serde_json::from_slice::<UploadRecord>(&bytes).ok())
            .filter(|about| about.id() == id);
        match about {
            Some(about) => {
                let touched = fs::metadata(entry.path().join("hashes"))
                    .or_else(|_| entry.metadata())?
                    .modified()?;
                found.push((id, about, touched));
            }
            None if entry.file_type()?.is_dir() => fs::remove_dir_all(entry.path())?,
            None => fs::remove_file(entry.path())?,
        }
    }
    Ok(found)
}

/// Removes an upload. If this fails, it is retried at the next start.
pub(super) fn remove(inbox: &Path, id: &str) {
    if let Err(error) = fs::remove_dir_all(inbox.join(FOLDER).join(id)) {
        tracing::warn!(%error, "cannot remove an unfinished upload");
    }
}
