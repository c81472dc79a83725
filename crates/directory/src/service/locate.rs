//! Lookup of the providers of a file or folder, with a ticket for each.

use convite_core::model::{LocatedFile, Provider};
use convite_core::{ContentHash, EntryKind, Problem, SearchScope, UnixMillis};
use convite_metrics::catalogue::TICKETS;
use convite_net::random;
use convite_store::Viewer;
use convite_wire::ticket::Ticket;

use super::{Caller, Service};

/// Maximum number of providers in one response; if there are more, a run with a random start.
pub(super) const PROVIDERS_MAX: usize = 200;

impl Service {
    /// Returns the online providers of a file or folder that the caller may see, each with a ticket
    /// for the caller; providers of the whole content come before those that are still fetching it.
    /// Without a kind, the one that most accounts claim for this hash.
    ///
    /// # Errors
    /// Returns `not_found` if no online peer shares it, or the caller may not see it, with the same
    /// text; `invalid_argument` if the hash is that of the other kind; `permission_denied` for a
    /// space that the caller does not belong to.
    pub async fn locate(
        &self,
        caller: &Caller,
        hash: &ContentHash,
        kind: Option<EntryKind>,
        within: &SearchScope,
    ) -> Result<LocatedFile, Problem> {
        let now = self.now();
        let viewer = self.restrict_viewer(&caller.viewer, within).await?;
        let located = self.store().locate(&viewer, hash, kind, now).await?;
        let Some(mut file) = located else {
            return Err(self.not_located(&viewer, hash, kind).await?);
        };
        file.providers = sample_providers(file.providers, PROVIDERS_MAX)?;
        self.issue_tickets(caller, hash, &mut file.providers, now)?;
        Ok(file)
    }

    /// Returns the error for a hash of which no content of this kind is found: it may be one of the
    /// other kind that `viewer` can see.
    ///
    /// # Errors
    /// Fails if the database fails.
    pub(super) async fn not_located(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        kind: Option<EntryKind>,
    ) -> Result<Problem, Problem> {
        let other = match kind {
            None => None,
            Some(_) => self.store().locate(viewer, hash, None, self.now()).await?,
        };
        Ok(match other.map(|other| other.kind) {
            None => file_not_shared(),
            Some(EntryKind::Folder) => Problem::invalid("this is a folder, not a file")
                .hint("list what it contains, and use one of its files"),
            Some(EntryKind::File) => Problem::invalid("this is a file, not a folder"),
        })
    }

    /// Narrows `viewer` to a search scope.
    ///
    /// # Errors
    /// Returns `permission_denied` for a space that it does not belong to.
    pub(super) async fn restrict_viewer(
        &self,
        viewer: &Viewer,
        within: &SearchScope,
    ) -> Result<Viewer, Problem> {
        match within {
            SearchScope::Visible => Ok(viewer.clone()),
            SearchScope::Everyone => Ok(Viewer::everyone()),
            SearchScope::Space(space) => self.store().narrowed(viewer, space).await,
        }
    }

    /// Signs a ticket for each of the providers of a file.
    pub(super) fn issue_tickets(
        &self,
        caller: &Caller,
        hash: &ContentHash,
        providers: &mut [Provider],
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let expires = now.after(self.parts.ticket_lifetime);
        self.registry().add(&TICKETS, &[], providers.len() as f64);
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

/// Returns the error for a file that no online peer shares, or that the caller may not see: the two
/// cannot be distinguished by guessing hashes.
pub(super) fn file_not_shared() -> Problem {
    Problem::not_found("no online peer shares this file")
        .hint("search with `convite search`, or see who is online with `convite peers`")
}

/// Returns at most `max` providers, whole ones first. If there are more, the selection is random,
/// to spread the load.
pub(super) fn sample_providers(
    mut providers: Vec<Provider>,
    max: usize,
) -> Result<Vec<Provider>, Problem> {
    if providers.len() <= max {
        return Ok(providers);
    }
    let random = u64::from_le_bytes(random::bytes()?) as usize;
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
    fn complete_providers_are_preferred_when_there_are_many() {
        let provider = |number: usize| Provider {
            peer: format!("p{number}").parse().unwrap(),
            addresses: Vec::new(),
            size: 1,
            ticket: String::new(),
            partial: number >= 5,
        };
        let many: Vec<_> = (0..20).map(provider).collect();
        for max in [0, 3, 5, 8, 20, 30] {
            let chosen = sample_providers(many.clone(), max).unwrap();
            assert_eq!(chosen.len(), max.min(20));
            let whole = chosen.iter().filter(|p| !p.partial).count();
            assert_eq!(whole, max.min(5), "{max}");
            assert!(chosen.is_sorted_by_key(|provider| provider.partial));
        }
    }
}
