//! `convite user`, `convite space` and `convite audit`: what administrators do.

use convite_core::UserName;
use serde_json::json;

use crate::cli::administration::{AuditArgs, MemberAction, SpaceAction, UserAction};
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
            client.add_user(&args.user, &password, args.role).await?;
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
            table.row([space.name.to_string(), space.members.to_string()]);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    show(&table, output);
    Ok(())
}

/// `convite audit`.
pub async fn audit(context: &Context, args: AuditArgs, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let page = client.audit(args.limit, None).await?;
    let mut table = Table::new(&[">time", "user", "act", "subject", "address", "outcome"]);
    for record in page.items {
        output.event(&json!(record));
        let times = match record.times {
            1 => String::new(),
            times => format!(" x{times}"),
        };
        table.row([
            record.last.to_string(),
            record
                .user
                .map_or_else(String::new, |user| user.to_string()),
            record.act.name().to_owned(),
            record.subject,
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
