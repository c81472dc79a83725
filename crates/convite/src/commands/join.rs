//! `convite join`: pin the directory, make the account (or log in), keep the credentials.

use convite_client::{Credentials, DirectoryClient, Session};
use convite_core::{ErrorCode, Problem, UserName};
use convite_wire::invite::InviteLink;
use serde_json::json;

use crate::cli::JoinArgs;
use crate::context::Context;
use crate::exit::Failed;
use crate::identity;
use crate::output::Output;
use crate::password;

/// Joins the directory of an invite link.
pub async fn run(context: &Context, args: &JoinArgs, output: &Output) -> Result<(), Failed> {
    let link: InviteLink = args.link.parse().map_err(|problem: Problem| {
        // A shell cuts at `&`, and takes `?` for a pattern.
        let hint = problem.hint.as_deref().unwrap_or_default();
        Failed::Usage(problem.clone().hint(format!("{hint}, in single quotes")))
    })?;
    refuse_other_directory(context, &link)?;
    let user = args.user.clone().unwrap_or_else(identity::user);
    let password = password::obtain(&args.password, &format!("Password for {user}"), false)?;
    let Joined { session, is_new } = enter(context, &link, &user, &password).await?;
    let address = &link.addresses[0];
    let line = match is_new {
        true => format!("joined {address} as {user} ({})", session.role.name()),
        false => format!("logged in to {address} as {user} ({})", session.role.name()),
    };
    output.result(&line, || {
        json!({
            "event": "joined",
            "directory": address,
            "user": session.user,
            "role": session.role,
            "created": is_new,
        })
    });
    output.note("next: `convite search WORDS`, `convite get NAME`, or `convite peer` to share");
    Ok(())
}

/// What joining gives.
pub struct Joined {
    pub session: Session,
    /// Whether the account was made just now.
    pub is_new: bool,
}

/// Pins the directory of a link, makes the account or logs in to it, and keeps the session. A link
/// without an invite only logs in.
///
/// # Errors
/// `permission_denied` if the home belongs to another directory; `invite_invalid`; `wrong_credentials`
/// if the name is taken and the password not its, or for an account that a link without an invite
/// would have to make; and what else the directory refuses.
pub async fn enter(
    context: &Context,
    link: &InviteLink,
    user: &UserName,
    password: &str,
) -> Result<Joined, Problem> {
    refuse_other_directory(context, link)?;
    let mut credentials = Credentials::from_invite(link);
    credentials.user = Some(user.clone());
    credentials.peer = context.credentials.as_ref().and_then(|c| c.peer.clone());
    let client = DirectoryClient::new(&credentials)?;
    let is_new = match &link.code {
        None => false,
        Some(code) => match client.create_account(code, user, password).await {
            Ok(_) => true,
            // The account may be one's own, made before or on another machine.
            Err(problem) if problem.code == ErrorCode::UserTaken => false,
            Err(problem) => return Err(problem),
        },
    };
    let session = match client.login(user, password).await {
        Err(problem) if link.code.is_none() && problem.code == ErrorCode::WrongCredentials => {
            return Err(Problem::new(
                ErrorCode::WrongCredentials,
                format!("there is no account '{user}' with that password"),
            )
            .hint(
                "this link is for accounts that exist: name yours with --user NAME; \
                 to make a new one, ask for an invite link",
            ));
        }
        Err(problem) if !is_new && problem.code == ErrorCode::WrongCredentials => {
            return Err(Problem::new(
                ErrorCode::WrongCredentials,
                format!("the name '{user}' is taken, and the password is not its password"),
            )
            .hint("choose another name with --user NAME, or give that account's password"));
        }
        other => other?,
    };
    credentials.addresses = client.addresses();
    keep(context, credentials, &session)?;
    Ok(Joined { session, is_new })
}

/// Keeps a session in the home.
pub fn keep(
    context: &Context,
    mut credentials: Credentials,
    session: &Session,
) -> Result<(), Problem> {
    credentials.user = Some(session.user.clone());
    credentials.token = Some(session.token.clone());
    credentials.save(&context.home)
}

/// A home belongs to one directory: its peer, its shares and its downloads do.
fn refuse_other_directory(context: &Context, link: &InviteLink) -> Result<(), Problem> {
    match &context.credentials {
        Some(old) if old.token.is_some() && !old.same_directory(link) => Err(Problem::new(
            ErrorCode::PermissionDenied,
            "this home belongs to another directory",
        )
        .hint(
            "use another home for this one (--home DIR), or leave the other with `convite logout`",
        )),
        _ => Ok(()),
    }
}
