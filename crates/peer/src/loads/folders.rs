//! The folders that loaded files go to: one for each space, shared with its members alone.
//!
//! A folder is only ever made anew or one that is shared so already. One that is there and is not
//! shared so is left alone, and the next number taken: what somebody put there, or stopped sharing,
//! is not shown by this.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_core::{ErrorCode, Problem, SpaceName};

use crate::home;
use crate::shares::Share;
use crate::state::PeerState;

/// Folders that are tried for one space.
const NUMBERS: u32 = 99;

/// The folder below `base` for what lies in `space`, or for what everyone sees; made and shared if
/// there is none. Blocking.
///
/// # Errors
/// `internal` if the disk refuses; `file_exists` if every name is taken by something else.
pub(super) fn for_space(
    state: &PeerState,
    base: &Path,
    space: Option<&SpaceName>,
) -> Result<PathBuf, Problem> {
    fs::create_dir_all(base).map_err(|error| home::disk(base, &error))?;
    let base = dunce::canonicalize(base).map_err(|error| home::disk(base, &error))?;
    let shares = state.shares();
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
            // Made by a run that was killed before it was shared.
            Err(_) if is_empty(&folder) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(home::disk(&folder, &error)),
        }
        state.share(&folder, space.cloned())?;
        return Ok(folder);
    }
    Err(Problem::new(
        ErrorCode::FileExists,
        format!("no folder for loaded files is free in {}", base.display()),
    ))
}

fn is_of(share: &Share, space: Option<&SpaceName>) -> bool {
    share.space.as_ref().map(Arc::as_ref) == space
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// `loads`, `loads-2`; of a space `loads@lab`. No name of a space holds an `@`, so that none of the
/// one kind is one of the other.
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
    use crate::serve::uploads::{UploadLimits, Uploads};
    use crate::shares::ShareList;

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
    async fn nothing_is_shown_that_was_not_loaded() {
        let place = tempfile::tempdir().unwrap();
        let base = dunce::canonicalize(place.path()).unwrap().join("downloads");
        let state = state();
        let lab: SpaceName = "lab".parse().unwrap();
        let of = |space: Option<&SpaceName>| {
            let folder = for_space(&state, &base, space).unwrap();
            let shares = state.shares();
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
        // What somebody moved to another space, or stopped sharing, stays so.
        fs::write(base.join("loads/file"), "x").unwrap();
        fs::write(base.join("loads@lab/file"), "x").unwrap();
        state.share(&base.join("loads"), Some(lab.clone())).unwrap();
        state.unshare(&base.join("loads@lab")).unwrap();
        assert_eq!(of(None), "loads-2");
        assert_eq!(of(Some(&lab)), "loads-2@lab");
        assert_eq!(state.shares()[0].space.as_deref(), Some(&lab));
        assert_eq!(state.shares().len(), 3);
        // One that is empty shows nothing that is not meant.
        fs::create_dir(base.join("loads@club")).unwrap();
        assert_eq!(of(Some(&"club".parse().unwrap())), "loads@club");
    }
}
