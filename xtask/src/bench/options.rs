//! What a benchmark can be told: the words after its name, each understood or refused at once, so
//! that no run of minutes ends in a typing mistake.

use std::path::PathBuf;

use crate::Failure;

const MIB: u64 = 1 << 20;
/// More would not fit the network that `bench swarm` makes.
const MOST_DOWNLOADERS: usize = 200;

/// What a benchmark can be told.
pub struct Options {
    /// Bytes of the one large file; none for the benchmark's own default.
    pub size: Option<u64>,
    /// Rounds that count.
    pub rounds: usize,
    /// Files that the directory, or a folder, is filled with.
    pub files: usize,
    /// How long the directory is under the mix.
    #[cfg_attr(not(feature = "load"), allow(dead_code, reason = "of the load driver"))]
    pub seconds: u64,
    /// The directory's database; none for its own.
    #[cfg_attr(not(feature = "load"), allow(dead_code, reason = "of the load driver"))]
    pub database: Option<String>,
    /// Numbers of providers that one downloader fetches from, one row each.
    pub providers: Vec<usize>,
    /// How many fetch at once in a swarm.
    pub downloaders: usize,
    /// Bits per second, up and down, of the downloaders' links, taken in turn.
    pub rates: Vec<u64>,
    /// Bits per second of the first provider's link; none for the first downloader's.
    pub provider_rate: Option<u64>,
    /// Install other systems that are missing.
    pub install: bool,
    /// Measure Convite alone.
    pub alone: bool,
    /// One JSON object instead of a table.
    pub json: bool,
    /// The program to measure; none for the release build of this source.
    pub binary: Option<PathBuf>,
}

impl Options {
    /// Bytes of the one large file: as told, or else 2 GiB.
    pub fn large(&self) -> u64 {
        self.size.unwrap_or(2048 * MIB)
    }

    /// Bytes of a swarm's file: as told, or else 64 MiB.
    pub fn shared(&self) -> u64 {
        self.size.unwrap_or(64 * MIB)
    }
}

/// Reads `words`.
///
/// # Errors
/// If one is unknown, has no value, or has one that cannot be understood.
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
            .ok_or_else(|| format!("{word} wants a value"))?;
        let bad = || format!("{word}: '{value}' cannot be understood");
        match *word {
            "--binary" => options.binary = Some(PathBuf::from(value)),
            "--size" => options.size = Some(size(value).ok_or_else(bad)?),
            "--rounds" => options.rounds = count(value).ok_or_else(bad)?,
            "--files" => options.files = count(value).ok_or_else(bad)?,
            "--seconds" => options.seconds = count(value).ok_or_else(bad)? as u64,
            "--database" => options.database = Some((*value).to_owned()),
            "--providers" => options.providers = list(value, count).ok_or_else(bad)?,
            "--downloaders" => {
                let few = count(value).filter(|count| *count <= MOST_DOWNLOADERS);
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

/// Values with commas between them.
fn list<T>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(|word| one(word.trim())).collect()
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

/// Bits per second from `800kbit`, `80mbit` or `1gbit`, as tc(8) counts them: in thousands.
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
    fn lists_have_commas_and_no_holes() {
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
