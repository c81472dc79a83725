//! Accounts and sessions: login, logout and account creation.

use convite_core::model::Role;
use convite_core::{ErrorCode, Problem, UserName};
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::answers::Session;
use crate::calls::again;
use crate::convert::odd_answer;
use crate::directory::DirectoryClient;

impl DirectoryClient {
    /// Logs in and returns the new session.
    ///
    /// # Errors
    /// Returns `wrong_credentials` if the name or the password is wrong.
    pub async fn login(&self, user: &UserName, password: &str) -> Result<Session, Problem> {
        let message = v1::LoginRequest {
            user: user.to_string(),
            password: password.to_owned(),
            peer: None,
            ..v1::LoginRequest::default()
        };
        let call = |mut stub: Stub<_>, request| async move { stub.login(request).await };
        // Safe to repeat: a session whose token was lost expires unused.
        let reply = self.call(message, call).await?;
        self.heed_replicas(&reply.directories).await;
        Ok(Session {
            token: reply.token,
            expires_at: reply.expires_at,
            user: reply.user.parse().map_err(odd_answer)?,
            role: reply.role.parse().map_err(odd_answer)?,
        })
    }

    /// Ends the session.
    ///
    /// # Errors
    /// Returns `unauthenticated` or `session_expired` if the session has already ended.
    pub async fn logout(&self) -> Result<(), Problem> {
        let call = |mut stub: Stub<_>, request| async move { stub.logout(request).await };
        self.call(v1::LogoutRequest {}, call).await.map(drop)
    }

    /// Creates an account.
    ///
    /// A lost attempt may have created the account and used up the invite. If a later attempt fails
    /// for either reason, a login with the password checks whether the account is the requested
    /// one.
    ///
    /// # Errors
    /// Returns `invite_invalid`, `user_taken`, or `invalid_argument` for the password.
    pub async fn create_account(
        &self,
        invite: &str,
        user: &UserName,
        password: &str,
    ) -> Result<Role, Problem> {
        let message = v1::CreateAccountRequest {
            invite: invite.to_owned(),
            user: user.to_string(),
            password: password.to_owned(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.create_account(request).await };
        let mut tries = 0;
        let made = again(|| {
            tries += 1;
            self.once(message.clone(), call)
        })
        .await;
        match made {
            Ok(reply) => reply.role.parse().map_err(odd_answer),
            Err(problem) if tries > 1 && is_spent(&problem) => {
                let session = self.login(user, password).await.map_err(|_| problem)?;
                // Only the check needed this session; `join` starts its own.
                if let Ok(client) = self.clone().with_token(&session.token) {
                    let _ = client.logout().await;
                }
                Ok(session.role)
            }
            Err(problem) => Err(problem),
        }
    }

    /// Records the replicas that the directory named. Skips texts that are not addresses.
    pub(crate) async fn heed_replicas(&self, texts: &[String]) {
        let replicas: Vec<_> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        self.channel.told(&replicas).await;
    }
}

/// Returns whether an account that an earlier attempt created could cause this problem.
fn is_spent(problem: &Problem) -> bool {
    matches!(
        problem.code,
        ErrorCode::UserTaken | ErrorCode::InviteInvalid
    )
}
