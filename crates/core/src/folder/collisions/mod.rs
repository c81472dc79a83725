//! Judging the names of a folder before it is stored on a file system.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use crate::display;
use crate::entry_kind::EntryKind;
use crate::error::Problem;
use crate::folder::arena::{Arena, Level};
use crate::folder::cursor::Cursor;
use crate::folder::local_names::{LocalNames, NameFault, NameRules};
use crate::folder::tree::FolderTree;
use crate::manifest::LEVEL_MAX;
use crate::path::{PATH_MAX, SafePath};

/// The maximum length of each list of a [`NameReport`].
pub const REPORT_MAX: usize = 1000;

/// The names of a folder that a file system cannot store as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameReport {
    /// Groups of names that would be one name, as pairs of the first one and another one; the
    /// first [`REPORT_MAX`] pairs.
    pub collisions: Vec<Collision>,
    /// Names that cannot be stored; the first [`REPORT_MAX`].
    pub unusable: Vec<UnusableName>,
    /// Number of all pairs and names, including those that are not listed.
    pub count: usize,
}

/// Two paths that would be one path. Of equal sub-folders, only one is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The path that comes first in the folder.
    pub first: SafePath,
    /// The other path, in the same sub-folder.
    pub second: SafePath,
}

/// A path that cannot be stored. Of equal sub-folders, only one is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableName {
    /// The path.
    pub path: SafePath,
    /// Why it cannot be stored.
    pub fault: NameFault,
}

impl NameReport {
    /// Returns whether all names can be stored.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add_collision(&mut self, collision: impl FnOnce() -> Collision) {
        self.count += 1;
        if self.collisions.len() < REPORT_MAX {
            self.collisions.push(collision());
        }
    }

    fn add_unusable(&mut self, fault: NameFault, path: impl FnOnce() -> SafePath) {
        self.count += 1;
        if self.unusable.len() < REPORT_MAX {
            let path = path();
            self.unusable.push(UnusableName { path, fault });
        }
    }
}

/// Judges all names of a folder by the rules of a file system.
pub fn judge_names(tree: &FolderTree, rules: &NameRules) -> NameReport {
    let arena = tree.arena();
    let mut report = NameReport::default();
    let paths = Paths::new(arena);
    for level in arena.levels() {
        for entry in level.first..level.end {
            if let Some(fault) = rules.fault(arena.name(entry)) {
                report.add_unusable(fault, || paths.path(entry));
            }
        }
        for (first, second) in colliding(arena, level, rules) {
            report.add_collision(|| Collision {
                first: paths.path(first),
                second: paths.path(second),
            });
        }
    }
    if tree.longest_path() > rules.path_max {
        let mut cursor = Cursor::at_start(arena, None);
        while cursor.step().is_some() {
            let path = cursor.path();
            if path.len() > rules.path_max {
                report.add_unusable(NameFault::PathTooLong, || SafePath::from_checked(path));
            }
        }
    }
    report
}

/// Chooses new names for those that collide or cannot be stored. The same folder gets the same
/// names everywhere with these rules.
///
/// Of colliding names, the first in byte order keeps its name, and the others get the first free
/// number from 2: `film (2).mkv`. A name that cannot be stored is shortened or gets `_` for
/// forbidden characters.
///
/// # Errors
/// Returns `invalid_argument` if a path is too long with the new names.
pub fn rename_collisions(tree: &FolderTree, rules: &NameRules) -> Result<LocalNames, Problem> {
    let arena = tree.arena();
    let mut names = LocalNames::default();
    for level in arena.levels() {
        let is_good = |entry| rules.fault(arena.name(entry)).is_none();
        let all_good = (level.first..level.end).all(is_good);
        if !all_good || !colliding(arena, level, rules).is_empty() {
            rename_level(arena, level, rules, &mut names);
        }
    }
    if !names.is_empty() || tree.longest_path() > rules.path_max {
        check_paths(arena, &names, rules.path_max.min(PATH_MAX))?;
    }
    Ok(names)
}

