//! Accounts and sessions: coming in and going out.

use convite_core::model::Role;
use convite_core::{ErrorCode, Problem, UserName};
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::answers::Session;
use crate::calls::again;
use crate::convert::odd_answer;
use crate::directory::DirectoryClient;

impl DirectoryClient {
    /// Begins a session.
    ///
    /// # Errors
    /// `wrong_credentials`.
    pub async fn login(&self, user: &UserName, password: &str) -> Result<Session, Problem> {
        let message = v1::LoginRequest {
            user: user.to_string(),
            password: password.to_owned(),
            peer: None,
        };
        let call = |mut stub: Stub<_>, request| async move { stub.login(request).await };
        // A session whose token got lost runs out unused.
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
    /// `unauthenticated` or `session_expired` if it had ended already.
    pub async fn logout(&self) -> Result<(), Problem> {
        let call = |mut stub: Stub<_>, request| async move { stub.logout(request).await };
        self.call(v1::LogoutRequest {}, call).await.map(drop)
    }

    /// Makes an account.
    ///
    /// If a try gets lost, it may have made the account and used up the invite. So when the next
    /// is refused for either, the password tells whether the account is the one that was wanted.
    ///
    /// # Errors
    /// `invite_invalid`, `user_taken`, `invalid_argument` (the password).
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
                // It has served: whoever joins begins one of their own.
                if let Ok(client) = self.clone().with_token(&session.token) {
                    let _ = client.logout().await;
                }
                Ok(session.role)
            }
            Err(problem) => Err(problem),
        }
    }

    /// The directory named its replicas. What is no address is passed over: it is a favour.
    pub(crate) async fn heed_replicas(&self, texts: &[String]) {
        let replicas: Vec<_> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        self.channel.told(&replicas).await;
    }
}

/// Whether an account that was made a moment ago would be a reason.
fn is_spent(problem: &Problem) -> bool {
    matches!(
        problem.code,
        ErrorCode::UserTaken | ErrorCode::InviteInvalid
    )
}
