//! Invite links: the address of the directory, its fingerprint, and the code that allows joining.
//!
//! `convite://HOST:PORT/CODE?ca=FINGERPRINT`, with `&also=HOST:PORT` for each further address.
//! FINGERPRINT is the SHA-256 of the DER certificate of the directory's authority, in lower-case
//! hex. A directory without TLS has no authority: `convite+plaintext://HOST:PORT/CODE`.
//!
//! A link without a code (`convite://HOST:PORT?ca=FINGERPRINT`) is for accounts that already exist.
//! The web form of an invite, `https://HOST:PORT/#join=CODE&ca=FINGERPRINT`, has the same
//! information and is parsed as well. Both forms are found in pasted text: see `pasted`.

mod pasted;

use std::fmt;
use std::str::FromStr;

use convite_core::{PeerAddress, Problem};
use serde::{Deserialize, Serialize};

const SCHEME: &str = "convite://";
const SCHEME_PLAINTEXT: &str = "convite+plaintext://";
const PORT_HTTPS: u16 = 443;
/// The maximum length of a code, in letters and digits.
const CODE_MAX: usize = 32;

/// The SHA-256 of the DER certificate of a directory's authority.
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

/// A parsed invite link.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteLink {
    /// Addresses of the directory, best first; never empty.
    pub addresses: Vec<PeerAddress>,
    /// The secret that allows creating an account; `None` in a link for existing accounts.
    pub code: Option<String>,
    /// Fingerprint of the directory's authority; `None` if it uses plaintext.
    pub authority: Option<Fingerprint>,
}

impl InviteLink {
    /// Returns the web form, `https://HOST:PORT/#join=CODE&ca=FINGERPRINT`. The invite is in the
    /// fragment, which browsers do not send. It is as secret as the link, and commands accept it,
    /// too.
    pub fn web(&self) -> String {
        let scheme = match self.authority {
            Some(_) => "https",
            None => "http",
        };
        let host = self.addresses.first().map(ToString::to_string);
        let host = host.unwrap_or_default();
        let mut fragment = Vec::new();
        fragment.extend(self.code.as_ref().map(|code| format!("join={code}")));
        fragment.extend(self.authority.map(|print| format!("ca={print}")));
        if fragment.is_empty() {
            format!("{scheme}://{host}/")
        } else {
            format!("{scheme}://{host}/#{}", fragment.join("&"))
        }
    }

    /// Returns the link without its code, for existing accounts. It does not allow joining.
    #[must_use]
    pub fn without_code(mut self) -> Self {
        self.code = None;
        self
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
            write!(f, "{scheme}{first}")?;
        }
        if let Some(code) = &self.code {
            write!(f, "/{code}")?;
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
        // The code is a secret and must not be logged by `{:?}`.
        f.debug_struct("InviteLink")
            .field("addresses", &self.addresses)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl FromStr for InviteLink {
    type Err = Problem;

    /// Parses a link from pasted text: see `pasted`.
    fn from_str(text: &str) -> Result<Self, Problem> {
        pasted::read(text)
    }
}

/// Creates the error for text without a link. It does not repeat the text, which may contain a
/// secret.
fn refuse() -> Problem {
    Problem::invalid("this is not an invite link")
        .hint("an invite link has the form convite://HOST:PORT/CODE?ca=FINGERPRINT; copy all of it")
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
            code: Some("abc123".to_owned()),
            authority: Some(Fingerprint([7; 32])),
        }
    }

    #[test]
    fn links_round_trip() {
        let mut link = link();
        assert_eq!(link.to_string().parse::<InviteLink>().unwrap(), link);
        for (before, after) in [("'", "'"), (" \"", "\"\n"), ("“", "”"), ("<", ">")] {
            let pasted = format!("{before}{link}{after}");
            assert_eq!(pasted.parse::<InviteLink>().as_ref(), Ok(&link), "{pasted}");
        }
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
        let print = "07".repeat(32);
        let web = format!("https://192.0.2.1:50051/#join=abc123&ca={print}");
        assert_eq!(link.web(), web);
        link.authority = None;
        assert_eq!(link.web(), "http://192.0.2.1:50051/#join=abc123");
    }

    #[test]
    fn a_link_without_a_code_is_for_accounts_that_exist() {
        let link = link().without_code();
        let text = link.to_string();
        let print = "07".repeat(32);
        assert_eq!(
            text,
            format!("convite://192.0.2.1:50051?ca={print}&also=[2001:db8::1]:1")
        );
        assert_eq!(text.parse::<InviteLink>().unwrap(), link);
        let with_slash = text.replace("?ca", "/?ca");
        assert_eq!(with_slash.parse::<InviteLink>().unwrap(), link);
        assert_eq!(link.web(), format!("https://192.0.2.1:50051/#ca={print}"));
    }

    #[test]
    fn the_address_for_a_browser_is_a_link_if_it_says_how_to_know_the_directory() {
        let mut link = link();
        link.addresses.truncate(1);
        assert_eq!(link.web().parse::<InviteLink>().unwrap(), link);
        let print = "07".repeat(32);
        let bare = format!("https://files.example.org/#ca={print}&join=abc123");
        let bare: InviteLink = bare.parse().unwrap();
        assert_eq!(bare.addresses[0].to_string(), "files.example.org:443");
        for less in [
            "https://192.0.2.1:50051/#join=abc123",
            "https://192.0.2.1:50051/",
            "http://192.0.2.1:50051/#join=abc123",
            "https://192.0.2.1:50051/#join=abc123&ca=",
            "https://192.0.2.1:50051/#join=a%2e&ca=00",
        ] {
            let problem = less.parse::<InviteLink>().unwrap_err();
            assert!(!problem.to_string().contains("abc123"), "{problem}");
            if !less.contains("ca=") {
                let hint = problem.hint.unwrap();
                assert!(hint.contains("convite://"), "{less}: {hint}");
            }
        }
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
