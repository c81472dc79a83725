//! Administration calls: users, spaces, members, invites, the audit log, and the caller's own
//! password and sessions.

use std::time::Duration;

use convite_core::administration::{
    AccountSummary, AuditRecord, InviteSummary, SessionSummary, SpaceSummary,
};
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UserName};
use convite_wire::convert::some_text;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::answers::Invite;
use crate::convert::{all, odd_answer};
use crate::directory::DirectoryClient;

impl DirectoryClient {
    /// Creates an invite. If `uses` or `expires_in` is zero, the directory's default applies.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator.
    pub async fn create_invite(
        &self,
        uses: u32,
        expires_in: Duration,
        role: Role,
        space: Option<&SpaceName>,
    ) -> Result<Invite, Problem> {
        let message = v1::CreateInviteRequest {
            uses,
            expires_in: expires_in.as_secs(),
            role: role.name().to_owned(),
            space: space.map_or_else(String::new, ToString::to_string),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.create_invite(request).await };
        // Safe to repeat: nobody has the link of an invite whose reply was lost.
        let reply = self.call(message, call).await?;
        Ok(Invite {
            link: reply.invite,
            expires_at: reply.expires_at,
            uses: reply.uses,
        })
    }

    /// Creates an account that is a member of `spaces`.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator, `user_taken` if the name
    /// exists, and `not_found` if a space does not exist.
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

    /// Returns a page of accounts.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator.
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

    /// Changes the role of an account.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator, `not_found` if the
    /// account does not exist, and `last_admin` if no administrator would remain.
    pub async fn set_role(&self, user: &UserName, role: Role) -> Result<(), Problem> {
        self.change_user(user, Some(role), None).await
    }

    /// Disables or enables an account.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator, `not_found` if the
    /// account does not exist, and `last_admin` if no administrator would remain.
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

    /// Changes a password. The caller's own password requires `old`.
    ///
    /// # Errors
    /// Returns `wrong_credentials` if `old` is wrong, and `permission_denied` for the password of
    /// another account if the caller is not an administrator.
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

    /// Creates a space.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator, and `space_taken` if the
    /// name exists.
    pub async fn add_space(&self, space: &SpaceName) -> Result<(), Problem> {
        let space = space.to_string();
        let message = v1::AddSpaceRequest { space };
        let call = |mut stub: Stub<_>, request| async move { stub.add_space(request).await };
        self.once(message, call).await.map(drop)
    }

    /// Removes a space together with its files.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator, and `not_found` if the
    /// space does not exist.
    pub async fn remove_space(&self, space: &SpaceName) -> Result<(), Problem> {
        let space = space.to_string();
        let message = v1::RemoveSpaceRequest { space };
        let call = |mut stub: Stub<_>, request| async move { stub.remove_space(request).await };
        self.once(message, call).await.map(drop)
    }

    /// Returns a page of spaces: all of them for administrators, otherwise the caller's own.
    ///
    /// # Errors
    /// Returns the errors common to all calls.
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

    /// Adds an account to a space.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator, and `not_found` if the
    /// space or the account does not exist.
    pub async fn add_member(&self, space: &SpaceName, user: &UserName) -> Result<(), Problem> {
        let (space, user) = (space.to_string(), user.to_string());
        let message = v1::AddMemberRequest { space, user };
        let call = |mut stub: Stub<_>, request| async move { stub.add_member(request).await };
        self.once(message, call).await.map(drop)
    }

    /// Removes an account and its files from a space.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator, and `not_found` if the
    /// space or the account does not exist.
    pub async fn remove_member(&self, space: &SpaceName, user: &UserName) -> Result<(), Problem> {
        let (space, user) = (space.to_string(), user.to_string());
        let message = v1::RemoveMemberRequest { space, user };
        let call = |mut stub: Stub<_>, request| async move { stub.remove_member(request).await };
        self.once(message, call).await.map(drop)
    }

    /// Returns a page of a space's members.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator, and `not_found` if the
    /// space does not exist.
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

    /// Returns a page of the audit log, newest first.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator.
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

    /// Returns a page of the invites that can still be used.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator.
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

    /// Revokes an invite.
    ///
    /// # Errors
    /// Returns `permission_denied` if the caller is not an administrator, and `not_found` if the
    /// invite does not exist.
    pub async fn revoke_invite(&self, id: &str) -> Result<(), Problem> {
        let message = v1::RevokeInviteRequest { id: id.to_owned() };
        let call = |mut stub: Stub<_>, request| async move { stub.revoke_invite(request).await };
        self.once(message, call).await.map(drop)
    }

    /// Returns a page of active sessions: those of `user`, or without `user` all of them for
    /// administrators and otherwise the caller's own.
    ///
    /// # Errors
    /// Returns `permission_denied` for the sessions of another account if the caller is not an
    /// administrator, and `not_found` if the account does not exist.
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

    /// Ends a session. Its peers go offline.
    ///
    /// # Errors
    /// Returns `not_found` if the session does not exist, or belongs to another account and the
    /// caller is not an administrator.
    pub async fn revoke_session(&self, id: &str) -> Result<(), Problem> {
        let message = v1::RevokeSessionRequest { id: id.to_owned() };
        let call = |mut stub: Stub<_>, request| async move { stub.revoke_session(request).await };
        self.once(message, call).await.map(drop)
    }
}
