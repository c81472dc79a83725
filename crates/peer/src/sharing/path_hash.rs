//! The hash of a file or folder on disk, as if it were shared alone: what `convite hash` prints.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use convite_core::{ContentHash, EntryKind, ErrorCode, Problem, SafePath, display};
use convite_wire::v1::SkippedFiles;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::sharing::catalogue::IndexedFile;
use crate::sharing::folder_readiness::Urgency;
use crate::sharing::folders::settle;
use crate::sharing::hashing::HashPool;
use crate::sharing::scan;
use crate::sharing::shared_files::SharedFiles;
use crate::sharing::shares::{ShareList, path_in_share};
use crate::sharing::skipped::{SkipReason, SkippedPaths};

/// The hash of a file or folder.
#[derive(Debug, Clone, PartialEq)]
pub struct PathHash {
    /// Whether it is a file or a folder.
    pub kind: EntryKind,
    /// The content hash of the file, or the folder hash.
    pub hash: ContentHash,
    /// The size of the file or of all files below the folder, in bytes.
    pub size: u64,
    /// The number of files; 1 for a file.
    pub files: u64,
    /// What is not part of the folder, as in a share.
    pub skipped: Vec<SkippedFiles>,
}

/// Hashes the file or folder at `path` with everything below it, as if it were shared alone. Blocks.
///
/// # Errors
/// Returns `not_found` if it does not exist, `invalid_argument` if it cannot be shared, `read_failed`
/// if something in it cannot be read or changes while it is read, and `too_large` if it exceeds the
/// limits of a folder.
pub fn hash_path(path: &Path) -> Result<PathHash, Problem> {
    let shown = path.to_string_lossy();
    let shown = display::escape(&shown);
    if let Err(error) = path.metadata() {
        return Err(Problem::not_found(format!("cannot read {shown}: {error}")));
    }
    let mut list = ShareList::default();
    let share = list.add(path, None)?;
    let files = SharedFiles::new(list, CancellationToken::new());
    let scanned = scan::scan(&share, &[]);
    if let Some(trouble) = scanned.trouble {
        return Err(read_failed(format!("{shown} {trouble}")));
    }
    let failures = Mutex::new((SkippedPaths::default(), None));
    let found: Vec<_> = scanned.files.iter().collect();
    HashPool::new()?.hash_all(&found, &files.stop, |at, result| {
        let found = &scanned.files[at];
        match result {
            Ok(hashes) => {
                files.catalogue.put(IndexedFile {
                    path: found.path.clone(),
                    root: found.root.clone(),
                    space: None,
                    identity: found.identity,
                    hash: hashes.pieces.content(),
                    crc32: Some(hashes.crc32),
                });
            }
            // A share leaves such a file out.
            Err(problem) if problem.code == ErrorCode::InvalidArgument => {
                let inner = Path::new(path_in_share(&found.path));
                failures.lock().0.note(SkipReason::WrongSize, inner);
            }
            Err(problem) => {
                failures.lock().1.get_or_insert(problem);
            }
        }
    });
    let (wrong_size, failure) = failures.into_inner();
    if let Some(problem) = failure {
        return Err(read_failed(problem.message));
    }
    files.add_folders(&scanned.folders);
    settle(&files, Instant::now(), Urgency::Now);
    let mut skipped = scanned.skipped;
    skipped.merge(wrong_size);
    let path: SafePath = share.name.parse()?;
    if let Some(file) = files.catalogue.by_path(&path) {
        return Ok(hash_of_file(&file, skipped));
    }
    let folder = files.catalogue.folder_by_path(&path).ok_or_else(|| {
        let exceptions = files.catalogue.folder_exceptions();
        if exceptions.unfinished.contains(&path) {
            Problem::invalid(format!("{shown} is being downloaded"))
                .hint("wait until the download is complete")
        } else {
            Problem::new(
                ErrorCode::TooLarge,
                format!("{shown} exceeds the limits of a folder"),
            )
        }
    })?;
    Ok(PathHash {
        kind: EntryKind::Folder,
        hash: folder.hash,
        size: folder.size,
        files: folder.files,
        skipped: skipped.to_wire(),
    })
}

fn hash_of_file(file: &Arc<IndexedFile>, skipped: SkippedPaths) -> PathHash {
    PathHash {
        kind: EntryKind::File,
        hash: file.hash,
        size: file.identity.size,
        files: 1,
        skipped: skipped.to_wire(),
    }
}

fn read_failed(message: String) -> Problem {
    Problem::new(ErrorCode::ReadFailed, message)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use convite_core::{Manifest, ManifestEntry};

    use super::*;
    use crate::fs::names::UNFINISHED_MARKER;

    fn entry(name: &str, contents: &[u8]) -> ManifestEntry {
        let (size, crc32) = (contents.len() as u64, crc32fast::hash(contents));
        ManifestEntry::file(name, size, crc32, ContentHash::of(contents))
    }

    #[test]
    fn a_folder_is_hashed_without_what_a_share_excludes() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("data");
        fs::create_dir_all(root.join("b/empty")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        for (name, contents) in [("b/2", "two"), ("b-1", "one"), (".git/x", "x"), ("0", "")] {
            fs::write(root.join(name), contents).unwrap();
        }
        let empty = Manifest::new(Vec::new()).unwrap();
        let below = Manifest::new(vec![
            entry("2", b"two"),
            ManifestEntry::folder("empty", empty.summary()),
        ])
        .unwrap();
        let whole = Manifest::new(vec![
            entry("0", b""),
            ManifestEntry::folder("b", below.summary()),
            entry("b-1", b"one"),
        ])
        .unwrap();
        let hashed = hash_path(&root).unwrap();
        assert_eq!(
            (hashed.kind, hashed.hash),
            (EntryKind::Folder, whole.hash())
        );
        assert_eq!((hashed.files, hashed.size), (3, 6));
        assert_eq!(hashed.skipped.len(), 1);
        let file = hash_path(&root.join("b/2")).unwrap();
        assert_eq!(
            (file.kind, file.hash),
            (EntryKind::File, ContentHash::of(b"two"))
        );

        let missing = hash_path(&root.join("c")).unwrap_err();
        assert_eq!(missing.code, ErrorCode::NotFound);
        fs::write(root.join("b").join(UNFINISHED_MARKER), "").unwrap();
        assert!(hash_path(&root.join("b")).is_err());
        let without = hash_path(&root).unwrap();
        assert_eq!(without.files, 2);
    }
}
