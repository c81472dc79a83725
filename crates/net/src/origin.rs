//! What a browser says of where a request comes from, and what that is worth.
//!
//! *DNS rebinding*: a page of `evil.example` makes that name resolve to a server here, and then
//! talks to it as to its own origin. The browser tells the name (`Host`), so a name that is not
//! the server's own is refused. An address in place of a name cannot be rebound, so any will do:
//! that of a listener, of a forwarded port, of a load balancer.
//!
//! *Cross-site requests*: a page elsewhere makes the browser send something that changes things.
//! The browser tells that too (`Origin`, or `Sec-Fetch-Site`; Fetch standard, section 3.2, and
//! W3C Fetch Metadata), and a server here has no pages that other sites have to do with.
//!
//! Programs send none of these headers and are not held to them: to forge a header is possible for
//! a program, and of no use to it.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use convite_core::{ErrorCode, Problem, display};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Request, Uri, Version};

type Known = dyn Fn(&str) -> bool + Send + Sync;

/// The names that a server goes by.
#[derive(Clone)]
pub struct Hosts {
    names: Arc<HashSet<String>>,
    also: Option<Arc<Known>>,
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hosts").field(&self.names).finish()
    }
}

impl Hosts {
    /// `localhost` and these names; case does not matter.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().chain([String::from("localhost")]);
        let lower = |name: String| name.trim_end_matches('.').to_ascii_lowercase();
        Self {
            names: Arc::new(names.map(lower).collect()),
            also: None,
        }
    }

    /// These, and those that `also` says yes to.
    #[must_use]
    pub fn or(mut self, also: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.also = Some(Arc::new(also));
        self
    }

    /// Whether the server goes by `host`: a name of its own, or any address.
    fn know(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        bare.parse::<IpAddr>().is_ok()
            || self.names.contains(&name)
            || self.also.as_ref().is_some_and(|also| also(&name))
    }

    /// Lets requests pass that are for this server.
    ///
    /// # Errors
    /// `wrong_host` for a name that is not the server's; `invalid_argument` if the request names
    /// none, several, or no valid one.
    pub fn check_host<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let Some(authority) = asked(request)? else {
            return match request.version() {
                // Has no such header, and no browser speaks it any more.
                Version::HTTP_09 | Version::HTTP_10 => Ok(()),
                _ => Err(Problem::invalid("the request names no host")),
            };
        };
        if self.know(authority.host()) {
            return Ok(());
        }
        let shown: String = display::escape(authority.host())
            .chars()
            .take(100)
            .collect();
        Err(Problem::new(
            ErrorCode::WrongHost,
            format!("this server is not known as '{shown}'"),
        )
        .hint("use one of its addresses, or let whoever runs the directory start it with `--host NAME`"))
    }
}

/// Lets requests pass that no page of another site can have made the browser send: those that
/// change nothing, those that no browser sent, and those from the server's own pages.
///
/// # Errors
/// `cross_site` for the others; `invalid_argument` if the host is not valid.
pub fn check_site<B>(request: &Request<B>) -> Result<(), Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let headers = request.headers();
    let own = match (headers.get(ORIGIN), headers.get("sec-fetch-site")) {
        (None, None) => true,
        (None, Some(site)) => site == "same-origin" || site == "none",
        (Some(origin), _) => {
            let origin = origin.to_str().ok().and_then(|text| text.parse().ok());
            let asked = asked(request)?;
            origin.is_some_and(|origin| is_of(&origin, asked.as_ref()))
        }
    };
    if own {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::CrossSite,
        "a page of another site asked for this",
    )
    .hint("pages of other sites change nothing here; use the server's own, or a program"))
}

/// Whether a request is a gRPC call of a program. A browser cannot send one without saying that it
/// is a browser: every call is a POST, and with those goes an `Origin`.
pub fn is_grpc_of_a_program(headers: &HeaderMap) -> bool {
    let is_grpc = headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    let from_browser = headers.contains_key(ORIGIN)
        || headers
            .keys()
            .any(|name| name.as_str().starts_with("sec-fetch-"));
    is_grpc && !from_browser
}

