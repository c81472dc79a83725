//! The piece hashes of a file as HTTP carries them: what `GET /files/HASH/pieces` of a peer answers.

use convite_core::{PieceGeometry, PieceHash, PieceHashes};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};

/// Bytes of JSON for each piece hash, at most: its 64 digits, and room to be indented.
const JSON_PER_HASH: usize = 128;
/// Bytes of JSON besides the hashes, at most.
const JSON_BESIDES: usize = 4 << 10;

/// The body, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct PiecesBody {
    /// Size of every piece but the last, in bytes.
    pub piece_size: u64,
    /// Size of the file, in bytes.
    pub file_size: u64,
    /// In hexadecimal digits, in the order of the pieces.
    pub hashes: Vec<String>,
}

impl PiecesBody {
    /// What is told of a file.
    pub fn new(pieces: &PieceHashes) -> Self {
        let encode = |hash: &PieceHash| HEXLOWER.encode(hash);
        Self {
            piece_size: pieces.geometry().piece_size(),
            file_size: pieces.geometry().file_size(),
            hashes: pieces.as_slice().iter().map(encode).collect(),
        }
    }

    /// The most bytes that an honest body has for a file of this geometry.
    pub fn bound(geometry: &PieceGeometry) -> usize {
        geometry.piece_count() as usize * JSON_PER_HASH + JSON_BESIDES
    }

    /// The piece hashes, not yet verified; none if they are not of a file of this geometry.
    pub fn piece_hashes(&self, geometry: &PieceGeometry) -> Option<Vec<PieceHash>> {
        if self.file_size != geometry.file_size() || self.piece_size != geometry.piece_size() {
            return None;
        }
        let decode = |text: &String| {
            let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
            PieceHash::try_from(bytes).ok()
        };
        self.hashes.iter().map(decode).collect()
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
        let mut body: PiecesBody = serde_json::from_slice(&json).unwrap();
        assert_eq!(body.piece_hashes(&geometry).unwrap(), pieces.as_slice());
        let other = PieceGeometry::new(5 * 65_536 + 2).unwrap();
        assert!(body.piece_hashes(&other).is_none());
        body.hashes[3].pop();
        assert!(body.piece_hashes(&geometry).is_none());
    }
}
