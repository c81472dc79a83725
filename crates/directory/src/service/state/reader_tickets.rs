//! Reader tickets that were issued: one for each account and peer, used again until half of its
//! lifetime is over.
//!
//! A ticket is returned only for the spaces that it was signed for. The caller reads these from the
//! database for each request, so a change of membership at any replica takes effect at once. A caller
//! whose session has ended or whose account is disabled gets no answer, and so no ticket.

use std::collections::HashMap;

use convite_core::{PeerId, SpaceName, UnixMillis};
use convite_store::AccountId;
use parking_lot::Mutex;

/// Maximum number of tickets kept. A ticket has about 300 bytes, plus 90 for each space.
const KEPT_MAX: usize = 20_000;

/// An issued ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IssuedTicket {
    /// The spaces that it was signed for.
    pub(crate) spaces: Vec<SpaceName>,
    /// The signed ticket, a secret.
    pub(crate) token: String,
    pub(crate) issued: UnixMillis,
    /// When half of its lifetime is over.
    pub(crate) renew: UnixMillis,
}

impl IssuedTicket {
    /// Returns whether it can be used again. A ticket from the future was dated by a wrong clock.
    fn is_fresh(&self, now: UnixMillis) -> bool {
        self.issued <= now && now < self.renew
    }
}

/// The issued tickets.
#[derive(Default)]
pub(crate) struct ReaderTickets {
    kept: Mutex<HashMap<(AccountId, PeerId), IssuedTicket>>,
}

impl ReaderTickets {
    /// Returns the ticket of an account for a peer and exactly these spaces, if it is fresh.
    pub(crate) fn get(
        &self,
        account: AccountId,
        peer: &PeerId,
        spaces: &[SpaceName],
        now: UnixMillis,
    ) -> Option<IssuedTicket> {
        let kept = self.kept.lock();
        let ticket = kept.get(&(account, peer.clone()))?;
        let is_usable = ticket.is_fresh(now) && ticket.spaces == spaces;
        is_usable.then(|| ticket.clone())
    }

    /// Keeps a ticket, unless very many fresh ones are kept.
    pub(crate) fn keep(
        &self,
        account: AccountId,
        peer: &PeerId,
        ticket: IssuedTicket,
        now: UnixMillis,
    ) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, ticket| ticket.is_fresh(now));
        }
        let key = (account, peer.clone());
        if kept.len() < KEPT_MAX || kept.contains_key(&key) {
            kept.insert(key, ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: AccountId = AccountId(1);

    fn ticket(spaces: &[&str], issued: i64) -> IssuedTicket {
        IssuedTicket {
            spaces: spaces.iter().map(|space| space.parse().unwrap()).collect(),
            token: format!("{spaces:?} {issued}"),
            issued: UnixMillis(issued),
            renew: UnixMillis(issued + 100),
        }
    }

    #[test]
    fn a_ticket_is_used_again_for_the_same_spaces_until_half_of_its_lifetime() {
        let tickets = ReaderTickets::default();
        let peer: PeerId = "peer_1".parse().unwrap();
        let lab = ticket(&["lab"], 1_000);
        tickets.keep(ANA, &peer, lab.clone(), UnixMillis(1_000));
        let get = |account, peer: &str, spaces: &[SpaceName], now| {
            tickets.get(account, &peer.parse().unwrap(), spaces, UnixMillis(now))
        };
        for now in [1_000, 1_099] {
            assert_eq!(get(ANA, "peer_1", &lab.spaces, now), Some(lab.clone()));
        }
        for now in [999, 1_100, 5_000] {
            assert_eq!(get(ANA, "peer_1", &lab.spaces, now), None, "{now}");
        }
        assert_eq!(get(ANA, "peer_2", &lab.spaces, 1_000), None);
        assert_eq!(get(AccountId(2), "peer_1", &lab.spaces, 1_000), None);
        for spaces in [&[][..], &["lab", "desk"], &["desk"]] {
            let spaces = ticket(spaces, 0).spaces;
            assert_eq!(get(ANA, "peer_1", &spaces, 1_000), None, "{spaces:?}");
        }
    }

    #[test]
    fn a_bounded_number_of_tickets_is_kept() {
        let tickets = ReaderTickets::default();
        let keep = |number: usize, issued: i64| {
            let peer: PeerId = format!("peer_{number}").parse().unwrap();
            tickets.keep(ANA, &peer, ticket(&[], issued), UnixMillis(issued));
            tickets.get(ANA, &peer, &[], UnixMillis(issued)).is_some()
        };
        assert!((0..KEPT_MAX).all(|number| keep(number, 1_000)));
        assert!(!keep(KEPT_MAX, 1_050) && keep(3, 1_050));
        // Those that are too old make room.
        assert!(keep(KEPT_MAX, 1_120));
        assert_eq!(tickets.kept.lock().len(), 2);
    }
}
