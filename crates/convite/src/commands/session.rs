//! `convite login` and `convite logout`.

use convite_client::DirectoryClient;
use convite_core::ErrorCode;
use serde_json::json;

use crate::cli::LoginArgs;
use crate::commands::join::keep;
use crate::context::Context;
use crate::control::Control;
use crate::exit::Failed;
use crate::identity;
use crate::output::Output;
use crate::password;

/// Begins a new session with the directory that this home joined.
pub async fn login(context: Context, args: LoginArgs, output: &Output) -> Result<(), Failed> {
    let mut credentials = context.joined()?.clone();
    credentials.token = None;
    let user = args
        .user
        .or_else(|| credentials.user.clone())
        .unwrap_or_else(identity::user);
    let password = password::obtain(&args.password, &format!("Password for {user}"), false)?;
    let client = DirectoryClient::new(&credentials)?;
    let session = client.login(&user, &password).await?;
    credentials.addresses = client.addresses();
    keep(&context, credentials, &session)?;
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

/// Ends the session, and the peer that runs in it.
pub async fn logout(context: Context, output: &Output) -> Result<(), Failed> {
    let mut credentials = context.joined()?.clone();
    let client = context.client()?;
    if let Some(mut control) = Control::connect(&context.home, Some(&credentials)).await? {
        control.leave().await?;
        output.note(&format!("stopped peer {}", control.id));
    }
    match client.logout().await {
        Ok(()) => {}
        // It was over already, which is what was wanted.
        Err(problem)
            if matches!(
                problem.code,
                ErrorCode::SessionExpired | ErrorCode::Unauthenticated
            ) => {}
        Err(problem) => return Err(problem.into()),
    }
    credentials.token = None;
    credentials.save(&context.home)?;
    output.result("logged out", || json!({"event": "logged_out"}));
    Ok(())
}