/// Whom the request asks for: in HTTP/2 `:authority`, in HTTP/1.1 `Host`, or in the target.
fn asked<B>(request: &Request<B>) -> Result<Option<Authority>, Problem> {
    let wrong = || Problem::invalid("the request does not name one valid host");
    let mut hosts = request.headers().get_all(HOST).iter();
    let header = hosts.next();
    if hosts.next().is_some() {
        return Err(wrong());
    }
    let header = header
        .map(|value| {
            value
                .to_str()
                .ok()
                .and_then(|text| Authority::from_str(text).ok())
        })
        .map(|parsed| parsed.ok_or_else(wrong))
        .transpose()?;
    let target = request.uri().authority().cloned();
    let asked = match (header, target) {
        (Some(header), Some(target)) if header != target => return Err(wrong()),
        (header, target) => header.or(target),
    };
    match asked {
        Some(asked) if asked.as_str().contains('@') || asked.host().is_empty() => Err(wrong()),
        asked => Ok(asked),
    }
}

/// Whether `origin` is the one that was asked. The scheme is not compared: in front of a server
/// may be something that takes off the TLS.
fn is_of(origin: &Uri, asked: Option<&Authority>) -> bool {
    let (Some(from), Some(asked)) = (origin.authority(), asked) else {
        return false;
    };
    let usual = match origin.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => 80,
        _ => 443,
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
    from.host().eq_ignore_ascii_case(asked.host()) && port(from) == port(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).uri("/login");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn hosts() -> Hosts {
        Hosts::new(["Files.Example".to_owned()]).or(|name| name == "from.the.certificate")
    }

    #[test]
    fn names_that_a_rebinding_page_has_are_refused_and_addresses_are_not() {
        for (host, good) in [
            ("localhost", true),
            ("LOCALHOST:50051", true),
            ("localhost.", true),
            ("files.example:443", true),
            ("from.the.certificate", true),
            ("127.0.0.1:50051", true),
            ("192.0.2.7", true),
            ("[::1]:50051", true),
            ("evil.example", false),
            ("evil.example:50051", false),
            ("files.example.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1@evil.example", false),
            ("evil.example@127.0.0.1", false),
            ("[::1", false),
            ("", false),
            (":50051", false),
            ("a b", false),
        ] {
            let checked = hosts().check_host(&request("GET", &[("host", host)]));
            assert_eq!(checked.is_ok(), good, "{host}: {checked:?}");
        }
        let two = request("GET", &[("host", "localhost"), ("host", "evil.example")]);
        assert!(hosts().check_host(&two).is_err());
        assert!(hosts().check_host(&request("GET", &[])).is_err());
    }

    #[test]
    fn target_and_header_may_not_disagree() {
        let absolute = |host: &str| {
            let request = Request::builder().uri("http://localhost:1/x");
            request.header("host", host).body(()).unwrap()
        };
        assert!(hosts().check_host(&absolute("localhost:1")).is_ok());
        assert!(hosts().check_host(&absolute("127.0.0.1:1")).is_err());
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let host = ("host", "localhost:50051");
        for (headers, good) in [
            (vec![host], true),
            (vec![host, ("origin", "https://localhost:50051")], true),
            (vec![host, ("origin", "https://LOCALHOST:50051")], true),
            (vec![host, ("origin", "https://localhost:5001")], false),
            (vec![host, ("origin", "https://localhost")], false),
            (vec![host, ("origin", "https://evil.example")], false),
            (vec![host, ("origin", "https://evil.example:50051")], false),
            (vec![host, ("origin", "null")], false),
            (vec![host, ("origin", "")], false),
            (vec![host, ("sec-fetch-site", "same-origin")], true),
            (vec![host, ("sec-fetch-site", "none")], true),
            (vec![host, ("sec-fetch-site", "same-site")], false),
            (vec![host, ("sec-fetch-site", "cross-site")], false),
            (
                vec![("host", "a.example"), ("origin", "https://a.example")],
                true,
            ),
            (
                vec![("host", "a.example"), ("origin", "http://a.example")],
                true,
            ),
            (
                vec![("host", "a.example:80"), ("origin", "http://a.example")],
                true,
            ),
        ] {
            for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
                let checked = check_site(&request(method, &headers));
                assert_eq!(checked.is_ok(), good, "{method} {headers:?}");
            }
            assert!(check_site(&request("GET", &headers)).is_ok(), "{headers:?}");
        }
    }

    #[test]
    fn a_browser_that_speaks_grpc_is_a_browser() {
        let grpc = ("content-type", "application/grpc+proto");
        for (headers, program) in [
            (vec![grpc], true),
            (vec![grpc, ("origin", "https://evil.example")], false),
            (vec![grpc, ("sec-fetch-mode", "cors")], false),
            (vec![("content-type", "application/json")], false),
        ] {
            let request = request("POST", &headers);
            assert_eq!(
                is_grpc_of_a_program(request.headers()),
                program,
                "{headers:?}"
            );
        }
    }
}
