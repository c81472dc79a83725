//! What `load` is asked with.

use clap::{ArgGroup, Args};

#[derive(Args)]
#[command(group(ArgGroup::new("peers").args(["on", "all", "list"]).required(true)))]
pub struct LoadArgs {
    /// Name of a file, or its content hash
    #[arg(required_unless_present = "list", value_name = "NAME|HASH")]
    pub name: Option<String>,
    /// Peer that is to fetch it, or the account all of whose peers are; several times for several
    #[arg(long, value_name = "PEER_ID|USER")]
    pub on: Vec<String>,
    /// All peers online that load for you, your own included
    #[arg(long, conflicts_with = "on")]
    pub all: bool,
    /// Do not wait until it is there
    #[arg(long)]
    pub no_wait: bool,
    /// Show what you have had peers load, until a day after it was over
    #[arg(long, conflicts_with_all = ["name", "on", "all", "no_wait"])]
    pub list: bool,
}
