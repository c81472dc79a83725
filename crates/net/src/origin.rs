//! Protection against DNS rebinding and cross-site requests from browsers.
//!
//! *DNS rebinding*: a page of `evil.example` makes that name resolve to this server and then
//! accesses it as its own origin. The browser sends the name (`Host`), so a name that is not the
//! server's own is refused. A literal address cannot be rebound, so any address is accepted: that
//! of a listener, of a forwarded port, or of a load balancer.
//!
//! *Cross-site requests*: a page of another site makes the browser send a request that changes
//! something. The browser marks it (`Origin` or `Sec-Fetch-Site`; Fetch standard, section 3.2, and
//! W3C Fetch Metadata), and such requests are refused.
//!
//! Programs send none of these headers and are not restricted. A program could forge them, but
//! would gain nothing.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use convite_core::{ErrorCode, PeerAddress, Problem, display};
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, Method, Request, Uri, Version};

type Known = dyn Fn(&str) -> bool + Send + Sync;

/// The host names of a server.
#[derive(Clone)]
pub struct Hosts {
    names: Arc<HashSet<String>>,
    /// Hosts and ports of the server's own pages, in addition to the requested one.
    origins: Arc<HashSet<(String, u16)>>,
    also: Option<Arc<Known>>,
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hosts").field(&self.names).finish()
    }
}

impl Hosts {
    /// Creates the set of `localhost` and these names. Case-insensitive.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().chain([String::from("localhost")]);
        let lower = |name: String| name.trim_end_matches('.').to_ascii_lowercase();
        Self {
            names: Arc::new(names.map(lower).collect()),
            origins: Arc::default(),
            also: None,
        }
    }

    /// Adds origins of the server's own pages, because a proxy may send another host name than the
    /// browser used.
    #[must_use]
    pub fn with_origins(mut self, addresses: &[PeerAddress]) -> Self {
        let origins = addresses
            .iter()
            .map(|address| (address.host().to_ascii_lowercase(), address.port()));
        self.origins = Arc::new(origins.collect());
        self
    }

    /// Also accepts names for which `also` returns true.
    #[must_use]
    pub fn or(mut self, also: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.also = Some(Arc::new(also));
        self
    }

    /// Returns whether `host` is a name of this server or any literal address.
    fn contains(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        bare.parse::<IpAddr>().is_ok()
            || self.names.contains(&name)
            || self.also.as_ref().is_some_and(|also| also(&name))
    }

    /// Checks that a request is addressed to this server.
    ///
    /// # Errors
    /// Returns `wrong_host` if the name is not one of this server, and `invalid_argument` if the
    /// request has no host, several hosts, or an invalid one.
    pub fn check_host<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let Some(authority) = requested_host(request)? else {
            return match request.version() {
                // These versions have no such header, and no browser uses them.
                Version::HTTP_09 | Version::HTTP_10 => Ok(()),
                _ => Err(Problem::invalid("the request names no host")),
            };
        };
        if self.contains(authority.host()) {
            return Ok(());
        }
        let shown: String = display::escape(authority.host())
            .chars()
            .take(100)
            .collect();
        Err(Problem::new(
            ErrorCode::WrongHost,
            format!("'{shown}' is not a name of this server"),
        )
        .hint("use one of its addresses, or ask its operator to start the directory with `--host NAME`"))
    }

    /// Checks that a request was not sent by a page of another site. Accepts requests that change
    /// nothing, requests of programs, and requests from the server's own pages.
    ///
    /// # Errors
    /// Returns `cross_site` for all other requests, and `invalid_argument` if the host is not
    /// valid.
    pub fn check_site<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let Some(origin) = foreign_origin(request)? else {
            return Ok(());
        };
        let is_own = origin.as_ref().is_some_and(|origin| {
            let authority = origin.authority();
            authority.is_some_and(|from| {
                let host = from.host().trim_start_matches('[').trim_end_matches(']');
                let own = (host.to_ascii_lowercase(), port_of(origin, from));
                self.origins.contains(&own)
            })
        });
        if is_own {
            return Ok(());
        }
        Err(cross_site(request, origin.as_ref()))
    }
}

