//! The administration commands: `user`, `space`, `session`, `audit`, `invite list|revoke` and
//! `peers remove`.

use std::time::{Duration, UNIX_EPOCH};

use convite_core::{ErrorCode, Problem, UserName};
use serde_json::json;

use crate::cli::administration::{
    AuditArgs, InviteAction, MemberAction, PeersAction, SessionAction, SpaceAction, UserAction,
};
use crate::context::Context;
use crate::exit::CommandError;
use crate::output::Output;
use crate::output::table::Table;
use crate::password;

/// The number of items requested per page.
const PAGE_SIZE: u32 = 1_000;

/// `convite user …`.
pub async fn user(
    context: &Context,
    action: UserAction,
    output: &Output,
) -> Result<(), CommandError> {
    let client = context.client()?;
    let (done, user) = match action {
        UserAction::List => return users(context, output).await,
        UserAction::Add(args) => {
            let prompt = format!("Password for {}", args.user);
            let password = password::obtain(&args.password, &prompt, true)?;
            client
                .add_user(&args.user, &password, args.role, &args.spaces)
                .await?;
            ("added", args.user)
        }
        UserAction::Role { user, role } => {
            client.set_role(&user, role).await?;
            ("role changed", user)
        }
        UserAction::Disable { user } => {
            client.set_disabled(&user, true).await?;
            ("disabled", user)
        }
        UserAction::Enable { user } => {
            client.set_disabled(&user, false).await?;
            ("enabled", user)
        }
        UserAction::Passwd(args) => {
            let own = context.require_credentials()?.user.clone();
            let user = args
                .user
                .or_else(|| own.clone())
                .unwrap_or_else(crate::identity::default_user);
            let old = if own.as_ref() == Some(&user) {
                Some(password::obtain(&args.old, "Current password", false)?)
            } else {
                None
            };
            let new = password::obtain_new(args.new_password_file, &user)?;
            client.set_password(&user, old.as_deref(), &new).await?;
            ("password changed", user)
        }
    };
    output.result(
        &format!("{done}: {user}"),
        || json!({"event": done.replace(' ', "_"), "user": user}),
    );
    Ok(())
}

