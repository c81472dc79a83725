//! Arguments of `load`.

use clap::{ArgGroup, Args};

#[derive(Args)]
#[command(group(ArgGroup::new("peers").args(["on", "all", "list"]).required(true)))]
pub struct LoadArgs {
    /// Name or path of a file, PEER:PATH, or content hash
    #[arg(required_unless_present = "list", value_name = "NAME|HASH")]
    pub name: Option<String>,
    /// Peer that downloads the file, or an account for all of its peers; can be repeated
    #[arg(long, value_name = "PEER_ID|USER")]
    pub on: Vec<String>,
    /// All online peers that accept remote downloads from you, including your own
    #[arg(long, conflicts_with = "on")]
    pub all: bool,
    /// Do not wait for the download to finish
    #[arg(long)]
    pub no_wait: bool,
    /// List your remote downloads; finished ones are listed for a day
    #[arg(long, conflicts_with_all = ["name", "on", "all", "no_wait"])]
    pub list: bool,
}
