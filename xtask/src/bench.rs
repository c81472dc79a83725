//! Benchmarks against the real binary: real processes, real sockets, a real disk, and next to each
//! figure the floor that the same machine sets in the same minute.
//!
//! Absolute figures move by tens of percent from run to run; only ratios inside one run are worth
//! comparing. Linux only: processor time and memory are read from /proc.

#[cfg(feature = "load")]
mod directory;
#[cfg(not(feature = "load"))]
#[path = "bench/relaunch.rs"]
mod directory;
mod floor;
mod hash;
mod payload;
mod report;
mod system;
mod transfer;
mod usage;

use std::path::PathBuf;

use crate::Failure;

/// What a benchmark can be told.
pub struct Options {
    /// Bytes of the one large file.
    pub size: u64,
    /// Rounds that count, after one that does not.
    pub rounds: usize,
    /// Files that the directory is filled with.
    #[cfg_attr(not(feature = "load"), allow(dead_code))]
    pub files: usize,
    /// Calls that each latency is measured over.
    #[cfg_attr(not(feature = "load"), allow(dead_code))]
    pub queries: usize,
    /// One JSON object instead of a table.
    pub json: bool,
    /// The program to measure; none for the release build of this source.
    pub binary: Option<PathBuf>,
}

/// Runs the benchmark that `words` name.
///
/// # Errors
/// If the words are unknown, or something fails on the way.
pub fn run(words: &[&str]) -> Result<(), Failure> {
    match words {
        ["transfer", options @ ..] => transfer::run(&parse(options)?),
        ["hash", options @ ..] => hash::run(&parse(options)?),
        ["directory", options @ ..] => directory::run(&parse(options)?, options),
        // The two ends of the floor are processes of their own, so that each has its own account.
        ["floor-send", address, path] => floor::send(address, path),
        ["floor-receive", path, hashed] => floor::receive(path, *hashed == "hashed"),
        _ => Err("the benchmarks are transfer, hash and directory".to_owned()),
    }
}

fn parse(words: &[&str]) -> Result<Options, Failure> {
    let mut options = Options {
        size: 2 << 30,
        rounds: 3,
        files: 100_000,
        queries: 2_000,
        json: false,
        binary: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if *word == "--json" {
            options.json = true;
            continue;
        }
        let value = words
            .next()
            .ok_or_else(|| format!("{word} wants a value"))?;
        let bad = || format!("{word}: '{value}' cannot be understood");
        match *word {
            "--binary" => options.binary = Some(PathBuf::from(value)),
            "--size" => options.size = size(value).ok_or_else(bad)?,
            "--rounds" => options.rounds = count(value).ok_or_else(bad)?,
            "--files" => options.files = count(value).ok_or_else(bad)?,
            "--queries" => options.queries = count(value).ok_or_else(bad)?,
            _ => return Err(format!("'{word}' is not an option of a benchmark")),
        }
    }
    Ok(options)
}

fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count > 0)
}

/// Bytes from `123`, `64KiB`, `64MiB` or `2GiB`.
fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
        .unwrap_or((text, 0));
    let number: u64 = number.trim().parse().ok().filter(|number| *number > 0)?;
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size("2GiB"), Some(2 << 30));
        assert_eq!(size("64 KiB"), Some(64 << 10));
        assert_eq!(size("123"), Some(123));
        for bad in ["", "0", "2GB", "-1", "99999999999GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn unknown_and_unfinished_options_are_refused() {
        assert!(parse(&["--sizes", "1"]).is_err());
        assert!(parse(&["--size"]).is_err());
        assert!(parse(&["--rounds", "0"]).is_err());
        let options = parse(&["--size", "1MiB", "--json"]).unwrap();
        assert_eq!((options.size, options.json), (1 << 20, true));
    }
}
