//! Finds the files and folders of a share: names and identities, not contents.
//!
//! Excluded, so that a share contains only what its owner sees in the folder: hidden files and
//! folders, everything that is not a regular file, everything behind a symbolic link, contents of a
//! nested share in another space, and homes and backups of Convite (`fs::private_folders`).
//! Excluded files that the owner may expect are recorded ([`SkippedPaths`]).

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use convite_core::{PieceGeometry, SafePath, SpaceName, display};
use walkdir::WalkDir;

use crate::fs::fallbacks::is_too_many_open_files;
use crate::fs::identity::FileIdentity;
use crate::fs::mounts::MountState;
use crate::fs::names::{PARTIAL_PREFIX, UNFINISHED_MARKER, is_hidden};
use crate::fs::private_folders;
use crate::fs::volume::{FileKeys, Volume, Volumes};
use crate::sharing::catalogue::FoundFolder;
use crate::sharing::shares::{Share, path_in_share};
use crate::sharing::skipped::{SkipReason, SkippedPaths};

/// A file found in a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// The published path.
    pub path: SafePath,
    /// The root of its share.
    pub root: Arc<Path>,
    /// The space that it is shared in; `None` for the space of everyone.
    pub space: Option<Arc<SpaceName>>,
    /// The file's identity when it was found.
    pub identity: FileIdentity,
    /// The file system that contains it.
    pub volume: Arc<Volume>,
}

impl FoundFile {
    /// Returns the keys under which its hash is cached.
    pub fn keys(&self) -> FileKeys {
        let inner = path_in_share(&self.path);
        self.volume.keys(&self.root, inner, &self.identity)
    }
}

/// The result of scanning a share.
#[derive(Debug, Default)]
pub struct ScanResult {
    /// The files, in name order.
    pub files: Vec<FoundFile>,
    /// The folders, also empty ones, in name order; with the root, if it was scanned.
    pub folders: Vec<FoundFolder>,
    /// A description of what could not be read, if any.
    pub trouble: Option<String>,
    /// Whether the root could be read.
    pub root_read: bool,
    /// Whether parts could not be read because too many files were open. Nothing is known about
    /// their contents then.
    pub too_many_open_files: bool,
    /// Files and folders that are not shared, with reasons.
    pub skipped: SkippedPaths,
    /// The file systems that were visited.
    pub volumes: Vec<Arc<Volume>>,
}

impl ScanResult {
    /// Returns the result for a share on a file system that is not mounted: nothing is known about
    /// its files.
    fn not_mounted(presence: &MountState) -> Option<Self> {
        let (trouble, _) = presence.explain()?;
        Some(Self {
            trouble: Some(trouble),
            ..Self::default()
        })
    }
}

/// Scans one place in a share. The result is empty if the place does not exist, is hidden, is
/// behind a symbolic link, or belongs to another share.
pub fn scan_below(share: &Share, shares: &[Share], inner: &Path) -> ScanResult {
    let nothing = ScanResult::default();
    let mut place = share.root.to_path_buf();
    if let Some(away) = ScanResult::not_mounted(&share.mount_state()) {
        return away;
    }
    if place.symlink_metadata().is_ok_and(|root| root.is_symlink())
        || private_folders::is_private(&place)
    {
        return nothing;
    }
    let mut parts = inner.components().peekable();
    while let Some(part) = parts.next() {
        if is_hidden(part.as_os_str()) {
            return nothing;
        }
        place.push(part);
        let is_on_the_way = parts.peek().is_some();
        let there = place.symlink_metadata();
        if is_on_the_way && !there.is_ok_and(|there| there.is_dir()) {
            return nothing;
        }
        if private_folders::is_marked(&place) {
            return nothing;
        }
    }
    if share.excludes(&place, shares) {
        return nothing;
    }
    let mut walk = Walk::of(share, shares);
    match place.symlink_metadata() {
        Ok(there) if there.is_file() => walk.add(&place, &there),
        Ok(there) if there.is_dir() => walk.run(&place),
        _ => {}
    }
    walk.finish()
}

/// Scans a share. What cannot be read is missing in the files and described in `trouble`.
pub fn scan(share: &Share, shares: &[Share]) -> ScanResult {
    if let Some(away) = ScanResult::not_mounted(&share.mount_state()) {
        return away;
    }
    let mut walk = Walk::of(share, shares);
    let scanned = &mut walk.scanned;
    let root = match share.root.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) => {
            scanned.trouble = Some(format!("cannot be read: {error}"));
            return walk.scanned;
        }
    };
    if private_folders::is_private(&share.root) {
        // Counts as read, so that published files of it are withdrawn.
        scanned.root_read = true;
        scanned.trouble = Some("is in a home of Convite, which cannot be shared".to_owned());
        return walk.scanned;
    }
    if root.is_file() {
        scanned.root_read = true;
        walk.add(&share.root, &root);
        return walk.finish();
    }
    if !root.is_dir() {
        scanned.trouble = Some("is no longer a folder or a file".to_owned());
        return walk.scanned;
    }
    scanned.root_read = true;
    walk.run(&share.root);
    let scanned = walk.finish();
    // If it was unmounted during the scan, files that were not found may still exist.
    ScanResult::not_mounted(&share.mount_state()).unwrap_or(scanned)
}

