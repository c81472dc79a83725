//! Lists what a folder contains directly, from the sorted paths of everything that is shared.
//!
//! All paths below a folder are consecutive. What is deeper than one level is stepped over, or
//! skipped with one search if there is much of it.

use std::collections::BTreeMap;
use std::ops::Bound;

use convite_core::SafePath;

/// The number of deeper paths to step over before searching for the next one that is not below the
/// same folder: a step is many times cheaper than a search.
const STEPS_MAX: usize = 16;

/// Calls `each` with the direct children of `folder` in path order, beginning after the child
/// `after`. Stops after `limit` children and returns the path of the last one; returns `None` at the
/// end.
pub(super) fn children<'a, T>(
    map: &'a BTreeMap<SafePath, T>,
    folder: &str,
    after: Option<&SafePath>,
    limit: usize,
    mut each: impl FnMut(&'a SafePath, &'a T),
) -> Option<&'a SafePath> {
    let prefix = format!("{folder}/");
    let from = match after {
        Some(after) => Bound::Excluded(after.as_str()),
        None => Bound::Included(&*prefix),
    };
    let mut rest = map.range::<str, _>((from, Bound::Unbounded));
    let mut found = 0;
    let mut steps = 0;
    while let Some((path, value)) = rest.next() {
        let Some(inner) = path.as_str().strip_prefix(&*prefix) else {
            break;
        };
        let Some((name, _)) = inner.split_once('/') else {
            each(path, value);
            found += 1;
            steps = 0;
            if found == limit {
                return Some(path);
            }
            continue;
        };
        steps += 1;
        if steps > STEPS_MAX {
            steps = 0;
            let next = after_all_below(&format!("{prefix}{name}"));
            rest = map.range::<str, _>((Bound::Included(&*next), Bound::Unbounded));
        }
    }
    None
}

/// Returns whether `map` has a path below `folder`.
pub(super) fn has_below<T>(map: &BTreeMap<SafePath, T>, folder: &str) -> bool {
    let prefix = format!("{folder}/");
    let mut rest = map.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded));
    rest.next()
        .is_some_and(|(path, _)| path.as_str().starts_with(&prefix))
}

/// Returns the paths at `place` and below it.
pub(super) fn at_or_below<'a, T>(
    map: &'a BTreeMap<SafePath, T>,
    place: &'a str,
) -> impl Iterator<Item = (&'a SafePath, &'a T)> {
    let alike = map
        .range::<str, _>((Bound::Included(place), Bound::Unbounded))
        .take_while(move |(path, _)| path.as_str().starts_with(place));
    alike.filter(move |(path, _)| is_at_or_below(path.as_str(), place))
}

/// Returns whether `path` is `place` or below it.
pub(crate) fn is_at_or_below(path: &str, place: &str) -> bool {
    let rest = path.strip_prefix(place);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the first text after all paths below `folder`: `0` is the character after `/`.
pub(super) fn after_all_below(folder: &str) -> String {
    format!("{folder}0")
}

/// Returns `path` and the paths of the folders that contain it, innermost first.
pub(crate) fn with_ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path: &&str| {
        path.rsplit_once('/').map(|(parent, _)| parent)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths_below(map: &BTreeMap<SafePath, ()>, folder: &str, limit: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut after: Option<SafePath> = None;
        loop {
            let last = children(map, folder, after.as_ref(), limit, |path, ()| {
                found.push(path.as_str().to_owned());
            });
            match last {
                Some(last) => after = Some(last.clone()),
                None => return found,
            }
        }
    }

    proptest! {
        #[test]
        fn direct_children_are_listed_and_nothing_else(
            // '-', '.' and '0' are next to '/' in the order of characters.
            paths in prop::collection::btree_set("[ab/.0-]{1,9}", 0..60),
            many in 0..50_u32, limit in 1..9_usize,
        ) {
            let mut map = BTreeMap::new();
            for path in &paths {
                if let Ok(path) = format!("a/{path}").parse::<SafePath>() {
                    map.insert(path, ());
                }
            }
            for number in 0..many {
                map.insert(format!("a/b/{number}").parse().unwrap(), ());
            }
            for folder in ["a", "a/b", "a/a", "b"] {
                let direct = map.keys().filter(|path| path.parent() == Some(folder));
                let direct: Vec<String> = direct.map(ToString::to_string).collect();
                prop_assert_eq!(paths_below(&map, folder, limit), direct);
                let is_below = |path: &SafePath| path.as_str().starts_with(&format!("{folder}/"));
                prop_assert_eq!(has_below(&map, folder), map.keys().any(is_below));
            }
        }
    }
}
