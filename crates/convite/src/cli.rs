//! What can be typed. The texts here are the help, and (for `directory` and `peer`) the
//! configuration file.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use convite_core::model::Role;
use convite_core::{PeerAddress, PeerId, Problem, SpaceName, UserName};
use convite_net::proxy::Subnet;

use crate::units;

pub mod administration;
mod finding;
mod inbox;
mod load;

pub use finding::{IndexArgs, SearchArgs};
pub use inbox::{InboxArgs, PutArgs};
pub use load::LoadArgs;

/// Private file sharing for a group.
///
/// Start with `convite up DIR` on one machine; it prints what to type on the others.
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
    /// Folder with all state of one identity [default: $CONVITE_HOME, else the platform's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// One JSON object a line on stdout, and nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// Only results and errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More log lines on stderr; twice for all of them ($RUST_LOG says it finer)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// How log lines look
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
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Subcommand)]
pub enum Command {
    /// Start a directory and share a folder, all in one
    Up(Box<UpArgs>),
    /// Run a directory: accounts, who is online, who shares what
    Directory(DirectoryCommand),
    /// Print a link that lets others join; list or revoke those there are
    Invite(administration::InviteCommand),
    /// Join a directory with an invite link
    Join(JoinArgs),
    /// Begin a new session
    Login(LoginArgs),
    /// End the session and take this peer off the list
    Logout,
    /// Run a peer that shares folders
    Peer(Box<PeerArgs>),
    /// Share a folder or file, from the running peer or the next one started
    Share(ShareArgs),
    /// Stop sharing a folder or file
    Unshare(UnshareArgs),
    /// List the peers online and the files they share
    Index(IndexArgs),
    /// Find files by words of their names
    Search(SearchArgs),
    /// Fetch files, verified, from everyone who has them
    Get(GetArgs),
    /// Have other peers fetch a file, and share it
    Load(LoadArgs),
    /// Upload files to another peer's inbox, if it lets you
    Put(PutArgs),
    /// Print a link to a file, for somebody without an account
    Link(administration::LinkArgs),
    /// List the peers online; remove one
    Peers(administration::PeersArgs),
    /// Administer accounts; change a password
    User(administration::UserArgs),
    /// Administer spaces; list yours
    Space(administration::SpaceArgs),
    /// List the sessions of your account, or end one
    Session(administration::SessionArgs),
    /// Show what was done and what was refused
    Audit(administration::AuditArgs),
    /// Show what this home's peer is doing
    Status,
    /// Stop the running peer and take it off the list
    Leave,
    /// Show or make the configuration file
    Config(ConfigArgs),
    /// Print a script that completes commands in a shell
    ///
    /// For bash, put it into ~/.local/share/bash-completion/completions/convite; for zsh into a file
    /// _convite in a folder of $fpath; for fish into ~/.config/fish/completions/convite.fish.
    Completions {
        /// Which shell
        #[arg(value_enum, value_name = "SHELL")]
        shell: Shell,
    },
    /// Print the manual page, or write those of all commands into a folder
    Man {
        /// Folder to write into; read it with `man -M`, or install its files as section 1
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
    /// Id of this peer [default: USER-HOST]
    #[arg(long, value_name = "PEER_ID")]
    pub id: Option<PeerId>,
    /// Port of the peer; 0 for any free one [default: the first free one of --port-range]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    #[command(flatten)]
    pub password: PasswordArgs,
    #[command(flatten)]
    pub directory: DirectoryArgs,
    #[command(flatten)]
    pub ports: PortArgs,
    #[command(flatten)]
    pub inbox: InboxArgs,
    /// Open the menu, with the invite link shown
    #[arg(long)]
    pub menu: bool,
}

#[derive(Args)]
pub struct DirectoryArgs {
    /// Where to listen; port 0 for any free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:50051")]
    pub listen: SocketAddr,
    /// Database, sqlite:PATH or postgres://USER@HOST/NAME [default: a file in the home]; a password
    /// goes into $PGPASSWORD: arguments are seen by all users of a machine
    #[arg(
        long,
        env = "CONVITE_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// Where others dial this directory; for the invite links [default: this machine's addresses]
    #[arg(
        long = "public-address",
        visible_alias = "advertise",
        value_name = "HOST:PORT"
    )]
    pub public_addresses: Vec<PeerAddress>,
    /// Further name that browsers and scripts may call this directory by
    #[arg(long = "host", value_parser = host_name, value_name = "NAME")]
    pub hosts: Vec<String>,
    /// Balancer or proxy to be believed for whom it asks, by the PROXY protocol or X-Forwarded-For; one that passes bytes on has to
    /// speak the former
    #[arg(long = "trusted-proxy", value_name = "ADDR/NET")]
    pub trusted_proxies: Vec<Subnet>,
    /// Certificate (PEM) that browsers see, with --tls-key
    #[arg(long, value_name = "PATH", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM) of --tls-cert
    #[arg(long, value_name = "PATH", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// No encryption at all: only for a trusted lab network
    #[arg(long)]
    pub plaintext: bool,
    /// Anyone who reaches the directory gets an account at login
    #[arg(long)]
    pub open_registration: bool,
    /// How long a silent peer is still listed
    #[arg(long, value_parser = units::duration, default_value = "60s", value_name = "DUR")]
    pub lease: Duration,
    /// How long a session lasts from its last use
    #[arg(long, value_parser = units::duration, default_value = "30d", value_name = "DUR")]
    pub session_lifetime: Duration,
    /// How long a ticket opens a file
    #[arg(long, value_parser = units::duration, default_value = "10m", value_name = "DUR")]
    pub ticket_lifetime: Duration,
    /// How long a peer's certificate is valid; it is renewed before
    #[arg(long, value_parser = units::duration, default_value = "1d", value_name = "DUR")]
    pub peer_certificate_lifetime: Duration,
    /// No files through the directory, for browsers and curl: only from peer to peer
    #[arg(long)]
    pub no_relay: bool,
    /// The most of files to send through the directory, a second; 0 for no limit [default: no limit]
    #[arg(long, value_parser = units::size, value_name = "SIZE")]
    pub relay_limit: Option<u64>,
    /// How many files go through the directory at once; an account may have a quarter of them
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub relays: u32,
    /// Where anyone reads /metrics, without encryption: for the monitoring's own network
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// Asked to stop, say so at /readyz for this long before letting nobody in
    #[arg(long, value_parser = units::delay, default_value = "0s", value_name = "DUR")]
    pub shutdown_delay: Duration,
}

