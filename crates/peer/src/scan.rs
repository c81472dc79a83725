//! Finding what a share holds just now: names and identities, no contents.
//!
//! Left out, so that sharing a folder gives away what its owner sees in it and no more: hidden
//! files and folders, whatever is not a regular file, everything behind a symbolic link, what a
//! share of another space inside this one holds, and homes and backups of Convite (`private`).

use std::io;
use std::path::Path;
use std::sync::Arc;

use convite_core::{PieceGeometry, SafePath, SpaceName, display};
use tracing::warn;
use walkdir::{DirEntry, WalkDir};

use crate::beneath::Identity;
use crate::private;
use crate::shares::Share;

/// How the names of partial downloads begin; hidden, like everything with a leading dot.
pub const PARTIAL_PREFIX: &str = ".convite-";

/// A file of a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// As it is published.
    pub path: SafePath,
    /// The root of its share.
    pub root: Arc<Path>,
    /// Whose members may see it; none for everyone.
    pub space: Option<Arc<SpaceName>>,
    /// What it was when it was seen.
    pub identity: Identity,
}

/// The part of a published path below the root of its share; empty if the root is the file.
pub fn inner(path: &SafePath) -> &str {
    path.as_str().split_once('/').map_or("", |(_, inner)| inner)
}

/// What a share holds.
#[derive(Debug, Default)]
pub struct Scanned {
    /// In the order of their names.
    pub files: Vec<Found>,
    /// What could not be read, if something could not.
    pub trouble: Option<String>,
    /// Whether the root itself could be read.
    pub root_read: bool,
    /// Whether parts could not be read because too many files were open: that says nothing of what is
    /// in them.
    pub starved: bool,
}

/// Whether the process, or the system, has too many files open.
pub(crate) fn is_starved(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let error = Errno::from_io_error(error);
        matches!(error, Some(Errno::MFILE | Errno::NFILE))
    }
    #[cfg(windows)]
    {
        const ERROR_TOO_MANY_OPEN_FILES: i32 = 4;
        error.raw_os_error() == Some(ERROR_TOO_MANY_OPEN_FILES)
    }
}

/// Walks what is at one place of one of `shares`. Nothing if that is not there, is hidden, lies
/// behind a symbolic link, or is another share's to show.
pub fn scan_below(share: &Share, shares: &[Share], inner: &Path) -> Scanned {
    let mut scanned = Scanned::default();
    let mut place = share.root.to_path_buf();
    if place.symlink_metadata().is_ok_and(|root| root.is_symlink()) || private::is_private(&place) {
        return scanned;
    }
    let mut parts = inner.components().peekable();
    while let Some(part) = parts.next() {
        if is_hidden(part.as_os_str()) {
            return scanned;
        }
        place.push(part);
        let is_on_the_way = parts.peek().is_some();
        let there = place.symlink_metadata();
        if is_on_the_way && !there.is_ok_and(|there| there.is_dir()) {
            return scanned;
        }
        if private::is_marked(&place) {
            return scanned;
        }
    }
    if share.leaves(&place, shares) {
        return scanned;
    }
    match place.symlink_metadata() {
        Ok(there) if there.is_file() => add(&mut scanned, share, &place, &there),
        Ok(there) if there.is_dir() => walk(&mut scanned, share, shares, &place),
        _ => {}
    }
    scanned
}

/// Walks one of `shares`. What cannot be read is not in the result, and is its trouble.
pub fn scan(share: &Share, shares: &[Share]) -> Scanned {
    let mut scanned = Scanned::default();
    let root = match share.root.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) => {
            scanned.trouble = Some(format!("cannot be read: {error}"));
            return scanned;
        }
    };
    if private::is_private(&share.root) {
        // Read, so that nothing of it that was published stays so.
        scanned.root_read = true;
        scanned.trouble = Some("is the inside of a home of Convite, which nobody sees".to_owned());
        return scanned;
    }
    if root.is_file() {
        scanned.root_read = true;
        add(&mut scanned, share, &share.root, &root);
        return scanned;
    }
    if !root.is_dir() {
        scanned.trouble = Some("is neither a folder nor a file any more".to_owned());
        return scanned;
    }
    scanned.root_read = true;
    walk(&mut scanned, share, shares, &share.root);
    scanned
}

