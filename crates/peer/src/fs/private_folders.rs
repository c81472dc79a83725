//! Private folders: homes of Convite (of this peer and others on this machine) and backups of
//! directories. They hold keys, tokens and databases, so they are never shared, whatever share
//! contains them. A mark in the folder identifies them ([`PRIVATE_MARKER`]).

use std::path::Path;

use convite_core::path::PRIVATE_MARKER;

/// Folders of a home that are private. Other folders in a home were put there by its owner.
const PRIVATE_FOLDERS: [&str; 3] = ["directory", "downloads", "peer"];

/// Returns whether a folder has the mark. Accesses the disk once.
pub(crate) fn is_marked(folder: &Path) -> bool {
    folder.join(PRIVATE_MARKER).symlink_metadata().is_ok()
}

/// Returns whether a place is private: a marked folder, a file directly in one, or anything in the
/// private folders of a home. Accesses the disk once for each ancestor.
pub(crate) fn is_private(place: &Path) -> bool {
    place.ancestors().any(|folder| {
        let mut below = place.strip_prefix(folder).into_iter().flatten();
        let (first, is_last) = (below.next(), below.next().is_none());
        let is_own = first.is_none_or(|name| {
            PRIVATE_FOLDERS.iter().any(|own| name == *own) || (is_last && place.is_file())
        });
        is_own && is_marked(folder)
    })
}

/// Returns whether a share of `root` excludes `place` because an ancestor of it below `root` is
/// marked.
pub(crate) fn is_excluded(root: &Path, place: &Path) -> bool {
    let above = place.ancestors().skip(1);
    above
        .take_while(|folder| folder.starts_with(root))
        .any(is_marked)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_private_folders_of_a_home_are_private() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("data/convite");
        for folder in ["inbox/ana", "peer/x", "loads/loads", "peers"] {
            fs::create_dir_all(home.join(folder)).unwrap();
        }
        fs::write(home.join("credentials.json"), "").unwrap();
        assert!(!is_private(&home.join("peer")));
        fs::write(home.join(PRIVATE_MARKER), "").unwrap();
        for private in ["", "peer", "peer/x", "credentials.json"] {
            assert!(is_private(&home.join(private)), "{private}");
        }
        for open in ["inbox", "inbox/ana", "loads/loads", "peers"] {
            assert!(!is_private(&home.join(open)), "{open}");
            assert!(is_excluded(place.path(), &home.join(open)));
            assert!(!is_excluded(&home.join("inbox"), &home.join(open)));
        }
        assert!(!is_private(place.path()));
        assert!(!is_excluded(place.path(), &home));
        // A marked folder inside a home's inbox is private too.
        fs::write(home.join("inbox/ana").join(PRIVATE_MARKER), "").unwrap();
        assert!(is_private(&home.join("inbox/ana")));
    }
}
