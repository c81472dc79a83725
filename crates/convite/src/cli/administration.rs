//! What administrators can type.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use convite_core::model::Role;
use convite_core::{PeerId, SpaceName, UserName};

use super::{PasswordArgs, role};
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
    /// How often the link can be used
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub uses: u32,
    /// For how long it can be used
    #[arg(long, value_parser = units::duration, default_value = "7d", value_name = "DUR")]
    pub expires: Duration,
    /// What those who use it may do: member, guest or admin
    #[arg(long, value_parser = role, default_value = "member", value_name = "ROLE")]
    pub role: Role,
    /// The space that they come to belong to
    #[arg(long, value_name = "SPACE")]
    pub space: Option<SpaceName>,
}

#[derive(Args)]
pub struct LinkArgs {
    /// Name of a file, or its content hash
    #[arg(value_name = "NAME|HASH")]
    pub name: String,
    /// For how long it can be used
    #[arg(long, value_parser = units::duration, default_value = "1h", value_name = "DUR")]
    pub expires: Duration,
    /// How often the file can be fetched; one fetch can be begun again from its network for ten minutes
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub uses: u32,
}

#[derive(Subcommand)]
pub enum InviteAction {
    /// List the invites that can still be used
    List,
    /// Make an invite useless
    Revoke {
        /// As the list shows it
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
    /// List the sessions: yours, or everybody's for administrators
    List {
        /// Only those of this account
        #[arg(long, value_name = "NAME")]
        user: Option<UserName>,
    },
    /// End a session; its peer goes off the list
    Revoke {
        /// As the list shows it
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
    /// Take a peer of yours off the list; of others', as an administrator, forget it and its files
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
    /// Make an account
    Add(AddArgs),
    /// List the accounts
    List,
    /// Give an account a role: admin, member or guest
    Role {
        #[arg(value_name = "NAME")]
        user: UserName,
        #[arg(value_parser = role, value_name = "ROLE")]
        role: Role,
    },
    /// End the sessions of an account, and let it begin no more
    Disable {
        #[arg(value_name = "NAME")]
        user: UserName,
    },
    /// Let an account log in again
    Enable {
        #[arg(value_name = "NAME")]
        user: UserName,
    },
    /// Change a password; ends the other sessions of the account
    Passwd(PasswdArgs),
}

#[derive(Args)]
pub struct AddArgs {
    /// Name of the account
    #[arg(value_name = "NAME")]
    pub user: UserName,
    /// What it may do: member, guest or admin
    #[arg(long, value_parser = role, default_value = "member", value_name = "ROLE")]
    pub role: Role,
    /// A space it comes to belong to; may be given several times
    #[arg(long = "space", value_name = "SPACE")]
    pub spaces: Vec<SpaceName>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
pub struct PasswdArgs {
    /// Whose [default: yours]
    #[arg(value_name = "NAME")]
    pub user: Option<UserName>,
    #[command(flatten)]
    pub old: PasswordArgs,
    /// File with the new password, - for stdin
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
    /// Make a space
    Add {
        #[arg(value_name = "SPACE")]
        space: SpaceName,
    },
    /// Remove a space; what is shared in it is shared no more
    Remove {
        #[arg(value_name = "SPACE")]
        space: SpaceName,
    },
    /// List the spaces: yours, or all for administrators
    List,
    /// Who belongs to a space
    Member {
        #[command(subcommand)]
        action: MemberAction,
    },
}

#[derive(Subcommand)]
pub enum MemberAction {
    /// Let an account into a space
    Add {
        #[arg(value_name = "SPACE")]
        space: SpaceName,
        #[arg(value_name = "NAME")]
        user: UserName,
    },
    /// Take an account and its files out of a space
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
    /// How many lines, newest first
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
}
