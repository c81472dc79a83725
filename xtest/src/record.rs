//! The list of tests skipped in one run of `cargo test`.
//!
//! Each test program is a separate process, so the list is a file. Its name contains the process id
//! of the `cargo` that started the tests, unless `CONVITE_SKIPPED` sets its path.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Need, find};

/// Environment variable with the path of the list.
pub const RECORD: &str = "CONVITE_SKIPPED";

/// A skipped test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Name of the missing need.
    pub need: String,
    /// Name of the test, after its program's name.
    pub test: String,
    /// Reason why the test could not run.
    pub why: String,
}

/// Returns the path of the list of the current run.
pub fn record_of_this_run() -> PathBuf {
    if let Some(path) = std::env::var_os(RECORD) {
        return path.into();
    }
    find::target().join("skipped").join(parent())
}

/// Returns the id and start time of the parent process. The start time distinguishes it from an
/// earlier process with the same id.
#[cfg(unix)]
fn parent() -> String {
    let id = std::os::unix::process::parent_id();
    // proc_pid_stat(5): start time is field 22. Field 2 is in parentheses and may contain spaces.
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let started = after_name.split_whitespace().nth(19).unwrap_or("0");
    format!("{id}-{started}")
}

#[cfg(not(unix))]
fn parent() -> String {
    "last".to_owned()
}

pub(crate) fn append(need: Need, test: &str, why: &str) {
    let path = record_of_this_run();
    let program = std::env::current_exe().unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy();
    let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
    let line = format!(
        "{}\t{program} {test}\t{}\n",
        need.name(),
        why.replace(['\t', '\n'], " ")
    );
    let written = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| {
            let mut options = std::fs::OpenOptions::new();
            // One write per line, so that lines of several processes do not mix.
            let mut file = options.create(true).append(true).open(&path)?;
            file.write_all(line.as_bytes())
        });
    if let Err(error) = written {
        let _ = writeln!(std::io::stderr(), "{}: {error}", path.display());
    }
}

/// Reads a list. Returns an empty vector if the file does not exist.
pub fn skipped(record: &Path) -> Vec<Skipped> {
    let text = std::fs::read_to_string(record).unwrap_or_default();
    let mut skipped: Vec<Skipped> = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('\t').map(str::to_owned);
        if let (Some(need), Some(test), Some(why)) = (fields.next(), fields.next(), fields.next()) {
            let entry = Skipped { need, test, why };
            if !skipped.contains(&entry) {
                skipped.push(entry);
            }
        }
    }
    skipped
}

/// Formats the list for the end of a run. Returns an empty string if no test was skipped.
pub fn report(skipped: &[Skipped]) -> String {
    let mut by_need: BTreeMap<&str, Vec<&Skipped>> = BTreeMap::new();
    for test in skipped {
        by_need.entry(&test.need).or_default().push(test);
    }
    let mut text = String::new();
    if skipped.is_empty() {
        return text;
    }
    text.push_str(&format!("*** SKIPPED: {} tests\n", skipped.len()));
    for (need, tests) in by_need {
        text.push_str(&format!("***   {need}: {}\n", tests[0].why));
        for test in tests {
            text.push_str(&format!("***     {}\n", test.test));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_each_test_once_under_what_it_lacks() {
        let folder = std::env::temp_dir().join(format!("xtest-{}", std::process::id()));
        let lines =
            "tmux\te2e menu::a\tno tmux\naxe\te2e web::b\tno axe\ntmux\te2e menu::a\tno tmux\n";
        std::fs::write(&folder, lines).unwrap();
        let listed = skipped(&folder);
        std::fs::remove_file(&folder).unwrap();
        assert_eq!(
            report(&listed),
            "*** SKIPPED: 2 tests\n***   axe: no axe\n***     e2e web::b\n***   tmux: no tmux\n***     e2e menu::a\n"
        );
        assert_eq!(report(&skipped(&folder)), "");
    }
}
