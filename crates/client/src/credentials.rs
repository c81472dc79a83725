//! The credentials of a home: its directory, account and session.

use std::fs;
use std::io;

use convite_core::{ErrorCode, PeerAddress, PeerId, Problem, UserName};
use convite_wire::invite::{Fingerprint, InviteLink};
use serde::{Deserialize, Serialize};

use crate::home::{Home, write_private};

/// Credentials saved by `join` and `login`. No `Debug`: the token is a secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// Addresses of the directory, best first.
    pub addresses: Vec<PeerAddress>,
    /// Fingerprint of the directory's authority; `None` for plaintext.
    pub authority: Option<Fingerprint>,
    /// The account.
    pub user: Option<UserName>,
    /// Bearer token of the session; `None` after logout.
    pub token: Option<String>,
    /// Last id of this home's peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
}

impl Credentials {
    /// Returns credentials for the directory of `link`, without an account.
    pub fn from_invite(link: &InviteLink) -> Self {
        Self {
            addresses: link.addresses.clone(),
            authority: link.authority,
            user: None,
            token: None,
            peer: None,
        }
    }

    /// Reads the credentials of a home. Returns `None` if it never joined a directory.
    ///
    /// # Errors
    /// Returns `internal` if the file cannot be read or is damaged.
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

    /// Saves the credentials in a home.
    ///
    /// # Errors
    /// Returns `internal` if they cannot be written.
    pub fn save(&self, home: &Home) -> Result<(), Problem> {
        let _lock = lock(home)?;
        self.write(home)
    }

    /// Saves the directory's addresses, best first, if the home still belongs to the same
    /// directory. Changes nothing else: a session that has ended meanwhile stays ended.
    ///
    /// # Errors
    /// Returns `internal` if the credentials cannot be read or written.
    pub fn keep_addresses(
        home: &Home,
        authority: Option<Fingerprint>,
        addresses: Vec<PeerAddress>,
    ) -> Result<(), Problem> {
        let _lock = lock(home)?;
        match Self::load(home)? {
            Some(mut kept) if kept.authority == authority && kept.addresses != addresses => {
                kept.addresses = addresses;
                kept.write(home)
            }
            _ => Ok(()),
        }
    }

    fn write(&self, home: &Home) -> Result<(), Problem> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| not_kept(error.to_string()))?;
        write_private(&home.credentials(), &text).map_err(|error| not_kept(error.to_string()))
    }

    /// Returns whether these credentials belong to the directory of `link`.
    pub fn same_directory(&self, link: &InviteLink) -> bool {
        match (&self.authority, &link.authority) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, None) => self.addresses.iter().any(|a| link.addresses.contains(a)),
            _ => false,
        }
    }
}

fn not_kept(cause: String) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("cannot save the credentials: {cause}"),
    )
}

/// Locks the credentials against other processes of this home until the returned file is dropped.
fn lock(home: &Home) -> Result<fs::File, Problem> {
    let path = home.root().join("credentials.lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| not_kept(error.to_string()))?;
    match file.lock() {
        Ok(()) => Ok(file),
        // The file system has no locks. Each write is still atomic.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(error) => Err(not_kept(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(home: &Home) -> Credentials {
        Credentials::load(home).unwrap().unwrap()
    }

    #[test]
    fn news_of_addresses_changes_nothing_else_and_no_other_directorys() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path().join("home")).unwrap();
        let pin = Some(Fingerprint([7; 32]));
        let list = |text: &str| vec![text.parse().unwrap()];
        let keep = |pin, text| Credentials::keep_addresses(&home, pin, list(text)).unwrap();

        keep(pin, "192.0.2.9:1");
        assert!(Credentials::load(&home).unwrap().is_none());
        let mut credentials = Credentials {
            addresses: list("192.0.2.1:1"),
            authority: pin,
            user: None,
            token: Some("secret".to_owned()),
            peer: None,
        };
        credentials.save(&home).unwrap();
        // The session ends while a client that uses it still runs.
        credentials.token = None;
        credentials.save(&home).unwrap();
        keep(pin, "192.0.2.2:1");
        assert_eq!(kept(&home).addresses, list("192.0.2.2:1"));
        assert!(kept(&home).token.is_none());

        keep(None, "192.0.2.3:1");
        keep(Some(Fingerprint([8; 32])), "192.0.2.3:1");
        assert_eq!(kept(&home).addresses, list("192.0.2.2:1"));
    }
}
