//! How a session token travels: `authorization: Bearer TOKEN`, through both doors alike.

/// The token in the value of an `authorization` header (RFC 6750, section 2.1), if there is one.
pub(crate) fn bearer(value: Option<&str>) -> Option<&str> {
    let (scheme, token) = value?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
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
}
