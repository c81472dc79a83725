//! Lookup of the providers of files and folders, with a ticket for each.

use std::collections::HashMap;

use convite_core::model::{LocatedFile, Provider};
use convite_core::{ContentHash, EntryKind, PeerId, Problem, SearchScope, SpaceName, UnixMillis};
use convite_metrics::catalogue::TICKETS;
use convite_net::random;
use convite_store::Viewer;
use convite_wire::reader_ticket::{ReaderTicket, SPACES_MAX};

use super::state::reader_tickets::IssuedTicket;
use super::{Caller, Service};

/// Maximum number of providers in one response; if there are more, a run with a random start.
pub(super) const PROVIDERS_MAX: usize = 200;
/// Maximum number of hashes in one lookup.
pub(crate) const HASHES_MAX: usize = 1_000;
/// Maximum number of providers of all contents of a lookup.
const PROVIDERS_OF_MANY_MAX: usize = 10_000;

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
        self.issue_tickets(caller, &mut file.providers, now).await?;
        Ok(file)
    }

    /// Returns for each of these hashes, in their order, what [`Self::locate`] returns, or `None`
    /// where it fails with `not_found`, or because the content is of the other kind. It lists up to
    /// 200 providers of each; for more than 50 hashes, 10,000 divided by their number.
    ///
    /// # Errors
    /// Returns `invalid_argument` unless there are 1 to 1,000 hashes; `permission_denied` for a space
    /// that the caller does not belong to.
    pub async fn locate_many(
        &self,
        caller: &Caller,
        hashes: &[ContentHash],
        kind: Option<EntryKind>,
        within: &SearchScope,
    ) -> Result<Vec<Option<LocatedFile>>, Problem> {
        if !(1..=HASHES_MAX).contains(&hashes.len()) {
            return Err(Problem::invalid(format!(
                "a request has 1 to {HASHES_MAX} hashes, not {}",
                hashes.len()
            )));
        }
        let now = self.now();
        let viewer = self.restrict_viewer(&caller.viewer, within).await?;
        let store = self.store();
        let mut located = store.locate_many(&viewer, hashes, kind, now).await?;
        let max = (PROVIDERS_OF_MANY_MAX / hashes.len()).min(PROVIDERS_MAX);
        for file in located.iter_mut().flatten() {
            file.providers = sample_providers(std::mem::take(&mut file.providers), max)?;
        }
        let providers = located.iter_mut().flatten();
        let providers = providers.flat_map(|file| &mut file.providers);
        self.issue_tickets(caller, providers, now).await?;
        Ok(located)
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

    /// Sets the caller's ticket for each of these providers. Returns for each peer when its ticket must
    /// be replaced: after half of its lifetime.
    ///
    /// A ticket names the spaces that both the caller and the account of the peer belong to, so no
    /// peer learns of other spaces of the caller.
    pub(super) async fn issue_tickets<'a>(
        &self,
        caller: &Caller,
        providers: impl IntoIterator<Item = &'a mut Provider>,
        now: UnixMillis,
    ) -> Result<HashMap<PeerId, UnixMillis>, Problem> {
        let mut of_peers = HashMap::<PeerId, Vec<&mut Provider>>::new();
        for provider in providers {
            let of_peer = of_peers.entry(provider.peer.clone()).or_default();
            of_peer.push(provider);
        }
        let mut common = if caller.viewer == Viewer::everyone() || of_peers.is_empty() {
            HashMap::new()
        } else {
            let peers: Vec<&PeerId> = of_peers.keys().collect();
            self.store().common_spaces(&caller.viewer, &peers).await?
        };
        let mut renewals = HashMap::with_capacity(of_peers.len());
        for (peer, providers) in of_peers {
            let mut spaces = common.remove(&peer).unwrap_or_default();
            spaces.truncate(SPACES_MAX);
            let known = self.reader_tickets.get(caller.account, &peer, &spaces, now);
            let ticket = match known {
                Some(ticket) => ticket,
                None => {
                    let signed = self.sign_ticket(caller, &peer, spaces, now)?;
                    let (account, kept) = (caller.account, signed.clone());
                    self.reader_tickets.keep(account, &peer, kept, now);
                    signed
                }
            };
            for provider in providers {
                provider.ticket.clone_from(&ticket.token);
            }
            renewals.insert(peer, ticket.renew);
        }
        Ok(renewals)
    }

    fn sign_ticket(
        &self,
        caller: &Caller,
        peer: &PeerId,
        spaces: Vec<SpaceName>,
        now: UnixMillis,
    ) -> Result<IssuedTicket, Problem> {
        let lifetime = self.parts.ticket_lifetime;
        self.registry().add(&TICKETS, &[], 1.0);
        let token = self.parts.signer.sign_reader(&ReaderTicket {
            user: caller.user.clone(),
            spaces: spaces.clone(),
            peer: peer.clone(),
            expires: now.after(lifetime),
        })?;
        Ok(IssuedTicket {
            spaces,
            token,
            issued: now,
            renew: now.after(lifetime / 2),
        })
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
