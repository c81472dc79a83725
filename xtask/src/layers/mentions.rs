//! Bans that no manifest can express: what the sources of a folder must not name.

use crate::workspace::Source;

/// A folder, what its sources must not name, and why.
struct Ban {
    folder: &'static str,
    names: &'static [&'static str],
    why: &'static str,
}

const BANS: [Ban; 3] = [
    Ban {
        folder: "crates/core/src/",
        names: &["SystemTime::now", "Instant::now", "std::fs", "tokio"],
        why: "core is pure: time and bytes are arguments",
    },
    Ban {
        folder: "crates/swarm/src/",
        names: &["SystemTime::now", "Instant::now", "std::fs", "tokio"],
        why: "swarm is pure: events with a time stamp in, actions out",
    },
    Ban {
        folder: "crates/directory/src/service/",
        names: &["axum", "tonic", "rusqlite", "tokio_postgres"],
        why: "a use case knows neither its doors nor its database",
    },
];

/// Every line that names what its folder must not.
pub fn complaints(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for ban in &BANS {
        for source in sources.iter().filter(|s| s.path.starts_with(ban.folder)) {
            for (number, line) in source.text.lines().enumerate() {
                for name in ban.names.iter().filter(|name| line_names(line, name)) {
                    let place = number + 1;
                    complaints.push(format!(
                        "{}:{place}: names {name}; {}",
                        source.path, ban.why
                    ));
                }
            }
        }
    }
    complaints
}

/// Whether code in `text` has the word `name`; comments do not count.
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
    fn a_clock_in_a_pure_room_is_found_with_its_line() {
        let found = complaints(&[source(
            "crates/swarm/src/plan.rs",
            "// no Instant::now here\nlet now = std::time::Instant::now();\n",
        )]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/swarm/src/plan.rs:2:"));
    }

    #[test]
    fn a_use_case_that_knows_its_door_is_found() {
        let path = "crates/directory/src/service/search.rs";
        assert_eq!(complaints(&[source(path, "use tonic::Status;\n")]).len(), 1);
        assert!(
            complaints(&[source(
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
