//! Seals and opens the short-lived tokens of browsers.
//!
//! A token is a keyed hash (BLAKE3) over the resource, so that every replica can check it and none
//! has to store it. The key is derived from the directory's ticket key, which replicas share.

use std::time::Duration;

use convite_core::{ContentHash, ErrorCode, Problem, UnixMillis};
use convite_store::SecretHash;

use crate::service::caller::unauthenticated;

/// Lifetime of a token for a file. A transfer that has begun continues.
pub(crate) const CONTENT_LIFETIME: Duration = Duration::from_secs(3600);
/// Lifetime of a token for an event stream. An open stream continues.
pub(crate) const EVENTS_LIFETIME: Duration = Duration::from_secs(600);
/// Derivation context of the key.
pub(crate) const KEY_CONTEXT: &str = "convite 2026-11 page tokens v1";
/// Length of the session and the expiry time, in bytes.
pub(crate) const CLAIMS: usize = 32 + 8;

/// The resource of a token.
pub(crate) enum TokenResource<'a> {
    Content(&'a ContentHash),
    Events,
    /// The link with this token hash, for a network.
    Link(&'a SecretHash, &'a str),
}

/// Creates and checks the keyed hashes.
pub(crate) struct PageTokens {
    pub(crate) key: [u8; 32],
}

impl PageTokens {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self {
            key: blake3::derive_key(KEY_CONTEXT, secret),
        }
    }

    pub(crate) fn mac(&self, opens: &TokenResource<'_>, claims: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // Each purpose has its own first byte and length, so that tokens are not interchangeable.
        match opens {
            TokenResource::Content(hash) => hasher.update(b"c").update(hash.as_bytes()),
            TokenResource::Events => hasher.update(b"e"),
            TokenResource::Link(link, network) => {
                hasher.update(b"l").update(*link).update(network.as_bytes())
            }
        };
        hasher.update(claims).finalize()
    }

    pub(crate) fn seal(
        &self,
        opens: &TokenResource<'_>,
        session: &SecretHash,
        expires: UnixMillis,
    ) -> String {
        let claims = [session.as_slice(), &expires.0.to_be_bytes()].concat();
        let mac = self.mac(opens, &claims);
        data_encoding::BASE64URL_NOPAD.encode(&[&claims, mac.as_bytes().as_slice()].concat())
    }

    /// Returns the session of a token.
    pub(crate) fn open(
        &self,
        opens: &TokenResource<'_>,
        token: &str,
        now: UnixMillis,
    ) -> Result<SecretHash, Problem> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes());
        let bytes = bytes.unwrap_or_default();
        let known = bytes.split_at_checked(CLAIMS).and_then(|(claims, mac)| {
            let mac: [u8; 32] = mac.try_into().ok()?;
            // In constant time.
            (self.mac(opens, claims) == mac).then_some(claims)
        });
        let claims = known.and_then(|claims| {
            let (session, expires) = claims.split_at_checked(32)?;
            let expires = i64::from_be_bytes(expires.try_into().ok()?);
            Some((session.try_into().ok()?, UnixMillis(expires)))
        });
        match claims {
            Some((session, expires)) if now < expires => Ok(session),
            Some(_) => Err(Problem::new(
                ErrorCode::SessionExpired,
                "the token for this file or stream has expired",
            )
            .hint("request a new one, or reload the page")),
            None => Err(unauthenticated("the token is not valid for this resource")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_one_resource_until_it_expires() {
        let tokens = PageTokens::new(b"secret");
        let (file, other) = (ContentHash::of(b"a"), ContentHash::of(b"b"));
        let (session, expires) = ([7; 32], UnixMillis(1_000));
        let token = tokens.seal(&TokenResource::Content(&file), &session, expires);
        let open = |opens: TokenResource<'_>, token: &str, now| {
            tokens.open(&opens, token, UnixMillis(now))
        };
        assert_eq!(
            open(TokenResource::Content(&file), &token, 999),
            Ok(session)
        );
        let late = open(TokenResource::Content(&file), &token, 1_000).unwrap_err();
        assert_eq!(late.code, ErrorCode::SessionExpired);
        assert!(open(TokenResource::Content(&other), &token, 0).is_err());
        assert!(open(TokenResource::Events, &token, 0).is_err());
        assert!(open(TokenResource::Link(file.as_bytes(), ""), &token, 0).is_err());
        for bad in ["", "x", &token[1..], &format!("{token}AA")] {
            assert!(
                open(TokenResource::Content(&file), bad, 0).is_err(),
                "{bad}"
            );
        }
        let elsewhere = PageTokens::new(b"another secret");
        let open = elsewhere.open(&TokenResource::Content(&file), &token, UnixMillis(0));
        assert!(open.is_err());
    }
}
