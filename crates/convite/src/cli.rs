//! The command line: commands, arguments and flags.
//!
//! The doc comments are the help texts and, for `directory` and `peer`, the comments of the
//! configuration file.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use convite_core::{PeerAddress, PeerId, SpaceName, UserName};
use convite_peer::folder_target::PathPattern;

use crate::units;

mod account;
pub mod administration;
mod directory;
mod inbox;
mod load;
mod search;

pub use account::{JoinArgs, LoginArgs, PasswordArgs};
pub use directory::{DirectoryAction, DirectoryArgs, DirectoryCommand};
pub use inbox::{InboxArgs, PutArgs};
pub use load::LoadArgs;
pub use search::{IndexArgs, SearchArgs};

/// Private file sharing for a group.
///
/// Start with `convite up DIR` on one machine; it prints the commands for the other machines.
#[derive(Parser)]
#[command(
    name = "convite",
    version,
    max_term_width = 100,
    propagate_version = true
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args)]
pub struct Common {
    /// Folder for this home's settings, keys and data [default: $CONVITE_HOME, else the platform's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print one JSON object per line on stdout, and nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only results and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more log lines on stderr; -vv prints all of them ($RUST_LOG overrides)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Format of log lines
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human-readable text
    Text,
    /// One JSON object per line
    Json,
}

