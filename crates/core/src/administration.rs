//! What administrators see and do: accounts, spaces, sessions, invites, and the audit log of it.

use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Problem;
use crate::model::Role;
use crate::names::{PeerId, SpaceName, UserName};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountSummary {
    /// Its name.
    pub user: UserName,
    /// What it may do.
    pub role: Role,
    /// It cannot log in.
    pub disabled: bool,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// The spaces it belongs to, by name.
    pub spaces: Vec<SpaceName>,
}

/// A space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpaceSummary {
    /// Its name.
    pub space: SpaceName,
    /// How many accounts belong to it.
    pub members: u64,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
}

/// A session that is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionSummary {
    /// What to name it by; no secret, and of no use as a token.
    pub id: String,
    /// Whose.
    pub user: UserName,
    /// When it began, in seconds since 1970.
    pub created_at: i64,
    /// When it was used last, in seconds since 1970: give or take a thirtieth of a session's lifetime.
    pub last_used_at: i64,
    /// When it ends unless it is used, in seconds since 1970.
    pub expires_at: i64,
    /// Where it was begun from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// The peer that was registered in it, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
    /// It is the one that asks.
    #[serde(default)]
    pub current: bool,
}

/// An invite that can still be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InviteSummary {
    /// What to name it by; no secret, and of no use as a code.
    pub id: String,
    /// The role of accounts made with it.
    pub role: Role,
    /// The space that accounts made with it come to belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceName>,
    /// How often it can still be used; none for without limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u32>,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// When it ends, in seconds since 1970.
    pub expires_at: i64,
    /// Who made it; none for the directory itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<UserName>,
}

macro_rules! named {
    ($(#[$doc:meta])* $type:ident, $what:literal, $($(#[$variant_doc:meta])* $variant:ident = $name:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[schema(rename_all = "snake_case")]
        pub enum $type { $($(#[$variant_doc])* #[serde(rename = $name)] $variant,)* }

        impl $type {
            /// All there are.
            pub const ALL: &'static [$type] = &[$($type::$variant,)*];

            /// The name as it is stored and sent.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl FromStr for $type {
            type Err = Problem;

            fn from_str(text: &str) -> Result<Self, Problem> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    _ => {
                        let shown = crate::display::escape(text);
                        Err(Problem::invalid(format!("'{shown}' is not {}", $what)))
                    }
                }
            }
        }
    };
}

named! {
    /// What was done, or tried.
    Act, "an act",
    /// A session was begun with a password.
    Login = "login";
    /// An account was made with an invite; the target is its name.
    Join = "join";
    /// An operation was asked for by one who may not; the target is the operation.
    Denied = "denied";
    /// An account was made; the target is its name.
    UserAdd = "user_add";
    /// An account was given a role; the target is its name and the role.
    UserRole = "user_role";
    /// An account was disabled; the target is its name.
    UserDisable = "user_disable";
    /// An account was enabled; the target is its name.
    UserEnable = "user_enable";
    /// A password was changed; the target is the account's name.
    UserPassword = "user_password";
    /// A space was made; the target is its name.
    SpaceAdd = "space_add";
    /// A space was removed; the target is its name.
    SpaceRemove = "space_remove";
    /// An account was let into a space; the target is both names.
    MemberAdd = "member_add";
    /// An account was taken out of a space; the target is both names.
    MemberRemove = "member_remove";
    /// An invite was made; the target is its id, role and space.
    InviteAdd = "invite_add";
    /// An invite was revoked; the target is its id.
    InviteRevoke = "invite_revoke";
    /// A session was ended by another one; the target is whose it was, and its id.
    SessionRevoke = "session_revoke";
    /// A peer was removed by an administrator; the target is its id.
    PeerRemove = "peer_remove";
    /// A link to a file was made; the target is the file's content hash.
    LinkAdd = "link_add";
    /// A link was used by somebody, whose address is there, once; the target is the file's content
    /// hash, the actor who made the link.
    LinkUse = "link_use";
    /// A peer was asked to load a file; the target is its id and the file's content hash.
    LoadAdd = "load_add";
    /// The accounts were asked for; only ever denied, as the next.
    UserList = "user_list";
    /// The members of a space were asked for.
    MemberList = "member_list";
    /// The invites were asked for.
    InviteList = "invite_list";
    /// Others' sessions were asked for.
    SessionList = "session_list";
    /// The audit log was asked for.
    AuditList = "audit_list";
}

named! {
    /// How it ended.
    Outcome, "an outcome",
    /// It was done.
    Done = "done";
    /// It was tried, and failed.
    Failed = "failed";
    /// It was refused.
    Refused = "refused";
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRecord {
    /// When, in seconds since 1970; the first time, if it happened several times.
    pub at: i64,
    /// The last time, in seconds since 1970.
    pub last: i64,
    /// How often.
    pub times: u64,
    /// Who; none if that is not known (a login that failed) or for the directory itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<UserName>,
    /// What.
    pub action: Act,
    /// On whom or what; never a secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// From where; none for the directory itself, or for what was added up over many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// How it ended.
    pub outcome: Outcome,
}
