//! How far the index has come behind the database, as each commit carries it.

use std::fmt;

use crate::document::kinds_digest;

/// Of what and how the index is made: another number, and it is made anew. The fields are compared
/// besides, and so is the table of kinds.
const LAYOUT: u32 = 2;

/// How far the index has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It holds nothing.
    New,
    /// It is being filled from a walk over all contents.
    Walking {
        /// The position in the change log at which the walk began.
        position: i64,
        /// The last content that it has.
        after: i64,
    },
    /// It is as the database was at this position in the change log.
    At(i64),
}

/// What a commit carries.
pub(crate) struct Mark<'a> {
    database: &'a str,
    progress: Progress,
}

impl<'a> Mark<'a> {
    pub(crate) fn new(database: &'a str, progress: Progress) -> Self {
        Self { database, progress }
    }

    /// Reads what [`fmt::Display`] wrote.
    pub(crate) fn progress_of(text: &str, database: &str) -> Result<Progress, &'static str> {
        let mut lines = text.lines();
        let (layout, of, progress) = (lines.next(), lines.next(), lines.next());
        if layout != Some(layout_line().as_str()) {
            return Err("it is of another version");
        }
        if of != Some(one_line(database).as_str()) {
            return Err("it is of another database");
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
        progress.ok_or("it does not say how far it has come")
    }
}

fn layout_line() -> String {
    format!("names {LAYOUT} kinds {:016x}", kinds_digest())
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
            let older = text.replacen("names 2", "names 1", 1);
            assert!(Mark::progress_of(&older, "ab").is_err());
            let cut: String = text.lines().take(2).collect();
            assert!(Mark::progress_of(&cut, "ab").is_err());
        }
        assert!(Mark::progress_of("", "").is_err());
        assert!(Mark::progress_of("12", "").is_err());
    }
}
