//! Limits per account.

use crate::error::{DbError, DbResult};

/// Maximum numbers per account. Without limits, one account could fill the disk that all depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Peers, online or not. At the limit, a new peer replaces the one that has been offline
    /// longest, if that is at least a day.
    pub peers: u32,
    /// Transient peers, one per running download.
    pub downloads: u32,
    /// Sessions. At the limit, a new session ends the least recently used one.
    pub sessions: u32,
    /// Files and folders shared by all peers of the account.
    pub files: u64,
    /// Total bytes of their paths.
    pub path_bytes: u64,
    /// Invites that can still be used.
    pub invites: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            peers: 256,
            downloads: 256,
            sessions: 1000,
            files: 20_000_000,
            path_bytes: 2 << 30,
            invites: 1000,
        }
    }
}

impl Quotas {
    /// Checks the limit before a peer is added.
    ///
    /// # Errors
    /// Returns `quota` if the account already has the maximum number of peers.
    pub(crate) fn check_peers(&self, held: u64, transient: bool) -> DbResult<()> {
        match transient {
            false if held >= u64::from(self.peers) => Err(exceeded(
                &format!("{} peers", self.peers),
                "remove peers that you do not need",
                "account-peers",
            )),
            true if held >= u64::from(self.downloads) => Err(exceeded(
                &format!("{} downloads at a time", self.downloads),
                "wait until some of them finish",
                "account-downloads",
            )),
            _ => Ok(()),
        }
    }

    /// Checks the limits for files (with folders) and paths.
    ///
    /// # Errors
    /// Returns `quota` if the account exceeds one of them.
    pub(crate) fn check_files(&self, files: u64, path_bytes: u64) -> DbResult<()> {
        let fewer = "share fewer files, or remove peers that you do not need";
        if files > self.files {
            return Err(exceeded(
                &format!("{} files and folders", self.files),
                fewer,
                "account-files",
            ));
        }
        if path_bytes > self.path_bytes {
            let most = format!("{} bytes of paths", self.path_bytes);
            return Err(exceeded(&most, fewer, "account-path-bytes"));
        }
        Ok(())
    }

    /// Checks the limit before an invite is added.
    ///
    /// # Errors
    /// Returns `quota` if the account already has the maximum number of invites.
    pub(crate) fn check_invites(&self, held: u64) -> DbResult<()> {
        if held >= u64::from(self.invites) {
            Err(exceeded(
                &format!("{} invites", self.invites),
                "revoke invites that you do not need",
                "account-invites",
            ))
        } else {
            Ok(())
        }
    }
}

fn exceeded(most: &str, advice: &'static str, setting: &'static str) -> DbError {
    DbError::Quota {
        most: most.to_owned(),
        advice,
        setting,
    }
}
