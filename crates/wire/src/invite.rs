//! Invite links: where the directory is, how to know it, and the right to join.
//!
//! `convite://HOST:PORT/CODE?ca=FINGERPRINT`, with `&also=HOST:PORT` for each further address.
//! FINGERPRINT is SHA-256 of the DER certificate of the directory's authority, in lower-case hex.
//! A directory without TLS has no authority: `convite+plaintext://HOST:PORT/CODE`.
//!
//! Without a code (`convite://HOST:PORT?ca=FINGERPRINT`) it leads accounts that exist to their directory.
//! The address of an invite for a browser, `https://HOST:PORT/#join=CODE&ca=FINGERPRINT`, says as much as
//! the link does, and is read as one.

use std::fmt;
use std::str::FromStr;

use convite_core::{PeerAddress, Problem};
use serde::{Deserialize, Serialize};

const SCHEME: &str = "convite://";
const SCHEME_PLAINTEXT: &str = "convite+plaintext://";
const SCHEMES_WEB: [&str; 2] = ["https://", "http://"];
const PORT_HTTPS: u16 = 443;

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
    /// The secret that makes an account; none in a link for accounts that exist.
    pub code: Option<String>,
    /// How to know the directory; none if it speaks plaintext.
    pub authority: Option<Fingerprint>,
}

impl InviteLink {
    /// The directory's page, with the invite in the fragment, which browsers send to nobody:
    /// `https://HOST:PORT/#join=CODE&ca=FINGERPRINT`. As secret as the link; a command takes it too.
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
        match fragment.is_empty() {
            true => format!("{scheme}://{host}/"),
            false => format!("{scheme}://{host}/#{}", fragment.join("&")),
        }
    }

    /// The same link for those who have an account: nobody can join with it.
    #[must_use]
    pub fn without_code(mut self) -> Self {
        self.code = None;
        self
    }

    /// Reads the address of an invite for a browser.
    fn from_web(rest: &str) -> Result<Self, Problem> {
        let incomplete = || {
            Problem::invalid("this web address does not say how to know the directory").hint(
                "use the link that begins with convite://; the page shows it beside the web address",
            )
        };
        let (place, fragment) = rest.split_once('#').ok_or_else(incomplete)?;
        let host = place.split('/').next().unwrap_or_default();
        let address = match host.parse() {
            Ok(address) => address,
            // Browsers leave out the port that is meant anyway.
            Err(problem) => format!("{host}:{PORT_HTTPS}")
                .parse()
                .map_err(|_| problem)?,
        };
        let (mut code, mut authority) = (None, None);
        for pair in fragment.split('&') {
            match pair.split_once('=') {
                Some(("join", value)) => code = Some(checked_code(value)?),
                Some(("ca", value)) => authority = Some(value.parse()?),
                _ => {}
            }
        }
        Ok(Self {
            addresses: vec![address],
            code,
            authority: Some(authority.ok_or_else(incomplete)?),
        })
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
        // As it was copied from a text: in blanks, quotes or brackets.
        let text = text.trim_matches(|c: char| c.is_whitespace() || "'\"`<>“”„‘’«»".contains(c));
        let web = SCHEMES_WEB
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        if let Some(rest) = web {
            return Self::from_web(rest);
        }
        let (rest, plaintext) = match text.strip_prefix(SCHEME) {
            Some(rest) => (rest, false),
            None => (
                text.strip_prefix(SCHEME_PLAINTEXT).ok_or_else(refuse)?,
                true,
            ),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (address, code) = place.split_once('/').unwrap_or((place, ""));
        let code = match code.trim_end_matches('/') {
            "" => None,
            code => Some(checked_code(code)?),
        };
        let mut link = Self {
            addresses: vec![address.parse().map_err(|_| refuse())?],
            code,
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

/// The link itself is not repeated in the message: its code is a secret.
fn refuse() -> Problem {
    Problem::invalid("this is not an invite link")
        .hint("it looks like convite://HOST:PORT/CODE?ca=FINGERPRINT; copy it whole")
}

fn checked_code(code: &str) -> Result<String, Problem> {
    let is_code = !code.is_empty()
        && code.len() <= 128
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match is_code {
        true => Ok(code.to_owned()),
        false => Err(refuse()),
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
