//! How the words look from outside, as JSON Schema for the interface's description: next to the
//! rules, so that both change together. A schema may let through a little of what a parser
//! refuses: it counts characters where the rule counts bytes.

use std::borrow::Cow;

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::address::PeerAddress;
use crate::hash::ContentHash;
use crate::loads::LoadId;
use crate::names::{NAME_MAX, PeerId, SpaceName, UserName};
use crate::path::{PATH_MAX, SafePath};

const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";
const HASH: &str = "^[0-9A-Fa-f]{64}$";
const PATH: &str = r"^(?!\.{1,2}(/|$))[^/\x00]{1,255}(/(?!\.{1,2}(/|$))[^/\x00]{1,255})*$";

/// A group of an IPv6 address, and a byte of an IPv4 address.
macro_rules! hex {
    () => {
        "[0-9A-Fa-f]{1,4}"
    };
}
macro_rules! byte {
    () => {
        "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    };
}

/// IPv6 (RFC 4291, section 2.2), up to seven groups on either side of `::`; of those that end as
/// IPv4 only the mapped ones.
#[rustfmt::skip]
const ADDRESS: &str = concat!(
    r"^([A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*|\[(",
    "(", hex!(), ":){7}", hex!(),
    "|(", hex!(), ":){1,7}:",
    "|(", hex!(), ":){1,6}:", hex!(),
    "|(", hex!(), ":){1,5}(:", hex!(), "){1,2}",
    "|(", hex!(), ":){1,4}(:", hex!(), "){1,3}",
    "|(", hex!(), ":){1,3}(:", hex!(), "){1,4}",
    "|(", hex!(), ":){1,2}(:", hex!(), "){1,5}",
    "|", hex!(), ":(:", hex!(), "){1,6}",
    "|:((:", hex!(), "){1,7}|:)",
    "|::[Ff]{4}:", byte!(), r"(\.", byte!(), "){3}",
    r")\])",
    ":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
);

fn text(
    description: &str,
    pattern: &str,
    length: std::ops::RangeInclusive<usize>,
    example: &str,
) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(Some(pattern))
        .min_length(Some(*length.start()))
        .max_length(Some(*length.end()))
        .examples([example])
        .build()
}

macro_rules! words {
    ($($type:ident = $description:literal, $pattern:expr, $length:expr, $example:expr;)*) => {
        $(
            impl PartialSchema for $type {
                fn schema() -> RefOr<Schema> {
                    text($description, $pattern, $length, $example).into()
                }
            }

            impl ToSchema for $type {
                fn name() -> Cow<'static, str> {
                    stringify!($type).into()
                }
            }
        )*
    };
}

words! {
    PeerId = "The id of a peer, unique in its directory. Case matters.",
        NAME, 1..=NAME_MAX, "ana-laptop";
    SpaceName = "The name of a space. Case does not matter: it is kept in lower case.",
        NAME, 1..=NAME_MAX, "lab";
    UserName = "The name of an account. Case does not matter; it is kept in lower case.",
        NAME, 1..=NAME_MAX, "ana";
    ContentHash = "BLAKE3 of the whole file, what `b3sum` prints.",
        HASH, 64..=64, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    LoadId = "What a load is named by.",
        "^[0-9A-Fa-f]{16}$", 16..=16, "00d6f1c02a9e4b37";
    SafePath = "A relative path with `/` between its parts, at most 4,095 bytes of UTF-8. No part \
        is empty, `.` or `..`, has more than 255 bytes or holds a NUL.",
        PATH, 1..=PATH_MAX, "music/night concert.flac";
    PeerAddress = "HOST:PORT; the host is an IP address (IPv6 in brackets) or a DNS name.",
        ADDRESS, 3..=259, "192.0.2.7:5001";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example_of<T: PartialSchema>() -> String {
        let schema = serde_json::to_value(T::schema()).unwrap();
        schema["examples"][0].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_examples_are_what_the_parsers_accept() {
        assert!(example_of::<PeerId>().parse::<PeerId>().is_ok());
        assert!(example_of::<UserName>().parse::<UserName>().is_ok());
        assert!(example_of::<ContentHash>().parse::<ContentHash>().is_ok());
        assert!(example_of::<LoadId>().parse::<LoadId>().is_ok());
        assert!(example_of::<SafePath>().parse::<SafePath>().is_ok());
        assert!(example_of::<PeerAddress>().parse::<PeerAddress>().is_ok());
    }
}
