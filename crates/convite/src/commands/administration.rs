//! `convite user`, `convite space`, `convite session`, `convite audit` and what else administrators
//! do.

use std::time::{Duration, UNIX_EPOCH};

use convite_core::{ErrorCode, Problem, UserName};
use serde_json::json;

use crate::cli::administration::{
    AuditArgs, InviteAction, MemberAction, PeersAction, SessionAction, SpaceAction, UserAction,
};
use crate::context::Context;
use crate::exit::Failed;
use crate::output::{Output, Table};
use crate::password;

/// Items asked for at once.
const PAGE: u32 = 1_000;

/// `convite user …`.
pub async fn user(context: &Context, action: UserAction, output: &Output) -> Result<(), Failed> {
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
            let own = context.joined()?.user.clone();
            let user = args
                .user
                .or_else(|| own.clone())
                .unwrap_or_else(crate::identity::user);
            let old = match own.as_ref() == Some(&user) {
                true => Some(password::obtain(&args.old, "Old password", false)?),
                false => None,
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

async fn users(context: &Context, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let mut table = Table::new(&["user", "role", "state", "spaces"]);
    let mut cursor = None;
    loop {
        let page = client.users(PAGE, cursor).await?;
        for account in page.items {
            output.event(&json!(account));
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
    show(&table, output);
    Ok(())
}

/// `convite space …`.
pub async fn space(context: &Context, action: SpaceAction, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let (done, space, user): (_, _, Option<UserName>) = match action {
        SpaceAction::List => return spaces(context, output).await,
        SpaceAction::Add { space } => {
            client.change_space(&space, false).await?;
            ("added", space, None)
        }
        SpaceAction::Remove { space } => {
            client.change_space(&space, true).await?;
            ("removed", space, None)
        }
        SpaceAction::Member { action } => match action {
            MemberAction::List { space } => {
                let mut cursor = None;
                loop {
                    let page = client.members(&space, PAGE, cursor).await?;
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
                client.change_member(&space, &user, false).await?;
                ("member added", space, Some(user))
            }
            MemberAction::Remove { space, user } => {
                client.change_member(&space, &user, true).await?;
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

async fn spaces(context: &Context, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let mut table = Table::new(&["space", ">members"]);
    let mut cursor = None;
    loop {
        let page = client.spaces(PAGE, cursor).await?;
        for space in page.items {
            output.event(&json!(space));
            table.row([space.space.to_string(), space.members.to_string()]);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    show(&table, output);
    Ok(())
}

/// `convite session …`.
pub async fn session(
    context: &Context,
    action: SessionAction,
    output: &Output,
) -> Result<(), Failed> {
    let client = context.client()?;
    let user = match action {
        SessionAction::List { user } => user,
        SessionAction::Revoke { id } => {
            let ended = client.revoke_session(&id).await;
            ended.map_err(|problem| not_there(problem, "`convite session list` has the ids"))?;
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
        let page = client.sessions(user.as_ref(), PAGE, cursor).await?;
        for session in page.items {
            output.event(&json!(session));
            let here = if session.current { "this one" } else { "" };
            table.row([
                session.id,
                session.user.to_string(),
                session.peer.map_or_else(String::new, |id| id.to_string()),
                session.address.map_or_else(String::new, |a| a.to_string()),
                moment(session.last_used_at),
                here.to_owned(),
            ]);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    show(&table, output);
    Ok(())
}

/// `convite invite list` and `convite invite revoke`.
pub async fn invite(
    context: &Context,
    action: InviteAction,
    output: &Output,
) -> Result<(), Failed> {
    let client = context.client()?;
    if let InviteAction::Revoke { id } = action {
        let revoked = client.revoke_invite(&id).await;
        revoked.map_err(|problem| not_there(problem, "`convite invite list` has the ids"))?;
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
        "made by",
    ]);
    let mut cursor = None;
    loop {
        let page = client.invites(PAGE, cursor).await?;
        for invite in page.items {
            output.event(&json!(invite));
            let uses = invite.uses_left.map(|uses| uses.to_string());
            table.row([
                invite.id,
                invite.role.name().to_owned(),
                invite.space.map_or_else(String::new, |s| s.to_string()),
                uses.unwrap_or_else(|| "no limit".to_owned()),
                moment(invite.expires_at),
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
    show(&table, output);
    Ok(())
}

/// `convite peers remove`.
pub async fn peer(context: &Context, action: PeersAction, output: &Output) -> Result<(), Failed> {
    let PeersAction::Remove { peer } = action;
    let removed = context.client()?.leave(&peer).await;
    removed.map_err(|problem| not_there(problem, "see who is online with `convite peers`"))?;
    output.result(
        &format!("removed: {peer}"),
        || json!({"event": "peer_removed", "peer": peer}),
    );
    output.note(
        "if it still runs it comes back: end its session too, as `convite session list` shows it",
    );
    Ok(())
}

/// What is not there, with advice for who types commands.
fn not_there(problem: Problem, advice: &str) -> Problem {
    match problem.code {
        ErrorCode::NotFound => problem.hint(advice),
        _ => problem,
    }
}

/// A time in seconds since 1970, as RFC 3339 writes it, in UTC.
fn moment(seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// `convite audit`.
pub async fn audit(context: &Context, args: AuditArgs, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let page = client.audit(args.limit, None).await?;
    let mut table = Table::new(&["time", "actor", "action", "target", "address", "outcome"]);
    for record in page.items {
        output.event(&json!(record));
        let times = match record.times {
            1 => String::new(),
            times => format!(" x{times}"),
        };
        table.row([
            moment(record.last),
            record
                .actor
                .map_or_else(String::new, |user| user.to_string()),
            record.action.name().to_owned(),
            record.target,
            record.address.map_or_else(String::new, |a| a.to_string()),
            format!("{}{times}", record.outcome.name()),
        ]);
    }
    show(&table, output);
    Ok(())
}

fn show(table: &Table, output: &Output) {
    if !output.is_json() {
        table.print(output);
    }
}
