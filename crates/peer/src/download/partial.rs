//! An unfinished download on disk.
//!
//! ```text
//! HOME/downloads/HASH-SIZE/lock      held while somebody works on it
//! HOME/downloads/HASH-SIZE/where     path of the contents, if they are not in this folder
//! HOME/downloads/HASH-SIZE/hashes    the piece hashes, verified
//! HOME/downloads/HASH-SIZE/pieces    which pieces are verified and synced, a bit each
//! HOME/downloads/HASH-SIZE/contents  the file as far as it has come
//! ```
//!
//! The contents are on the file system they will be renamed on: here if that is the target's, else
//! in a hidden file beside the target. Order of durability: contents, sync, `pieces`. What was
//! written after the last sync is not lost by a kill: on resuming, pieces that are on disk but not
//! in `pieces` are hashed again and kept if they are right.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_client::Home;
use convite_client::home::{create_private_folder, write_private};
use convite_core::verify::hash_piece;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHashes, Problem};
use convite_swarm::PieceSet;
use rustix::fs::{FlockOperation, flock};

use super::place::{Target, disk_problem, on_blocking_thread};
use crate::contents::Contents;

/// An unfinished download, locked for this process.
pub(crate) struct Partial {
    folder: PathBuf,
    path: PathBuf,
    contents: Arc<Contents>,
    geometry: PieceGeometry,
    /// The pieces that were found verified when it was opened.
    verified: PieceSet,
    hashes: Option<Arc<PieceHashes>>,
    /// Held until this is dropped.
    _lock: File,
}

impl Partial {
    /// Opens what an earlier run left, or begins anew.
    ///
    /// # Errors
    /// `no_space` if the file system of the target has not enough room for what is missing;
    /// `unavailable` if another process is fetching the same file; those of the file system.
    pub(crate) async fn open(
        home: &Home,
        hash: ContentHash,
        geometry: PieceGeometry,
        target: &Target,
    ) -> Result<Self, Problem> {
        let folder = home
            .downloads()
            .join(format!("{hash}-{}", geometry.file_size()));
        let target = target.clone();
        on_blocking_thread(move || Self::open_blocking(folder, hash, geometry, &target)).await
    }

    fn open_blocking(
        folder: PathBuf,
        hash: ContentHash,
        geometry: PieceGeometry,
        target: &Target,
    ) -> Result<Self, Problem> {
        fs::create_dir_all(target.folder())
            .map_err(|error| disk_problem("make", target.folder(), &error))?;
        create_private_folder(&folder).map_err(|error| disk_problem("make", &folder, &error))?;
        let lock = lock(&folder)?;
        let contents = contents_path(&folder, &hash, target)
            .map_err(|error| disk_problem("use", &folder, &error))?;
        let existed = contents.exists();
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&contents)
            .map_err(|error| disk_problem("write", &contents, &error))?;
        let write_failed = |error: &io::Error| disk_problem("write", &contents, error);
        file.set_len(geometry.file_size())
            .map_err(|e| write_failed(&e))?;
        check_room(&file, geometry, target)?;

