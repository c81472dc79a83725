//! How a session token travels: `authorization: Bearer TOKEN` through both doors alike, and through
//! the REST door as a cookie too, which is how browsers keep it away from scripts.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

/// The token in the value of an `authorization` header (RFC 6750, section 2.1), if there is one.
pub(crate) fn bearer(value: Option<&str>) -> Option<&str> {
    let (scheme, token) = value?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The cookie that holds a session token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionCookie {
    /// Of a directory with TLS. The prefix has browsers refuse it from any other host and from
    /// plaintext (RFC 6265bis, section 4.1.3.2).
    Encrypted,
    /// Of a directory that speaks plaintext, where browsers keep no cookie with that prefix.
    Plaintext,
}

impl SessionCookie {
    /// That of a directory with or without TLS.
    pub(crate) fn of(encrypted: bool) -> Self {
        match encrypted {
            true => Self::Encrypted,
            false => Self::Plaintext,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Encrypted => "__Host-convite",
            Self::Plaintext => "convite",
        }
    }

    /// The token among the cookies of a request, if exactly one of them is this: of two the other
    /// may be a stranger's, who put it there.
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

    /// The `set-cookie` that has a browser keep `token` for `lifetime`.
    pub(crate) fn keep(self, token: &str, lifetime: Duration) -> Option<HeaderValue> {
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

    /// The `set-cookie` that has a browser forget it.
    pub(crate) fn forget(self) -> Option<HeaderValue> {
        self.keep("", Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bearer_tokens_are_taken() {
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
