//! The options of `cargo xtask chaos`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::database;
use crate::{Failure, generated};

/// The possible numbers of peers; at least two, so that they can share with each other.
const PEERS: std::ops::RangeInclusive<usize> = 2..=100;

/// The options of a run.
pub struct Options {
    pub length: Duration,
    pub seed: u64,
    pub peers: usize,
    pub database: DatabaseChoice,
    /// The program to test.
    pub binary: PathBuf,
    /// Kinds of operations and faults that are planned but not run, to find the one that matters.
    pub without: Vec<String>,
}

/// The database of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseChoice {
    /// Chosen by the seed, if PostgreSQL is installed.
    BySeed,
    Sqlite,
    Postgres,
}

impl DatabaseChoice {
    /// Returns whether the database is a server, which two replicas share.
    pub fn is_server(self, seed: u64) -> bool {
        match self {
            Self::BySeed => seed % 2 == 1 && database::programs().is_some(),
            Self::Sqlite => false,
            Self::Postgres => true,
        }
    }
}

impl Options {
    /// Returns whether the program is cargo's debug build.
    pub fn is_default_binary(&self) -> bool {
        self.binary == generated::binary()
    }
}

/// Parses the options in `words`.
///
/// # Errors
/// Fails if an option is unknown, has no value, or has an invalid value.
pub fn parse(words: &[&str]) -> Result<Options, Failure> {
    let mut options = Options {
        length: Duration::from_secs(600),
        seed: new_seed(),
        peers: 8,
        database: DatabaseChoice::BySeed,
        binary: generated::binary(),
        without: Vec::new(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{word} needs a value"))?;
        let bad = || format!("{word}: invalid value '{value}'");
        match *word {
            "--minutes" => {
                let minutes = value.parse::<f64>().ok().filter(|minutes| *minutes > 0.0);
                let seconds = minutes.ok_or_else(bad)? * 60.0;
                options.length = Duration::try_from_secs_f64(seconds).map_err(|_| bad())?;
            }
            "--seed" => options.seed = value.parse().map_err(|_| bad())?,
            "--peers" => {
                let peers = value.parse().ok().filter(|peers| PEERS.contains(peers));
                options.peers = peers.ok_or_else(bad)?;
            }
            "--database" => {
                options.database = match *value {
                    "sqlite" => DatabaseChoice::Sqlite,
                    "postgres" => DatabaseChoice::Postgres,
                    _ => return Err(bad()),
                };
            }
            "--without" => {
                let kinds = value.split(',').map(|kind| kind.trim().replace('-', " "));
                options.without = kinds.collect();
            }
            "--binary" => options.binary = PathBuf::from(value),
            _ => return Err(format!("'{word}' is not an option of chaos")),
        }
    }
    Ok(options)
}

/// Returns a random seed that is short enough to type.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_understood_or_refused() {
        let options = parse(&["--minutes", "0.5", "--seed", "7", "--peers", "3"]).unwrap();
        assert_eq!(options.length, Duration::from_secs(30));
        assert_eq!((options.seed, options.peers), (7, 3));
        assert!(options.is_default_binary());
        let options = parse(&["--database", "sqlite", "--binary", "/bin/true"]).unwrap();
        assert!(!options.database.is_server(1) && !options.is_default_binary());
        let options = parse(&["--without", "kill-peer,get"]).unwrap();
        assert_eq!(options.without, ["kill peer", "get"]);
        for bad in [
            &["--minutes"][..],
            &["--minutes", "0"],
            &["--minutes", "x"],
            &["--seed", "-1"],
            &["--peers", "1"],
            &["--database", "oracle"],
            &["--fast", "1"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
