//! The identity of a file: the BLAKE3 hash of its contents.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ErrorCode, Problem};

/// BLAKE3 of a whole file, exactly what `b3sum` prints: 32 bytes, 64 lowercase hex digits as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of no bytes at all.
    pub fn of_empty() -> Self {
        Self::of(&[])
    }

    /// The hash of `contents` held in memory.
    pub fn of(contents: &[u8]) -> Self {
        Self(*blake3::hash(contents).as_bytes())
    }

    /// Wraps 32 bytes that are a BLAKE3 hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a hash from a byte string of unknown length.
    ///
    /// # Errors
    /// `invalid_argument` unless there are exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Problem> {
        bytes.try_into().map(Self).map_err(|_| {
            Problem::new(
                ErrorCode::InvalidArgument,
                format!("a content hash has 32 bytes, not {}", bytes.len()),
            )
        })
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 16 hex digits, for people; never used to identify a file.
    pub fn short(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0[..8])
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({})", self.short())
    }
}

impl FromStr for ContentHash {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let refuse = || {
            Problem::new(
                ErrorCode::InvalidArgument,
                "a content hash is 64 hexadecimal digits",
            )
            .hint("it is what `b3sum FILE` prints, and the last column of `convite search`")
        };
        let bytes = data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .map_err(|_| refuse())?;
        bytes.try_into().map(Self).map_err(|_| refuse())
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::names::from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_other_text_is_refused() {
        let hash = ContentHash::of(b"convite");
        assert_eq!(hash.to_string().parse::<ContentHash>().unwrap(), hash);
        let upper = hash.to_string().to_uppercase();
        assert_eq!(upper.parse::<ContentHash>().unwrap(), hash);
        for bad in ["", "abc", &hash.to_string()[1..], &format!("{hash}0"), "zz"] {
            assert!(bad.parse::<ContentHash>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_empty_hash_is_the_published_one() {
        // The first test vector of the BLAKE3 specification.
        assert_eq!(
            ContentHash::of_empty().to_string(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }
}
