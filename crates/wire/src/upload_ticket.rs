//! Upload tickets: short-lived tokens that allow an account to upload files to one peer.
//!
//! They are signed with the key of [`crate::reader_ticket`] but for another purpose, so that neither
//! is valid as the other. They name the account, and the peer decides by its access list.

use convite_core::{PeerId, Problem, SpaceName, UnixMillis, UserName};
use serde::{Deserialize, Serialize};

use crate::ticket::{TicketSigner, TicketVerifier};

const PURPOSE: &[u8] = b"convite upload ticket v1";

/// The claims of an upload ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadTicket {
    /// The account that uploads.
    #[serde(rename = "sub")]
    pub user: UserName,
    /// The spaces that the account is a member of.
    pub spaces: Vec<SpaceName>,
    /// The only peer that may accept it.
    #[serde(rename = "aud")]
    pub peer: PeerId,
    /// Expiry time, in milliseconds since 1970.
    #[serde(rename = "exp")]
    pub expires: UnixMillis,
}

impl TicketSigner {
    /// Signs an upload ticket.
    ///
    /// # Errors
    /// Returns `internal` if signing fails.
    pub fn sign_upload(&self, ticket: &UploadTicket) -> Result<String, Problem> {
        self.seal(ticket, PURPOSE)
    }
}

impl TicketVerifier {
    /// Verifies signature, purpose, audience and time of an upload ticket.
    ///
    /// # Errors
    /// Returns `ticket_invalid` if any of them is wrong.
    pub fn verify_upload(&self, token: &str, now: UnixMillis) -> Result<UploadTicket, Problem> {
        let ticket: UploadTicket = self.unseal(token, PURPOSE)?;
        self.is_for_us(&ticket.peer, ticket.expires, now)?;
        Ok(ticket)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::reader_ticket::ReaderTicket;

    #[test]
    fn a_ticket_to_read_uploads_nothing_and_the_other_way_round() {
        let now = UnixMillis::from_seconds(1_000_000);
        let signer = TicketSigner::generate().unwrap();
        let verifier =
            |peer: &str| TicketVerifier::new(&signer.public_key(), peer.parse().unwrap()).unwrap();
        let upload = UploadTicket {
            user: "ana".parse().unwrap(),
            spaces: vec!["lab".parse().unwrap()],
            peer: "peer_1".parse().unwrap(),
            expires: now.after(Duration::from_secs(300)),
        };
        let token = signer.sign_upload(&upload).unwrap();
        assert_eq!(
            verifier("peer_1").verify_upload(&token, now).unwrap(),
            upload
        );
        assert!(verifier("peer_1").verify_reader(&token, now).is_err());
        assert!(verifier("peer_2").verify_upload(&token, now).is_err());
        let late = now.after(Duration::from_secs(361));
        assert!(verifier("peer_1").verify_upload(&token, late).is_err());
        let read = signer
            .sign_reader(&ReaderTicket {
                user: upload.user,
                spaces: upload.spaces,
                peer: upload.peer,
                expires: upload.expires,
            })
            .unwrap();
        assert!(verifier("peer_1").verify_upload(&read, now).is_err());
    }
}
