//! Locate: who holds a file, and a ticket for each of them.

use convite_core::model::LocatedFile;
use convite_core::{ContentHash, Problem};
use convite_wire::ticket::Ticket;

use super::{Caller, Service};

/// The most providers in one answer; of more, a run that begins anywhere.
const PROVIDERS_MAX: usize = 200;

impl Service {
    /// Everyone online who holds a file, each with a ticket for the caller.
    ///
    /// # Errors
    /// `not_found` if nobody online does.
    pub async fn locate(
        &self,
        caller: &Caller,
        hash: &ContentHash,
    ) -> Result<LocatedFile, Problem> {
        let now = self.now();
        let mut file = self.store().locate(hash, now).await?.ok_or_else(|| {
            Problem::not_found("nobody who is online shares this file").hint(
                "see what is shared with `convite search`, and who is online with `convite peers`",
            )
        })?;
        let holders = file.providers.len();
        if holders > PROVIDERS_MAX {
            // Not always the same ones: the load would be theirs alone.
            let start = u64::from_le_bytes(crate::random_bytes()?) as usize % holders;
            file.providers.rotate_left(start);
            file.providers.truncate(PROVIDERS_MAX);
        }
        let expires = now.after(self.parts.ticket_lifetime);
        for provider in &mut file.providers {
            provider.ticket = self.parts.signer.sign(&Ticket {
                user: caller.user.clone(),
                peer: provider.peer.clone(),
                hash: *hash,
                expires,
            })?;
        }
        Ok(file)
    }
}