/// Creates the `cross_site` problem. Behind a proxy that hides the requested name, it also applies
/// to the server's own page, so the hint covers this case.
fn cross_site<B>(request: &Request<B>, origin: Option<&Uri>) -> Problem {
    let problem = Problem::new(
        ErrorCode::CrossSite,
        "the request came from a page of another site",
    );
    let from = origin.and_then(|origin| Some((origin, origin.authority()?)));
    let requested_host = requested_host(request).ok().flatten();
    match (from, requested_host) {
        (Some((origin, from)), Some(requested_host)) if from.host() != requested_host.host() => {
            let port = port_of(origin, from);
            problem.hint(format!(
                "if {origin} is this server behind a proxy, configure the proxy to forward the Host \
                 header, or start the directory with `--public-address {}:{port}`; \
                 pages of other sites cannot change anything here",
                from.host()
            ))
        }
        _ => problem
            .hint("use the page of this server or a program; pages of other sites cannot change anything here"),
    }
}

/// Returns the origin of a state-changing request if it differs from the requested host.
/// `Some(None)` means a foreign origin that is not named. `None` means a request of the server's
/// own page or of a program.
fn foreign_origin<B>(request: &Request<B>) -> Result<Option<Option<Uri>>, Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let headers = request.headers();
    match (headers.get(ORIGIN), headers.get("sec-fetch-site")) {
        (None, None) => Ok(None),
        (None, Some(site)) if site == "same-origin" || site == "none" => Ok(None),
        (None, Some(_)) => Ok(Some(None)),
        (Some(origin), _) => {
            let origin: Option<Uri> = origin.to_str().ok().and_then(|text| text.parse().ok());
            let requested_host = requested_host(request)?;
            let is_own = origin
                .as_ref()
                .is_some_and(|origin| is_same_host(origin, requested_host.as_ref()));
            Ok((!is_own).then_some(origin))
        }
    }
}

/// Returns whether a request is a gRPC call of a program. A browser sends an `Origin` header with
/// every POST, and every gRPC call is a POST.
pub fn is_grpc_from_program(headers: &HeaderMap) -> bool {
    let is_grpc = headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    let from_browser = headers.contains_key(ORIGIN)
        || headers
            .keys()
            .any(|name| name.as_str().starts_with("sec-fetch-"));
    is_grpc && !from_browser
}

/// Returns the requested host: `:authority` in HTTP/2; in HTTP/1.1 `Host` or the request target.
fn requested_host<B>(request: &Request<B>) -> Result<Option<Authority>, Problem> {
    let wrong = || Problem::invalid("the request must name exactly one valid host");
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
    let requested_host = match (header, target) {
        (Some(header), Some(target)) if header != target => return Err(wrong()),
        (header, target) => header.or(target),
    };
    match requested_host {
        Some(requested_host)
            if requested_host.as_str().contains('@') || requested_host.host().is_empty() =>
        {
            Err(wrong())
        }
        requested_host => Ok(requested_host),
    }
}

/// Returns whether `origin` is the requested host. The scheme is not compared, because a proxy may
/// terminate TLS.
fn is_same_host(origin: &Uri, requested_host: Option<&Authority>) -> bool {
    let (Some(from), Some(requested_host)) = (origin.authority(), requested_host) else {
        return false;
    };
    from.host().eq_ignore_ascii_case(requested_host.host())
        && port_of(origin, from) == port_of(origin, requested_host)
}

/// Returns the port of an authority, or the default port of the origin's scheme.
fn port_of(origin: &Uri, authority: &Authority) -> u16 {
    let usual = match origin.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => 80,
        _ => 443,
    };
    authority.port_u16().unwrap_or(usual)
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
                let checked = hosts().check_site(&request(method, &headers));
                assert_eq!(checked.is_ok(), good, "{method} {headers:?}");
            }
            assert!(
                hosts().check_site(&request("GET", &headers)).is_ok(),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn pages_at_a_public_address_are_own_ones_whatever_host_the_proxy_asks_for() {
        let public = [
            "files.example:443".parse().unwrap(),
            "10.0.0.7:8443".parse().unwrap(),
        ];
        let hosts = hosts().with_origins(&public);
        let check = |origin: &str| {
            let headers = [("host", "127.0.0.1:50051"), ("origin", origin)];
            hosts.check_site(&request("POST", &headers))
        };
        for own in [
            "https://files.example",
            "https://FILES.example:443",
            "https://10.0.0.7:8443",
        ] {
            assert!(check(own).is_ok(), "{own}");
        }
        for other in [
            "https://files.example:5001",
            "http://files.example",
            "https://a.example",
        ] {
            assert!(check(other).is_err(), "{other}");
        }
        let hint = check("https://b.example").unwrap_err().hint.unwrap();
        assert!(hint.contains("--public-address b.example:443"), "{hint}");
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
                is_grpc_from_program(request.headers()),
                program,
                "{headers:?}"
            );
        }
    }
}
