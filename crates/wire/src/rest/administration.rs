//! Bodies of `/users`, `/spaces`, `/invites`, `/sessions`, `/audit` and `/me`.

use convite_core::administration::{
    AccountSummary, AuditRecord, InviteSummary, SessionSummary, SpaceSummary,
};
use convite_core::model::Role;
use convite_core::{SpaceName, UserName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /users`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserBody {
    /// The name.
    pub user: UserName,
    /// To begin with: 8 to 1,024 characters.
    #[schema(min_length = 8, max_length = 1024, format = Password)]
    // Never logged: this type has no `Debug`.
    pub password: String,
    /// `member` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The spaces it comes to belong to.
    #[serde(default)]
    pub spaces: Vec<SpaceName>,
}

/// `PATCH /users/{user}`: what is given changes, all of it or nothing.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserChangeBody {
    /// What the account may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Disabling an account ends its sessions and takes its peers off the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// A new password ends the account's sessions; one's own all but this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 8, max_length = 1024, format = Password)]
    pub password: Option<String>,
    /// Wanted to change one's own password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Password)]
    pub old_password: Option<String>,
}

/// `POST /spaces`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceBody {
    /// The name.
    pub space: SpaceName,
}

/// `GET /me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MeBody {
    /// Whose the session is.
    pub user: UserName,
    /// What the account may do.
    pub role: Role,
    /// The spaces it belongs to, by name.
    pub spaces: Vec<SpaceName>,
    /// When the session ends unless it is used, in seconds since 1970.
    pub expires_at: i64,
    /// Leads another computer of the account here (`convite join LINK`): a link without an invite.
    pub link: String,
}

/// A page of a list.
macro_rules! pages {
    ($($(#[$doc:meta])* $page:ident: $(#[$item_doc:meta])* $items:ident, $item:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
            pub struct $page {
                $(#[$item_doc])*
                pub $items: Vec<$item>,
                /// For the next page; absent on the last.
                #[serde(skip_serializing_if = "Option::is_none")]
                pub next_cursor: Option<String>,
            }
        )*
    };
}

pages! {
    /// `GET /users`.
    UsersPage: /** By name. */ users, AccountSummary;
    /// `GET /spaces`.
    SpacesPage: /** By name. */ spaces, SpaceSummary;
    /// `GET /spaces/{space}/members`.
    MembersPage: /** By name. */ members, UserName;
    /// `GET /invites`.
    InvitesPage: /** By id. */ invites, InviteSummary;
    /// `GET /sessions`.
    SessionsPage: /** By id. */ sessions, SessionSummary;
    /// `GET /audit`.
    AuditPage: /** Newest first. */ entries, AuditRecord;
}