        let hashes = read_hashes(&folder, hash, geometry).map(Arc::new);
        let mut verified = PieceSet::empty(geometry.piece_count());
        if existed {
            if let Ok(bytes) = fs::read(folder.join("pieces"))
                && let Some(set) = PieceSet::from_bytes(geometry.piece_count(), &bytes)
            {
                verified = set;
            }
            if let Some(hashes) = &hashes {
                find_unsynced(&file, hashes, &mut verified).map_err(|e| write_failed(&e))?;
            }
        }
        Ok(Self {
            folder,
            contents: Arc::new(Contents::new(file, &contents, geometry.file_size())),
            path: contents,
            geometry,
            verified,
            hashes,
            _lock: lock,
        })
    }

    /// The contents, to be written at the offsets of verified pieces.
    pub(crate) fn contents(&self) -> &Arc<Contents> {
        &self.contents
    }

    /// How the file is divided.
    pub(crate) fn geometry(&self) -> PieceGeometry {
        self.geometry
    }

    /// The pieces that were there when it was opened.
    pub(crate) fn verified(&self) -> &PieceSet {
        &self.verified
    }

    /// The piece hashes, if an earlier run learned them.
    pub(crate) fn hashes(&self) -> Option<Arc<PieceHashes>> {
        self.hashes.clone()
    }

    /// Keeps the piece hashes for a resume. Losing them costs only the chance to keep unsynced
    /// pieces, so that a failure is no reason to stop.
    pub(crate) fn keep_hashes(&self, hashes: &PieceHashes) {
        if let Err(error) = write_private(
            &self.folder.join("hashes"),
            hashes.as_slice().as_flattened(),
        ) {
            tracing::warn!(%error, "cannot keep the piece hashes");
        }
    }

    /// A job that makes `pieces` last: syncs the contents, then notes what is verified.
    pub(crate) fn checkpoint(
        &self,
        verified: &PieceSet,
    ) -> impl FnOnce() -> io::Result<()> + use<> {
        let (file, path) = (self.contents.file().clone(), self.folder.join("pieces"));
        let bytes = verified.to_bytes();
        move || {
            file.sync_data()?;
            write_private(&path, &bytes)
        }
    }

    /// Syncs the whole file, moves it to its place and forgets the rest.
    ///
    /// # Errors
    /// `file_exists` if something appeared there meanwhile; those of the file system. The contents
    /// are kept then.
    pub(crate) async fn put_in_place(self, target: &Target) -> Result<PathBuf, Problem> {
        let target = target.clone();
        on_blocking_thread(move || {
            let file = self.contents.file();
            file.sync_all()
                .map_err(|error| disk_problem("sync", &self.path, &error))?;
            target.receive(&self.path)?;
            if let Err(error) = fs::remove_dir_all(&self.folder) {
                tracing::warn!(%error, "cannot remove the state of a finished download");
            }
            Ok(target.path)
        })
        .await
    }
}

fn lock(folder: &Path) -> Result<File, Problem> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|error| disk_problem("write", &path, &error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Problem::new(
            ErrorCode::Unavailable,
            "another process is fetching this file already",
        )
        .hint("wait for it, or use another --home")),
        Err(error) => Err(disk_problem("lock", &path, &error.into())),
    }
}

/// Where the contents are or will be: where an earlier run put them, if they can be renamed to the
/// target from there.
fn contents_path(folder: &Path, hash: &ContentHash, target: &Target) -> io::Result<PathBuf> {
    let inside = folder.join("contents");
    let note = folder.join("where");
    let target_folder = fs::canonicalize(target.folder())?;
    if same_device(folder, &target_folder)? {
        let _ = fs::remove_file(&note);
        return Ok(inside);
    }
    if let Ok(text) = fs::read_to_string(&note) {
        let noted = PathBuf::from(text);
        let usable = noted
            .parent()
            .is_some_and(|p| same_device(p, &target_folder).unwrap_or(false));
        if usable && noted.exists() {
            return Ok(noted);
        }
    }
    let beside = target_folder.join(format!(".convite-{}.part", hash.short()));
    if let Some(text) = beside.to_str() {
        write_private(&note, text.as_bytes())?;
    }
    // What is noted as verified was in another file.
    let _ = fs::remove_file(folder.join("pieces"));
    Ok(beside)
}

#[cfg(unix)]
fn same_device(a: &Path, b: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata(a)?.dev() == fs::metadata(b)?.dev())
}

#[cfg(not(unix))]
fn same_device(a: &Path, b: &Path) -> io::Result<bool> {
    Ok(a.components().next() == b.components().next())
}

/// Refuses to begin what cannot be finished.
fn check_room(file: &File, geometry: PieceGeometry, target: &Target) -> Result<(), Problem> {
    let Ok(space) = rustix::fs::fstatvfs(file) else {
        return Ok(());
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    #[cfg(unix)]
    let written = std::os::unix::fs::MetadataExt::blocks(
        &file
            .metadata()
            .map_err(|e| disk_problem("read", &target.path, &e))?,
    ) * 512;
    #[cfg(not(unix))]
    let written = 0;
    let wanted = geometry.file_size().saturating_sub(written);
    if wanted <= free {
        return Ok(());
    }
    let bytes = convite_core::display::bytes;
    Err(Problem::new(
        ErrorCode::NoSpace,
        format!(
            "{} has no room for the file: {} are wanted, {} are free",
            target.folder().display(),
            bytes(wanted),
            bytes(free)
        ),
    )
    .hint("make room, or choose another place with -o PATH"))
}

fn read_hashes(folder: &Path, hash: ContentHash, geometry: PieceGeometry) -> Option<PieceHashes> {
    let bytes = fs::read(folder.join("hashes")).ok()?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return None;
    }
    PieceHashes::verify(geometry, hash, hashes.to_vec()).ok()
}