fn check_paths(arena: &Arena, names: &LocalNames, path_max: usize) -> Result<(), Problem> {
    let mut cursor = Cursor::at_start(arena, Some(names));
    while cursor.step().is_some() {
        if cursor.path().len() > path_max {
            let shown: String = display::escape(cursor.path()).chars().take(200).collect();
            return Err(Problem::invalid(format!(
                "the path '{shown}' is longer than {path_max} bytes, the maximum here"
            ))
            .hint("choose a target with a shorter path"));
        }
    }
    Ok(())
}

/// Returns the colliding entries of a level: of each group, the first with each of the others.
fn colliding(arena: &Arena, level: &Level, rules: &NameRules) -> Vec<(u32, u32)> {
    if !rules.joins_names() {
        return Vec::new();
    }
    // Hashes of keys, because the keys of a million names would take more memory than the tree.
    let hasher = BuildHasherDefault::<DefaultHasher>::new();
    let mut hashed: Vec<(u64, u32)> = (level.first..level.end)
        .map(|entry| (hasher.hash_one(rules.key(arena.name(entry))), entry))
        .collect();
    hashed.sort_unstable();
    let groups = hashed.chunk_by(|a, b| a.0 == b.0);
    let mut pairs = Vec::new();
    for group in groups.filter(|group| group.len() > 1) {
        let mut firsts = HashMap::new();
        for (_, entry) in group {
            let first = *firsts
                .entry(rules.key(arena.name(*entry)))
                .or_insert(*entry);
            if first != *entry {
                pairs.push((first, *entry));
            }
        }
    }
    pairs.sort_unstable();
    pairs
}

/// Chooses the names of one level.
fn rename_level(arena: &Arena, level: &Level, rules: &NameRules, names: &mut LocalNames) {
    // All names that stay are taken before a new one is chosen.
    let mut taken = HashSet::new();
    let mut others = Vec::new();
    for entry in level.first..level.end {
        let name = arena.name(entry);
        if rules.fault(name).is_some() || !taken.insert(rules.key(name).into_owned()) {
            others.push(entry);
        }
    }
    // The next number for each pattern, so that a million colliding names take linear time. Long
    // names are cut, so that different names may have the same pattern.
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for entry in others {
        let usable = rules.usable(arena.name(entry));
        if taken.insert(rules.key(&usable).into_owned()) {
            names.insert(entry, usable.into_owned());
            continue;
        }
        let pattern = rules.numbered(&usable, arena.kind(entry), LEVEL_MAX);
        let pattern = rules.key(&pattern).into_owned();
        let number = numbers.entry(pattern).or_insert(2);
        let name = loop {
            let name = rules.numbered(&usable, arena.kind(entry), *number);
            *number += 1;
            if taken.insert(rules.key(&name).into_owned()) {
                break name;
            }
        };
        names.insert(entry, name);
    }
}

/// Finds the paths of entries. An entry of equal sub-folders gets the path of one of them.
struct Paths<'a> {
    arena: &'a Arena,
    /// For each level, an entry of a folder with these contents; of the first level, none.
    parents: Vec<Option<u32>>,
}

impl<'a> Paths<'a> {
    fn new(arena: &'a Arena) -> Self {
        let mut parents = vec![None; arena.levels().len()];
        let folders = (0..arena.len() as u32).filter(|e| arena.kind(*e) == EntryKind::Folder);
        for entry in folders {
            parents[arena.link(entry) as usize].get_or_insert(entry);
        }
        Self { arena, parents }
    }

    fn path(&self, entry: u32) -> SafePath {
        let mut names = vec![self.arena.name(entry)];
        let mut level = self.arena.level_index_of(entry);
        while let Some(parent) = self.parents[level] {
            names.push(self.arena.name(parent));
            level = self.arena.level_index_of(parent);
        }
        names.reverse();
        SafePath::from_checked(&names.join("/"))
    }
}

#[cfg(test)]
mod tests;
