//! Rooms stay small: a file that outgrows its bound is two ideas, and a module named after
//! nothing in particular collects everything.

use crate::Failure;
use crate::workspace::{self, Source};

/// Lines that a source file may have.
const SOURCE_LINES: usize = 500;
/// Lines that a file of tests may have.
const TEST_LINES: usize = 800;
const VAGUE_NAMES: [&str; 8] = [
    "utils", "util", "common", "helpers", "helper", "manager", "managers", "misc",
];

/// The step of the gate.
pub fn check() -> Result<(), Failure> {
    let complaints = complaints(&workspace::sources()?);
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\n"))
    }
}

fn complaints(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        let bound = if is_test(&source.path) {
            TEST_LINES
        } else {
            SOURCE_LINES
        };
        if lines > bound {
            complaints.push(format!(
                "{} has {lines} lines; {bound} are allowed: it holds two ideas",
                source.path
            ));
        }
        for part in source.path.split('/') {
            let name = part.strip_suffix(".rs").unwrap_or(part);
            if VAGUE_NAMES.contains(&name) {
                complaints.push(format!("{}: '{name}' says nothing", source.path));
            }
        }
        for line in source.text.lines() {
            if let Some(name) = inline_module(line)
                && VAGUE_NAMES.contains(&name)
            {
                complaints.push(format!("{}: module '{name}' says nothing", source.path));
            }
        }
    }
    complaints
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/benches/") || path.ends_with("/tests.rs")
}

/// The name in `mod NAME {`; a module with a file of its own is known by the file's name.
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
    fn a_source_may_fill_its_bound_and_no_more() {
        assert!(complaints(&[source("crates/core/src/hash.rs", 500)]).is_empty());
        let over = complaints(&[source("crates/core/src/hash.rs", 501)]);
        assert_eq!(over.len(), 1);
        assert!(over[0].contains("501 lines"), "{over:?}");
    }

    #[test]
    fn tests_may_be_longer() {
        assert!(complaints(&[source("crates/core/tests/hash.rs", 800)]).is_empty());
        assert!(complaints(&[source("crates/core/src/hash/tests.rs", 800)]).is_empty());
        assert_eq!(
            complaints(&[source("crates/core/tests/hash.rs", 801)]).len(),
            1
        );
    }

    #[test]
    fn vague_names_are_refused_as_file_folder_and_module() {
        for path in ["crates/peer/src/utils.rs", "crates/peer/src/common/disk.rs"] {
            assert_eq!(complaints(&[source(path, 1)]).len(), 1, "{path}");
        }
        let inline = Source {
            path: "crates/peer/src/disk.rs".to_owned(),
            text: "pub(crate) mod helpers {\n}\n".to_owned(),
        };
        assert_eq!(complaints(&[inline]).len(), 1);
        assert!(complaints(&[source("crates/peer/src/commons.rs", 1)]).is_empty());
    }
}
