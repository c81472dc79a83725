//! Arguments of the administration commands: invites, links, sessions, peers, accounts, spaces, audit.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use convite_core::model::Role;
use convite_core::{PeerId, Problem, SpaceName, UserName};

use super::account::PasswordArgs;
use crate::units;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct InviteCommand {
    #[command(flatten)]
    pub args: InviteArgs,
    #[command(subcommand)]
    pub action: Option<InviteAction>,
}

#[derive(Args)]
pub struct InviteArgs {
    /// How many times the link can be used
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub uses: u32,
    /// How long the link is valid
    #[arg(long, value_parser = units::parse_duration, default_value = "7d", value_name = "DUR")]
    pub expires: Duration,
    /// Role of the accounts created with it: member, guest or admin
    #[arg(long, value_parser = role, default_value = "member", value_name = "ROLE")]
    pub role: Role,
    /// Space that these accounts are added to
    #[arg(long, value_name = "SPACE")]
    pub space: Option<SpaceName>,
}

#[derive(Args)]
pub struct LinkArgs {
    /// Name or path of a file, PEER:PATH, or content hash
    #[arg(value_name = "NAME|HASH")]
    pub name: String,
    /// How long the link is valid
    #[arg(long, value_parser = units::parse_duration, default_value = "1h", value_name = "DUR")]
    pub expires: Duration,
    /// How many times the file can be downloaded; a download can be restarted from the same network for ten minutes
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub uses: u32,
}

#[derive(Subcommand)]
pub enum InviteAction {
    /// List the invites that are still valid
    List,
    /// Revoke an invite
    Revoke {
        /// ID of the invite, from the list
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Args)]
pub struct SessionArgs {
    #[command(subcommand)]
    pub action: SessionAction,
}

#[derive(Subcommand)]
pub enum SessionAction {
    /// List your sessions; administrators see the sessions of all accounts
    List {
        /// Only sessions of this account
        #[arg(long, value_name = "NAME")]
        user: Option<UserName>,
    },
    /// End a session and remove its peer from the list
    Revoke {
        /// ID of the session, from the list
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Args)]
pub struct PeersArgs {
    #[command(subcommand)]
    pub action: Option<PeersAction>,
}

#[derive(Subcommand)]
pub enum PeersAction {
    /// Remove one of your peers from the list; administrators can delete any peer with its file entries
    Remove {
        #[arg(value_name = "PEER_ID")]
        peer: PeerId,
    },
}

#[derive(Args)]
pub struct UserArgs {
    #[command(subcommand)]
    pub action: UserAction,
}

#[derive(Subcommand)]
pub enum UserAction {
    /// Create an account
    Add(AddArgs),
    /// List the accounts
    List,
    /// Set the role of an account: admin, member or guest
    Role {
        #[arg(value_name = "NAME")]
        user: UserName,
        #[arg(value_parser = role, value_name = "ROLE")]
        role: Role,
    },
    /// End the sessions of an account and block new logins
    Disable {
        #[arg(value_name = "NAME")]
        user: UserName,
    },
    /// Allow an account to log in again
    Enable {
        #[arg(value_name = "NAME")]
        user: UserName,
    },
    /// Change a password and end the other sessions of the account
    Passwd(PasswdArgs),
}

#[derive(Args)]
pub struct AddArgs {
    /// Name of the account
    #[arg(value_name = "NAME")]
    pub user: UserName,
    /// Role of the account: member, guest or admin
    #[arg(long, value_parser = role, default_value = "member", value_name = "ROLE")]
    pub role: Role,
    /// Space that the account is added to; can be repeated
    #[arg(long = "space", value_name = "SPACE")]
    pub spaces: Vec<SpaceName>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
pub struct PasswdArgs {
    /// Name of the account [default: yours]
    #[arg(value_name = "NAME")]
    pub user: Option<UserName>,
    #[command(flatten)]
    pub old: PasswordArgs,
    /// File with the new password; - for stdin [default: a prompt]
    #[arg(long, value_name = "PATH")]
    pub new_password_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct SpaceArgs {
    #[command(subcommand)]
    pub action: SpaceAction,
}

#[derive(Subcommand)]
pub enum SpaceAction {
    /// Create a space
    Add {
        #[arg(value_name = "SPACE")]
        space: SpaceName,
    },
    /// Remove a space and stop sharing its files
    Remove {
        #[arg(value_name = "SPACE")]
        space: SpaceName,
    },
    /// List your spaces; administrators see all spaces
    List,
    /// Manage the members of a space
    Member {
        #[command(subcommand)]
        action: MemberAction,
    },
}

#[derive(Subcommand)]
pub enum MemberAction {
    /// Add an account to a space
    Add {
        #[arg(value_name = "SPACE")]
        space: SpaceName,
        #[arg(value_name = "NAME")]
        user: UserName,
    },
    /// Remove an account and its files from a space
    Remove {
        #[arg(value_name = "SPACE")]
        space: SpaceName,
        #[arg(value_name = "NAME")]
        user: UserName,
    },
    /// List the members of a space
    List {
        #[arg(value_name = "SPACE")]
        space: SpaceName,
    },
}

#[derive(Args)]
pub struct AuditArgs {
    /// Maximum number of entries, newest first
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|problem: Problem| problem.message)
}
