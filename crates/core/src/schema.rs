//! JSON schemas of the domain types for the OpenAPI description.
//!
//! A schema may accept more than the parser: it counts characters where the parser counts bytes, and
//! it does not check the groups of an IPv6 address.

use std::borrow::Cow;

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::address::{AddressInput, PeerAddress};
use crate::hash::ContentHash;
use crate::names::{NAME_MAX, PeerId, SpaceName, UserName};
use crate::path::{PATH_MAX, SafePath};
use crate::remote_fetch::LoadId;

const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";
const LETTER_NAME: &str = r"^[\p{L}\p{N}][\p{L}\p{M}\p{N}._-]*$";
const HASH: &str = "^[0-9A-Fa-f]{64}$";
const PATH: &str = r"^(?!\.{1,2}(/|$))[^/\x00]{1,255}(/(?!\.{1,2}(/|$))[^/\x00]{1,255})*$";

/// Pattern of `HOST:PORT`. Of an IPv6 address, it checks only the characters.
macro_rules! host_and_port {
    () => {
        concat!(
            r"([A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*|\[[0-9A-Fa-f:.]{2,45}\])",
            ":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
        )
    };
}

const ADDRESS: &str = concat!("^", host_and_port!(), "$");
const ADDRESS_INPUT: &str = concat!(
    "^(",
    host_and_port!(),
    r"|[0-9A-Fa-f:.]{2,45}|\[[0-9A-Fa-f:.]{2,45}\])$"
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

macro_rules! text_schemas {
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

text_schemas! {
    PeerId = "The id of a peer, unique in its directory. Case-sensitive.",
        NAME, 1..=NAME_MAX, "ana-laptop";
    SpaceName = "The name of a space, at most 64 bytes of UTF-8, in letters of one alphabet. \
        Case-insensitive: stored in lower case.",
        LETTER_NAME, 1..=NAME_MAX, "lab";
    UserName = "The name of an account, at most 64 bytes of UTF-8, in letters of one alphabet. \
        Case-insensitive: stored in lower case.",
        LETTER_NAME, 1..=NAME_MAX, "ana";
    ContentHash = "The BLAKE3 hash of the whole file, as `b3sum` prints it.",
        HASH, 64..=64, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    LoadId = "The id of a load (a remote download).",
        "^[0-9A-Fa-f]{16}$", 16..=16, "00d6f1c02a9e4b37";
    SafePath = "A relative path with `/` between its parts, at most 4,095 bytes of UTF-8. No part \
        is empty, `.` or `..`, is longer than 255 bytes, or contains a NUL.",
        PATH, 1..=PATH_MAX, "music/night concert.flac";
    PeerAddress = "HOST:PORT; the host is an IP address (IPv6 in brackets) or a DNS name.",
        ADDRESS, 3..=259, "192.0.2.7:5001";
    AddressInput = "HOST:PORT, or an IP address, which gets the port of the peer; the host is an IP \
        address (IPv6 in brackets) or a DNS name.",
        ADDRESS_INPUT, 2..=259, "192.0.2.7";
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
