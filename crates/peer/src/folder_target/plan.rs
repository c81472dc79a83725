//! What a download would do in a target; nothing is written.

use std::fs;

use convite_core::folder::FolderItem;
use convite_core::{Problem, SafePath};

use super::comparison::FileAction;
use super::finishing::removable;
use super::naming::default_rules;
use super::opening::{Judged, check_marker};
use super::options::TargetOpening;
use super::record::Record;
use crate::download::target::disk_problem;
use crate::fs::folder_handle::FolderHandle;

/// What would happen to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedAction {
    /// A file is created.
    Create,
    /// A file that an earlier download placed is replaced.
    Replace,
    /// A file is created, and the one with its name is kept under a new name.
    KeepOther,
    /// A file that an earlier download placed is removed.
    Remove,
}

/// A planned change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedChange {
    /// What would happen.
    pub action: PlannedAction,
    /// The path inside the target.
    pub path: SafePath,
    /// The size of the new file in bytes; 0 for a removed one.
    pub size: u64,
}

/// The plan of a download.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArrivalPlan {
    /// All changes, in the order of the folder; removed files at the end.
    pub changes: Vec<PlannedChange>,
    /// The number of files that are in the target already.
    pub kept: u64,
    /// The number of wanted files.
    pub files: u64,
    /// The size of all wanted files in bytes.
    pub bytes: u64,
}

/// Returns what a download would do. Writes nothing. Blocks.
///
/// # Errors
/// As [`super::FolderTarget::open`], but names are judged by the usual rules of this system.
pub fn plan(opening: &TargetOpening) -> Result<ArrivalPlan, Problem> {
    let failed = |error| disk_problem("read", &opening.path, &error);
    let exists = fs::symlink_metadata(&opening.path).is_ok();
    let path = match exists {
        true => dunce::canonicalize(&opening.path).map_err(failed)?,
        false => std::path::absolute(&opening.path).map_err(failed)?,
    };
    check_marker(&path, opening.folder.tree.hash(), opening.options.update)?;
    let root = exists.then(|| FolderHandle::open(&path));
    let root = root.transpose().map_err(failed)?;
    let record = Record::read(&opening.home, &path).map_err(failed)?;
    let judged = Judged::new(opening, &default_rules(&path), root.as_ref(), &record)?;
    let mut plan = ArrivalPlan::default();
    for item in opening.folder.tree.local_walk(&judged.names) {
        let FolderItem::File(file) = item else {
            continue;
        };
        let action = match judged.comparison.actions[file.index] {
            FileAction::Exclude => continue,
            FileAction::Keep => None,
            FileAction::Create => Some(PlannedAction::Create),
            FileAction::Replace => Some(PlannedAction::Replace),
            FileAction::KeepOther => Some(PlannedAction::KeepOther),
        };
        plan.files += 1;
        plan.bytes += file.size;
        match action {
            None => plan.kept += 1,
            Some(action) => plan.changes.push(PlannedChange {
                action,
                path: file.path,
                size: file.size,
            }),
        }
    }
    if let (Some(root), true) = (&root, opening.options.delete) {
        let gone = removable(root, &opening.folder.tree, &judged.names, &record);
        let removals = gone.map_err(failed)?.into_iter();
        plan.changes.extend(removals.map(|path| PlannedChange {
            action: PlannedAction::Remove,
            path,
            size: 0,
        }));
    }
    Ok(plan)
}
