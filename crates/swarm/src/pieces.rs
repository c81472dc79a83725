//! Bit sets of pieces.

use convite_core::PieceIndex;

/// A set of pieces of a file, with one bit for each piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceSet {
    words: Vec<u64>,
    count: u32,
    len: u32,
}

impl PieceSet {
    /// Creates an empty set for a file of `count` pieces.
    pub fn empty(count: u32) -> Self {
        Self {
            words: vec![0; count.div_ceil(64) as usize],
            count,
            len: 0,
        }
    }

    /// Creates a set of all pieces of a file of `count` pieces.
    pub fn full(count: u32) -> Self {
        let mut set = Self::empty(count);
        for index in 0..count {
            set.insert(index);
        }
        set
    }

    /// Returns the number of pieces of the file.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns the number of pieces in the set.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns whether the set contains every piece.
    pub fn is_full(&self) -> bool {
        self.len == self.count
    }

    /// Returns whether the set contains `index`. False for an index beyond the file.
    pub fn contains(&self, index: PieceIndex) -> bool {
        index < self.count && self.words[index as usize / 64] >> (index % 64) & 1 == 1
    }

    /// Adds a piece. Returns whether it was added; false for an index beyond the file.
    pub fn insert(&mut self, index: PieceIndex) -> bool {
        if index >= self.count || self.contains(index) {
            return false;
        }
        self.words[index as usize / 64] |= 1 << (index % 64);
        self.len += 1;
        true
    }

    /// Removes a piece. Returns whether it was in the set.
    pub fn remove(&mut self, index: PieceIndex) -> bool {
        if !self.contains(index) {
            return false;
        }
        self.words[index as usize / 64] &= !(1 << (index % 64));
        self.len -= 1;
        true
    }

    /// Returns the first piece in the set at or after `from`.
    pub fn next(&self, from: PieceIndex) -> Option<PieceIndex> {
        if from >= self.count {
            return None;
        }
        let mut word = from as usize / 64;
        let mut bits = self.words[word] & (u64::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            bits = *self.words.get(word)?;
        }
        Some(word as u32 * 64 + bits.trailing_zeros())
    }

    /// Returns whether the sets have a common piece.
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Returns the common pieces of both sets, in order.
    pub fn in_both<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = PieceIndex> + 'a {
        let words = self.words.iter().zip(&other.words);
        words.zip(0u32..).flat_map(|((a, b), at)| {
            let mut bits = a & b;
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros())?;
                bits &= bits - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// Returns the pieces in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let index = self.next(from)?;
            from = index + 1;
            Some(index)
        })
    }

    /// Returns the set as bytes, with piece 0 in the lowest bit of the first byte.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|w| w.to_le_bytes()).collect();
        bytes.truncate(self.count.div_ceil(8) as usize);
        bytes
    }

    /// Creates a set for a file of `count` pieces from the bytes of [`Self::to_bytes`]. Returns
    /// `None` if the length is wrong, or if a bit beyond the last piece is set.
    pub fn from_bytes(count: u32, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != count.div_ceil(8) as usize {
            return None;
        }
        let mut set = Self::empty(count);
        for (at, byte) in bytes.iter().enumerate() {
            for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                if !set.insert(at as u32 * 8 + bit) {
                    return None;
                }
            }
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_as_a_set(count in 0u32..300, ops in prop::collection::vec((any::<bool>(), 0u32..320), 0..200)) {
            let mut set = PieceSet::empty(count);
            let mut model = BTreeSet::new();
            for (add, index) in ops {
                if add {
                    prop_assert_eq!(set.insert(index), index < count && model.insert(index));
                } else {
                    prop_assert_eq!(set.remove(index), model.remove(&index));
                }
            }
            prop_assert_eq!(set.len() as usize, model.len());
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            for from in 0..count {
                prop_assert_eq!(set.next(from), model.range(from..).next().copied());
            }
            let mut odd = PieceSet::empty(count);
            (0..count).filter(|i| i % 2 == 1).for_each(|i| { odd.insert(i); });
            let both: Vec<_> = set.in_both(&odd).collect();
            let expected: Vec<_> = model.iter().copied().filter(|i| i % 2 == 1).collect();
            prop_assert_eq!(set.intersects(&odd), !expected.is_empty());
            prop_assert_eq!(both, expected);
            prop_assert_eq!(PieceSet::from_bytes(count, &set.to_bytes()), Some(set));
        }
    }

    #[test]
    fn damaged_bytes_are_refused() {
        assert!(PieceSet::from_bytes(9, &[0xff]).is_none());
        assert!(PieceSet::from_bytes(9, &[0xff, 0x02]).is_none());
        assert!(PieceSet::from_bytes(9, &[0xff, 0x01]).unwrap().is_full());
        assert!(PieceSet::full(130).is_full());
    }
}