async fn users(context: &Context, output: &Output) -> Result<(), CommandError> {
    let client = context.client()?;
    let mut table = Table::new(&["user", "role", "state", "spaces"]);
    let mut cursor = None;
    loop {
        let page = client.users(PAGE_SIZE, cursor).await?;
        for account in page.items {
            output.json_event(&json!(account));
            let spaces: Vec<_> = account.spaces.iter().map(ToString::to_string).collect();
            let state = if account.disabled { "disabled" } else { "" };
            table.row([
                account.user.to_string(),
                account.role.name().to_owned(),
                state.to_owned(),
                spaces.join(" "),
            ]);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    print_unless_json(&table, output);
    Ok(())
}

/// `convite space …`.
pub async fn space(
    context: &Context,
    action: SpaceAction,
    output: &Output,
) -> Result<(), CommandError> {
    let client = context.client()?;
    let (done, space, user): (_, _, Option<UserName>) = match action {
        SpaceAction::List => return spaces(context, output).await,
        SpaceAction::Add { space } => {
            client.add_space(&space).await?;
            ("added", space, None)
        }
        SpaceAction::Remove { space } => {
            client.remove_space(&space).await?;
            ("removed", space, None)
        }
        SpaceAction::Member { action } => match action {
            MemberAction::List { space } => {
                let mut cursor = None;
                loop {
                    let page = client.members(&space, PAGE_SIZE, cursor).await?;
                    for user in page.items {
                        output.result(user.as_str(), || json!({"space": space, "user": user}));
                    }
                    cursor = page.next_cursor;
                    if cursor.is_none() {
                        return Ok(());
                    }
                }
            }
            MemberAction::Add { space, user } => {
                client.add_member(&space, &user).await?;
                ("member added", space, Some(user))
            }
            MemberAction::Remove { space, user } => {
                client.remove_member(&space, &user).await?;
                ("member removed", space, Some(user))
            }
        },
    };
    let shown = user.as_ref().map_or_else(String::new, |u| format!(" {u}"));
    output.result(
        &format!("{done}: {space}{shown}"),
        || json!({"event": done.replace(' ', "_"), "space": space, "user": user}),
    );
    Ok(())
}

async fn spaces(context: &Context, output: &Output) -> Result<(), CommandError> {
    let client = context.client()?;
    let mut table = Table::new(&["space", ">members"]);
    let mut cursor = None;
    loop {
        let page = client.spaces(PAGE_SIZE, cursor).await?;
        for space in page.items {
            output.json_event(&json!(space));
            table.row([space.space.to_string(), space.members.to_string()]);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    print_unless_json(&table, output);
    Ok(())
}

/// `convite session …`.
pub async fn session(
    context: &Context,
    action: SessionAction,
    output: &Output,
) -> Result<(), CommandError> {
    let client = context.client()?;
    let user = match action {
        SessionAction::List { user } => user,
        SessionAction::Revoke { id } => {
            let ended = client.revoke_session(&id).await;
            ended.map_err(|problem| {
                with_not_found_hint(problem, "list the IDs with `convite session list`")
            })?;
            output.result(
                &format!("session ended: {id}"),
                || json!({"event": "session_ended", "id": id}),
            );
            return Ok(());
        }
    };
    let mut table = Table::new(&["session", "user", "peer", "address", "last used", ""]);
    let mut cursor = None;
    loop {
        let page = client.sessions(user.as_ref(), PAGE_SIZE, cursor).await?;
        for session in page.items {
            output.json_event(&json!(session));
            let here = if session.current { "this one" } else { "" };
            table.row([
                session.id,
                session.user.to_string(),
                session.peer.map_or_else(String::new, |id| id.to_string()),
                session.address.map_or_else(String::new, |a| a.to_string()),
                format_time(session.last_used_at),
                here.to_owned(),
            ]);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    print_unless_json(&table, output);
    Ok(())
}

/// `convite invite list` and `convite invite revoke`.
pub async fn invite(
    context: &Context,
    action: InviteAction,
    output: &Output,
) -> Result<(), CommandError> {
    let client = context.client()?;
    if let InviteAction::Revoke { id } = action {
        let revoked = client.revoke_invite(&id).await;
        revoked.map_err(|problem| {
            with_not_found_hint(problem, "list the IDs with `convite invite list`")
        })?;
        output.result(
            &format!("invite revoked: {id}"),
            || json!({"event": "invite_revoked", "id": id}),
        );
        return Ok(());
    }
    let mut table = Table::new(&[
        "invite",
        "role",
        "space",
        ">uses left",
        "expires",
        "created by",
    ]);
    let mut cursor = None;
    loop {
        let page = client.invites(PAGE_SIZE, cursor).await?;
        for invite in page.items {
            output.json_event(&json!(invite));
            let uses = invite.uses_left.map(|uses| uses.to_string());
            table.row([
                invite.id,
                invite.role.name().to_owned(),
                invite.space.map_or_else(String::new, |s| s.to_string()),
                uses.unwrap_or_else(|| "no limit".to_owned()),
                format_time(invite.expires_at),
                invite
                    .created_by
                    .map_or_else(|| "the directory".to_owned(), |user| user.to_string()),
            ]);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    print_unless_json(&table, output);
    Ok(())
}

/// `convite peers remove`.
pub async fn peer(
    context: &Context,
    action: PeersAction,
    output: &Output,
) -> Result<(), CommandError> {
    let PeersAction::Remove { peer } = action;
    let removed = context.client()?.leave(&peer).await;
    removed.map_err(|problem| {
        with_not_found_hint(problem, "list the peers online with `convite peers`")
    })?;
    output.result(
        &format!("removed: {peer}"),
        || json!({"event": "peer_removed", "peer": peer}),
    );
    output.note(
        "if it is running it registers again: also end its session, listed by `convite session list`",
    );
    Ok(())
}

/// Adds a hint with a command to a `not_found` problem.
fn with_not_found_hint(problem: Problem, advice: &str) -> Problem {
    match problem.code {
        ErrorCode::NotFound => problem.hint(advice),
        _ => problem,
    }
}

/// Formats a Unix time in seconds as RFC 3339 in UTC.
fn format_time(seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// `convite audit`.
pub async fn audit(
    context: &Context,
    args: AuditArgs,
    output: &Output,
) -> Result<(), CommandError> {
    let client = context.client()?;
    let page = client.audit(args.limit, None).await?;
    let mut table = Table::new(&["time", "actor", "action", "target", "address", "outcome"]);
    for record in page.items {
        output.json_event(&json!(record));
        let times = match record.times {
            1 => String::new(),
            times => format!(" x{times}"),
        };
        table.row([
            format_time(record.last),
            record
                .actor
                .map_or_else(String::new, |user| user.to_string()),
            record.action.name().to_owned(),
            record.target,
            record.address.map_or_else(String::new, |a| a.to_string()),
            format!("{}{times}", record.outcome.name()),
        ]);
    }
    print_unless_json(&table, output);
    Ok(())
}

fn print_unless_json(table: &Table, output: &Output) {
    if !output.is_json() {
        table.print(output);
    }
}
