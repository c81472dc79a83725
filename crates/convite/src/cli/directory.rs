//! Arguments of `directory`: settings, backup, restore.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use convite_core::PeerAddress;
use convite_net::proxy::Subnet;

use crate::units;

#[derive(Args)]
pub struct DirectoryArgs {
    /// Address and port to listen on; port 0 for any free port
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:50051")]
    pub listen: SocketAddr,
    /// Database: sqlite:PATH or postgres://USER@HOST/NAME; set a password in $PGPASSWORD, because other
    /// users of the machine can read arguments [default: a SQLite file in the home]
    #[arg(
        long,
        env = "CONVITE_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// Public address of this directory, for invite links; can be repeated [default: this machine's addresses]
    #[arg(
        long = "public-address",
        visible_alias = "advertise",
        value_name = "HOST:PORT"
    )]
    pub public_addresses: Vec<PeerAddress>,
    /// Additional host name that is accepted in requests; can be repeated
    #[arg(long = "host", value_parser = host_name, value_name = "NAME")]
    pub hosts: Vec<String>,
    /// Proxy whose forwarded client address is trusted (PROXY protocol or X-Forwarded-For); a TCP proxy
    /// must send the PROXY protocol; can be repeated
    #[arg(long = "trusted-proxy", value_name = "ADDR/NET")]
    pub trusted_proxies: Vec<Subnet>,
    /// Certificate for browsers (PEM file); requires --tls-key
    #[arg(long, value_name = "PATH", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert (PEM file)
    #[arg(long, value_name = "PATH", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Disable encryption: only for a trusted lab network
    #[arg(long)]
    pub plaintext: bool,
    /// Create an account for any new user who logs in, without an invite
    #[arg(long)]
    pub open_registration: bool,
    /// How long a peer stays listed after its last heartbeat
    #[arg(long, value_parser = units::parse_duration, default_value = "60s", value_name = "DUR")]
    pub lease: Duration,
    /// How long a session is valid after its last use
    #[arg(long, value_parser = units::parse_duration, default_value = "30d", value_name = "DUR")]
    pub session_lifetime: Duration,
    /// How long a download ticket is valid
    #[arg(long, value_parser = units::parse_duration, default_value = "10m", value_name = "DUR")]
    pub ticket_lifetime: Duration,
    /// How long a peer's certificate is valid; peers renew it before it expires
    #[arg(long, value_parser = units::parse_duration, default_value = "1d", value_name = "DUR")]
    pub peer_certificate_lifetime: Duration,
    /// Disable downloads through the directory (browsers, curl); peers still download from each other
    #[arg(long)]
    pub no_gateway: bool,
    /// Gateway bandwidth limit in bytes per second; 0 for no limit [default: no limit]
    #[arg(long, value_parser = units::parse_size, value_name = "SIZE")]
    pub gateway_limit: Option<u64>,
    /// Downloads through the directory at the same time; an account can use a quarter of them
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub gateway_transfers: u32,
    /// Address for /metrics, without login or encryption: use a private monitoring network
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// Maximum peers per account, online or not; at the limit, a new peer replaces one that has been offline for
    /// a day
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub account_peers: u32,
    /// Maximum downloads per account that serve other peers at the same time
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub account_downloads: u32,
    /// Maximum sessions per account; at the limit, a new login ends the least recently used session
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub account_sessions: u32,
    /// Maximum files that all peers of an account share together
    #[arg(long, default_value_t = 20_000_000, value_name = "N")]
    pub account_files: u64,
    /// Maximum total length of the paths of these files
    #[arg(long, value_parser = units::parse_size, default_value = "2GiB", value_name = "SIZE")]
    pub account_path_bytes: u64,
    /// Maximum open invites per administrator
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub account_invites: u32,
    /// Space on the database's disk that published files leave free, at most a twentieth of the disk;
    /// ignored with PostgreSQL
    #[arg(long, value_parser = units::parse_size, default_value = "64MiB", value_name = "SIZE")]
    pub disk_reserve: u64,
    /// If this home's database is missing, create an empty one: accounts, invites and sessions are lost
    #[arg(long)]
    pub new_database: bool,
    /// If this home's keys are missing, create new ones: every peer must join again
    #[arg(long)]
    pub new_keys: bool,
    /// Time between a stop signal, which /readyz reports, and the end of accepting connections
    #[arg(long, value_parser = units::parse_delay, default_value = "0s", value_name = "DUR")]
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
    /// Copy this home's directory to a new folder, even while it runs
    Backup(BackupArgs),
    /// Create a directory from a backup, in a home that has none
    Restore(RestoreArgs),
}

#[derive(Args)]
pub struct BackupArgs {
    /// Folder to create; it will contain secrets
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
}

#[derive(Args)]
pub struct RestoreArgs {
    /// Folder that `backup` created
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Move this home's existing directory aside
    #[arg(long)]
    pub force: bool,
    /// End all sessions; otherwise, sessions that were ended after the backup are valid again
    #[arg(long)]
    pub end_sessions: bool,
}

fn host_name(text: &str) -> Result<String, String> {
    PeerAddress::new(text, 1)
        .map(|address| address.host().to_owned())
        .map_err(|_| format!("'{text}' is not a host name: give it without scheme and port"))
}

#[cfg(test)]
mod tests {
    use super::host_name;

    #[test]
    fn host_names() {
        assert_eq!(host_name("files.example"), Ok("files.example".to_owned()));
        for bad in ["", "a b", "files.example:443", "https://files.example"] {
            assert!(host_name(bad).is_err(), "{bad}");
        }
    }
}
