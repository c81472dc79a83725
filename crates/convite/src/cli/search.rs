//! Arguments of `index` and `search`.

use clap::Args;
use convite_core::{PeerId, SpaceName};

use crate::units;

#[derive(Args)]
pub struct IndexArgs {
    /// Only files and folders of this peer
    #[arg(long, value_name = "ID")]
    pub peer: Option<PeerId>,
}

#[derive(Args)]
pub struct SearchArgs {
    /// Words of the name, in any order; '"two words"' for a phrase; 'word -other' as one argument to exclude a word
    #[arg(required = true, value_name = "WORDS")]
    pub words: Vec<String>,
    /// Only folders (folder), only files (file), files of this type (archive, audio, code, document, image, video) or with this extension
    #[arg(long = "type", value_name = "T")]
    pub file_type: Option<String>,
    /// Minimum size
    #[arg(long, value_parser = units::parse_size, value_name = "S")]
    pub min_size: Option<u64>,
    /// Maximum size
    #[arg(long, value_parser = units::parse_size, value_name = "S")]
    pub max_size: Option<u64>,
    /// Only files of this peer
    #[arg(long, value_name = "ID")]
    pub peer: Option<PeerId>,
    /// Only files in this space
    #[arg(long, value_name = "NAME")]
    pub space: Option<SpaceName>,
    /// Only files modified within this time (12h, 7d, 1y) or since this day (2026-01-31)
    #[arg(long, value_parser = units::parse_age, value_name = "AGE")]
    pub newer: Option<String>,
    /// Only files not modified within this time or since this day
    #[arg(long, value_parser = units::parse_age, value_name = "AGE")]
    pub older: Option<String>,
    /// Sort key [default: relevance]
    #[arg(long, value_name = "BY", value_parser = ["relevance", "providers", "size", "date"])]
    pub sort: Option<String>,
    /// Sort order: desc for largest, newest or most first, asc for the reverse [default: desc]
    #[arg(long, value_name = "ORDER", value_parser = ["desc", "asc"], requires = "sort")]
    pub order: Option<String>,
    /// Maximum number of results
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}