/// A walk through one share.
struct Walk<'a> {
    share: &'a Share,
    shares: &'a [Share],
    volumes: Volumes,
    scanned: ScanResult,
    /// Folders that are being downloaded.
    unfinished: HashSet<SafePath>,
    /// Folders that could not be read.
    unreadable: HashSet<SafePath>,
}

impl<'a> Walk<'a> {
    fn of(share: &'a Share, shares: &'a [Share]) -> Self {
        Self {
            share,
            shares,
            volumes: Volumes::default(),
            scanned: ScanResult::default(),
            unfinished: HashSet::new(),
            unreadable: HashSet::new(),
        }
    }

    fn finish(mut self) -> ScanResult {
        if !self.unreadable.is_empty() {
            self.scanned
                .folders
                .retain(|folder| !self.unreadable.contains(&folder.path));
        }
        for folder in &mut self.scanned.folders {
            folder.unfinished = self.unfinished.contains(&folder.path);
        }
        self.scanned.volumes = self.volumes.all();
        self.scanned
    }

    fn run(&mut self, start: &Path) {
        let mut walk = WalkDir::new(start)
            .follow_links(false)
            .follow_root_links(false)
            .sort_by_file_name()
            .into_iter();
        while let Some(entry) = walk.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.note_error(&error);
                    continue;
                }
            };
            let is_folder = entry.file_type().is_dir();
            if entry.depth() > 0 && !self.is_shown(entry.path(), entry.file_type()) {
                if is_folder {
                    walk.skip_current_dir();
                }
                continue;
            }
            if is_folder {
                if !self.is_on_a_disk(entry.path()) {
                    self.skip(SkipReason::NotRegular, entry.path());
                    walk.skip_current_dir();
                } else {
                    self.add_folder(entry.path());
                }
                continue;
            }
            if let Ok(metadata) = entry.metadata() {
                self.add(entry.path(), &metadata);
            }
        }
    }

    /// Returns whether `place`, below the root, is shared by this share.
    fn is_shown(&mut self, place: &Path, kind: std::fs::FileType) -> bool {
        let name = place.file_name().unwrap_or_default();
        if is_hidden(name) {
            if name == UNFINISHED_MARKER {
                let folder = place.parent().and_then(|folder| self.published(folder));
                self.unfinished.extend(folder);
            }
            if !name
                .as_encoded_bytes()
                .starts_with(PARTIAL_PREFIX.as_bytes())
            {
                self.skip(SkipReason::Hidden, place);
            }
            return false;
        }
        if self.share.excludes(place, self.shares)
            || (kind.is_dir() && private_folders::is_marked(place))
        {
            return false;
        }
        if name.to_str().is_none() {
            self.skip(SkipReason::NotUtf8, place);
            return false;
        }
        if !kind.is_dir() && !kind.is_file() {
            self.skip(SkipReason::NotRegular, place);
            return false;
        }
        true
    }

    /// Returns whether a folder is on a file system that stores files.
    fn is_on_a_disk(&mut self, folder: &Path) -> bool {
        let device = crate::fs::volume::device_of(folder);
        let volume = device.and_then(|device| self.volumes.with(device, folder));
        // The folder may have vanished meanwhile.
        volume.is_ok_and(|volume| !volume.is_pseudo)
    }

    fn note_error(&mut self, error: &walkdir::Error) {
        // A file that vanished during the walk is not an error.
        let kind = error.io_error().map(io::Error::kind);
        let gone = kind == Some(io::ErrorKind::NotFound);
        if error.depth() == 0 {
            self.scanned.root_read = false;
        }
        self.scanned.too_many_open_files |= error.io_error().is_some_and(is_too_many_open_files);
        if error.depth() > 0 && gone {
            return;
        }
        if let Some(path) = error.path().filter(|_| error.depth() > 0) {
            let folder = self.published(path);
            self.unreadable.extend(folder);
            self.skip(SkipReason::Unreadable, path);
        }
        let text = error.to_string();
        let trouble = &mut self.scanned.trouble;
        trouble.get_or_insert_with(|| {
            format!("some of it cannot be read: {}", display::escape(&text))
        });
    }

    fn add_folder(&mut self, place: &Path) {
        match self.published(place) {
            Some(path) => self.scanned.folders.push(FoundFolder {
                path,
                root: self.share.root.clone(),
                space: self.share.space.clone(),
                unfinished: false,
            }),
            None => self.skip(SkipReason::BadName, place),
        }
    }

    /// Returns the published path of a place in the share, unless it is too long.
    fn published(&self, place: &Path) -> Option<SafePath> {
        let inner = place.strip_prefix(&self.share.root).ok()?;
        self.share.published(inner).ok()
    }

    fn add(&mut self, place: &Path, metadata: &std::fs::Metadata) {
        // The file may have vanished meanwhile.
        let (Ok(inner), Ok(identity)) = (
            place.strip_prefix(&self.share.root),
            FileIdentity::at(place, metadata),
        ) else {
            return;
        };
        let Ok(volume) = self.volumes.with(identity.device, place) else {
            return;
        };
        if PieceGeometry::new(identity.size).is_none() {
            return self.skip(SkipReason::TooLarge, place);
        }
        match self.share.published(inner) {
            Ok(path) => self.scanned.files.push(FoundFile {
                path,
                root: self.share.root.clone(),
                space: self.share.space.clone(),
                identity,
                volume,
            }),
            Err(_) => self.skip(SkipReason::BadName, place),
        }
    }

    fn skip(&mut self, reason: SkipReason, place: &Path) {
        let inner = place.strip_prefix(&self.share.root).unwrap_or(place);
        self.scanned.skipped.note(reason, inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    fn share(root: &Path) -> Share {
        Share {
            name: "s".to_owned(),
            root: root.into(),
            space: None,
            mount: None,
        }
    }

    fn paths(scanned: &ScanResult) -> Vec<&str> {
        scanned.files.iter().map(|f| f.path.as_str()).collect()
    }

    #[test]
    fn scan_finds_visible_regular_files_in_order() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::create_dir_all(root.join("empty")).unwrap();
        for name in [
            "z",
            "b/c/2",
            "b/1",
            ".hidden",
            ".git/x",
            ".convite-part",
            "ñ",
        ] {
            fs::write(root.join(name), name).unwrap();
        }
        fs::write(root.join(std::ffi::OsStr::from_bytes(b"bad\xff")), "x").unwrap();
        fs::write(place.path().join("outside"), "x").unwrap();
        std::os::unix::fs::symlink("../outside", root.join("link")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        let pipe = root.join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();

        let scanned = scan(&share(&root), &[]);
        assert_eq!(paths(&scanned), ["s/b/1", "s/b/c/2", "s/z", "s/ñ"]);
        let folders = scanned.folders.iter();
        let folders: Vec<_> = folders.map(|found| found.path.as_str()).collect();
        assert_eq!(folders, ["s", "s/b", "s/b/c", "s/empty"]);
        assert!(scanned.folders.iter().all(|found| !found.unfinished));
        assert_eq!(scanned.trouble, None);
        assert_eq!(path_in_share(&scanned.files[1].path), "b/c/2");
    }

    #[test]
    fn folders_being_downloaded_are_marked() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir_all(root.join("-first")).unwrap();
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::write(root.join("b").join(UNFINISHED_MARKER), "").unwrap();
        let scanned = scan(&share(&root), &[]);
        let marked: Vec<_> = scanned.folders.iter().filter(|f| f.unfinished).collect();
        assert_eq!(marked.len(), 1, "{marked:?}");
        assert_eq!(marked[0].path.as_str(), "s/b");
        assert_eq!(scanned.folders.len(), 4);
        assert!(scanned.skipped.to_wire().is_empty());
    }

    #[test]
    fn single_file_can_be_a_share() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("f");
        fs::write(&root, "x").unwrap();
        let scanned = scan(&share(&root), &[]);
        assert_eq!(paths(&scanned), ["s"]);
        assert_eq!(path_in_share(&scanned.files[0].path), "");
    }

    #[test]
    fn missing_or_linked_root_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        let gone = scan(&share(&root), &[]);
        assert!(gone.files.is_empty() && gone.trouble.is_some() && !gone.root_read);
        fs::create_dir(place.path().join("other")).unwrap();
        fs::write(place.path().join("other/f"), "x").unwrap();
        std::os::unix::fs::symlink("other", &root).unwrap();
        let link = scan(&share(&root), &[]);
        assert!(link.files.is_empty() && link.trouble.is_some());
    }

    #[test]
    fn homes_inside_a_share_are_excluded() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        for home in ["home", "deep/down/home"] {
            fs::create_dir_all(root.join(home).join("peer")).unwrap();
            fs::write(root.join(home).join("credentials.json"), "token").unwrap();
            fs::write(root.join(home).join("peer/key.pem"), "key").unwrap();
            fs::write(root.join(home).join(convite_core::path::PRIVATE_MARKER), "").unwrap();
        }
        fs::write(root.join("deep/notes"), "for all").unwrap();
        let around = share(&root);
        assert_eq!(paths(&scan(&around, &[])), ["s/deep/notes"]);
        for (inner, found) in [
            ("", 1),
            ("deep", 1),
            ("deep/notes", 1),
            ("home", 0),
            ("home/credentials.json", 0),
            ("deep/down/home/peer", 0),
            ("deep/down/home/peer/key.pem", 0),
        ] {
            let scanned = scan_below(&around, &[], Path::new(inner));
            assert_eq!(paths(&scanned).len(), found, "{inner}: {scanned:?}");
        }

        // A folder that became a home after it was shared is withdrawn.
        for inside in ["home", "home/peer", "home/credentials.json"] {
            let inside = share(&root.join(inside));
            let scanned = scan(&inside, &[]);
            assert!(scanned.files.is_empty() && scanned.root_read && scanned.trouble.is_some());
            assert!(scan_below(&inside, &[], Path::new("")).files.is_empty());
        }
    }
}
