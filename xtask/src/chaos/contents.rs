//! File contents derived from a seed and a length, so that the model need not store them.

use convite_core::ContentHash;

use super::random::Random;

/// The contents of one version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contents {
    /// The seed, different for each version of a plan.
    pub seed: u64,
    /// The length in bytes.
    pub len: u64,
    /// The offset of the damaged bytes, modulo the length; 0 if there are none.
    pub damage: u64,
}

/// The number of damaged bytes.
const DAMAGED: usize = 16;

impl Contents {
    /// Returns the bytes.
    pub fn bytes(self) -> Vec<u8> {
        let mut random = Random::new(self.seed);
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(len.saturating_add(8));
        while bytes.len() < len {
            bytes.extend_from_slice(&random.bits().to_le_bytes());
        }
        bytes.truncate(len);
        if self.damage != 0 && len > 0 {
            let at = (self.damage % self.len) as usize;
            let end = (at + DAMAGED).min(len);
            for byte in &mut bytes[at..end] {
                *byte ^= 0x55;
            }
        }
        bytes
    }
}

/// Returns the content hash of `bytes` in Convite's notation.
pub fn hash(bytes: &[u8]) -> String {
    ContentHash::of(bytes).to_string()
}
