//! The names of a folder on the file system of its target: what it cannot store is found before the
//! first file is written.

use std::io;
use std::path::Path;

use convite_core::folder::{
    Collision, LocalNames, NameReport, NameRules, UnusableName, judge_names, rename_collisions,
};
use convite_core::path::PATH_MAX;
use convite_core::{ErrorCode, FolderTree, Problem, SafePath, display};

use crate::fs::folder_handle::{FolderHandle, NewFileMode};

/// The number of pairs and names in an error message.
const LISTED_MAX: usize = 10;
/// The beginning of the names of probes.
const PROBE: &str = "probe-";

/// Returns the rules for names of this system, where nothing can be written to find them out.
pub(super) fn default_rules(root: &Path) -> NameRules {
    NameRules {
        ignores_case: cfg!(any(windows, target_os = "macos")),
        ignores_form: cfg!(target_os = "macos"),
        windows: cfg!(windows),
        path_max: path_max(root),
        ..NameRules::default()
    }
}

/// Returns the rules of the file system of `parts`, a folder in the target at `root`: creates files
/// there, looks for them by other names, and removes them.
///
/// # Errors
/// Fails as the file system does.
pub(super) fn probe_rules(parts: &FolderHandle, root: &Path) -> io::Result<NameRules> {
    let defaults = default_rules(root);
    Ok(NameRules {
        ignores_case: is_one_name(parts, "case-a", "case-A")?,
        ignores_form: is_one_name(parts, "form-\u{e9}", "form-e\u{301}")?,
        // FAT and NTFS refuse these characters also when Linux writes to them.
        windows: cfg!(windows) || !can_create(parts, "mark-:?*")?,
        name_max: parts.name_max().unwrap_or(defaults.name_max).clamp(64, 255),
        path_max: defaults.path_max,
    })
}

/// Returns the maximum length of a path below `root`, so that programs can open the files by their
/// whole path.
fn path_max(root: &Path) -> usize {
    PATH_MAX.saturating_sub(root.as_os_str().len() + 1)
}

fn is_one_name(parts: &FolderHandle, name: &str, other: &str) -> io::Result<bool> {
    let (name, other) = (format!("{PROBE}{name}"), format!("{PROBE}{other}"));
    let _ = parts.remove_file(&name);
    drop(parts.create_file(&name, NewFileMode::Plain)?);
    let found = parts.look(&other)?.is_some();
    parts.remove_file(&name)?;
    Ok(found)
}

fn can_create(parts: &FolderHandle, name: &str) -> io::Result<bool> {
    let name = format!("{PROBE}{name}");
    let _ = parts.remove_file(&name);
    match parts.create_file(&name, NewFileMode::Plain) {
        Ok(_) => parts.remove_file(&name).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        Err(_) => Ok(false),
    }
}

/// Returns the names that replace others in the target: none, unless `rename` is set. `is_wanted`
/// tells whether a path is part of the download.
///
/// # Errors
/// Returns `invalid_argument` with the names that cannot be stored.
pub(super) fn local_names(
    tree: &FolderTree,
    rules: &NameRules,
    rename: bool,
    is_wanted: impl Fn(&SafePath) -> bool,
) -> Result<LocalNames, Problem> {
    if rename {
        return rename_collisions(tree, rules);
    }
    let mut report = judge_names(tree, rules);
    let listed = report.collisions.len() + report.unusable.len();
    report
        .collisions
        .retain(|pair| is_wanted(&pair.first) && is_wanted(&pair.second));
    report.unusable.retain(|name| is_wanted(&name.path));
    report.count -= listed - (report.collisions.len() + report.unusable.len());
    if report.is_empty() {
        Ok(LocalNames::default())
    } else {
        Err(refusal(&report))
    }
}

fn refusal(report: &NameReport) -> Problem {
    let quoted = |path: &SafePath| format!("'{}'", display::escape(path.as_str()));
    let pairs = report
        .collisions
        .iter()
        .map(|Collision { first, second }| format!("{} and {}", quoted(first), quoted(second)));
    let names = report
        .unusable
        .iter()
        .map(|UnusableName { path, fault }| format!("{} ({fault})", quoted(path)));
    let mut listed: Vec<String> = pairs.chain(names).take(LISTED_MAX).collect();
    if report.count > listed.len() {
        listed.push(format!("and {} more", report.count - listed.len()));
    }
    let what = if report.collisions.is_empty() {
        "cannot store these names"
    } else {
        "treats these names as equal or cannot store them"
    };
    Problem::new(
        ErrorCode::InvalidArgument,
        format!(
            "the file system of the target {what}: {}",
            listed.join("; ")
        ),
    )
    .hint("rename them in the copy with --rename-collisions, leave them out with --exclude, or choose another target with -o PATH")
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::ContentHash;
    use convite_core::folder::{Assembly, FileContents};

    fn tree(names: &[&str]) -> FolderTree {
        let contents = FileContents {
            size: 1,
            crc32: 0,
            hash: ContentHash::of(b"x"),
        };
        let items = names
            .iter()
            .map(|name| (name.parse().unwrap(), Some(contents)));
        Assembly::new(items).unwrap().tree().unwrap()
    }

    #[test]
    fn probe_finds_the_rules_and_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let folder = FolderHandle::open(place.path()).unwrap();
        std::fs::write(place.path().join("probe-case-a"), "left by a kill").unwrap();
        let rules = probe_rules(&folder, place.path()).unwrap();
        assert_eq!(folder.names().unwrap(), Vec::<String>::new());
        #[cfg(target_os = "linux")]
        assert_eq!(
            rules,
            NameRules {
                path_max: PATH_MAX - place.path().as_os_str().len() - 1,
                ..NameRules::default()
            }
        );
    }

    #[test]
    fn colliding_names_are_listed_unless_they_are_renamed_or_left_out() {
        let tree = tree(&["a/Film", "a/film", "a/other"]);
        let rules = NameRules {
            ignores_case: true,
            ..NameRules::default()
        };
        let problem = local_names(&tree, &rules, false, |_| true).unwrap_err();
        assert_eq!(problem.code, ErrorCode::InvalidArgument);
        assert!(
            problem.message.contains("'a/Film' and 'a/film'"),
            "{problem:?}"
        );
        let renamed = local_names(&tree, &rules, true, |_| true).unwrap();
        assert_eq!(renamed.len(), 1);
        let without = local_names(&tree, &rules, false, |path| path.as_str() != "a/film");
        assert!(without.unwrap().is_empty());
        let others = local_names(&tree, &NameRules::default(), false, |_| true);
        assert!(others.unwrap().is_empty());
    }
}
