//! The JSON body of `GET /files/HASH/pieces` at a peer.

use std::fmt;

use convite_core::{PieceGeometry, PieceHash, PieceHashes};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// The maximum number of JSON bytes per piece hash: 64 digits and room for indentation.
const JSON_PER_HASH: usize = 128;
/// The maximum number of JSON bytes besides the hashes.
const JSON_BESIDES: usize = 4 << 10;

/// The body as JSON. Use [`Self::read`] to parse a body from another peer.
#[derive(Debug, Serialize)]
pub struct PiecesBody {
    /// Size of every piece but the last, in bytes.
    pub piece_size: u64,
    /// Size of the file, in bytes.
    pub file_size: u64,
    /// Piece hashes as hexadecimal digits, in the order of the pieces.
    pub hashes: Vec<String>,
}

impl PiecesBody {
    /// Creates the body for the piece hashes of a file.
    pub fn new(pieces: &PieceHashes) -> Self {
        let encode = |hash: &PieceHash| HEXLOWER.encode(hash);
        Self {
            piece_size: pieces.geometry().piece_size(),
            file_size: pieces.geometry().file_size(),
            hashes: pieces.as_slice().iter().map(encode).collect(),
        }
    }

    /// Returns the maximum length in bytes of a valid body for a file of this geometry.
    pub fn bound(geometry: &PieceGeometry) -> usize {
        geometry.piece_count() as usize * JSON_PER_HASH + JSON_BESIDES
    }

    /// Parses the piece hashes of a body, without verifying them. Allocates at most 32 bytes for
    /// each piece of a file of this geometry, whatever the JSON contains.
    ///
    /// # Errors
    /// Returns a data error ([`serde_json::Error::is_data`]) if the body is for another file or not
    /// valid.
    pub fn read(json: &[u8], geometry: &PieceGeometry) -> serde_json::Result<Vec<PieceHash>> {
        let mut source = serde_json::Deserializer::from_slice(json);
        let hashes = Body(geometry).deserialize(&mut source)?;
        source.end()?;
        Ok(hashes)
    }
}

/// Deserializes the body for a file of this geometry.
struct Body<'g>(&'g PieceGeometry);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    PieceSize,
    FileSize,
    Hashes,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = Vec<PieceHash>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Vec<PieceHash>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the piece hashes of a file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let geometry = self.0;
        let (mut piece_size, mut file_size, mut hashes) = (None, None, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::PieceSize => piece_size = Some(map.next_value::<u64>()?),
                Field::FileSize => file_size = Some(map.next_value::<u64>()?),
                Field::Hashes => {
                    // Free an earlier list first, if the field occurs twice.
                    drop(hashes.take());
                    let count = Counted(geometry.piece_count() as usize);
                    hashes = Some(map.next_value_seed(count)?);
                }
                Field::Other => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        let is_of_it =
            piece_size == Some(geometry.piece_size()) && file_size == Some(geometry.file_size());
        hashes
            .filter(|_| is_of_it)
            .ok_or_else(|| A::Error::custom("these are not the piece hashes of this file"))
    }
}

/// Deserializes exactly this number of hashes.
struct Counted(usize);

impl<'de> DeserializeSeed<'de> for Counted {
    type Value = Vec<PieceHash>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Counted {
    type Value = Vec<PieceHash>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} piece hashes", self.0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut hashes = Vec::new();
        while let Some(hash) = list.next_element_seed(Digits)? {
            if hashes.len() == self.0 {
                return Err(A::Error::invalid_length(hashes.len() + 1, &self));
            }
            hashes.push(hash);
        }
        if hashes.len() == self.0 {
            Ok(hashes)
        } else {
            Err(A::Error::invalid_length(hashes.len(), &self))
        }
    }
}

/// Deserializes a hash from hexadecimal digits.
struct Digits;

impl<'de> DeserializeSeed<'de> for Digits {
    type Value = PieceHash;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<PieceHash, D::Error> {
        source.deserialize_str(self)
    }
}

impl Visitor<'_> for Digits {
    type Value = PieceHash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("64 hexadecimal digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PieceHash, E> {
        let mut hash = PieceHash::default();
        let fits = text.len() == 2 * hash.len();
        let decoded = fits
            && HEXLOWER_PERMISSIVE
                .decode_mut(text.as_bytes(), &mut hash)
                .is_ok();
        decoded
            .then_some(hash)
            .ok_or_else(|| E::custom("this is not a hash"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood_within_its_bound_and_for_no_other_file() {
        let geometry = PieceGeometry::new(5 * 65_536 + 1).unwrap();
        let pieces = PieceHashes::fold(geometry, vec![[0xab; 32]; 6]).unwrap();
        let json = serde_json::to_vec_pretty(&PiecesBody::new(&pieces)).unwrap();
        assert!(json.len() <= PiecesBody::bound(&geometry));
        assert_eq!(
            PiecesBody::read(&json, &geometry).unwrap(),
            pieces.as_slice()
        );
        let other = PieceGeometry::new(5 * 65_536 + 2).unwrap();
        assert!(PiecesBody::read(&json, &other).unwrap_err().is_data());
    }

    #[test]
    fn what_is_not_as_many_hashes_as_pieces_is_refused() {
        let geometry = PieceGeometry::new(2 * 65_536).unwrap();
        let hash = "ab".repeat(32);
        let body = |hashes: &str| {
            let json = format!(
                r#"{{"hashes":[{hashes}],"x":[{{}}],"file_size":131072,"piece_size":65536}}"#
            );
            PiecesBody::read(json.as_bytes(), &geometry)
        };
        let both = format!("\"{hash}\",\"{}\"", hash.to_uppercase());
        assert_eq!(body(&both).unwrap(), [[0xab; 32]; 2]);
        for hashes in [
            String::new(),
            format!("\"{hash}\""),
            format!("{both},\"{hash}\""),
            format!("\"{hash}\",\"{}\"", &hash[1..]),
            format!("\"{hash}\",\"{}g\"", &hash[1..]),
            format!("\"{hash}\",7"),
            vec!["\"\""; 100_000].join(","),
        ] {
            assert!(body(&hashes).unwrap_err().is_data());
        }
        assert!(body("}").unwrap_err().is_syntax());
        assert!(PiecesBody::read(b"{}", &geometry).is_err());
        assert!(PiecesBody::read(b"[]", &geometry).is_err());
    }
}
