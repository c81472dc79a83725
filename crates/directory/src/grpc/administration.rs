//! Users, spaces, members and the audit log.

use convite_core::Problem;
use convite_core::model::Role;
use convite_wire::{convert, v1};
use tonic::Request;

use super::api::{DirectoryService, non_zero, seen};
use crate::service::UserChange;

pub(super) async fn add_user(
    api: &DirectoryService,
    request: Request<v1::AddUserRequest>,
) -> Result<v1::AddUserReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let role = convert::some_text(message.role).map(|role| role.parse());
    let role = role.transpose()?.unwrap_or(Role::Member);
    let user = message.user.parse()?;
    let spaces = message.spaces.iter().map(|space| space.parse());
    let spaces: Vec<_> = spaces.collect::<Result<_, _>>()?;
    api.service
        .add_user(&caller, &user, &message.password, role, &spaces)
        .await?;
    Ok(v1::AddUserReply {})
}

pub(super) async fn list_users(
    api: &DirectoryService,
    request: Request<v1::ListUsersRequest>,
) -> Result<v1::ListUsersReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let page = api
        .service
        .list_users(&caller, non_zero(message.limit), cursor.as_deref())
        .await?;
    Ok(v1::ListUsersReply {
        users: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn change_user(
    api: &DirectoryService,
    request: Request<v1::ChangeUserRequest>,
) -> Result<v1::ChangeUserReply, Problem> {
    let (caller, seen) = (api.caller(&request).await?, seen(&request)?);
    let message = request.into_inner();
    let user = message.user.parse()?;
    let role = convert::some_text(message.role).map(|role| role.parse());
    let password = convert::some_text(message.password);
    let change = UserChange {
        role: role.transpose()?,
        disabled: message.disabled,
        password: password.as_deref(),
        current_password: None,
    };
    api.service
        .change_user(&caller, &user, change, seen)
        .await?;
    Ok(v1::ChangeUserReply {})
}

pub(super) async fn change_password(
    api: &DirectoryService,
    request: Request<v1::ChangePasswordRequest>,
) -> Result<v1::ChangePasswordReply, Problem> {
    let (caller, seen) = (api.caller(&request).await?, seen(&request)?);
    let message = request.into_inner();
    let user = message.user.parse()?;
    let old = convert::some_text(message.old);
    let change = UserChange {
        password: Some(&message.new),
        current_password: old.as_deref(),
        ..UserChange::default()
    };
    api.service
        .change_user(&caller, &user, change, seen)
        .await?;
    Ok(v1::ChangePasswordReply {})
}

pub(super) async fn add_space(
    api: &DirectoryService,
    request: Request<v1::AddSpaceRequest>,
) -> Result<v1::AddSpaceReply, Problem> {
    let caller = api.caller(&request).await?;
    let space = request.into_inner().space.parse()?;
    api.service.add_space(&caller, &space).await?;
    Ok(v1::AddSpaceReply {})
}

pub(super) async fn remove_space(
    api: &DirectoryService,
    request: Request<v1::RemoveSpaceRequest>,
) -> Result<v1::RemoveSpaceReply, Problem> {
    let caller = api.caller(&request).await?;
    let space = request.into_inner().space.parse()?;
    api.service.remove_space(&caller, &space).await?;
    Ok(v1::RemoveSpaceReply {})
}

pub(super) async fn list_spaces(
    api: &DirectoryService,
    request: Request<v1::ListSpacesRequest>,
) -> Result<v1::ListSpacesReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let page = api
        .service
        .list_spaces(&caller, non_zero(message.limit), cursor.as_deref())
        .await?;
    Ok(v1::ListSpacesReply {
        spaces: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn add_member(
    api: &DirectoryService,
    request: Request<v1::AddMemberRequest>,
) -> Result<v1::AddMemberReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let (space, user) = (message.space.parse()?, message.user.parse()?);
    api.service.add_member(&caller, &space, &user).await?;
    Ok(v1::AddMemberReply {})
}

pub(super) async fn remove_member(
    api: &DirectoryService,
    request: Request<v1::RemoveMemberRequest>,
) -> Result<v1::RemoveMemberReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let (space, user) = (message.space.parse()?, message.user.parse()?);
    api.service.remove_member(&caller, &space, &user).await?;
    Ok(v1::RemoveMemberReply {})
}

pub(super) async fn list_members(
    api: &DirectoryService,
    request: Request<v1::ListMembersRequest>,
) -> Result<v1::ListMembersReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let (space, limit) = (message.space.parse()?, non_zero(message.limit));
    let page = api
        .service
        .list_members(&caller, &space, limit, cursor.as_deref())
        .await?;
    Ok(v1::ListMembersReply {
        users: page.items.iter().map(ToString::to_string).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn list_audit(
    api: &DirectoryService,
    request: Request<v1::ListAuditRequest>,
) -> Result<v1::ListAuditReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let page = api
        .service
        .audit(&caller, non_zero(message.limit), cursor.as_deref())
        .await?;
    Ok(v1::ListAuditReply {
        records: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}
