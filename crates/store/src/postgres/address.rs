//! Address and TLS mode of the database server, from a URL as libpq accepts it.
//!
//! The connection carries the directory's private keys. So a server on another machine must use
//! encryption, unless the URL has `sslmode=disable`.
//!
//! `sslmode` is one of:
//! - `disable`: no encryption.
//! - `prefer`: encryption if the server supports it. Allowed only for a server on this machine, and
//!   the default there.
//! - `require`: encryption without authentication of the server. The default for a server on
//!   another machine.
//! - `verify-ca`, `verify-full`: encryption, with a certificate from an authority in `sslrootcert`;
//!   for `verify-full` it must be for the host name. Without `sslrootcert`, or with `system`, the
//!   machine's authorities are used.
//!
//! Client certificates and channel binding are not supported.

use std::net::IpAddr;
use std::time::Duration;

use convite_core::Problem;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, SslMode};

use super::tls::{Connector, Trust};

/// Connect timeout unless the URL sets one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle time before keepalive probes, so that a lost server is detected.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A server with its connection settings. No `Debug`: it may contain a password.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) tls: Connector,
}

fn refuse(what: impl Into<String>) -> Problem {
    // The message does not contain the URL, which may include a password.
    Problem::invalid(what).hint(
        "use postgres://USER@HOST/DATABASE?sslmode=verify-full, with the password in $PGPASSWORD",
    )
}

impl Address {
    /// Parses a URL. `password` applies if the URL has none.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the URL is invalid. The message never contains the URL.
    pub(super) fn parse(url: &str, password: Option<String>) -> Result<Self, Problem> {
        let (url, mode, roots) = without_tls(url)?;
        let mut config: Config = url.parse().map_err(|_| refuse("invalid database URL"))?;
        if config.get_hosts().is_empty() {
            return Err(refuse("the database URL has no host"));
        }
        if config.get_user().is_none() {
            return Err(refuse("the database URL has no user"));
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
        let is_here = config.get_hosts().iter().all(is_this_machine);
        let mode = match mode.as_deref() {
            Some("prefer") if !is_here => return Err(may_be_in_clear()),
            Some(mode) => mode,
            None if is_here => "prefer",
            None => "require",
        };
        let (ssl, trust) = match mode {
            "disable" => (SslMode::Disable, Trust::Anyone),
            "prefer" => (SslMode::Prefer, Trust::Anyone),
            "require" => (SslMode::Require, Trust::Anyone),
            "verify-ca" => (SslMode::Require, Trust::Authority(roots)),
            "verify-full" => (SslMode::Require, Trust::Name(roots)),
            _ => {
                return Err(Problem::invalid("unknown sslmode in the database URL")
                    .hint("use disable, prefer, require, verify-ca or verify-full"));
            }
        };
        if config.get_channel_binding() == ChannelBinding::Require {
            return Err(Problem::invalid("channel binding is not supported")
                .hint("remove channel_binding and use sslmode=verify-full"));
        }
        config.ssl_mode(ssl);
        Ok(Self {
            config,
            tls: Connector::new(trust)?,
        })
    }
}

/// Returns whether a host is certainly this machine.
fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => match name.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback(),
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        },
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn may_be_in_clear() -> Problem {
    Problem::invalid(
        "sslmode=prefer could send the directory's keys over the network unencrypted",
    )
    .hint("use sslmode=verify-full or require; on a trusted network, sslmode=disable turns off encryption")
}

/// Removes `sslmode` and `sslrootcert` from a URL, because the driver does not support all of their
/// values.
fn without_tls(url: &str) -> Result<(String, Option<String>, Option<String>), Problem> {
    let mut mode = None;
    let mut roots = None;
    let Some((before, parameters)) = url.split_once('?') else {
        return Ok((url.to_owned(), mode, roots));
    };
    let mut kept = Vec::new();
    for parameter in parameters.split('&').filter(|text| !text.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", "system")) => roots = None,
            Some(("sslrootcert", value)) => roots = Some(unescape(value)?),
            _ => kept.push(parameter),
        }
    }
    let url = if kept.is_empty() {
        before.to_owned()
    } else {
        format!("{before}?{}", kept.join("&"))
    };
    Ok((url, mode, roots))
}

/// Decodes percent escapes (RFC 3986, section 2.1).
fn unescape(text: &str) -> Result<String, Problem> {
    let bad = || refuse("invalid percent escape in the database URL");
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
            ("postgres://u@localhost/d", SslMode::Prefer),
            ("postgres://u@127.0.0.1/d", SslMode::Prefer),
            ("postgres://u@[::1]/d", SslMode::Prefer),
            ("postgres://u@%2Frun%2Fpostgresql/d", SslMode::Prefer),
            ("postgres://u@127.0.0.1/d?sslmode=prefer", SslMode::Prefer),
            ("postgres://u@h/d", SslMode::Require),
            ("postgres://u@127.0.0.1.example/d", SslMode::Require),
            ("postgres://u@localhost,h/d", SslMode::Require),
            ("postgres://u@h/d?sslmode=disable", SslMode::Disable),
            ("postgresql://u@h/d?sslmode=require", SslMode::Require),
            (
                "postgres://u@h/d?application_name=x&sslmode=require&connect_timeout=3",
                SslMode::Require,
            ),
        ] {
            let address = Address::parse(url, None).unwrap();
            assert_eq!(address.config.get_ssl_mode(), mode, "{url}");
        }
        refused("postgres://u@h/d?sslmode=prefer");
        refused("postgres://u@localhost,192.0.2.7/d?sslmode=prefer");
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
