//! What administrators do: users, spaces, members, invites, the audit log; and everybody's own
//! password and sessions.

use convite_core::administration::{
    AccountSummary, AuditRecord, InviteSummary, SessionSummary, SpaceSummary,
};
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UserName};
use convite_wire::convert::some_text;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::DirectoryClient;
use crate::convert::{all, odd_answer};

impl DirectoryClient {
    /// Makes an account in these spaces.
    ///
    /// # Errors
    /// `permission_denied` for all but administrators; `user_taken`; `not_found` for a space.
    pub async fn add_user(
        &self,
        user: &UserName,
        password: &str,
        role: Role,
        spaces: &[SpaceName],
    ) -> Result<(), Problem> {
        let message = v1::AddUserRequest {
            spaces: spaces.iter().map(ToString::to_string).collect(),
            user: user.to_string(),
            password: password.to_owned(),
            role: role.name().to_owned(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.add_user(request).await };
        self.once(message, call).await.map(drop)
    }

    /// The accounts, a page of them.
    ///
    /// # Errors
    /// `permission_denied` for all but administrators.
    pub async fn users(
        &self,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<AccountSummary>, Problem> {
        let cursor = cursor.unwrap_or_default();
        let message = v1::ListUsersRequest { limit, cursor };
        let call = |mut stub: Stub<_>, request| async move { stub.list_users(request).await };
        let reply = self.call(message, call).await?;
        Ok(Page {
            items: all(reply.users)?,
            next_cursor: some_text(reply.next_cursor),
        })
    }

    /// Gives an account a role.
    ///
    /// # Errors
    /// `permission_denied` for all but administrators; `not_found`; `last_admin`.
    pub async fn set_role(&self, user: &UserName, role: Role) -> Result<(), Problem> {
        self.change_user(user, Some(role), None).await
    }

    /// Disables or enables an account.
    ///
    /// # Errors
    /// `permission_denied` for all but administrators; `not_found`; `last_admin`.
    pub async fn set_disabled(&self, user: &UserName, disabled: bool) -> Result<(), Problem> {
        self.change_user(user, None, Some(disabled)).await
    }

    async fn change_user(
        &self,
        user: &UserName,
        role: Option<Role>,
        disabled: Option<bool>,
    ) -> Result<(), Problem> {
        let message = v1::ChangeUserRequest {
            user: user.to_string(),
            role: role.map_or("", Role::name).to_owned(),
            disabled,
            password: String::new(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.change_user(request).await };
        self.call(message, call).await.map(drop)
    }

    /// Changes a password; `old` is wanted for one's own.
    ///
    /// # Errors
    /// `permission_denied` for another's, for all but administrators; `wrong_credentials`.
    pub async fn set_password(
        &self,
        user: &UserName,
        old: Option<&str>,
        new: &str,
    ) -> Result<(), Problem> {
        let message = v1::ChangePasswordRequest {
            user: user.to_string(),
            old: old.unwrap_or_default().to_owned(),
            new: new.to_owned(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.change_password(request).await };
        self.once(message, call).await.map(drop)
    }

    /// Makes a space, or removes it with the files in it.
    ///
    /// # Errors
    /// `permission_denied` for all but administrators; `space_taken`; `not_found`.
    pub async fn change_space(&self, space: &SpaceName, remove: bool) -> Result<(), Problem> {
        let message = v1::ChangeSpaceRequest {
            space: space.to_string(),
            remove,
        };
        let call = |mut stub: Stub<_>, request| async move { stub.change_space(request).await };
        self.once(message, call).await.map(drop)
    }

    /// The spaces, a page of them: all for administrators, their own for others.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn spaces(
        &self,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<SpaceSummary>, Problem> {
        let cursor = cursor.unwrap_or_default();
        let message = v1::ListSpacesRequest { limit, cursor };
        let call = |mut stub: Stub<_>, request| async move { stub.list_spaces(request).await };
        let reply = self.call(message, call).await?;
        Ok(Page {
            items: all(reply.spaces)?,
            next_cursor: some_text(reply.next_cursor),
        })
    }

    /// Lets an account into a space, or takes it and its files out.
    ///
    /// # Errors
    /// `permission_denied` for all but administrators; `not_found`.
    pub async fn change_member(
        &self,
        space: &SpaceName,
        user: &UserName,
        remove: bool,
    ) -> Result<(), Problem> {
        let message = v1::ChangeMemberRequest {
            space: space.to_string(),
            user: user.to_string(),
            remove,
        };
        let call = |mut stub: Stub<_>, request| async move { stub.change_member(request).await };
        self.once(message, call).await.map(drop)
    }

    /// The members of a space, a page of them.
    ///
    /// # Errors
    /// `permission_denied` for all but administrators; `not_found`.
    pub async fn members(
        &self,
        space: &SpaceName,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<UserName>, Problem> {
        let message = v1::ListMembersRequest {
            space: space.to_string(),
            limit,
            cursor: cursor.unwrap_or_default(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.list_members(request).await };
        let reply = self.call(message, call).await?;
        let users = reply.users.iter().map(|user| user.parse());
        Ok(Page {
            items: users.collect::<Result<_, _>>().map_err(odd_answer)?,
            next_cursor: some_text(reply.next_cursor),
        })
    }

    /// The audit log, newest first, a page of it.
    ///
    /// # Errors
    /// `permission_denied` for all but administrators.
    pub async fn audit(
        &self,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<AuditRecord>, Problem> {
        let cursor = cursor.unwrap_or_default();
        let message = v1::ListAuditRequest { limit, cursor };
        let call = |mut stub: Stub<_>, request| async move { stub.list_audit(request).await };
        let reply = self.call(message, call).await?;
        Ok(Page {
            items: all(reply.records)?,
            next_cursor: some_text(reply.next_cursor),
        })
    }

    /// The invites that can still be used, a page of them.
    ///
    /// # Errors
    /// `permission_denied` for all but administrators.
    pub async fn invites(
        &self,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<InviteSummary>, Problem> {
        let cursor = cursor.unwrap_or_default();
        let message = v1::ListInvitesRequest { limit, cursor };
        let call = |mut stub: Stub<_>, request| async move { stub.list_invites(request).await };
        let reply = self.call(message, call).await?;
        Ok(Page {
            items: all(reply.invites)?,
            next_cursor: some_text(reply.next_cursor),
        })
    }

    /// Makes the invite of that id useless.
    ///
    /// # Errors
    /// `permission_denied` for all but administrators; `not_found`.
    pub async fn revoke_invite(&self, id: &str) -> Result<(), Problem> {
        let message = v1::RevokeInviteRequest { id: id.to_owned() };
        let call = |mut stub: Stub<_>, request| async move { stub.revoke_invite(request).await };
        self.once(message, call).await.map(drop)
    }

    /// The sessions that are alive, a page of them: one's own, of an administrator everybody's, or
    /// those of `user`.
    ///
    /// # Errors
    /// `permission_denied` for another's, for all but administrators; `not_found`.
    pub async fn sessions(
        &self,
        user: Option<&UserName>,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<SessionSummary>, Problem> {
        let message = v1::ListSessionsRequest {
            user: user.map_or_else(String::new, ToString::to_string),
            limit,
            cursor: cursor.unwrap_or_default(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.list_sessions(request).await };
        let reply = self.call(message, call).await?;
        Ok(Page {
            items: all(reply.sessions)?,
            next_cursor: some_text(reply.next_cursor),
        })
    }

    /// Ends the session of that id; its peers go off the list.
    ///
    /// # Errors
    /// `not_found`, also for another's, for all but administrators.
    pub async fn revoke_session(&self, id: &str) -> Result<(), Problem> {
        let message = v1::RevokeSessionRequest { id: id.to_owned() };
        let call = |mut stub: Stub<_>, request| async move { stub.revoke_session(request).await };
        self.once(message, call).await.map(drop)
    }
}
