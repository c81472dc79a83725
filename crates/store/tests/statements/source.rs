//! The statements in the source code of the stores.

use std::path::Path;

/// Words that start a statement.
const BEGINNINGS: [&str; 5] = [
    "SELECT ",
    "INSERT INTO ",
    "UPDATE ",
    "DELETE FROM ",
    "WITH ",
];

/// A statement as written: its parts are joined by text that is inserted at run time.
#[derive(Debug)]
pub struct Written {
    parts: Vec<String>,
}

/// Returns a statement with normalized white space.
pub fn plain(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Written {
    /// Returns whether a statement that was run is this one.
    pub fn is(&self, run: &str) -> bool {
        let Some(mut rest) = run.strip_prefix(self.parts[0].as_str()) else {
            return false;
        };
        for part in &self.parts[1..] {
            let Some((_, after)) = rest.split_once(part.as_str()) else {
                return false;
            };
            rest = after;
        }
        true
    }

    /// Returns the whole statement, unless text is inserted.
    pub fn whole(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [whole] => Some(whole),
            _ => None,
        }
    }

    pub fn begins_with(&self, beginning: &str) -> bool {
        self.parts[0].starts_with(beginning)
    }
}

/// Returns all statements for a database: those in its folder, and those that both databases run.
/// For statements that `concat!` or a macro assembles, returns the first part.
pub fn statements(database: &str) -> Vec<Written> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = [database, "tables", "operations"].map(|folder| source.join(folder));
    let files = folders.iter().flat_map(|folder| folder.read_dir().unwrap());
    let mut all = Vec::new();
    for entry in files {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for beginning in BEGINNINGS {
            let quoted = format!("\"{beginning}");
            for (at, _) in source.match_indices(&quoted) {
                let literal = &source[at + 1..];
                let literal = &literal[..literal.find('"').unwrap()];
                let parts = literal.split('{').enumerate();
                let parts = parts.map(|(n, part)| match n {
                    0 => plain(part),
                    _ => plain(part.split_once('}').map_or("", |(_, rest)| rest)),
                });
                let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
                all.push(Written { parts });
            }
        }
    }
    assert!(all.len() > 80, "found only {} statements", all.len());
    all
}
