//! Tickets: this account may read this content from this peer, for a few minutes.
//!
//! PASETO v4.public (Ed25519), so that a peer checks one offline and no algorithm can be chosen by
//! an attacker. The payload is JSON; `PURPOSE` is bound in as the implicit assertion, so that no
//! other token signed with the same key passes for a ticket.

use std::time::Duration;

use convite_core::{ContentHash, ErrorCode, PeerId, Problem, UnixMillis, UserName};
use pasetors::Public;
use pasetors::keys::{AsymmetricKeyPair, AsymmetricPublicKey, AsymmetricSecretKey, Generate};
use pasetors::token::UntrustedToken;
use pasetors::version4::{PublicToken, V4};
use ring::signature::Ed25519KeyPair;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::paseto;

const PURPOSE: &[u8] = b"convite ticket v1";

/// How far the clocks of directory and peer may be apart.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The account that may read.
    #[serde(rename = "sub")]
    pub user: UserName,
    /// The only peer that may accept it.
    #[serde(rename = "aud")]
    pub peer: PeerId,
    /// The only content it opens.
    pub hash: ContentHash,
    /// When it ends, in milliseconds since 1970.
    #[serde(rename = "exp")]
    pub expires: UnixMillis,
}

/// The directory's private key for tickets.
pub struct TicketSigner {
    secret: AsymmetricSecretKey<V4>,
    key: Ed25519KeyPair,
    public: [u8; 32],
}

impl TicketSigner {
    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    /// `internal` if there is no randomness to be had.
    pub fn generate() -> Result<Self, Problem> {
        let pair = AsymmetricKeyPair::<V4>::generate().map_err(broken_key)?;
        Self::from_bytes(pair.secret.as_bytes())
    }

    /// From the 64 bytes of [`Self::secret_bytes`].
    ///
    /// # Errors
    /// `internal` if they are not an Ed25519 key pair.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Problem> {
        let secret = AsymmetricSecretKey::from(bytes).map_err(broken_key)?;
        // An Ed25519 key pair is the seed and the public key, 32 bytes each (RFC 8032, 5.1.5).
        let public: [u8; 32] = bytes[32..]
            .try_into()
            .map_err(|_| Problem::new(ErrorCode::Internal, "the ticket key is damaged"))?;
        let key = Ed25519KeyPair::from_seed_and_public_key(&bytes[..32], &public)
            .map_err(|_| Problem::new(ErrorCode::Internal, "the ticket key is damaged"))?;
        Ok(Self {
            secret,
            key,
            public,
        })
    }

    /// The key pair, to be kept in a file that only its owner reads.
    pub fn secret_bytes(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// The public half, which every peer is given.
    pub fn public_key(&self) -> [u8; 32] {
        self.public
    }

    /// Signs a ticket.
    ///
    /// # Errors
    /// `internal` if signing fails.
    pub fn sign(&self, ticket: &Ticket) -> Result<String, Problem> {
        self.seal(ticket, PURPOSE)
    }

    pub(crate) fn seal(&self, claims: &impl Serialize, purpose: &[u8]) -> Result<String, Problem> {
        let payload = serde_json::to_vec(claims)
            .map_err(|e| Problem::new(ErrorCode::Internal, format!("ticket: {e}")))?;
        Ok(paseto::sign(&self.key, &payload, purpose))
    }
}

fn broken_key(error: pasetors::errors::Error) -> Problem {
    Problem::new(ErrorCode::Internal, format!("ticket key: {error}"))
}

/// A peer's check of tickets.
pub struct TicketVerifier {
    key: AsymmetricPublicKey<V4>,
    peer: PeerId,
}

impl TicketVerifier {
    /// Accepts what was signed with the private half of `key` for `peer`.
    ///
    /// # Errors
    /// `invalid_argument` if `key` is not an Ed25519 public key.
    pub fn new(key: &[u8], peer: PeerId) -> Result<Self, Problem> {
        let key = AsymmetricPublicKey::from(key)
            .map_err(|_| Problem::invalid("the directory's ticket key is not a key"))?;
        Ok(Self { key, peer })
    }

