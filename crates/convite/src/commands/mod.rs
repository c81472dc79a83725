//! What each command does, a file each.

mod administration;
mod backup;
mod directory;
mod documents;
pub mod get;
mod invite;
pub mod join;
mod link;
mod lists;
mod load;
pub mod peer;
mod put;
mod search;
mod session;
mod share;
mod status;
mod up;

use serde_json::json;

use crate::cli::{Cli, Command, ConfigAction};
use crate::config;
use crate::context::{Context, named_home};
use crate::exit::Failed;
use crate::menu;
use crate::output::Output;

/// Runs what was typed.
pub async fn run(cli: Cli, output: &Output) -> Result<(), Failed> {
    let has_menu = menu::is_wanted(&cli);
    let home = named_home(cli.common.home);
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
    // What needs no home makes none.
    match &cli.command {
        Command::Completions { shell } => {
            documents::completions(*shell, output);
            return Ok(());
        }
        Command::Man { folder } => return documents::man(folder.as_deref(), output),
        _ => {}
    }
    let context = Context::open(home)?;
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
        Command::Login(args) => session::login(context, args, output).await,
        Command::Logout => session::logout(context, output).await,
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
        Command::Config(_) | Command::Completions { .. } | Command::Man { .. } => Ok(()),
    }
}
