//! Checks the length of source files and the names of modules: a file that is too long covers
//! several topics, and a module with a vague name collects unrelated code.

use crate::Failure;
use crate::workspace::{self, Source};

/// The maximum number of lines of a source file.
const SOURCE_LINES: usize = 500;
/// The maximum number of lines of a test file.
const TEST_LINES: usize = 800;
const VAGUE_NAMES: [&str; 8] = [
    "utils", "util", "common", "helpers", "helper", "manager", "managers", "misc",
];

/// Runs the check.
pub fn check() -> Result<(), Failure> {
    let violations = violations(&workspace::sources()?);
    if violations.is_empty() {
        Ok(())
    } else {
        Err(violations.join("\n"))
    }
}

fn violations(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        let bound = if is_test(&source.path) {
            TEST_LINES
        } else {
            SOURCE_LINES
        };
        if lines > bound {
            violations.push(format!(
                "{} has {lines} lines; {bound} are allowed: split it by topic",
                source.path
            ));
        }
        for part in source.path.split('/') {
            let name = part.strip_suffix(".rs").unwrap_or(part);
            if VAGUE_NAMES.contains(&name) {
                violations.push(format!("{}: '{name}' is too vague", source.path));
            }
        }
        for line in source.text.lines() {
            if let Some(name) = inline_module(line)
                && VAGUE_NAMES.contains(&name)
            {
                violations.push(format!("{}: module '{name}' is too vague", source.path));
            }
        }
    }
    violations
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/benches/") || path.ends_with("/tests.rs")
}

/// Returns the name in `mod NAME {`. Modules in files are checked by the file name.
fn inline_module(line: &str) -> Option<&str> {
    let mut words = line
        .split_whitespace()
        .skip_while(|word| word.starts_with("pub"));
    (words.next()? == "mod").then_some(())?;
    let name = words.next()?;
    (words.next()? == "{").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, lines: usize) -> Source {
        Source {
            path: path.to_owned(),
            text: "//\n".repeat(lines),
        }
    }

    #[test]
    fn a_source_file_may_reach_its_limit() {
        assert!(violations(&[source("crates/core/src/hash.rs", 500)]).is_empty());
        let over = violations(&[source("crates/core/src/hash.rs", 501)]);
        assert_eq!(over.len(), 1);
        assert!(over[0].contains("501 lines"), "{over:?}");
    }

    #[test]
    fn tests_may_be_longer() {
        assert!(violations(&[source("crates/core/tests/hash.rs", 800)]).is_empty());
        assert!(violations(&[source("crates/core/src/hash/tests.rs", 800)]).is_empty());
        assert_eq!(
            violations(&[source("crates/core/tests/hash.rs", 801)]).len(),
            1
        );
    }

    #[test]
    fn vague_names_are_refused_as_file_folder_and_module() {
        for path in ["crates/peer/src/utils.rs", "crates/peer/src/common/disk.rs"] {
            assert_eq!(violations(&[source(path, 1)]).len(), 1, "{path}");
        }
        let inline = Source {
            path: "crates/peer/src/disk.rs".to_owned(),
            text: "pub(crate) mod helpers {\n}\n".to_owned(),
        };
        assert_eq!(violations(&[inline]).len(), 1);
        assert!(violations(&[source("crates/peer/src/commons.rs", 1)]).is_empty());
    }
}
