//! Which directory this home belongs to, who we are there, and the session.

use std::fs;
use std::io;

use convite_core::{ErrorCode, PeerAddress, PeerId, Problem, UserName};
use convite_wire::invite::{Fingerprint, InviteLink};
use serde::{Deserialize, Serialize};

use crate::home::{Home, write_private};

/// What `join` and `login` leave behind. No `Debug`: the token is a secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// Where the directory can be dialled, best first.
    pub addresses: Vec<PeerAddress>,
    /// How to know it; none if it speaks plaintext.
    pub authority: Option<Fingerprint>,
    /// The account.
    pub user: Option<UserName>,
    /// The session's bearer token; none after a logout.
    pub token: Option<String>,
    /// The id that this home's peer had last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
}

impl Credentials {
    /// Those of somebody who has the link and no account yet.
    pub fn from_invite(link: &InviteLink) -> Self {
        Self {
            addresses: link.addresses.clone(),
            authority: link.authority,
            user: None,
            token: None,
            peer: None,
        }
    }

    /// Reads those of a home; none if it never joined a directory.
    ///
    /// # Errors
    /// `internal` if they cannot be read or are damaged.
    pub fn load(home: &Home) -> Result<Option<Self>, Problem> {
        let path = home.credentials();
        let damaged = |cause: String| {
            Problem::new(
                ErrorCode::Internal,
                format!("cannot read {}: {cause}", path.display()),
            )
            .hint("join the directory again with `convite join LINK`")
        };
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| damaged(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(damaged(error.to_string())),
        }
    }

    /// Keeps them in a home.
    ///
    /// # Errors
    /// `internal` if they cannot be written.
    pub fn save(&self, home: &Home) -> Result<(), Problem> {
        let failed = |cause: String| {
            Problem::new(
                ErrorCode::Internal,
                format!("cannot keep the credentials: {cause}"),
            )
        };
        let text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.to_string()))?;
        write_private(&home.credentials(), &text).map_err(|error| failed(error.to_string()))
    }

    /// Whether they belong to the directory of `link`.
    pub fn same_directory(&self, link: &InviteLink) -> bool {
        match (&self.authority, &link.authority) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, None) => self.addresses.iter().any(|a| link.addresses.contains(a)),
            _ => false,
        }
    }
}