#[derive(Subcommand)]
pub enum Command {
    /// Start a directory and a peer that shares a folder
    Up(Box<UpArgs>),
    /// Run a directory: accounts, online peers, index of shared files
    Directory(DirectoryCommand),
    /// Print an invite link; list or revoke invites
    Invite(administration::InviteCommand),
    /// Join a directory with an invite link
    Join(JoinArgs),
    /// Log in: start a new session
    Login(LoginArgs),
    /// Log out: end the session and remove this peer from the list
    Logout,
    /// Run a peer that shares folders
    Peer(Box<PeerArgs>),
    /// Share a folder or file from the running peer, or from the next one started
    Share(ShareArgs),
    /// Stop sharing a folder or file
    Unshare(UnshareArgs),
    /// List the files that online peers share
    Index(IndexArgs),
    /// Find files by name
    Search(SearchArgs),
    /// Download files from all sources and verify them
    Get(GetArgs),
    /// Print the hashes of files and folders, as they would be shared; needs no directory
    ///
    /// The hash of a file is its BLAKE3 hash, as `b3sum` prints it. The hash of a folder identifies
    /// everything below it and is the same on any system. Excluded are hidden files, links and
    /// everything else that a share excludes.
    Hash {
        /// Files or folders
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Remote download: other peers download a file and share it
    Load(LoadArgs),
    /// Upload files to the inbox of a peer that accepts them
    Put(PutArgs),
    /// Print a link to a file for a person without an account
    Link(administration::LinkArgs),
    /// List the peers online; remove a peer
    Peers(administration::PeersArgs),
    /// Manage accounts; change a password
    User(administration::UserArgs),
    /// Manage spaces; list your spaces
    Space(administration::SpaceArgs),
    /// List or end sessions
    Session(administration::SessionArgs),
    /// Show the audit log: actions and refused requests
    Audit(administration::AuditArgs),
    /// Show the status of this home's peer
    Status,
    /// Stop the running peer and remove it from the list
    Leave,
    /// Print the default configuration, or where the configuration file is
    Config(ConfigArgs),
    /// Print a shell completion script
    ///
    /// For bash, save it as ~/.local/share/bash-completion/completions/convite; for zsh, as _convite in
    /// a folder of $fpath; for fish, as ~/.config/fish/completions/convite.fish.
    Completions {
        /// Shell
        #[arg(value_enum, value_name = "SHELL")]
        shell: Shell,
    },
    /// Print the manual page, or write those of all commands into a folder
    Man {
        /// Folder to write to; read its pages with `man -M`, or install them in section 1
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

#[derive(Args)]
pub struct UpArgs {
    /// Folder to share
    #[arg(default_value = ".", value_name = "DIR")]
    pub folder: PathBuf,
    /// Name of your account here [default: your login name]
    #[arg(long, value_name = "NAME")]
    pub user: Option<UserName>,
    /// ID of this peer [default: the last one used, or USER-HOST-SUFFIX]
    #[arg(long, value_name = "PEER_ID")]
    pub id: Option<PeerId>,
    /// Port of the peer; 0 for any free port [default: the first free port of --port-range]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Additional folder or file to share; can be repeated
    #[arg(long = "share", value_name = "DIR")]
    pub shares: Vec<PathBuf>,
    /// IP address the peer listens on [default: the directory's address]
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<IpAddr>,
    /// Additional address at which other peers reach this peer; can be repeated
    #[arg(long = "address", value_name = "HOST:PORT")]
    pub addresses: Vec<PeerAddress>,
    /// Address for the peer's /metrics, without login or encryption: use a private monitoring network
    #[arg(long, value_name = "ADDR:PORT")]
    pub peer_metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    pub password: PasswordArgs,
    #[command(flatten)]
    pub directory: DirectoryArgs,
    #[command(flatten)]
    pub ports: PortArgs,
    #[command(flatten)]
    pub inbox: InboxArgs,
    /// Open the menu and show the invite link
    #[arg(long)]
    pub menu: bool,
}

#[derive(Args, Clone)]
pub struct PortArgs {
    /// Port range; the first free port is used
    #[arg(long, value_parser = port_range, default_value = "5001-5099", value_name = "FROM-TO")]
    pub port_range: RangeInclusive<u16>,
    /// Interval of full scans, which find changes that file watching missed
    #[arg(long, value_parser = units::parse_duration, default_value = "10m", value_name = "DUR")]
    pub rescan: Duration,
    /// Total upload limit in bytes per second; 0 for no limit [default: no limit]
    #[arg(long, value_parser = units::parse_size, value_name = "SIZE")]
    pub upload_limit: Option<u64>,
    /// Upload limit per account and address in bytes per second; 0 for no limit [default: no limit]
    #[arg(long, value_parser = units::parse_size, value_name = "SIZE")]
    pub upload_limit_per_peer: Option<u64>,
    /// Downloads served at the same time; four times as many can wait
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub upload_slots: u32,
}

#[derive(Args)]
pub struct PeerArgs {
    /// ID of the peer, unique in the directory [default: the last one used, or USER-HOST-SUFFIX]
    #[arg(value_name = "PEER_ID")]
    pub peer_id: Option<PeerId>,
    /// Port to listen on; 0 for any free port [default: the first free port of --port-range]
    #[arg(value_name = "PORT")]
    pub port_number: Option<u16>,
    /// Folders or files to share, in addition to the existing shares
    #[arg(value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// ID of the peer, instead of PEER_ID [default: the last one used, or USER-HOST-SUFFIX]
    #[arg(long, value_name = "PEER_ID", conflicts_with = "peer_id")]
    pub id: Option<PeerId>,
    /// Port to listen on, instead of PORT; 0 for any free port
    #[arg(long, value_name = "PORT", conflicts_with = "port_number")]
    pub port: Option<u16>,
    /// Folder or file to share, as DIR; can be repeated
    #[arg(long = "share", value_name = "DIR")]
    pub shares: Vec<PathBuf>,
    /// IP address to listen on
    #[arg(long, default_value = "0.0.0.0", value_name = "ADDR")]
    pub bind: IpAddr,
    /// Additional address at which other peers reach this peer; can be repeated
    #[arg(long = "address", value_name = "HOST:PORT")]
    pub addresses: Vec<PeerAddress>,
    /// Address for /metrics, without login or encryption: use a private monitoring network
    #[arg(
        id = "peer_metrics_listen",
        long = "metrics-listen",
        value_name = "ADDR:PORT"
    )]
    pub metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    pub ports: PortArgs,
    #[command(flatten)]
    pub inbox: InboxArgs,
    /// Print log lines instead of opening the menu
    #[arg(long)]
    pub no_menu: bool,
}

#[derive(Args)]
pub struct ShareArgs {
    /// Folder or file
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Share only with the members of this space; an existing share moves to it
    #[arg(long, value_name = "NAME")]
    pub space: Option<SpaceName>,
}

#[derive(Args)]
pub struct UnshareArgs {
    /// Folder or file
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

#[derive(Args)]
pub struct GetArgs {
    /// Name or path of a file or folder, PEER:PATH, or hash
    #[arg(required = true, value_name = "NAME|HASH")]
    pub names: Vec<String>,
    /// Target folder, if PATH exists as a folder or ends in /, else the path of the file or folder [default: current folder]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Replace an existing file of the same name
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub folder: GetFolderArgs,
    /// Keep serving the files to other peers for this long after the download
    #[arg(long, value_parser = units::parse_duration, value_name = "DUR")]
    pub stay: Option<Duration>,
    /// Download limit in bytes per second [default: no limit]
    #[arg(long, value_parser = units::parse_size, value_name = "SIZE")]
    pub download_limit: Option<u64>,
    /// Upload limit in bytes per second, for serving other peers [default: no limit]
    #[arg(long, value_parser = units::parse_size, value_name = "SIZE")]
    pub upload_limit: Option<u64>,
    /// How long an unfinished download is kept after its last progress
    #[arg(long, value_parser = units::parse_duration, default_value = "30d", value_name = "DUR")]
    pub keep_for: Duration,
    /// Do not prefer nearby sources
    #[arg(long)]
    pub no_locality: bool,
    /// IP address on which downloaded pieces are served to other peers [default: all addresses]
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<IpAddr>,
}

/// How folders are downloaded.
#[derive(Args)]
pub struct GetFolderArgs {
    /// Of a folder, download only the paths that match, as in .gitignore; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<PathPattern>,
    /// Of a folder, leave out the paths that match, as in .gitignore; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<PathPattern>,
    /// Replace files that differ from the folder; a file that was changed here is kept under a new name
    #[arg(long)]
    pub update: bool,
    /// Remove unchanged files of an earlier download that the folder no longer has
    #[arg(long)]
    pub delete: bool,
    /// Show what would be done with a folder; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Rename files of a folder that this file system cannot store
    #[arg(long)]
    pub rename_collisions: bool,
}

#[derive(Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub action: ConfigAction,
}

#[derive(Subcommand)]
pub enum ConfigAction {
    /// Print a configuration file with every setting, commented out, at its default
    Default,
    /// Print the path of this home's configuration file
    Path,
}

fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let parse = |part: &str| part.trim().parse::<u16>().ok().filter(|port| *port > 0);
    text.split_once('-')
        .and_then(|(from, to)| Some(parse(from)?..=parse(to)?))
        .filter(|range| !range.is_empty())
        .ok_or_else(|| format!("'{text}' is not a port range: use a form such as 5001-5099"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_peer_is_named_by_position_or_by_flags() {
        let peer = |args: &[&str]| match Cli::parse_from(args).command {
            Command::Peer(peer) => peer,
            _ => panic!("not a peer"),
        };
        let by_position = peer(&["convite", "peer", "peer_1", "5001", "./a", "./b"]);
        assert_eq!(by_position.peer_id.unwrap().as_str(), "peer_1");
        assert_eq!(by_position.port_number, Some(5001));
        assert_eq!(by_position.folders.len(), 2);
        let by_flags = peer(&[
            "convite", "peer", "--id", "x", "--port", "0", "--share", "a",
        ]);
        assert_eq!((by_flags.port, by_flags.shares.len()), (Some(0), 1));
    }

    #[test]
    fn port_ranges() {
        assert_eq!(port_range("5001-5099"), Ok(5001..=5099));
        for bad in ["", "5001", "0-5", "9-5", "a-b", "1-70000"] {
            assert!(port_range(bad).is_err(), "{bad}");
        }
    }
}
