//! Measures the duration of each test. Cargo runs every test program through `xtask
//! run-test-program`, which passes the harness the option that reports durations. Only nightly
//! toolchains accept this option, unless `RUSTC_BOOTSTRAP` is set. The variable is set only for the
//! test programs, so it does not change what `cargo test` compiles.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::Failure;
use crate::workspace;

/// The environment variable with the path of the file for the durations.
pub const TIMES: &str = "CONVITE_TEST_TIMES";
const UNSTABLE: [&str; 2] = ["-Zunstable-options", "--report-time"];
const BOOTSTRAP: &str = "RUSTC_BOOTSTRAP";

/// Returns the cargo setting that runs test programs through this program.
///
/// # Errors
/// Fails if rustc does not report its host, or if the path of this program is not Unicode.
pub fn runner() -> Result<String, Failure> {
    let about = workspace::output(
        Command::new("rustc")
            .arg("-vV")
            .current_dir(workspace::root()),
    )?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc -vV reports no host")?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let program = program.to_str().ok_or("the path of xtask is not Unicode")?;
    let program = serde_json::Value::from(program);
    Ok(format!(
        "target.{host}.runner=[{program}, \"run-test-program\"]"
    ))
}

/// Runs a test program with its arguments, prints its output, and records the durations of its
/// tests.
pub fn run_program(words: &[&str]) -> ExitCode {
    let Some((program, args)) = words.split_first() else {
        return ExitCode::FAILURE;
    };
    let takes_times = Command::new(program)
        .args(UNSTABLE)
        .arg("--list")
        .env(BOOTSTRAP, "1")
        .output()
        .is_ok_and(|output| output.status.success());
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::piped());
    if takes_times {
        command.args(UNSTABLE).env(BOOTSTRAP, "1");
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("{program} cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let name = Path::new(program).file_stem().unwrap_or_default();
    let name = name.to_string_lossy();
    let name = name.rsplit_once('-').map_or(&*name, |(name, _)| name);
    let mut times = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            let _ = std::io::stdout().write_all(&line);
            if let Some((test, seconds)) = time_in(&String::from_utf8_lossy(&line)) {
                times.push_str(&format!("{seconds}\t{name} {test}\n"));
            }
            line.clear();
        }
    }
    if let Some(path) = std::env::var_os(TIMES) {
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(times.as_bytes()));
    }
    match child.wait() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        // The exit code of the harness for failed tests.
        Ok(_) | Err(_) => ExitCode::from(101),
    }
}

/// Parses the test name and its seconds from a line like `test a::b ... ok <0.123s>`.
fn time_in(line: &str) -> Option<(&str, f64)> {
    let (test, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let (_, time) = result.trim_end().rsplit_once('<')?;
    Some((test, time.strip_suffix("s>")?.parse().ok()?))
}

/// Returns the slowest tests of a run as lines of text.
pub fn slowest(times: &Path, count: usize) -> String {
    let text = std::fs::read_to_string(times).unwrap_or_default();
    let mut tests: Vec<(f64, &str)> = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter_map(|(seconds, test)| Some((seconds.parse().ok()?, test)))
        .collect();
    tests.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut page = String::new();
    if !tests.is_empty() {
        page.push_str("── the slowest tests\n");
    }
    for (seconds, test) in tests.iter().take(count) {
        page.push_str(&format!("   {seconds:6.1} s  {test}\n"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_what_the_harness_prints() {
        assert_eq!(
            time_in("test a::b ... ok <0.123s>\n"),
            Some(("a::b", 0.123))
        );
        assert_eq!(time_in("test a ... FAILED <12.500s>"), Some(("a", 12.5)));
        assert_eq!(time_in("test a ... ok"), None);
        assert_eq!(time_in("test result: ok. 3 passed"), None);
    }

    #[test]
    fn the_slowest_come_first() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0.5\te2e a\n12.25\te2e b\n3\tsim c\n").unwrap();
        assert_eq!(
            slowest(file.path(), 2),
            "── the slowest tests\n     12.2 s  e2e b\n      3.0 s  sim c\n"
        );
    }
}
