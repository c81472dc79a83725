//! Administration: accounts, spaces, sessions, invites and the audit log.

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
    /// Name of the account.
    pub user: UserName,
    /// Role of the account.
    pub role: Role,
    /// Whether the account is disabled and cannot log in.
    pub disabled: bool,
    /// Creation time, in seconds since 1970.
    pub created_at: i64,
    /// The spaces that the account is a member of, sorted by name.
    pub spaces: Vec<SpaceName>,
}

/// A space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpaceSummary {
    /// Name of the space.
    pub space: SpaceName,
    /// Number of accounts in the space.
    pub members: u64,
    /// Creation time, in seconds since 1970.
    pub created_at: i64,
}

/// An active session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionSummary {
    /// Identifier of the session. It is not a secret and cannot be used as a token.
    pub id: String,
    /// The account that the session belongs to.
    pub user: UserName,
    /// Creation time, in seconds since 1970.
    pub created_at: i64,
    /// Time of last use, in seconds since 1970, accurate to one thirtieth of the session lifetime.
    pub last_used_at: i64,
    /// Expiry time if the session is not used again, in seconds since 1970.
    pub expires_at: i64,
    /// Client address at login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// The peer registered in this session, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
    /// Whether this is the session of the request.
    #[serde(default)]
    pub current: bool,
}

/// An invite that can still be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InviteSummary {
    /// Identifier of the invite. It is not a secret and cannot be used as an invite code.
    pub id: String,
    /// Role of the accounts created with it.
    pub role: Role,
    /// The space that accounts created with it join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<SpaceName>,
    /// Remaining uses; absent if unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u32>,
    /// Creation time, in seconds since 1970.
    pub created_at: i64,
    /// Expiry time, in seconds since 1970.
    pub expires_at: i64,
    /// The account that created it; absent if the directory did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<UserName>,
}

macro_rules! named_enum {
    ($(#[$doc:meta])* $type:ident, $what:literal, $($(#[$variant_doc:meta])* $variant:ident = $name:literal;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[schema(rename_all = "snake_case")]
        pub enum $type { $($(#[$variant_doc])* #[serde(rename = $name)] $variant,)* }

        impl $type {
            /// All variants.
            pub const ALL: &'static [$type] = &[$($type::$variant,)*];

            /// Returns the name used in the database and the protocol.
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

named_enum! {
    /// An action that the audit log records.
    AuditAction, "an action",
    /// Login with a password.
    Login = "login";
    /// Account created with an invite. Target: the account.
    Join = "join";
    /// Operation refused because the caller lacks permission. Target: the operation.
    Denied = "denied";
    /// Account created. Target: the account.
    UserAdd = "user_add";
    /// Role changed. Target: the account and the new role.
    UserRole = "user_role";
    /// Account disabled. Target: the account.
    UserDisable = "user_disable";
    /// Account enabled. Target: the account.
    UserEnable = "user_enable";
    /// Password changed. Target: the account.
    UserPassword = "user_password";
    /// Space created. Target: the space.
    SpaceAdd = "space_add";
    /// Space removed. Target: the space.
    SpaceRemove = "space_remove";
    /// Account added to a space. Target: the account and the space.
    MemberAdd = "member_add";
    /// Account removed from a space. Target: the account and the space.
    MemberRemove = "member_remove";
    /// Invite created. Target: its id, role and space.
    InviteAdd = "invite_add";
    /// Invite revoked. Target: its id.
    InviteRevoke = "invite_revoke";
    /// Session ended from another session. Target: the account and the session id.
    SessionRevoke = "session_revoke";
    /// Peer removed by an administrator. Target: the peer id.
    PeerRemove = "peer_remove";
    /// Download link created. Target: the content hash of the file.
    LinkAdd = "link_add";
    /// One use of a download link. Target: the content hash of the file. The actor is the creator
    /// of the link, the address that of the client.
    LinkUse = "link_use";
    /// Remote download requested from a peer. Target: the peer id and the content hash of the file.
    LoadAdd = "load_add";
    /// Accounts listed. This and the following actions are recorded only when refused.
    UserList = "user_list";
    /// Members of a space listed.
    MemberList = "member_list";
    /// Invites listed.
    InviteList = "invite_list";
    /// Sessions of other accounts listed.
    SessionList = "session_list";
    /// Audit log read.
    AuditList = "audit_list";
}

named_enum! {
    /// The result of an action.
    AuditOutcome, "an outcome",
    /// The action was carried out.
    Done = "done";
    /// The action was attempted and failed.
    Failed = "failed";
    /// The action was refused.
    Refused = "refused";
}

/// An entry of the audit log. Equal actions may be combined into one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRecord {
    /// Time of the action, in seconds since 1970; of the first one if actions are combined.
    pub at: i64,
    /// Time of the last of the combined actions, in seconds since 1970.
    pub last: i64,
    /// Number of combined actions.
    pub times: u64,
    /// The account that acted; absent if unknown (a failed login) or if the directory acted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<UserName>,
    /// The action.
    pub action: AuditAction,
    /// The object of the action; never a secret.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Client address; absent if the directory acted, or if the entry combines several addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// Result of the action.
    pub outcome: AuditOutcome,
}
