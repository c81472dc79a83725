//! Users, spaces, members and the audit log, for administrators.

use convite_core::Problem;
use convite_core::model::Role;
use convite_wire::{convert, v1};
use tonic::Request;

use super::{Door, seen, some_number};
use crate::service::UserChange;

pub(super) async fn add_user(
    door: &Door,
    request: Request<v1::AddUserRequest>,
) -> Result<v1::AddUserReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let role = convert::some_text(message.role).map(|role| role.parse());
    let role = role.transpose()?.unwrap_or(Role::Member);
    let user = message.user.parse()?;
    let spaces = message.spaces.iter().map(|space| space.parse());
    let spaces: Vec<_> = spaces.collect::<Result<_, _>>()?;
    door.service
        .add_user(&caller, &user, &message.password, role, &spaces)
        .await?;
    Ok(v1::AddUserReply {})
}

pub(super) async fn list_users(
    door: &Door,
    request: Request<v1::ListUsersRequest>,
) -> Result<v1::ListUsersReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let page = door
        .service
        .list_users(&caller, some_number(message.limit), cursor.as_deref())
        .await?;
    Ok(v1::ListUsersReply {
        users: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn change_user(
    door: &Door,
    request: Request<v1::ChangeUserRequest>,
) -> Result<v1::ChangeUserReply, Problem> {
    let (caller, seen) = (door.caller(&request).await?, seen(&request)?);
    let message = request.into_inner();
    let user = message.user.parse()?;
    let role = convert::some_text(message.role).map(|role| role.parse());
    let password = convert::some_text(message.password);
    let change = UserChange {
        role: role.transpose()?,
        disabled: message.disabled,
        password: password.as_deref(),
        old: None,
    };
    door.service
        .change_user(&caller, &user, change, seen)
        .await?;
    Ok(v1::ChangeUserReply {})
}

pub(super) async fn change_password(
    door: &Door,
    request: Request<v1::ChangePasswordRequest>,
) -> Result<v1::ChangePasswordReply, Problem> {
    let (caller, seen) = (door.caller(&request).await?, seen(&request)?);
    let message = request.into_inner();
    let user = message.user.parse()?;
    let old = convert::some_text(message.old);
    let change = UserChange {
        password: Some(&message.new),
        old: old.as_deref(),
        ..UserChange::default()
    };
    door.service
        .change_user(&caller, &user, change, seen)
        .await?;
    Ok(v1::ChangePasswordReply {})
}

pub(super) async fn change_space(
    door: &Door,
    request: Request<v1::ChangeSpaceRequest>,
) -> Result<v1::ChangeSpaceReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let space = message.space.parse()?;
    match message.remove {
        true => door.service.remove_space(&caller, &space).await?,
        false => door.service.add_space(&caller, &space).await?,
    }
    Ok(v1::ChangeSpaceReply {})
}

pub(super) async fn list_spaces(
    door: &Door,
    request: Request<v1::ListSpacesRequest>,
) -> Result<v1::ListSpacesReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let page = door
        .service
        .list_spaces(&caller, some_number(message.limit), cursor.as_deref())
        .await?;
    Ok(v1::ListSpacesReply {
        spaces: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn change_member(
    door: &Door,
    request: Request<v1::ChangeMemberRequest>,
) -> Result<v1::ChangeMemberReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let (space, user) = (message.space.parse()?, message.user.parse()?);
    match message.remove {
        true => door.service.remove_member(&caller, &space, &user).await?,
        false => door.service.add_member(&caller, &space, &user).await?,
    }
    Ok(v1::ChangeMemberReply {})
}

pub(super) async fn list_members(
    door: &Door,
    request: Request<v1::ListMembersRequest>,
) -> Result<v1::ListMembersReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let (space, limit) = (message.space.parse()?, some_number(message.limit));
    let page = door
        .service
        .list_members(&caller, &space, limit, cursor.as_deref())
        .await?;
    Ok(v1::ListMembersReply {
        users: page.items.iter().map(ToString::to_string).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn list_audit(
    door: &Door,
    request: Request<v1::ListAuditRequest>,
) -> Result<v1::ListAuditReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let page = door
        .service
        .audit(&caller, some_number(message.limit), cursor.as_deref())
        .await?;
    Ok(v1::ListAuditReply {
        records: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}
