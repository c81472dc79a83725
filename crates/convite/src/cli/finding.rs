//! What `index` and `search` are asked with.

use clap::Args;
use convite_core::{PeerId, SpaceName};

use crate::units;

#[derive(Args)]
pub struct IndexArgs {
    /// Only this peer's files
    #[arg(long, value_name = "ID")]
    pub peer: Option<PeerId>,
}

#[derive(Args)]
pub struct SearchArgs {
    /// Words of the name in any order; '"several words"' that follow one another; 'word -other' in one for what must not be there
    #[arg(required = true, value_name = "WORDS")]
    pub words: Vec<String>,
    /// Only archive, audio, code, document, image or video files, or those with this extension
    #[arg(long = "type", value_name = "T")]
    pub file_type: Option<String>,
    /// Only files of at least this size
    #[arg(long, value_parser = units::size, value_name = "S")]
    pub min_size: Option<u64>,
    /// Only files of at most this size
    #[arg(long, value_parser = units::size, value_name = "S")]
    pub max_size: Option<u64>,
    /// Only files of this peer
    #[arg(long, value_name = "ID")]
    pub peer: Option<PeerId>,
    /// Only files in this space of yours
    #[arg(long, value_name = "NAME")]
    pub space: Option<SpaceName>,
    /// Only files changed within this time (12h, 7d, 1y) or since this day (2026-01-31)
    #[arg(long, value_parser = units::age, value_name = "AGE")]
    pub newer: Option<String>,
    /// Only files not changed since
    #[arg(long, value_parser = units::age, value_name = "AGE")]
    pub older: Option<String>,
    /// Sort by this
    #[arg(long, value_name = "BY", value_parser = ["relevance", "providers", "size", "date"])]
    pub sort: Option<String>,
    /// The largest, newest, most first, or the other way round
    #[arg(long, value_name = "ORDER", value_parser = ["desc", "asc"], requires = "sort")]
    pub order: Option<String>,
    /// How many results
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}
