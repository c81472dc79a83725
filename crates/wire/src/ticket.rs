//! The keys of tickets: short-lived tokens with which an account reads from one peer
//! ([`crate::reader_ticket`]) or uploads to it ([`crate::upload_ticket`]).
//!
//! The format is PASETO v4.public (Ed25519): a peer can verify a ticket offline, and an attacker
//! cannot choose the algorithm. The payload is JSON. The purpose of a ticket is the implicit
//! assertion, so that no token is valid for another purpose.

use std::time::Duration;

use convite_core::{ErrorCode, PeerId, Problem, UnixMillis};
use pasetors::Public;
use pasetors::keys::{AsymmetricKeyPair, AsymmetricPublicKey, AsymmetricSecretKey, Generate};
use pasetors::token::UntrustedToken;
use pasetors::version4::{PublicToken, V4};
use ring::signature::Ed25519KeyPair;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::paseto;

/// The maximum difference between the clocks of directory and peer.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

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

    /// Signs claims for a purpose.
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

    /// Checks the audience and the time of a ticket.
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

fn refuse(message: &str) -> Problem {
    Problem::new(ErrorCode::TicketInvalid, message)
        .hint("ask the directory for the file again (`GET /files/{hash}` or `Locate`)")
}
