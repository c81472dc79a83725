//! The identity of a content: of a file, the BLAKE3 hash of its contents; of a folder, the keyed hash
//! of its manifest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ErrorCode, Problem};

/// The context of folder hashes in BLAKE3's key derivation mode (BLAKE3 paper, section 2.3).
pub const MANIFEST_CONTEXT: &str = "convite 2026-11-30 folder manifest v1";

/// The BLAKE3 hash of a whole file, as `b3sum` prints it, or a folder hash: 32 bytes, 64 lowercase
/// hex digits as text.
///
/// A folder hash is derived with [`MANIFEST_CONTEXT`], so that no file has the hash of a folder: a
/// file with the bytes of a manifest is not taken for the folder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of the empty file.
    pub const EMPTY: Self = Self([
        0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9,
        0x49, 0x9b, 0xcb, 0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f,
        0x32, 0x62,
    ]);

    /// Returns `false` if a file with this hash cannot have `size` bytes: only the empty file has
    /// no bytes, and it has no piece that could be verified.
    pub fn allows_size(&self, size: u64) -> bool {
        (size == 0) == (*self == Self::EMPTY)
    }

    /// Returns the hash of `contents`.
    pub fn of(contents: &[u8]) -> Self {
        Self(*blake3::hash(contents).as_bytes())
    }

    /// Returns the folder hash of an encoded manifest.
    pub fn of_manifest(manifest: &[u8]) -> Self {
        Self(blake3::derive_key(MANIFEST_CONTEXT, manifest))
    }

    /// Returns the hasher of a manifest that comes in parts.
    pub(crate) fn manifest_hasher() -> blake3::Hasher {
        blake3::Hasher::new_derive_key(MANIFEST_CONTEXT)
    }

    /// Creates a hash from its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Creates a hash from a byte slice.
    ///
    /// # Errors
    /// Returns `invalid_argument` unless the slice has exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Problem> {
        bytes.try_into().map(Self).map_err(|_| {
            Problem::new(
                ErrorCode::InvalidArgument,
                format!("a content hash has 32 bytes, not {}", bytes.len()),
            )
        })
    }

    /// Returns the bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first 16 hex digits, for display. Never use them to identify a file.
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
            ContentHash::EMPTY.to_string(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        assert_eq!(ContentHash::EMPTY, ContentHash::of(b""));
    }

    #[test]
    fn only_the_empty_file_has_no_bytes() {
        let other = ContentHash::of(b"x");
        assert!(ContentHash::EMPTY.allows_size(0) && other.allows_size(1));
        assert!(!ContentHash::EMPTY.allows_size(1) && !other.allows_size(0));
    }
}