/// Adds pieces that were written and not noted any more: those in runs of the file that hold data
/// and whose hash is right.
fn find_unsynced(file: &File, hashes: &PieceHashes, verified: &mut PieceSet) -> io::Result<()> {
    let geometry = hashes.geometry();
    let mut buffer = Vec::new();
    for index in 0..geometry.piece_count() {
        let range = geometry.piece_range(index);
        if verified.contains(index) || !holds_data(file, &range) {
            continue;
        }
        buffer.resize((range.end - range.start) as usize, 0);
        read_exact_at(file, &mut buffer, range.start)?;
        if hashes.matches(index, &hash_piece(&geometry, index, &buffer)) {
            verified.insert(index);
        }
    }
    Ok(())
}

/// Whether a run of the file is more than a hole, as far as the file system tells.
fn holds_data(file: &File, range: &std::ops::Range<u64>) -> bool {
    #[cfg(target_os = "linux")]
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(range.start)) {
        Ok(data) => return data < range.end,
        Err(rustix::io::Errno::NXIO) => return false,
        Err(_) => {}
    }
    let _ = (file, range);
    true
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn contents(len: usize) -> Vec<u8> {
        (0..len).map(|i| ((i * 31) >> 3) as u8).collect()
    }

    fn hashes(bytes: &[u8]) -> PieceHashes {
        let geometry = PieceGeometry::new(bytes.len() as u64).unwrap();
        let piece = |index| {
            let range = geometry.piece_range(index);
            hash_piece(
                &geometry,
                index,
                &bytes[range.start as usize..range.end as usize],
            )
        };
        PieceHashes::fold(geometry, (0..geometry.piece_count()).map(piece).collect()).unwrap()
    }

    #[tokio::test]
    async fn a_killed_download_keeps_what_is_right_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path().join("home")).unwrap();
        let target = Target {
            path: folder.path().join("out/file"),
            force: false,
        };
        let bytes = contents(5 * 65_536 + 100);
        let hashes = hashes(&bytes);
        let open = async || {
            Partial::open(&home, hashes.content(), hashes.geometry(), &target)
                .await
                .unwrap()
        };

        let partial = open().await;
        assert!(partial.verified().is_empty());
        partial.keep_hashes(&hashes);
        let write = |index: u32, wrong: bool| {
            let range = hashes.geometry().piece_range(index);
            let mut piece = bytes[range.start as usize..range.end as usize].to_vec();
            piece[0] ^= u8::from(wrong);
            let file = partial.contents().file();
            file.write_all_at(&piece, range.start).unwrap();
        };
        write(0, false);
        let mut noted = PieceSet::empty(6);
        noted.insert(0);
        partial.checkpoint(&noted)().unwrap();
        write(2, false);
        write(3, true);
        write(5, false);
        drop(partial);

        let resumed = open().await;
        assert_eq!(resumed.verified().iter().collect::<Vec<_>>(), [0, 2, 5]);
    }

    #[tokio::test]
    async fn two_processes_cannot_fetch_the_same_file_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path().join("home")).unwrap();
        let target = Target {
            path: folder.path().join("file"),
            force: false,
        };
        let geometry = PieceGeometry::new(10).unwrap();
        let hash = ContentHash::of(b"x");
        let first = Partial::open(&home, hash, geometry, &target).await.unwrap();
        let second = Partial::open(&home, hash, geometry, &target).await;
        assert_eq!(second.err().unwrap().code, ErrorCode::Unavailable);
        drop(first);
        assert!(Partial::open(&home, hash, geometry, &target).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_larger_than_the_disk_is_refused_before_it_begins() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path().join("home")).unwrap();
        let target = Target {
            path: folder.path().join("file"),
            force: false,
        };
        let geometry = PieceGeometry::new(1 << 43).unwrap();
        let opened = Partial::open(&home, ContentHash::of(b"x"), geometry, &target).await;
        assert_eq!(opened.err().unwrap().code, ErrorCode::NoSpace);
    }
}