#[derive(Args)]
pub struct DirectoryCommand {
    #[command(flatten)]
    pub args: DirectoryArgs,
    #[command(subcommand)]
    pub action: Option<DirectoryAction>,
}

#[derive(Subcommand)]
pub enum DirectoryAction {
    /// Copy this home's directory to a new folder, also while it runs
    Backup(BackupArgs),
    /// Make a directory of a backup, in a home that has none
    Restore(RestoreArgs),
}

#[derive(Args)]
pub struct BackupArgs {
    /// Folder to make; it will hold secrets
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

#[derive(Args)]
pub struct RestoreArgs {
    /// Folder that `backup` made
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Put aside the directory that this home has
    #[arg(long)]
    pub force: bool,
    /// Make everybody log in again: those who logged out after the backup are logged in otherwise
    #[arg(long)]
    pub end_sessions: bool,
}

#[derive(Args, Clone)]
pub struct PortArgs {
    /// Ports to take the first free one of
    #[arg(long, value_parser = port_range, default_value = "5001-5099", value_name = "FROM-TO")]
    pub port_range: RangeInclusive<u16>,
    /// How often the shares are looked through for changes that were missed while watching
    #[arg(long, value_parser = units::duration, default_value = "10m", value_name = "DUR")]
    pub rescan: Duration,
    /// The most to send in all, a second; 0 for no limit [default: no limit]
    #[arg(long, value_parser = units::size, value_name = "SIZE")]
    pub upload_limit: Option<u64>,
    /// The most to send to one account at one address, a second; 0 for no limit [default: no limit]
    #[arg(long, value_parser = units::size, value_name = "SIZE")]
    pub upload_limit_per_peer: Option<u64>,
    /// How many downloads are served at once; four times as many may wait for their turn
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub upload_slots: u32,
}

#[derive(Args)]
pub struct PeerArgs {
    /// Id of the peer, unique in the directory [default: the last one, or USER-HOST]
    #[arg(value_name = "PEER_ID")]
    pub peer_id: Option<PeerId>,
    /// Port to listen on; 0 for any free one [default: the first free one of --port-range]
    #[arg(value_name = "PORT")]
    pub port_number: Option<u16>,
    /// Folders or files to share, besides those shared before
    #[arg(value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Id of the peer, instead of PEER_ID [default: the last one, or USER-HOST]
    #[arg(long, value_name = "PEER_ID", conflicts_with = "peer_id")]
    pub id: Option<PeerId>,
    /// Port to listen on, instead of PORT; 0 for any free one
    #[arg(long, value_name = "PORT", conflicts_with = "port_number")]
    pub port: Option<u16>,
    /// Folder or file to share, like DIR
    #[arg(long = "share", value_name = "DIR")]
    pub shares: Vec<PathBuf>,
    /// Address to listen on
    #[arg(long, default_value = "0.0.0.0", value_name = "ADDR")]
    pub bind: IpAddr,
    /// Where others can dial this peer, besides the addresses it finds itself
    #[arg(long = "address", value_name = "HOST:PORT")]
    pub addresses: Vec<PeerAddress>,
    /// Where anyone reads /metrics, without encryption: for the monitoring's own network
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
    /// Log lines also in a terminal
    #[arg(long)]
    pub no_menu: bool,
}

#[derive(Args)]
pub struct PasswordArgs {
    /// File with the password, - for stdin (or $CONVITE_PASSWORD)
    #[arg(long, value_name = "PATH")]
    pub password_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct JoinArgs {
    /// The invite link, or its web address, in quotes; one without an invite logs in to an account
    #[arg(value_name = "LINK")]
    pub link: String,
    /// Name of your account [default: your login name]
    #[arg(long, value_name = "NAME")]
    pub user: Option<UserName>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
pub struct LoginArgs {
    /// Name of your account [default: the last one]
    #[arg(long, value_name = "NAME")]
    pub user: Option<UserName>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
pub struct ShareArgs {
    /// Folder or file
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Share it with the members of this space alone; one that is shared already moves there
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
    /// Name of a file, or its content hash
    #[arg(required = true, value_name = "NAME|HASH")]
    pub names: Vec<String>,
    /// Where to: a folder if it is one or ends in /, else the file itself [default: this folder]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Replace a different file of the same name
    #[arg(long)]
    pub force: bool,
    /// Go on providing to others for this long after it is done
    #[arg(long, value_parser = units::duration, value_name = "DUR")]
    pub stay: Option<Duration>,
    /// The most to receive in a second
    #[arg(long, value_parser = units::size, value_name = "SIZE")]
    pub download_limit: Option<u64>,
    /// The most to send to others in a second
    #[arg(long, value_parser = units::size, value_name = "SIZE")]
    pub upload_limit: Option<u64>,
    /// Ask near and far providers alike
    #[arg(long)]
    pub no_locality: bool,
    /// Address on which to provide to others what has been fetched [default: all of this machine]
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<IpAddr>,
}

#[derive(Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub action: ConfigAction,
}

#[derive(Subcommand)]
pub enum ConfigAction {
    /// Print a configuration file with every setting, commented, at its default
    Default,
    /// Print where the configuration file of this home is read from
    Path,
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|problem: Problem| problem.message)
}

fn host_name(text: &str) -> Result<String, String> {
    PeerAddress::new(text, 1)
        .map(|address| address.host().to_owned())
        .map_err(|_| format!("'{text}' is not a host name: write it without a port"))
}

fn port_range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let parse = |part: &str| part.trim().parse::<u16>().ok().filter(|port| *port > 0);
    text.split_once('-')
        .and_then(|(from, to)| Some(parse(from)?..=parse(to)?))
        .filter(|range| !range.is_empty())
        .ok_or_else(|| format!("'{text}' is not a range of ports: write it like 5001-5099"))
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
    fn host_names() {
        assert_eq!(host_name("files.example"), Ok("files.example".to_owned()));
        for bad in ["", "a b", "files.example:443", "https://files.example"] {
            assert!(host_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn port_ranges() {
        assert_eq!(port_range("5001-5099"), Ok(5001..=5099));
        for bad in ["", "5001", "0-5", "9-5", "a-b", "1-70000"] {
            assert!(port_range(bad).is_err(), "{bad}");
        }
    }
}
