//! The configuration file: its sections, and errors that name the line.

use std::path::{Path, PathBuf};

use convite_core::Problem;
use toml::de::DeTable;

/// The sections of the file, with their titles.
pub const SECTION_TITLES: &[(&str, &str)] = &[
    (
        "directory",
        "Settings of `convite directory`, and of the directory in `convite up`.",
    ),
    (
        "peer",
        "Settings of `convite peer`, and of the peer in `convite up`.",
    ),
];

/// The parsed file, with its text for the positions of errors.
pub struct ConfigFile {
    path: PathBuf,
    text: String,
    pub table: toml::Table,
}

impl ConfigFile {
    /// Parses the text of the file at `path`.
    ///
    /// # Errors
    /// Returns `invalid_argument` with the line if the text is not TOML.
    pub fn parse(path: PathBuf, text: String) -> Result<Self, Problem> {
        match text.parse::<toml::Table>() {
            Ok(table) => Ok(Self { path, text, table }),
            Err(error) => {
                let at = error.span().map(|span| span.start);
                Err(error_at(&path, &text, at, error.message()))
            }
        }
    }

    /// Returns an error in the file, at byte offset `at` if it is known.
    pub fn error_at(&self, at: Option<usize>, what: impl std::fmt::Display) -> Problem {
        error_at(&self.path, &self.text, at, what)
    }

    /// Like [`Self::error_at`], with the most similar known name as the hint.
    pub fn unknown_name<'a>(
        &self,
        at: Option<usize>,
        what: String,
        typed: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Problem {
        let problem = self.error_at(at, what);
        match nearest(typed, known) {
            Some(meant) => problem.hint(format!("did you mean '{meant}'? {DEFAULT_FILE_HINT}")),
            None => problem,
        }
    }

    /// Returns the byte offset of a section, or of a key in it.
    pub fn offset_of(&self, section: &str, key: Option<&str>) -> Option<usize> {
        let table = DeTable::parse(&self.text).ok()?;
        let (name, value) = table
            .get_ref()
            .iter()
            .find(|(name, _)| name.get_ref() == section)?;
        let Some(key) = key else {
            return Some(name.span().start);
        };
        let keys = value.get_ref().as_table()?;
        let (name, _) = keys.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(name.span().start)
    }

    /// Returns the byte offset of a key in the first section that has it.
    pub fn offset_of_key(&self, key: &str) -> Option<usize> {
        SECTION_TITLES
            .iter()
            .find_map(|(section, _)| self.offset_of(section, Some(key)))
    }
}

/// The hint of every error in the file.
const DEFAULT_FILE_HINT: &str = "`convite config default` prints every setting with its default";
/// The minimum Jaro-Winkler similarity (0 to 1) of a suggested name.
const SIMILARITY_MIN: f64 = 0.75;

fn error_at(path: &Path, text: &str, at: Option<usize>, what: impl std::fmt::Display) -> Problem {
    let place = match at.and_then(|at| text.get(..at)) {
        None => String::new(),
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default();
            format!(":{line}:{}", column.chars().count() + 1)
        }
    };
    Problem::invalid(format!("{}{place}: {what}", path.display())).hint(DEFAULT_FILE_HINT)
}

fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase().replace('_', "-");
    let rated = known.map(|name| (strsim::jaro_winkler(&typed, name), name));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(alike, _)| *alike >= SIMILARITY_MIN)
        .map(|(_, name)| name)
}
