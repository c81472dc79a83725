//! What no share gives away, however much of the disk somebody shares: the insides of homes, this
//! peer's and any other's on this machine, and backups of directories. They hold keys, tokens and
//! databases. A mark in the folder says so ([`PRIVATE_MARK`]).

use std::path::Path;

use convite_core::path::PRIVATE_MARK;

/// Folders of a home with what is nobody's business; what else is in one its owner put there.
const OF_HOMES: [&str; 3] = ["directory", "downloads", "peer"];

/// Whether a folder is a home or the like. One look at the disk.
pub(crate) fn is_marked(folder: &Path) -> bool {
    folder.join(PRIVATE_MARK).symlink_metadata().is_ok()
}

/// Whether a place is private: a home or the like, a file right in one, or in one of the folders that
/// a home keeps its own things in. One look at the disk for each folder above it.
pub(crate) fn is_private(place: &Path) -> bool {
    place.ancestors().any(|folder| {
        let mut below = place.strip_prefix(folder).into_iter().flatten();
        let (first, is_last) = (below.next(), below.next().is_none());
        let is_own = first.is_none_or(|name| {
            OF_HOMES.iter().any(|own| name == *own) || (is_last && place.is_file())
        });
        is_own && is_marked(folder)
    })
}

/// Whether a share of `root` leaves out what is at `place`, because one of the folders on the way is marked.
pub(crate) fn is_left_out(root: &Path, place: &Path) -> bool {
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
    fn the_insides_of_a_home_are_private_and_what_its_owner_put_there_is_not() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("data/convite");
        for folder in ["inbox/ana", "peer/x", "loads/loads", "peers"] {
            fs::create_dir_all(home.join(folder)).unwrap();
        }
        fs::write(home.join("credentials.json"), "").unwrap();
        assert!(!is_private(&home.join("peer")));
        fs::write(home.join(PRIVATE_MARK), "").unwrap();
        for private in ["", "peer", "peer/x", "credentials.json"] {
            assert!(is_private(&home.join(private)), "{private}");
        }
        for open in ["inbox", "inbox/ana", "loads/loads", "peers"] {
            assert!(!is_private(&home.join(open)), "{open}");
            assert!(is_left_out(place.path(), &home.join(open)));
            assert!(!is_left_out(&home.join("inbox"), &home.join(open)));
        }
        assert!(!is_private(place.path()));
        assert!(!is_left_out(place.path(), &home));
        // The mark of a home inside a home's inbox counts.
        fs::write(home.join("inbox/ana").join(PRIVATE_MARK), "").unwrap();
        assert!(is_private(&home.join("inbox/ana")));
    }
}
