//! Arguments of `join` and `login`, and of passwords.

use std::path::PathBuf;

use clap::Args;
use convite_core::UserName;

#[derive(Args)]
pub struct PasswordArgs {
    /// File with the password; - for stdin [default: $CONVITE_PASSWORD, else a prompt]
    #[arg(long, value_name = "PATH")]
    pub password_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct JoinArgs {
    /// Invite link or its web address; - reads it from stdin, no argument prompts for it (other users of
    /// this machine can read arguments). A link without an invite logs in to an existing account
    #[arg(value_name = "LINK")]
    pub link: Option<String>,
    /// Name of your account [default: your login name]
    #[arg(long, value_name = "NAME")]
    pub user: Option<UserName>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
pub struct LoginArgs {
    /// Name of your account [default: the last one used]
    #[arg(long, value_name = "NAME")]
    pub user: Option<UserName>,
    #[command(flatten)]
    pub password: PasswordArgs,
}
