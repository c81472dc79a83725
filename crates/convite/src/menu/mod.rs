//! The terminal menu: search, download, upload and share without typing commands.
//!
//! `model` is the state; `update` changes it and returns effects; `view` draws it; these are pure.
//! `runner` performs the effects and sends events as messages.

mod downloads;
mod keys;
mod message;
mod model;
mod runner;
mod saved_state;
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
use crate::output;
use crate::session::{RunningSession, SessionStart};

use model::{Dialog, Model};
use runner::Runner;

pub use model::Invitation;

/// Returns whether the command opens the menu: it is requested and the terminal can show it.
pub fn is_requested(cli: &Cli) -> bool {
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
        && output::is_stdout_terminal()
}

/// Runs the menu of a home until the user quits. With a `session`, the peer is already running;
/// without one, the menu starts it, after a login form if the home is not logged in.
///
/// # Errors
/// Fails if the terminal cannot be used or the peer cannot start.
pub async fn run(
    context: &Context,
    start: SessionStart,
    session: Option<RunningSession>,
    invitation: Option<Invitation>,
    stop: CancellationToken,
) -> Result<(), Problem> {
    let remembered = saved_state::load(&context.home);
    let mut model = Model::new(remembered, saved_state::downloads_folder());
    model.paths = saved_state::paths();
    if invitation.is_some() {
        model.dialog = Some(Dialog::Invitation);
    }
    model.invitation = invitation;
    let credentials = context.credentials.as_ref();
    let user = credentials.and_then(|credentials| credentials.user.clone());
    let user = user.unwrap_or_else(identity::default_user).to_string();
    match credentials {
        _ if session.is_some() => {}
        None => update::show_login(&mut model, true, &user),
        Some(known) if known.token.is_none() => update::show_login(&mut model, false, &user),
        Some(_) => model.account.user = user,
    }
    let runner = Runner::new(context.home.clone(), start, session);
    runner.run(model, stop).await
}
