//! The files of a folder that are downloaded: patterns that include or exclude paths.

use std::str::FromStr;

use convite_core::{Problem, SafePath};

/// A pattern for paths inside a folder, as in `.gitignore`: `*` stands for any characters of a name,
/// `?` for one, and `**` for any number of folders. A pattern without `/` applies to names at any
/// depth; one with `/`, to the whole path. It also matches everything below a folder that it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    /// The patterns of the parts.
    parts: Vec<String>,
    is_anchored: bool,
}

impl FromStr for PathPattern {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let trimmed = text.trim_end_matches('/');
        let parts: Vec<String> = trimmed
            .trim_start_matches('/')
            .split('/')
            .map(str::to_owned)
            .collect();
        if parts.iter().any(String::is_empty) {
            return Err(Problem::invalid(format!(
                "'{text}' is not a pattern for paths"
            )));
        }
        Ok(Self {
            parts,
            is_anchored: trimmed.contains('/'),
        })
    }
}

impl PathPattern {
    /// Returns whether the pattern matches `path` or a folder that contains it.
    pub fn matches(&self, path: &SafePath) -> bool {
        let parts: Vec<&str> = path.parts().collect();
        if self.is_anchored {
            return (1..=parts.len()).any(|end| matches_parts(&self.parts, &parts[..end]));
        }
        parts.iter().any(|part| matches_name(&self.parts[0], part))
    }
}

/// Matches the parts of a whole path. The work is at most the product of both lengths.
fn matches_parts(patterns: &[String], parts: &[&str]) -> bool {
    // Whether the first patterns match the first `n` parts, for each `n`.
    let mut reached = vec![false; parts.len() + 1];
    reached[0] = true;
    for pattern in patterns {
        let mut next = vec![false; parts.len() + 1];
        if pattern == "**" {
            let mut any = false;
            for (at, was) in reached.iter().enumerate() {
                any |= was;
                next[at] = any;
            }
        } else {
            for (at, part) in parts.iter().enumerate() {
                next[at + 1] = reached[at] && matches_name(pattern, part);
            }
        }
        reached = next;
    }
    reached[parts.len()]
}

/// Matches one name, with backtracking to the last `*` only.
fn matches_name(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((after, from)) => {
                    *from += 1;
                    (p, n) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The files that are downloaded: those that any of `include` matches (all, if there is none) and
/// none of `exclude`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Patterns of wanted paths.
    pub include: Vec<PathPattern>,
    /// Patterns of unwanted paths.
    pub exclude: Vec<PathPattern>,
}

impl Selection {
    /// Returns whether all files are wanted.
    pub fn is_everything(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Returns whether the file or folder at `path` is wanted.
    pub fn contains(&self, path: &SafePath) -> bool {
        (self.include.is_empty() || self.include.iter().any(|pattern| pattern.matches(path)))
            && !self.exclude.iter().any(|pattern| pattern.matches(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let pattern: PathPattern = pattern.parse().unwrap();
        pattern.matches(&path.parse().unwrap())
    }

    #[test]
    fn patterns_match_names_and_paths() {
        for (pattern, path, wanted) in [
            ("*.jpg", "a/b/x.jpg", true),
            ("*.jpg", "a/x.jpg/y", true),
            ("*.jpg", "x.jpeg", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("raw/", "x/raw/y", true),
            ("/raw", "raw/y", true),
            ("/raw", "x/raw", false),
            ("a/*.txt", "a/x.txt", true),
            ("a/*.txt", "a/b/x.txt", false),
            ("a/**/x", "a/x", true),
            ("a/**/x", "a/b/c/x", true),
            ("a/**/x", "b/x", false),
            ("**/x/y", "a/b/x/y/z", true),
            ("**", "a", true),
        ] {
            assert_eq!(matches(pattern, path), wanted, "{pattern} {path}");
        }
        for bad in ["", "/", "a//b"] {
            assert!(bad.parse::<PathPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn selection_excludes_after_it_includes() {
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let selection = Selection {
            include: patterns(&["*.rs", "docs"]),
            exclude: patterns(&["target", "docs/old"]),
        };
        for (path, wanted) in [
            ("a/x.rs", true),
            ("target/x.rs", false),
            ("docs/new/x", true),
            ("docs/old/x", false),
            ("x.txt", false),
        ] {
            assert_eq!(selection.contains(&path.parse().unwrap()), wanted, "{path}");
        }
        assert!(Selection::default().contains(&"x".parse().unwrap()));
    }

    #[test]
    fn hostile_patterns_take_little_time() {
        let name = "a".repeat(250);
        let pattern = "*a".repeat(120) + "b";
        assert!(!matches(&pattern, &name));
        let path = ["a"; 200].join("/");
        assert!(!matches(&("**/a/".repeat(60) + "b"), &path));
    }
}
