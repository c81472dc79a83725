//! The terminal menu: searching, fetching, sharing and looking on, without typing commands.
//!
//! `model` is what there is to see; `update` changes it and says what is to be done, both pure;
//! `view` draws it; `runner` does what is to be done, and brings what happens as messages.

mod downloads;
pub mod entrance;
mod keys;
mod memory;
mod message;
mod model;
mod runner;
mod terminal;
mod update;
mod uploads;
mod view;

use std::io::IsTerminal;

use convite_core::Problem;
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::identity;

use entrance::{Entrance, Session};
use model::{Dialog, Model};
use runner::Runner;

pub use model::Invitation;
pub use terminal::give_back;

/// Whether what was typed opens the menu: on a terminal that can show it, unless told otherwise.
pub fn is_wanted(cli: &Cli) -> bool {
    let asked = match &cli.command {
        Command::Peer(args) => !args.no_menu,
        Command::Up(args) => args.menu,
        _ => false,
    };
    let able = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    asked
        && able
        && !cli.common.json
        && std::io::stdin().is_terminal()
        && std::io::stdout().is_terminal()
}

/// Runs the menu of a home until the user leaves. With a `session` its peer runs already; without,
/// it is started, after letting in whoever has no session yet.
///
/// # Errors
/// If the terminal fails, or the peer cannot start.
pub async fn run(
    context: &Context,
    entrance: Entrance,
    session: Option<Session>,
    invitation: Option<Invitation>,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let remembered = memory::load(&context.home);
    let mut model = Model::new(remembered, memory::downloads_folder());
    model.paths = memory::paths();
    if invitation.is_some() {
        model.dialog = Some(Dialog::Invitation);
    }
    model.invitation = invitation;
    let credentials = context.credentials.as_ref();
    let user = credentials.and_then(|credentials| credentials.user.clone());
    let user = user.unwrap_or_else(identity::user).to_string();
    match credentials {
        _ if session.is_some() => {}
        None => update::begin_outside(&mut model, true, &user),
        Some(known) if known.token.is_none() => update::begin_outside(&mut model, false, &user),
        Some(_) => model.identity.user = user,
    }
    let runner = Runner::new(context.home.clone(), entrance, session);
    runner.run(model, stop).await
}
