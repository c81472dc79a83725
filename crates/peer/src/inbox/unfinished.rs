//! An unfinished upload on disk.
//!
//! ```text
//! INBOX/.convite-uploads/ID/about     whose it is, its name and size
//! INBOX/.convite-uploads/ID/contents  the file as far as it has come
//! INBOX/.convite-uploads/ID/hashes    the hashes of its pieces, each noted once its piece was written
//! INBOX/.convite-uploads/ID.done      how one ended: see `finished`
//! INBOX/.convite-uploads/form-N       a file of a form: goes when it breaks off
//! ```
//!
//! Beside the place that the file will be renamed to, so that it is on the same file system. Neither
//! contents nor hashes are synced on the way: what a power cut leaves is looked at again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use convite_client::home::write_private;
use convite_core::verify::hash_piece;
use convite_core::{PieceGeometry, PieceHash, UserName};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::finished::ENDING;
use crate::positioned::read_exact_at;
use crate::scan::PARTIAL_PREFIX;

/// In the inbox; hidden, so that nothing of it is shared.
pub(super) const FOLDER: &str = ".convite-uploads";
const _: () = assert!(PARTIAL_PREFIX.len() < FOLDER.len());

/// What is known of a file before it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) user: UserName,
    /// As it will be called here.
    pub(super) name: String,
    pub(super) size: u64,
    /// In nanoseconds since 1970; 0 if that is not known.
    pub(super) modified_ns: i64,
}

impl About {
    /// The same for the same file of the same account, so that an upload is found again.
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

/// See the module.
pub(super) struct Unfinished {
    folder: PathBuf,
}

impl Unfinished {
    /// Begins one.
    pub(super) fn create(inbox: &Path, id: &str, about: &About) -> io::Result<()> {
        let folder = inbox.join(FOLDER).join(id);
        fs::create_dir_all(&folder)?;
        write_private(&folder.join("about"), &serde_json::to_vec(about)?)
    }

    pub(super) fn open(inbox: &Path, id: &str) -> io::Result<Self> {
        let folder = inbox.join(FOLDER).join(id);
        match folder.join("about").is_file() {
            true => Ok(Self { folder }),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn contents(&self) -> PathBuf {
        self.folder.join("contents")
    }

    pub(super) fn hashes(&self) -> PathBuf {
        self.folder.join("hashes")
    }

    /// The hashes of the pieces that are here and right, from the first on; never of all, so that
    /// something is left to come.
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

/// All that are here, with when they were touched last; what is damaged, or cannot go on, is removed.
pub(super) fn all(inbox: &Path) -> io::Result<Vec<(String, About, SystemTime)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(inbox.join(FOLDER))? {
        let entry = entry?;
        let id = entry.file_name().to_string_lossy().into_owned();
        if id.ends_with(ENDING) {
            continue;
        }
        let about = fs::read(entry.path().join("about"))
            .ok()
            .and_then(|bytes| serde_json::from_slice::<About>(&bytes).ok())
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

/// Keeps nothing of an upload. A disk that refuses is tried again at the next start.
pub(super) fn remove(inbox: &Path, id: &str) {
    if let Err(error) = fs::remove_dir_all(inbox.join(FOLDER).join(id)) {
        tracing::warn!(%error, "cannot remove an unfinished upload");
    }
}