fn walk(scanned: &mut Scanned, share: &Share, shares: &[Share], start: &Path) {
    let is_ours = |place: &Path| !share.leaves(place, shares);
    let is_private =
        |entry: &DirEntry| entry.file_type().is_dir() && private::is_marked(entry.path());
    let walk = WalkDir::new(start)
        .follow_links(false)
        .follow_root_links(false)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            entry.depth() == 0
                || (!is_hidden(entry.file_name()) && is_ours(entry.path()) && !is_private(entry))
        });
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                // A file that vanished while we walked is no trouble.
                let gone = error
                    .io_error()
                    .is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound);
                if error.depth() == 0 {
                    scanned.root_read = false;
                }
                scanned.starved |= error.io_error().is_some_and(is_starved);
                if error.depth() == 0 || !gone {
                    let text = error.to_string();
                    scanned.trouble.get_or_insert_with(|| {
                        format!("not all of it can be read: {}", display::escape(&text))
                    });
                }
                continue;
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        add(scanned, share, entry.path(), &metadata);
    }
}

fn add(scanned: &mut Scanned, share: &Share, place: &Path, metadata: &std::fs::Metadata) {
    // Whatever vanished while we looked is no trouble.
    let (Ok(inner), Ok(identity)) = (
        place.strip_prefix(&share.root),
        Identity::at(place, metadata),
    ) else {
        return;
    };
    if PieceGeometry::new(identity.size).is_none() {
        warn!(share = share.name, "skipped a file that is too large");
        return;
    }
    match share.published(inner) {
        Ok(path) => scanned.files.push(Found {
            path,
            root: share.root.clone(),
            space: share.space.clone(),
            identity,
        }),
        Err(problem) => warn!(share = share.name, "skipped: {problem}"),
    }
}

/// Whether files and folders of that name are left out of shares.
pub(crate) fn is_hidden(name: &std::ffi::OsStr) -> bool {
    debug_assert!(PARTIAL_PREFIX.starts_with('.'));
    name.as_encoded_bytes().first() == Some(&b'.')
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
        }
    }

    fn paths(scanned: &Scanned) -> Vec<&str> {
        scanned.files.iter().map(|f| f.path.as_str()).collect()
    }

    #[test]
    fn only_visible_regular_files_are_found_in_order() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
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
        assert_eq!(scanned.trouble, None);
        assert_eq!(inner(&scanned.files[1].path), "b/c/2");
    }

    #[test]
    fn a_file_is_a_share_of_its_own_name() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("f");
        fs::write(&root, "x").unwrap();
        let scanned = scan(&share(&root), &[]);
        assert_eq!(paths(&scanned), ["s"]);
        assert_eq!(inner(&scanned.files[0].path), "");
    }

    #[test]
    fn a_root_that_is_gone_or_became_a_link_is_trouble() {
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
    fn of_homes_inside_a_share_nothing_is_found_from_wherever_one_looks() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        for home in ["home", "deep/down/home"] {
            fs::create_dir_all(root.join(home).join("peer")).unwrap();
            fs::write(root.join(home).join("credentials.json"), "token").unwrap();
            fs::write(root.join(home).join("peer/key.pem"), "key").unwrap();
            fs::write(root.join(home).join(convite_core::path::PRIVATE_MARK), "").unwrap();
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

        // Of a folder that became a home after it was shared nothing stays published.
        for inside in ["home", "home/peer", "home/credentials.json"] {
            let inside = share(&root.join(inside));
            let scanned = scan(&inside, &[]);
            assert!(scanned.files.is_empty() && scanned.root_read && scanned.trouble.is_some());
            assert!(scan_below(&inside, &[], Path::new("")).files.is_empty());
        }
    }
}
