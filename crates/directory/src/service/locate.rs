//! Locate: who holds a file, and a ticket for each of them.

use convite_core::model::{LocatedFile, Provider};
use convite_core::{ContentHash, Problem, UnixMillis, Within};
use convite_metrics::catalogue::TICKETS;
use convite_store::Viewer;
use convite_wire::ticket::Ticket;

use super::{Caller, Service};

/// The most providers in one answer; of more, a run that begins anywhere.
pub(super) const PROVIDERS_MAX: usize = 200;

impl Service {
    /// Everyone online who holds a file, as far as the caller may see, each with a ticket for the caller: those who share it
    /// before those who are fetching it themselves.
    ///
    /// # Errors
    /// `not_found` if nobody online does, or nobody who lets the caller see it: the same problem;
    /// `permission_denied` for a space that the caller does not belong to.
    pub async fn locate(
        &self,
        caller: &Caller,
        hash: &ContentHash,
        within: &Within,
    ) -> Result<LocatedFile, Problem> {
        let now = self.now();
        let viewer = self.narrowed(&caller.viewer, within).await?;
        let located = self.store().locate(&viewer, hash, now).await?;
        let mut file = located.ok_or_else(nobody_shares)?;
        file.providers = choose(file.providers, PROVIDERS_MAX)?;
        self.give_tickets(caller, hash, &mut file.providers, now)?;
        Ok(file)
    }

    /// The eyes that see what `viewer` does there.
    ///
    /// # Errors
    /// `permission_denied` for a space that it does not belong to.
    pub(super) async fn narrowed(
        &self,
        viewer: &Viewer,
        within: &Within,
    ) -> Result<Viewer, Problem> {
        match within {
            Within::Seen => Ok(viewer.clone()),
            Within::Everyone => Ok(Viewer::everyone()),
            Within::Space(space) => self.store().narrowed(viewer, space).await,
        }
    }

    /// Signs a ticket for each of the providers of a file.
    pub(super) fn give_tickets(
        &self,
        caller: &Caller,
        hash: &ContentHash,
        providers: &mut [Provider],
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let expires = now.after(self.parts.ticket_lifetime);
        self.counted().add(&TICKETS, &[], providers.len() as f64);
        for provider in providers {
            provider.ticket = self.parts.signer.sign(&Ticket {
                user: caller.user.clone(),
                peer: provider.peer.clone(),
                hash: *hash,
                expires,
            })?;
        }
        Ok(())
    }
}

/// What a file is refused with that nobody online shares, or that the caller may not see: whoever
/// guesses hashes cannot tell one from the other.
pub(super) fn nobody_shares() -> Problem {
    Problem::not_found("nobody who is online shares this file")
        .hint("see what is shared with `convite search`, and who is online with `convite peers`")
}

/// At most `max` of the providers, whole ones first as they come. Of more not always the same ones:
/// the load would be theirs alone.
pub(super) fn choose(mut providers: Vec<Provider>, max: usize) -> Result<Vec<Provider>, Problem> {
    if providers.len() <= max {
        return Ok(providers);
    }
    let random = u64::from_le_bytes(crate::random_bytes()?) as usize;
    let whole = providers.partition_point(|provider| !provider.partial);
    let (whole, partial) = providers.split_at_mut(whole);
    for kind in [whole, partial] {
        if !kind.is_empty() {
            kind.rotate_left(random % kind.len());
        }
    }
    providers.truncate(max);
    Ok(providers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_providers_the_whole_ones_are_kept() {
        let provider = |number: usize| Provider {
            peer: format!("p{number}").parse().unwrap(),
            addresses: Vec::new(),
            size: 1,
            ticket: String::new(),
            partial: number >= 5,
        };
        let many: Vec<_> = (0..20).map(provider).collect();
        for max in [0, 3, 5, 8, 20, 30] {
            let chosen = choose(many.clone(), max).unwrap();
            assert_eq!(chosen.len(), max.min(20));
            let whole = chosen.iter().filter(|p| !p.partial).count();
            assert_eq!(whole, max.min(5), "{max}");
            assert!(chosen.is_sorted_by_key(|provider| provider.partial));
        }
    }
}