    /// Checks signature, audience and time, and returns what the ticket says. Whether it opens
    /// the content that was asked for is [`Ticket::opens`].
    ///
    /// # Errors
    /// `ticket_invalid`, without saying more than the bearer can use.
    pub fn verify(&self, token: &str, now: UnixMillis) -> Result<Ticket, Problem> {
        let ticket: Ticket = self.unseal(token, PURPOSE)?;
        self.is_for_us(&ticket.peer, ticket.expires, now)?;
        Ok(ticket)
    }

    /// What a token says that was signed for `purpose`.
    pub(crate) fn unseal<T: DeserializeOwned>(
        &self,
        token: &str,
        purpose: &[u8],
    ) -> Result<T, Problem> {
        let forged = || refuse("the ticket was not signed by this directory");
        let untrusted = UntrustedToken::<Public, V4>::try_from(token).map_err(|_| forged())?;
        let trusted = PublicToken::verify(&self.key, &untrusted, None, Some(purpose))
            .map_err(|_| forged())?;
        serde_json::from_str(trusted.payload()).map_err(|_| forged())
    }

    pub(crate) fn is_for_us(
        &self,
        peer: &PeerId,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        if *peer != self.peer {
            return Err(refuse("the ticket is for another peer"));
        }
        if now > expires.after(CLOCK_SKEW) {
            return Err(refuse("the ticket has expired"));
        }
        Ok(())
    }
}

impl Ticket {
    /// Whether the ticket is for `hash`.
    ///
    /// # Errors
    /// `ticket_invalid` if it is for another content.
    pub fn opens(&self, hash: &ContentHash) -> Result<(), Problem> {
        if self.hash == *hash {
            Ok(())
        } else {
            Err(refuse("the ticket is for another file"))
        }
    }
}

fn refuse(message: &str) -> Problem {
    Problem::new(ErrorCode::TicketInvalid, message)
        .hint("ask the directory for the file again (`GET /files/{hash}` or `Locate`)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::from_seconds(1_000_000);

    fn ticket() -> Ticket {
        Ticket {
            user: "ana".parse().unwrap(),
            peer: "peer_1".parse().unwrap(),
            hash: ContentHash::of(b"x"),
            expires: NOW.after(Duration::from_secs(300)),
        }
    }

    fn verifier(signer: &TicketSigner, peer: &str) -> TicketVerifier {
        TicketVerifier::new(&signer.public_key(), peer.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_ticket_opens_its_file_at_its_peer_for_its_time() {
        let signer = TicketSigner::generate().unwrap();
        let signer = TicketSigner::from_bytes(signer.secret_bytes()).unwrap();
        let token = signer.sign(&ticket()).unwrap();
        let read = verifier(&signer, "peer_1").verify(&token, NOW).unwrap();
        assert_eq!(read, ticket());
        assert!(read.opens(&ContentHash::of(b"x")).is_ok());
        assert!(read.opens(&ContentHash::of(b"y")).is_err());
    }

    #[test]
    fn other_tickets_are_refused() {
        let signer = TicketSigner::generate().unwrap();
        let token = signer.sign(&ticket()).unwrap();
        let good = verifier(&signer, "peer_1");
        let refused = |verifier: &TicketVerifier, token: &str, now| {
            verifier.verify(token, now).unwrap_err().code == ErrorCode::TicketInvalid
        };

        assert!(refused(&verifier(&signer, "peer_2"), &token, NOW));
        assert!(refused(
            &verifier(&TicketSigner::generate().unwrap(), "peer_1"),
            &token,
            NOW
        ));
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
    fn another_kind_of_token_of_the_same_key_is_no_ticket() {
        let signer = TicketSigner::generate().unwrap();
        let payload = serde_json::to_vec(&ticket()).unwrap();
        let other = PublicToken::sign(&signer.secret, &payload, None, Some(b"other")).unwrap();
        assert!(verifier(&signer, "peer_1").verify(&other, NOW).is_err());
    }
}
