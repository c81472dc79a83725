//! The folders for remote fetches: one per space, shared only in that space.
//!
//! A folder is either new or already shared in that space. An existing folder that is not shared
//! that way is left alone, and the next number is tried, so that a remote fetch never shares files
//! that a user put there or stopped sharing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_core::{ErrorCode, Problem, SpaceName};

use crate::home;
use crate::node::state::PeerState;
use crate::sharing::shares::Share;

/// The number of folder names tried per space.
const NUMBERS: u32 = 99;

/// Returns the folder in `base` for files in `space`, or for files in the space of everyone.
/// Creates and shares it if there is none. Blocks.
///
/// # Errors
/// Returns `internal` if the disk fails, and `file_exists` if all names are in use.
pub(super) fn folder_for_space(
    state: &PeerState,
    base: &Path,
    space: Option<&SpaceName>,
) -> Result<PathBuf, Problem> {
    state.files.check_mounted(base)?;
    fs::create_dir_all(base).map_err(|error| home::disk(base, &error))?;
    let base = dunce::canonicalize(base).map_err(|error| home::disk(base, &error))?;
    let shares = state.files.shares();
    for number in 1..=NUMBERS {
        let folder = base.join(name(space, number));
        if let Some(share) = shares.iter().find(|share| *share.root == *folder) {
            if is_of(share, space) && folder.is_dir() {
                return Ok(folder);
            }
            continue;
        }
        match fs::create_dir(&folder) {
            Ok(()) => {}
            // Created by a process that was killed before it shared the folder.
            Err(_) if is_empty(&folder) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(home::disk(&folder, &error)),
        }
        state.share(&folder, space.cloned())?;
        return Ok(folder);
    }
    Err(Problem::new(
        ErrorCode::FileExists,
        format!(
            "no name for a folder of remote downloads is free in {}",
            base.display()
        ),
    ))
}

fn is_of(share: &Share, space: Option<&SpaceName>) -> bool {
    share.space.as_ref().map(Arc::as_ref) == space
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Returns `loads`, `loads-2` or, for a space, `loads@lab`. Names of spaces contain no `@`, so the
/// two forms never collide.
fn name(space: Option<&SpaceName>, number: u32) -> String {
    let of_space = space.map_or_else(String::new, |space| format!("@{space}"));
    match number {
        1 => format!("loads{of_space}"),
        number => format!("loads-{number}{of_space}"),
    }
}

#[cfg(test)]
mod tests {
    use convite_core::UnixMillis;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::serve::download::uploads::{UploadLimits, Uploads};
    use crate::sharing::shares::ShareList;

    fn state() -> PeerState {
        PeerState::new(
            "peer_1".parse().unwrap(),
            None,
            ShareList::default(),
            Uploads::new(UploadLimits::default()),
            CancellationToken::new(),
            UnixMillis(0),
        )
    }

    #[tokio::test]
    async fn only_fetched_files_are_shared() {
        let place = tempfile::tempdir().unwrap();
        let base = dunce::canonicalize(place.path()).unwrap().join("downloads");
        let state = state();
        let lab: SpaceName = "lab".parse().unwrap();
        let of = |space: Option<&SpaceName>| {
            let folder = folder_for_space(&state, &base, space).unwrap();
            let shares = state.files.shares();
            let share = shares.iter().find(|share| *share.root == *folder).unwrap();
            assert!(is_of(share, space));
            folder.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(of(None), "loads");
        assert_eq!(of(Some(&lab)), "loads@lab");
        assert_eq!(
            (of(None).as_str(), of(Some(&lab)).as_str()),
            ("loads", "loads@lab")
        );
        // Folders that were moved to another space, or are no longer shared, are not used.
        fs::write(base.join("loads/file"), "x").unwrap();
        fs::write(base.join("loads@lab/file"), "x").unwrap();
        state.share(&base.join("loads"), Some(lab.clone())).unwrap();
        state.files.unshare(&base.join("loads@lab")).unwrap();
        assert_eq!(of(None), "loads-2");
        assert_eq!(of(Some(&lab)), "loads-2@lab");
        assert_eq!(state.files.shares()[0].space.as_deref(), Some(&lab));
        assert_eq!(state.files.shares().len(), 3);
        // An empty folder contains nothing that could be shared by mistake.
        fs::create_dir(base.join("loads@club")).unwrap();
        assert_eq!(of(Some(&"club".parse().unwrap())), "loads@club");
    }
}
