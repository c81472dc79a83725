//! The position of the index relative to the database, as stored in each commit.

use std::fmt;

use crate::document::kind_table_digest;

/// The layout version of the index. If it changes, the index is rebuilt. The schema and the table
/// of kinds are compared as well.
const LAYOUT: u32 = 3;

/// The position of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The index is empty.
    New,
    /// The index is being filled from a scan of all contents.
    Walking {
        /// Position in the change log at the start of the scan.
        position: i64,
        /// Key of the last content in the index.
        after: i64,
    },
    /// The index corresponds to this position in the change log.
    At(i64),
}

/// The payload of a commit.
pub(crate) struct Mark<'a> {
    database: &'a str,
    progress: Progress,
}

impl<'a> Mark<'a> {
    pub(crate) fn new(database: &'a str, progress: Progress) -> Self {
        Self { database, progress }
    }

    /// Parses the text written by [`fmt::Display`].
    pub(crate) fn progress_of(text: &str, database: &str) -> Result<Progress, &'static str> {
        let mut lines = text.lines();
        let (layout, of, progress) = (lines.next(), lines.next(), lines.next());
        if layout != Some(layout_line().as_str()) {
            return Err("it has another version");
        }
        if of != Some(one_line(database).as_str()) {
            return Err("it belongs to another database");
        }
        let mut words = progress.unwrap_or_default().split(' ');
        let kind = words.next();
        let mut number = || words.next()?.parse().ok();
        let progress = match kind {
            Some("new") => Some(Progress::New),
            Some("walking") => number()
                .zip(number())
                .map(|(position, after)| Progress::Walking { position, after }),
            Some("at") => number().map(Progress::At),
            _ => None,
        };
        progress.ok_or("it has no position")
    }
}

fn layout_line() -> String {
    format!("names {LAYOUT} kinds {:016x}", kind_table_digest())
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

impl fmt::Display for Mark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", layout_line())?;
        writeln!(f, "{}", one_line(self.database))?;
        match self.progress {
            Progress::New => write!(f, "new"),
            Progress::Walking { position, after } => write!(f, "walking {position} {after}"),
            Progress::At(position) => write!(f, "at {position}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_was_written_and_only_of_the_same_database() {
        for progress in [
            Progress::New,
            Progress::At(42),
            Progress::At(-1),
            Progress::Walking {
                position: 7,
                after: i64::MIN,
            },
        ] {
            let text = Mark::new("ab", progress).to_string();
            assert_eq!(Mark::progress_of(&text, "ab"), Ok(progress));
            assert!(Mark::progress_of(&text, "cd").is_err());
            let older = text.replacen(&format!("names {LAYOUT}"), "names 1", 1);
            assert!(Mark::progress_of(&older, "ab").is_err());
            let cut: String = text.lines().take(2).collect();
            assert!(Mark::progress_of(&cut, "ab").is_err());
        }
        assert!(Mark::progress_of("", "").is_err());
        assert!(Mark::progress_of("12", "").is_err());
    }
}
