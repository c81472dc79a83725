//! Where the server is, and how much of TLS it takes to speak to it: a URL as libpq has them.
//!
//! `sslmode` is `disable`, `prefer` (the default: encrypted if the server can), `require`
//! (encrypted, whoever it is), `verify-ca` or `verify-full` (encrypted, with a certificate from an
//! authority in `sslrootcert`, and for the latter with the name of the host; without
//! `sslrootcert`, or with `system`, the machine's authorities). Client certificates and channel
//! binding are not supported.

use std::time::Duration;

use convite_core::Problem;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode};

use super::tls::{Connector, Trust};

/// How long a server may take to answer unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// After this long in silence a connection is probed: a server that vanished is noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A server and how to connect to it. Has no `Debug`: it may hold a password.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: Connector,
}

fn refuse(what: impl Into<String>) -> Problem {
    // The URL is not repeated: it may hold a password.
    Problem::invalid(what)
        .hint("use postgres://USER@HOST/DATABASE?sslmode=verify-full; the password in $PGPASSWORD")
}

impl Address {
    /// Reads a URL. A password that is not in it is `password`.
    ///
    /// # Errors
    /// `invalid_argument`; none of them repeats the URL.
    pub(super) fn parse(url: &str, password: Option<String>) -> Result<Self, Problem> {
        let (url, mode, roots) = without_tls(url)?;
        let mut config: Config = url
            .parse()
            .map_err(|_| refuse("the URL of the database cannot be read"))?;
        if config.get_hosts().is_empty() {
            return Err(refuse("the URL of the database names no host"));
        }
        if config.get_user().is_none() {
            return Err(refuse("the URL of the database names no user"));
        }
        if config.get_password().is_none()
            && let Some(password) = password
        {
            config.password(password);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("convite");
        }
        config
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE);
        config.tcp_user_timeout(2 * KEEPALIVE);
        let (ssl, trust) = match mode.as_str() {
            "disable" => (SslMode::Disable, Trust::Anyone),
            "prefer" => (SslMode::Prefer, Trust::Anyone),
            "require" => (SslMode::Require, Trust::Anyone),
            "verify-ca" => (SslMode::Require, Trust::Authority(roots)),
            "verify-full" => (SslMode::Require, Trust::Name(roots)),
            _ => {
                return Err(Problem::invalid(
                    "the sslmode of the database is not one that is known",
                )
                .hint("use disable, prefer, require, verify-ca or verify-full"));
            }
        };
        if config.get_channel_binding() == ChannelBinding::Require {
            return Err(Problem::invalid("channel binding is not supported")
                .hint("leave channel_binding out, and use sslmode=verify-full"));
        }
        config.ssl_mode(ssl);
        Ok(Self {
            config,
            tls: Connector::new(trust)?,
        })
    }
}

/// Takes `sslmode` and `sslrootcert`, of which the driver knows too little or nothing, out of a URL.
fn without_tls(url: &str) -> Result<(String, String, Option<String>), Problem> {
    let mut mode = "prefer".to_owned();
    let mut roots = None;
    let Some((before, parameters)) = url.split_once('?') else {
        return Ok((url.to_owned(), mode, roots));
    };
    let mut kept = Vec::new();
    for parameter in parameters.split('&').filter(|text| !text.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslmode", value)) => mode = value.to_owned(),
            Some(("sslrootcert", "system")) => roots = None,
            Some(("sslrootcert", value)) => roots = Some(unescape(value)?),
            _ => kept.push(parameter),
        }
    }
    let url = match kept.is_empty() {
        true => before.to_owned(),
        false => format!("{before}?{}", kept.join("&")),
    };
    Ok((url, mode, roots))
}

/// Percent-decoding (RFC 3986, section 2.1).
fn unescape(text: &str) -> Result<String, Problem> {
    let bad = || refuse("the URL of the database is not escaped well");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().ok_or_else(bad)?, rest.next().ok_or_else(bad)?];
        let value = data_encoding::HEXLOWER_PERMISSIVE.decode(&digits);
        bytes.extend(value.map_err(|_| bad())?);
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> Problem {
        Address::parse(url, None).err().unwrap()
    }

    #[test]
    fn the_modes_of_tls_are_taken_as_they_are_named() {
        for (url, mode) in [
            ("postgres://u@h/d", SslMode::Prefer),
            ("postgres://u@h/d?sslmode=disable", SslMode::Disable),
            ("postgres://u@h/d?sslmode=prefer", SslMode::Prefer),
            ("postgresql://u@h/d?sslmode=require", SslMode::Require),
            (
                "postgres://u@h/d?application_name=x&sslmode=require&connect_timeout=3",
                SslMode::Require,
            ),
        ] {
            let address = Address::parse(url, None).unwrap();
            assert_eq!(address.config.get_ssl_mode(), mode, "{url}");
        }
        refused("postgres://u@h/d?sslmode=maybe");
        refused("postgres://u@h/d?sslmode=");
        refused("postgres://u@h/d?sslmode=verify-full&sslrootcert=/nowhere/at/all.pem");
        refused("postgres://u@h/d?channel_binding=require");
    }

    #[test]
    fn the_password_of_the_url_comes_before_the_one_beside_it() {
        let beside = || Some("beside".to_owned());
        for (url, password) in [
            ("postgres://u:in%20it@h/d", "in it"),
            ("postgres://u@h/d", "beside"),
        ] {
            let address = Address::parse(url, beside()).unwrap();
            assert_eq!(address.config.get_password(), Some(password.as_bytes()));
        }
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
        for url in [
            "postgres://u:hunter2@h:port/d",
            "postgres://u:hunter2@/d",
            "postgres://u:hunter2@h/d?sslmode=hunter2",
            "postgres://u:hunter2@h/d?hunter2=1",
            "postgres://u:hunter2@h/d?sslmode=verify-full&sslrootcert=%hunter2",
        ] {
            let problem = refused(url);
            assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
        }
    }
}
