//! Sets of small numbers with fast lookup, for peers and spaces.

use std::collections::HashSet;

/// The numbers below this limit are stored as bits. Peers and spaces are numbered from zero, so
/// bits are smaller and faster than a hash set.
const BITS_MAX: i64 = 1 << 24;

/// A set of numbers.
pub(crate) struct IdSet {
    bits: Vec<u64>,
    /// The numbers outside the bit set.
    others: HashSet<i64>,
}

impl IdSet {
    pub(crate) fn new(numbers: impl Iterator<Item = i64>) -> Self {
        let (near, others): (Vec<i64>, HashSet<i64>) = {
            let (near, others): (Vec<i64>, Vec<i64>) =
                numbers.partition(|number| (0..BITS_MAX).contains(number));
            (near, others.into_iter().collect())
        };
        let highest = near.iter().max().map_or(0, |number| *number as usize + 1);
        let mut bits = vec![0; highest.div_ceil(64)];
        for number in near {
            bits[number as usize / 64] |= 1 << (number % 64);
        }
        Self { bits, others }
    }

    pub(crate) fn contains(&self, number: i64) -> bool {
        let word = usize::try_from(number / 64)
            .ok()
            .and_then(|n| self.bits.get(n));
        match word {
            Some(word) if number >= 0 => word & (1 << (number % 64)) != 0,
            _ => self.others.contains(&number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_it_was_given() {
        let given = [
            0,
            1,
            63,
            64,
            1000,
            BITS_MAX - 1,
            BITS_MAX,
            i64::MAX,
            -1,
            i64::MIN,
        ];
        let numbers = IdSet::new(given.into_iter());
        for peer in given {
            assert!(numbers.contains(peer), "{peer}");
            let empty = IdSet::new(std::iter::empty());
            assert!(!empty.contains(peer), "{peer}");
        }
        for peer in [2, 62, 65, 999, BITS_MAX + 1, i64::MAX - 1, -2, -64] {
            assert!(!numbers.contains(peer), "{peer}");
        }
    }
}
