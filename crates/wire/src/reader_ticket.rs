//! Reader tickets: short-lived tokens that allow an account to read from one peer what it shares in
//! some spaces.
//!
//! One ticket is for all files and folders of the peer, so a folder, a batch of files and a swarm
//! need one signature for each peer. The peer decides by the space of each copy.

use convite_core::{PeerId, Problem, SpaceName, UnixMillis, UserName};
use serde::{Deserialize, Serialize};

use crate::ticket::{TicketSigner, TicketVerifier};

const PURPOSE: &[u8] = b"convite reader ticket v1";

/// The maximum number of spaces in a ticket. With names of 64 bytes, a ticket has at most 18 KiB, and
/// fits in the header of a request.
pub const SPACES_MAX: usize = 200;

/// The claims of a reader ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderTicket {
    /// The account that may read.
    #[serde(rename = "sub")]
    pub user: UserName,
    /// The spaces that both this account and the account of the peer belong to, at most
    /// [`SPACES_MAX`]. The peer does not learn of other spaces.
    pub spaces: Vec<SpaceName>,
    /// The only peer that may accept it.
    #[serde(rename = "aud")]
    pub peer: PeerId,
    /// Expiry time, in milliseconds since 1970.
    #[serde(rename = "exp")]
    pub expires: UnixMillis,
}

impl ReaderTicket {
    /// Returns whether it allows to read what is shared in `space`; `None` is the space of everyone.
    pub fn may_read(&self, space: Option<&SpaceName>) -> bool {
        space.is_none_or(|space| self.spaces.contains(space))
    }

    /// Returns whether it allows to read what only members of all of these spaces may read.
    pub fn may_read_all(&self, spaces: &[SpaceName]) -> bool {
        spaces.iter().all(|space| self.may_read(Some(space)))
    }
}

impl TicketSigner {
    /// Signs a reader ticket.
    ///
    /// # Errors
    /// Returns `internal` if signing fails.
    pub fn sign_reader(&self, ticket: &ReaderTicket) -> Result<String, Problem> {
        self.seal(ticket, PURPOSE)
    }
}

impl TicketVerifier {
    /// Verifies signature, purpose, audience and time of a reader ticket, and returns its claims.
    /// [`ReaderTicket::may_read`] checks the space of a content.
    ///
    /// # Errors
    /// Returns `ticket_invalid` with a reason that the bearer may know.
    pub fn verify_reader(&self, token: &str, now: UnixMillis) -> Result<ReaderTicket, Problem> {
        let ticket: ReaderTicket = self.unseal(token, PURPOSE)?;
        self.is_for_us(&ticket.peer, ticket.expires, now)?;
        Ok(ticket)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use convite_core::ErrorCode;

    use super::*;

    const NOW: UnixMillis = UnixMillis::from_seconds(1_000_000);

    fn ticket() -> ReaderTicket {
        ReaderTicket {
            user: "ana".parse().unwrap(),
            spaces: vec!["lab".parse().unwrap(), "club".parse().unwrap()],
            peer: "peer_1".parse().unwrap(),
            expires: NOW.after(Duration::from_secs(300)),
        }
    }

    fn verifier(signer: &TicketSigner, peer: &str) -> TicketVerifier {
        TicketVerifier::new(&signer.public_key(), peer.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_ticket_is_valid_at_its_peer_for_its_time() {
        let signer = TicketSigner::generate().unwrap();
        let signer = TicketSigner::from_bytes(signer.secret_bytes()).unwrap();
        let token = signer.sign_reader(&ticket()).unwrap();
        let good = verifier(&signer, "peer_1");
        assert_eq!(good.verify_reader(&token, NOW).unwrap(), ticket());

        let refused = |verifier: &TicketVerifier, token: &str, now| {
            verifier.verify_reader(token, now).unwrap_err().code == ErrorCode::TicketInvalid
        };
        assert!(refused(&verifier(&signer, "peer_2"), &token, NOW));
        let other = TicketSigner::generate().unwrap();
        assert!(refused(&verifier(&other, "peer_1"), &token, NOW));
        let late = NOW.after(Duration::from_secs(300 + 61));
        assert!(refused(&good, &token, late));
        for at in [10, token.len() / 2, token.len() - 1] {
            let mut bent = token.clone().into_bytes();
            bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
            assert!(refused(&good, &String::from_utf8(bent).unwrap(), NOW));
        }
        for junk in [
            "",
            "x",
            "v4.public.",
            "v4.local.AAAA",
            &token[..token.len() - 4],
        ] {
            assert!(refused(&good, junk, NOW), "{junk:?}");
        }
    }

    #[test]
    fn a_ticket_is_for_its_spaces_and_what_everyone_may_see() {
        let space = |name: &str| name.parse::<SpaceName>().unwrap();
        let ticket = ticket();
        assert!(ticket.may_read(None) && ticket.may_read(Some(&space("lab"))));
        assert!(!ticket.may_read(Some(&space("desk"))));
        assert!(ticket.may_read_all(&[]) && ticket.may_read_all(&[space("club"), space("lab")]));
        assert!(!ticket.may_read_all(&[space("lab"), space("desk")]));
    }

    #[test]
    fn the_largest_ticket_fits_in_a_header() {
        let name = |number: usize| format!("{number:03}{}", "x".repeat(61)).parse().unwrap();
        let large = ReaderTicket {
            spaces: (0..SPACES_MAX).map(name).collect(),
            ..ticket()
        };
        let signer = TicketSigner::generate().unwrap();
        let token = signer.sign_reader(&large).unwrap();
        assert!(token.len() < 18 << 10, "{}", token.len());
        assert_eq!(
            verifier(&signer, "peer_1")
                .verify_reader(&token, NOW)
                .unwrap(),
            large
        );
    }
}
