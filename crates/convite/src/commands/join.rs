//! `convite join`.

use std::io::{BufRead, IsTerminal, Read};

use convite_core::Problem;
use convite_wire::invite::InviteLink;
use serde_json::json;

use crate::cli::JoinArgs;
use crate::context::Context;
use crate::exit::CommandError;
use crate::identity;
use crate::output::Output;
use crate::password;
use crate::session::{Joined, join_or_login, require_same_directory};

/// The maximum bytes read to find a link.
const LINK_BYTES_MAX: u64 = 64 << 10;

/// Joins the directory of an invite link.
pub async fn run(context: &Context, args: &JoinArgs, output: &Output) -> Result<(), CommandError> {
    let link = link(args, output)?;
    require_same_directory(context, &link)?;
    let user = args.user.clone().unwrap_or_else(identity::default_user);
    let password = password::obtain(&args.password, &format!("Password for {user}"), false)?;
    let Joined {
        session,
        account_created,
    } = join_or_login(context, &link, &user, &password).await?;
    let address = &link.addresses[0];
    let line = if account_created {
        format!("joined {address} as {user} ({})", session.role.name())
    } else {
        format!("logged in to {address} as {user} ({})", session.role.name())
    };
    output.result(&line, || {
        json!({
            "event": "joined",
            "directory": address,
            "user": session.user,
            "role": session.role,
            "created": account_created,
        })
    });
    output.note("next: `convite search WORDS`, `convite get NAME`, or `convite peer` to share");
    Ok(())
}

/// Returns the link from the argument, from stdin or from a prompt.
fn link(args: &JoinArgs, output: &Output) -> Result<InviteLink, CommandError> {
    match args.link.as_deref() {
        Some("-") => read_link(args),
        Some(link) => link.parse().map_err(|problem: Problem| {
            // A shell splits the command at `&`, and treats `?` as a pattern.
            let hint = problem.hint.as_deref().unwrap_or_default();
            CommandError::Usage(problem.clone().hint(format!("{hint}, in single quotes")))
        }),
        None => ask_for_link(output),
    }
}

/// Reads the link from stdin; from the first line only if the password follows on stdin.
fn read_link(args: &JoinArgs) -> Result<InviteLink, CommandError> {
    let is_password_there = args.password.is_on_stdin();
    let (mut text, stdin) = (String::new(), std::io::stdin());
    let read = if is_password_there {
        stdin.lock().read_line(&mut text).map(drop)
    } else {
        let limited = stdin.lock().take(LINK_BYTES_MAX);
        std::io::BufReader::new(limited)
            .read_to_string(&mut text)
            .map(drop)
    };
    read.map_err(|error| {
        CommandError::Usage(Problem::invalid(format!(
            "cannot read the invite link: {error}"
        )))
    })?;
    text.parse().map_err(CommandError::Usage)
}

/// Prompts for the link on a terminal. A link that is wrapped over several lines is joined.
fn ask_for_link(output: &Output) -> Result<InviteLink, CommandError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CommandError::Usage(
            Problem::invalid("an invite link is needed, but there is no terminal to ask for it")
                .hint("pass it on stdin: `convite join - < FILE`"),
        ));
    }
    output.prompt("Invite link: ");
    let mut text = String::new();
    loop {
        let before = text.len();
        stdin.read_line(&mut text).map_err(|error| {
            CommandError::Usage(Problem::invalid(format!(
                "cannot read the invite link: {error}"
            )))
        })?;
        let is_over = text[before..].trim().is_empty() || text.len() as u64 > LINK_BYTES_MAX;
        match text.parse() {
            Ok(link) => return Ok(link),
            Err(problem) if is_over => return Err(CommandError::Usage(problem)),
            Err(_) => {}
        }
    }
}
