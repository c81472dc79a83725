//! `convite login` and `convite logout`.

use std::time::Duration;

use convite_client::Credentials;
use convite_core::{ErrorCode, PeerId, Problem};
use serde_json::json;

use crate::cli::LoginArgs;
use crate::context::Context;
use crate::control::PeerControl;
use crate::exit::CommandError;
use crate::identity;
use crate::output::Output;
use crate::password;
use crate::session;

/// The timeout for the directory's response to a logout.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts a new session with this home's directory.
pub async fn login(context: Context, args: LoginArgs, output: &Output) -> Result<(), CommandError> {
    let credentials = context.require_credentials()?;
    let user = args
        .user
        .or_else(|| credentials.user.clone())
        .unwrap_or_else(identity::default_user);
    let password = password::obtain(&args.password, &format!("Password for {user}"), false)?;
    let session = session::login(&context, &user, &password).await?;
    output.result(
        &format!("logged in as {} ({})", session.user, session.role.name()),
        || {
            json!({
                "event": "logged_in",
                "user": session.user,
                "role": session.role,
                "expires_at": session.expires_at,
            })
        },
    );
    Ok(())
}

/// Stops this home's peer, ends the session and deletes it from the home. If the peer or the directory
/// cannot be reached, the logout continues with a note: afterwards the home can always join another
/// directory.
pub async fn logout(context: Context, output: &Output) -> Result<(), CommandError> {
    let mut credentials = context.require_credentials()?.clone();
    match stop_peer(&context, &credentials).await {
        Ok(Some(id)) => output.note(&format!("stopped peer {id}")),
        Ok(None) => {}
        Err(problem) => output.note(&format!("this home's peer could not be stopped: {problem}")),
    }
    let told = match credentials.token {
        Some(_) => end_session(&context).await,
        None => Ok(()),
    };
    credentials.token = None;
    credentials.save(&context.home)?;
    let is_told = told.is_ok();
    output.result(
        "logged out",
        || json!({"event": "logged_out", "directory_told": is_told}),
    );
    if let Err(problem) = told {
        output.note(&format!(
            "the directory could not be notified ({problem}): the session is deleted from this home, and \
             expires in the directory"
        ));
    }
    Ok(())
}

async fn stop_peer(
    context: &Context,
    credentials: &Credentials,
) -> Result<Option<PeerId>, Problem> {
    match PeerControl::connect(&context.home, Some(credentials)).await? {
        None => Ok(None),
        Some(mut control) => {
            control.leave().await?;
            Ok(Some(control.id))
        }
    }
}

async fn end_session(context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    match tokio::time::timeout(ANSWER_TIMEOUT, client.logout()).await {
        Ok(Ok(())) => Ok(()),
        // The session has already ended.
        Ok(Err(problem))
            if matches!(
                problem.code,
                ErrorCode::SessionExpired | ErrorCode::Unauthenticated
            ) =>
        {
            Ok(())
        }
        Ok(Err(problem)) => Err(problem),
        Err(_) => Err(Problem::new(ErrorCode::Unavailable, "it does not answer")),
    }
}
