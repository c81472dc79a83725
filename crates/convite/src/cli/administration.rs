//! What administrators can type.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use convite_core::model::Role;
use convite_core::{SpaceName, UserName};

use super::{PasswordArgs, role};

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
