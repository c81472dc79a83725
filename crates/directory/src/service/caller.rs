//! The account that makes a call, and the address that it comes from.

use std::net::{IpAddr, SocketAddr};

use convite_core::model::Role;
use convite_core::{ErrorCode, Problem, UserName};
use convite_store::{AccountId, SecretHash, Viewer};

/// The account that makes a call, identified by a valid session.
#[derive(Clone)]
pub struct Caller {
    /// The key of the account.
    pub account: AccountId,
    /// Its name.
    pub user: UserName,
    /// Its role.
    pub role: Role,
    /// The spaces that it may see.
    pub(crate) viewer: Viewer,
    /// The client's address.
    pub(crate) client_address: Option<IpAddr>,
    /// The hash of the session's token.
    pub(crate) session: SecretHash,
}

impl Caller {
    /// Returns the account whose data the caller may administer; `None` for all accounts.
    pub(crate) fn administered_account(&self) -> Option<AccountId> {
        match self.role {
            Role::Admin => None,
            Role::Member | Role::Guest => Some(self.account),
        }
    }

    /// Requires an administrator.
    ///
    /// # Errors
    /// Returns `permission_denied` for other roles.
    pub fn require_admin(&self) -> Result<(), Problem> {
        match self.role {
            Role::Admin => Ok(()),
            Role::Member | Role::Guest => Err(Problem::new(
                ErrorCode::PermissionDenied,
                "only an administrator may do this",
            )
            .hint("ask an administrator of this directory")),
        }
    }
}

pub(crate) fn unauthenticated(message: &str) -> Problem {
    Problem::new(ErrorCode::Unauthenticated, message)
        .hint("log in with `convite login`, or send `authorization: Bearer TOKEN`")
}

/// The origin of a call.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress {
    /// The remote address of the connection, or the client address that a trusted proxy forwards.
    pub remote: SocketAddr,
}

impl ClientAddress {
    /// Returns the IP address; an IPv4-mapped one as IPv4.
    pub(crate) fn address(self) -> IpAddr {
        self.remote.ip().to_canonical()
    }
}

impl Caller {
    /// Requires a role that may share files: any but guest.
    ///
    /// # Errors
    /// Returns `permission_denied` for guests.
    pub(crate) fn require_sharing_role(&self) -> Result<(), Problem> {
        match self.role {
            Role::Admin | Role::Member => Ok(()),
            Role::Guest => Err(Problem::new(
                ErrorCode::PermissionDenied,
                "guests can search and download, but not share",
            )
            .hint("ask an administrator of this directory to make you a member")),
        }
    }
}
