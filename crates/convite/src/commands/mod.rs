//! The commands, one module each.

mod administration;
mod backup;
mod directory;
mod documents;
mod get;
mod get_folder;
mod hash;
mod invite;
mod join;
mod link;
mod lists;
mod load;
mod login;
mod peer;
mod put;
mod resolve;
mod search;
mod share;
mod status;
mod up;

use serde_json::json;

use crate::cli::{Cli, Command, ConfigAction};
use crate::config;
use crate::context::{Context, home_from};
use crate::exit::CommandError;
use crate::output::Output;

/// Runs the command; `peer` and `up` open the menu if `has_menu`.
pub async fn run(cli: Cli, has_menu: bool, output: &Output) -> Result<(), CommandError> {
    let home = home_from(cli.common.home);
    if let Command::Config(args) = &cli.command {
        match args.action {
            ConfigAction::Default => {
                let file = config::default_file();
                output.result(file.trim_end(), || json!({"config": file}));
            }
            ConfigAction::Path => {
                let path = config::path(home)?;
                output.result(&path.display().to_string(), || json!({"path": path}));
            }
        }
        return Ok(());
    }
    // These commands do not create a home.
    match &cli.command {
        Command::Completions { shell } => {
            documents::completions(*shell, output);
            return Ok(());
        }
        Command::Man { folder } => return documents::man(folder.as_deref(), output),
        Command::Hash { paths } => return hash::run(paths, output).await,
        _ => {}
    }
    let context = match &cli.command {
        Command::Join(_) => Context::open_to_join(home)?,
        _ => Context::open(home)?,
    };
    match cli.command {
        Command::Up(args) => up::run(context, *args, has_menu, output).await,
        Command::Directory(command) => match command.action {
            None => directory::run(&context, command.args, output).await,
            Some(action) => backup::run(&context, command.args, action, output).await,
        },
        Command::Invite(command) => match command.action {
            None => invite::run(&context, command.args, output).await,
            Some(action) => administration::invite(&context, action, output).await,
        },
        Command::Join(args) => join::run(&context, &args, output).await,
        Command::Login(args) => login::login(context, args, output).await,
        Command::Logout => login::logout(context, output).await,
        Command::Peer(args) => peer::run(context, *args, has_menu, output).await,
        Command::Share(args) => share::share(&context, args, output).await,
        Command::Unshare(args) => share::unshare(&context, &args.folder, output).await,
        Command::Index(args) => lists::index(&context, args, output).await,
        Command::Search(args) => search::run(&context, args, output).await,
        Command::Get(args) => get::run(&context, args, output).await,
        Command::Load(args) => load::run(&context, args, output).await,
        Command::Put(args) => put::run(&context, args, output).await,
        Command::Link(args) => link::run(&context, args, output).await,
        Command::User(args) => administration::user(&context, args.action, output).await,
        Command::Space(args) => administration::space(&context, args.action, output).await,
        Command::Audit(args) => administration::audit(&context, args, output).await,
        Command::Peers(args) => match args.action {
            None => lists::peers(&context, output).await,
            Some(action) => administration::peer(&context, action, output).await,
        },
        Command::Session(args) => administration::session(&context, args.action, output).await,
        Command::Status => status::run(&context, output).await,
        Command::Leave => share::leave(&context, output).await,
        Command::Config(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Hash { .. } => Ok(()),
    }
}
