//! Tickets: short-lived tokens that allow an account to read one content from one peer.
//!
//! The format is PASETO v4.public (Ed25519): a peer can verify a ticket offline, and an attacker
//! cannot choose the algorithm. The payload is JSON. `PURPOSE` is the implicit assertion, so that
//! no other token signed with the same key is valid as a ticket.

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

/// The maximum difference between the clocks of directory and peer.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The claims of a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The account that may read.
    #[serde(rename = "sub")]
    pub user: UserName,
    /// The only peer that may accept it.
    #[serde(rename = "aud")]
    pub peer: PeerId,
    /// The only content that it allows to read.
    pub hash: ContentHash,
    /// Expiry time, in milliseconds since 1970.
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
    /// Generates a new key from the randomness of the operating system.
    ///
    /// # Errors
    /// Returns `internal` if no randomness is available.
    pub fn generate() -> Result<Self, Problem> {
        let pair = AsymmetricKeyPair::<V4>::generate().map_err(broken_key)?;
        Self::from_bytes(pair.secret.as_bytes())
    }

    /// Restores a key from the 64 bytes of [`Self::secret_bytes`].
    ///
    /// # Errors
    /// Returns `internal` if they are not an Ed25519 key pair.
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

    /// Returns the key pair. Store it in a file that only its owner can read.
    pub fn secret_bytes(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// Returns the public key, which every peer receives.
    pub fn public_key(&self) -> [u8; 32] {
        self.public
    }

    /// Signs a ticket.
    ///
    /// # Errors
    /// Returns `internal` if signing fails.
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

/// The verification of tickets at a peer.
pub struct TicketVerifier {
    key: AsymmetricPublicKey<V4>,
    peer: PeerId,
}

impl TicketVerifier {
    /// Creates a verifier for tickets to `peer` that are signed with the private half of `key`.
    ///
    /// # Errors
    /// Returns `invalid_argument` if `key` is not an Ed25519 public key.
    pub fn new(key: &[u8], peer: PeerId) -> Result<Self, Problem> {
        let key = AsymmetricPublicKey::from(key)
            .map_err(|_| Problem::invalid("the directory's ticket key is not valid"))?;
        Ok(Self { key, peer })
    }

    /// Verifies signature, audience and time, and returns the claims. Use [`Ticket::opens`] to
    /// check the content.
    ///
    /// # Errors
    /// Returns `ticket_invalid` with a reason that the bearer may know.
    pub fn verify(&self, token: &str, now: UnixMillis) -> Result<Ticket, Problem> {
        let ticket: Ticket = self.unseal(token, PURPOSE)?;
        self.is_for_us(&ticket.peer, ticket.expires, now)?;
        Ok(ticket)
    }

    /// Verifies a token that was signed for `purpose`, and returns its claims.
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
            let minutes = expires.until(now).as_secs() / 60;
            return Err(refuse(&format!(
                "the ticket expired {minutes} min ago by the clock of the peer"
            )));
        }
        Ok(())
    }
}

impl Ticket {
    /// Checks that the ticket is for `hash`.
    ///
    /// # Errors
    /// Returns `ticket_invalid` if it is for another content.
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
