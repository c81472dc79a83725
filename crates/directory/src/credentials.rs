//! Transport of session tokens: `authorization: Bearer TOKEN` for both APIs; for REST also in two
//! halves, as browsers store them: an `HttpOnly` cookie, and a key in the header [`PAGE_KEY`].
//!
//! Cookies are not bound to a port: every server on the same host receives them, including peers of
//! other accounts. The key is in the page's `localStorage`, which is bound to scheme, host and
//! port.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

/// Returns the token in the value of an `authorization` header (RFC 6750, section 2.1), if there is
/// one.
pub(crate) fn bearer(value: Option<&str>) -> Option<&str> {
    let (scheme, token) = value?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The header with the page's key.
pub(crate) const PAGE_KEY: &str = "convite-page-key";

/// Joins the two halves of a session token, if both are present.
pub(crate) fn join_token(cookie: Option<&str>, headers: &HeaderMap) -> Option<String> {
    let mut keys = headers.get_all(PAGE_KEY).iter();
    let key = keys.next()?.to_str().ok()?;
    let is_only = keys.next().is_none() && !key.is_empty();
    Some(format!("{}.{key}", cookie?)).filter(|_| is_only)
}

/// Splits a browser's session token into its halves: for the cookie, and for the page.
pub(crate) fn split_token(token: &str) -> (&str, &str) {
    token.split_once('.').unwrap_or((token, ""))
}

/// The cookie that holds half of a session token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionCookie {
    /// For a directory with TLS. Because of the prefix, browsers refuse it from other hosts and
    /// over plaintext (RFC 6265bis, section 4.1.3.2).
    Encrypted,
    /// For a directory without TLS, where browsers refuse cookies with that prefix.
    Plaintext,
}

impl SessionCookie {
    /// Returns the cookie for a directory with or without TLS.
    pub(crate) fn of(encrypted: bool) -> Self {
        if encrypted {
            Self::Encrypted
        } else {
            Self::Plaintext
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Encrypted => "__Host-convite",
            Self::Plaintext => "convite",
        }
    }

    /// Returns the half of a token in a request's cookies, if exactly one cookie has this name: of
    /// two, one may have been set by another server.
    pub(crate) fn token(self, headers: &HeaderMap) -> Option<&str> {
        let fields = headers.get_all(header::COOKIE).iter();
        let pairs = fields
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| field.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut tokens = pairs.filter_map(|(name, token)| (name == self.name()).then_some(token));
        let token = tokens.next().filter(|token| !token.is_empty())?;
        tokens.next().is_none().then_some(token)
    }

    /// Returns the `set-cookie` value that stores this half for `lifetime`.
    pub(crate) fn set_cookie(self, token: &str, lifetime: Duration) -> Option<HeaderValue> {
        let secure = match self {
            Self::Encrypted => " Secure;",
            Self::Plaintext => "",
        };
        let mut value = HeaderValue::from_str(&format!(
            "{}={token}; HttpOnly;{secure} SameSite=Strict; Path=/; Max-Age={}",
            self.name(),
            lifetime.as_secs()
        ))
        .ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Returns the `set-cookie` value that removes the cookie.
    pub(crate) fn clear_cookie(self) -> Option<HeaderValue> {
        self.set_cookie("", Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bearer_tokens_are_accepted() {
        for (value, token) in [
            (Some("Bearer abc"), Some("abc")),
            (Some("bearer  abc "), Some("abc")),
            (Some("Basic abc"), None),
            (Some("Bearer "), None),
            (Some("Bearer"), None),
            (Some("abc"), None),
            (None, None),
        ] {
            assert_eq!(bearer(value), token);
        }
    }

    #[test]
    fn a_cookie_is_taken_if_it_is_the_only_one_of_its_name() {
        use SessionCookie::{Encrypted, Plaintext};
        for (cookie, fields, token) in [
            (Encrypted, &["__Host-convite=abc"][..], Some("abc")),
            (Encrypted, &["a=b; __Host-convite=abc;c=d"], Some("abc")),
            (Encrypted, &["a=b", "__Host-convite=abc"], Some("abc")),
            (Encrypted, &["convite=abc"], None),
            (Encrypted, &["__host-convite=abc"], None),
            (Encrypted, &["__Host-convite="], None),
            (Encrypted, &["__Host-convite=a; __Host-convite=b"], None),
            (Encrypted, &[], None),
            (Plaintext, &["convite=abc"], Some("abc")),
            (Plaintext, &["__Host-convite=abc"], None),
        ] {
            let headers: HeaderMap = fields
                .iter()
                .map(|value| (header::COOKIE, value.parse().unwrap()))
                .collect();
            assert_eq!(cookie.token(&headers), token, "{fields:?}");
        }
    }
}
