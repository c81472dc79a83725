//! The options of the benchmarks. All of them are parsed before a benchmark starts, so that a
//! typing error does not fail a run of minutes.

use std::path::PathBuf;

use crate::Failure;

const MIB: u64 = 1 << 20;
/// The maximum number of downloaders; more do not fit the network of `bench swarm`.
const DOWNLOADERS_MAX: usize = 200;

/// The options of a benchmark.
pub struct Options {
    /// The size of the file in bytes; none for the benchmark's default.
    pub size: Option<u64>,
    /// The number of measured rounds.
    pub rounds: usize,
    /// The number of files in the directory, or in a folder.
    pub files: usize,
    /// The duration of the mix in seconds.
    #[cfg_attr(
        not(feature = "load"),
        allow(dead_code, reason = "used by the load generator")
    )]
    pub seconds: u64,
    /// The URL of the directory's database; none for its default.
    #[cfg_attr(
        not(feature = "load"),
        allow(dead_code, reason = "used by the load generator")
    )]
    pub database: Option<String>,
    /// The numbers of providers of a download; each is one row of the table.
    pub providers: Vec<usize>,
    /// The number of concurrent downloaders in a swarm.
    pub downloaders: usize,
    /// The rates of the downloaders' links in bits per second, in both directions, assigned in
    /// turn.
    pub rates: Vec<u64>,
    /// The rate of the first provider's link in bits per second; none for the rate of the first
    /// downloader.
    pub provider_rate: Option<u64>,
    /// Whether to install other systems that are missing.
    pub install: bool,
    /// Whether to measure only Convite.
    pub alone: bool,
    /// Whether to print one JSON object instead of a table.
    pub json: bool,
    /// The program to measure; none for the release build of this source.
    pub binary: Option<PathBuf>,
}

impl Options {
    /// Returns the size of the large file in bytes, 2 GiB by default.
    pub fn large(&self) -> u64 {
        self.size.unwrap_or(2048 * MIB)
    }

    /// Returns the size of a swarm's file in bytes, 64 MiB by default.
    pub fn shared(&self) -> u64 {
        self.size.unwrap_or(64 * MIB)
    }
}

/// Parses the options in `words`.
///
/// # Errors
/// Fails if an option is unknown, has no value, or has an invalid value.
pub fn parse(words: &[&str]) -> Result<Options, Failure> {
    let mut options = Options {
        size: None,
        rounds: 3,
        files: 1_000_000,
        seconds: 20,
        database: None,
        providers: vec![1, 2, 4],
        downloaders: 8,
        rates: vec![80_000_000],
        provider_rate: None,
        install: false,
        alone: false,
        json: false,
        binary: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let flag = match *word {
            "--json" => Some(&mut options.json),
            "--install" => Some(&mut options.install),
            "--alone" => Some(&mut options.alone),
            _ => None,
        };
        if let Some(flag) = flag {
            *flag = true;
            continue;
        }
        let value = words
            .next()
            .ok_or_else(|| format!("{word} needs a value"))?;
        let bad = || format!("{word}: invalid value '{value}'");
        match *word {
            "--binary" => options.binary = Some(PathBuf::from(value)),
            "--size" => options.size = Some(size(value).ok_or_else(bad)?),
            "--rounds" => options.rounds = count(value).ok_or_else(bad)?,
            "--files" => options.files = count(value).ok_or_else(bad)?,
            "--seconds" => options.seconds = count(value).ok_or_else(bad)? as u64,
            "--database" => options.database = Some((*value).to_owned()),
            "--providers" => options.providers = list(value, count).ok_or_else(bad)?,
            "--downloaders" => {
                let few = count(value).filter(|count| *count <= DOWNLOADERS_MAX);
                options.downloaders = few.ok_or_else(bad)?;
            }
            "--rate" => options.rates = vec![rate(value).ok_or_else(bad)?],
            "--rates" => options.rates = list(value, rate).ok_or_else(bad)?,
            "--provider-rate" => options.provider_rate = Some(rate(value).ok_or_else(bad)?),
            _ => return Err(format!("'{word}' is not an option of a benchmark")),
        }
    }
    Ok(options)
}

fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count > 0)
}

/// Parses values separated by commas.
fn list<T>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(|word| one(word.trim())).collect()
}

/// Parses a number of bytes like `123`, `64KiB`, `64MiB` or `2GiB`.
fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
        .unwrap_or((text, 0));
    let number: u64 = number.trim().parse().ok().filter(|number| *number > 0)?;
    number.checked_mul(1 << shift)
}

/// Parses bits per second like `800kbit`, `80mbit` or `1gbit`. As in tc(8), the units are decimal.
fn rate(text: &str) -> Option<u64> {
    let units = [
        ("kbit", 1_000),
        ("mbit", 1_000_000),
        ("gbit", 1_000_000_000),
    ];
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    let number: u64 = number.trim().parse().ok().filter(|number| *number > 0)?;
    number.checked_mul(factor)
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
    fn rates_are_decimal_bits() {
        assert_eq!(rate("80mbit"), Some(80_000_000));
        assert_eq!(rate("1gbit"), Some(1_000_000_000));
        assert_eq!(rate("500kbit"), Some(500_000));
        for bad in ["", "80", "0mbit", "-1mbit", "80MiB", "99999999999gbit"] {
            assert_eq!(rate(bad), None, "{bad}");
        }
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let options = parse(&["--providers", "1,2,4", "--rates", "20mbit,100mbit"]).unwrap();
        assert_eq!(options.providers, [1, 2, 4]);
        assert_eq!(options.rates, [20_000_000, 100_000_000]);
        assert!(parse(&["--providers", "1,,4"]).is_err());
        assert!(parse(&["--providers", "0"]).is_err());
        assert!(parse(&["--downloaders", "201"]).is_err());
    }

    #[test]
    fn unknown_and_unfinished_options_are_refused() {
        assert!(parse(&["--sizes", "1"]).is_err());
        assert!(parse(&["--size"]).is_err());
        assert!(parse(&["--rounds", "0"]).is_err());
        let options = parse(&["--size", "1MiB", "--json", "--install"]).unwrap();
        assert_eq!((options.large(), options.shared()), (MIB, MIB));
        assert!(options.json && options.install && !options.alone);
        let options = parse(&[]).unwrap();
        assert_eq!((options.large(), options.shared()), (2048 * MIB, 64 * MIB));
    }
}
