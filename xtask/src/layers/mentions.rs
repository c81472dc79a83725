//! Bans that neither a manifest nor clippy.toml can express: names that the sources of a folder must
//! not use.

use crate::workspace::Source;

/// A folder, the names that are banned there, and the reason.
struct Ban {
    folder: &'static str,
    names: &'static [&'static str],
    why: &'static str,
}

const BANS: [Ban; 1] = [Ban {
    folder: "crates/directory/src/service/",
    names: &["axum", "tonic", "rusqlite", "tokio_postgres"],
    why: "an operation depends on neither its APIs nor its database",
}];

/// Returns every line that uses a name that is banned in its folder.
pub fn violations(sources: &[Source]) -> Vec<String> {
    let mut violations = Vec::new();
    for ban in &BANS {
        for source in sources.iter().filter(|s| s.path.starts_with(ban.folder)) {
            for (number, line) in source.text.lines().enumerate() {
                for name in ban.names.iter().filter(|name| line_names(line, name)) {
                    let place = number + 1;
                    violations.push(format!("{}:{place}: uses {name}; {}", source.path, ban.why));
                }
            }
        }
    }
    violations
}

/// Returns whether code in `text` has the word `name`; comments do not count.
pub fn names(text: &str, name: &str) -> bool {
    text.lines().any(|line| line_names(line, name))
}

fn line_names(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or(line);
    code.match_indices(name).any(|(at, _)| {
        let inside_word = |c: char| c.is_alphanumeric() || c == '_';
        !code[..at].ends_with(inside_word) && !code[at + name.len()..].starts_with(inside_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn an_operation_that_names_an_api_is_found() {
        let found = violations(&[source(
            "crates/directory/src/service/search.rs",
            "// no axum here\nuse tonic::Status;\n",
        )]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/directory/src/service/search.rs:2:"));
        assert!(
            violations(&[source(
                "crates/directory/src/grpc/search.rs",
                "use tonic::Status;\n"
            )])
            .is_empty()
        );
    }

    #[test]
    fn only_whole_words_in_code_count() {
        assert!(names("use tokio::sync;", "tokio"));
        assert!(!names("use tokio_util::sync;", "tokio"));
        assert!(!names("let a = mytokio;", "tokio"));
        assert!(!names("let a = 1; // tokio", "tokio"));
    }
}
