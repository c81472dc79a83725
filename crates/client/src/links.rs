//! Links to single files, for people without an account.

use std::time::Duration;

use convite_core::{ContentHash, Problem};
use convite_wire::convert::hash_bytes;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::directory::DirectoryClient;

/// A new link.
pub struct Link {
    /// The full URL, a secret.
    pub url: String,
    /// Expiry in seconds since 1970.
    pub expires_at: i64,
}

impl DirectoryClient {
    /// Creates a link to a file, which offers it under `name` if that is one of its names.
    ///
    /// # Errors
    /// Returns `not_found` if the file is unknown, `permission_denied` for guests and if the
    /// gateway is off, and `invalid_argument` if a value is out of bounds.
    pub async fn create_link(
        &self,
        hash: &ContentHash,
        name: Option<&str>,
        expires_in: Duration,
        uses: u32,
    ) -> Result<Link, Problem> {
        let message = v1::CreateLinkRequest {
            hash: hash_bytes(hash),
            expires_in: expires_in.as_secs(),
            uses,
            name: name.unwrap_or_default().to_owned(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.create_link(request).await };
        // Safe to repeat: nobody has the link whose reply was lost.
        let reply = self.call(message, call).await?;
        Ok(Link {
            url: reply.url,
            expires_at: reply.expires_at,
        })
    }
}
