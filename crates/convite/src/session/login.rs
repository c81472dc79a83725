//! Joining a directory and logging in: both pin the directory and save the credentials in the home.

use convite_client::{Credentials, DirectoryClient, Session};
use convite_core::{ErrorCode, Problem, UserName};
use convite_wire::invite::InviteLink;

use crate::context::Context;

/// The result of joining.
pub struct Joined {
    pub session: Session,
    /// Whether the account was created.
    pub account_created: bool,
}

/// Pins the directory of a link, creates the account or logs in to it, and saves the session. A link
/// without an invite only logs in.
///
/// # Errors
/// Returns `permission_denied` if the home has joined another directory, `invite_invalid` if the invite
/// cannot be used, and `wrong_credentials` if the account exists with another password, or if the link
/// has no invite and the account does not exist. Otherwise returns the error of the directory.
pub async fn join_or_login(
    context: &Context,
    link: &InviteLink,
    user: &UserName,
    password: &str,
) -> Result<Joined, Problem> {
    require_same_directory(context, link)?;
    let mut credentials = Credentials::from_invite(link);
    credentials.user = Some(user.clone());
    credentials.peer = context.credentials.as_ref().and_then(|c| c.peer.clone());
    let client = DirectoryClient::new(&credentials)?;
    let account_created = match &link.code {
        None => false,
        Some(code) => match client.create_account(code, user, password).await {
            Ok(_) => true,
            // The user may already have this account: continue with the login.
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
                "this link is for existing accounts: give yours with --user NAME; \
                 for a new account, ask for an invite link",
            ));
        }
        Err(problem) if !account_created && problem.code == ErrorCode::WrongCredentials => {
            return Err(Problem::new(
                ErrorCode::WrongCredentials,
                format!("'{user}' already exists, and that is not its password"),
            )
            .hint("choose another name with --user NAME, or use the password of that account"));
        }
        other => other?,
    };
    credentials.addresses = client.addresses();
    save_session(context, credentials, &session)?;
    Ok(Joined {
        session,
        account_created,
    })
}

/// Starts a new session with the home's directory and saves it.
///
/// # Errors
/// Returns `unauthenticated` if the home has not joined a directory. Otherwise returns the error of the
/// directory.
pub async fn login(context: &Context, user: &UserName, password: &str) -> Result<Session, Problem> {
    let mut credentials = context.require_credentials()?.clone();
    credentials.token = None;
    let client = DirectoryClient::new(&credentials)?;
    let session = client.login(user, password).await?;
    credentials.addresses = client.addresses();
    save_session(context, credentials, &session)?;
    Ok(session)
}

fn save_session(
    context: &Context,
    mut credentials: Credentials,
    session: &Session,
) -> Result<(), Problem> {
    credentials.user = Some(session.user.clone());
    credentials.token = Some(session.token.clone());
    credentials.save(&context.home)
}

/// Rejects a link to another directory. A home, with its peer, shares and downloads, belongs to one
/// directory.
///
/// # Errors
/// Returns `permission_denied` if the home has joined another directory.
pub fn require_same_directory(context: &Context, link: &InviteLink) -> Result<(), Problem> {
    match &context.credentials {
        Some(old) if old.token.is_some() && !old.same_directory(link) => {
            Err(other_directory_error())
        }
        _ => Ok(()),
    }
}

/// Returns the error for joining a second directory with the same home.
pub fn other_directory_error() -> Problem {
    Problem::new(
        ErrorCode::PermissionDenied,
        "this home belongs to another directory",
    )
    .hint("use another home with --home DIR, or leave the other directory with `convite logout`")
}
