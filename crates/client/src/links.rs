//! Links to single files, for those who have no account.

use std::time::Duration;

use convite_core::{ContentHash, Problem};
use convite_wire::convert::hash_bytes;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::DirectoryClient;

/// A link that has just been made.
pub struct Link {
    /// The whole of it, a secret.
    pub url: String,
    /// When it ends, in seconds since 1970.
    pub expires_at: i64,
}

impl DirectoryClient {
    /// Makes a link to a file.
    ///
    /// # Errors
    /// `not_found`; `permission_denied` for guests, and if the directory relays nothing;
    /// `invalid_argument` out of bounds.
    pub async fn create_link(
        &self,
        hash: &ContentHash,
        expires_in: Duration,
        uses: u32,
    ) -> Result<Link, Problem> {
        let message = v1::CreateLinkRequest {
            hash: hash_bytes(hash),
            expires_in: expires_in.as_secs(),
            uses,
        };
        let call = |mut stub: Stub<_>, request| async move { stub.create_link(request).await };
        // A second one, that nobody has, harms nobody.
        let reply = self.call(message, call).await?;
        Ok(Link {
            url: reply.url,
            expires_at: reply.expires_at,
        })
    }
}
