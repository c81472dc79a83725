//! Invite links: where the directory is, how to know it, and the right to join.
//!
//! `convite://HOST:PORT/CODE?ca=FINGERPRINT`, with `&also=HOST:PORT` for each further address.
//! FINGERPRINT is SHA-256 of the DER certificate of the directory's authority, in lower-case hex.
//! A directory without TLS has no authority: `convite+plaintext://HOST:PORT/CODE`.

use std::fmt;
use std::str::FromStr;

use convite_core::{PeerAddress, Problem};
use serde::{Deserialize, Serialize};

const SCHEME: &str = "convite://";
const SCHEME_PLAINTEXT: &str = "convite+plaintext://";

/// SHA-256 of the DER certificate of a directory's authority.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| Problem::invalid("a fingerprint is 64 hexadecimal digits"))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An invite link, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteLink {
    /// Where the directory can be dialled, best first; never empty.
    pub addresses: Vec<PeerAddress>,
    /// The secret that makes an account.
    pub code: String,
    /// How to know the directory; none if it speaks plaintext.
    pub authority: Option<Fingerprint>,
}

impl InviteLink {
    /// The directory's page, with the invite in the fragment, which browsers send to nobody:
    /// `https://HOST:PORT/#join=CODE`. As secret as the link.
    pub fn web(&self) -> String {
        let scheme = match self.authority {
            Some(_) => "https",
            None => "http",
        };
        let host = self.addresses.first().map(ToString::to_string);
        let host = host.unwrap_or_default();
        format!("{scheme}://{host}/#join={}", self.code)
    }
}

impl fmt::Display for InviteLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.authority {
            Some(_) => SCHEME,
            None => SCHEME_PLAINTEXT,
        };
        let mut addresses = self.addresses.iter();
        if let Some(first) = addresses.next() {
            write!(f, "{scheme}{first}/{}", self.code)?;
        }
        let mut separator = '?';
        if let Some(fingerprint) = &self.authority {
            write!(f, "{separator}ca={fingerprint}")?;
            separator = '&';
        }
        for also in addresses {
            write!(f, "{separator}also={also}")?;
            separator = '&';
        }
        Ok(())
    }
}

impl fmt::Debug for InviteLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The code is a secret: it must not reach a log by way of `{:?}`.
        f.debug_struct("InviteLink")
            .field("addresses", &self.addresses)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl FromStr for InviteLink {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        // The link itself is not repeated in the message: its code is a secret.
        let refuse = || {
            Problem::invalid("this is not an invite link").hint(
                "it looks like convite://HOST:PORT/CODE?ca=FINGERPRINT; copy it whole, in quotes",
            )
        };
        let text = text.trim();
        let (rest, plaintext) = match text.strip_prefix(SCHEME) {
            Some(rest) => (rest, false),
            None => (
                text.strip_prefix(SCHEME_PLAINTEXT).ok_or_else(refuse)?,
                true,
            ),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (address, code) = place.split_once('/').ok_or_else(refuse)?;
        let code = code.trim_end_matches('/');
        if code.is_empty() || code.len() > 128 || !code.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(refuse());
        }
        let mut link = Self {
            addresses: vec![address.parse()?],
            code: code.to_owned(),
            authority: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("ca", value)) => link.authority = Some(value.parse()?),
                Some(("also", value)) => link.addresses.push(value.parse()?),
                // Left for versions to come.
                _ => {}
            }
        }
        if link.authority.is_none() != plaintext {
            return Err(refuse());
        }
        Ok(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> InviteLink {
        InviteLink {
            addresses: vec![
                "192.0.2.1:50051".parse().unwrap(),
                "[2001:db8::1]:1".parse().unwrap(),
            ],
            code: "abc123".to_owned(),
            authority: Some(Fingerprint([7; 32])),
        }
    }

    #[test]
    fn links_round_trip() {
        let mut link = link();
        assert_eq!(link.to_string().parse::<InviteLink>().unwrap(), link);
        link.authority = None;
        assert!(
            link.to_string()
                .starts_with("convite+plaintext://192.0.2.1:50051/abc123?also=")
        );
        assert_eq!(link.to_string().parse::<InviteLink>().unwrap(), link);
    }

    #[test]
    fn the_page_gets_the_code_where_no_server_does() {
        let mut link = link();
        assert_eq!(link.web(), "https://192.0.2.1:50051/#join=abc123");
        link.authority = None;
        assert_eq!(link.web(), "http://192.0.2.1:50051/#join=abc123");
    }

    #[test]
    fn a_link_cannot_be_stripped_of_its_fingerprint() {
        let text = link().to_string();
        let stripped = text.split('?').next().unwrap();
        assert!(stripped.parse::<InviteLink>().is_err());
        for bad in [
            "",
            "http://x",
            "convite://",
            "convite://a:1",
            "convite://a:1/",
            "convite://a/c?ca=00",
        ] {
            assert!(bad.parse::<InviteLink>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn debug_output_keeps_the_code_secret() {
        assert!(!format!("{:?}", link()).contains("abc123"));
    }
}
