//! A deterministic pseudo-random generator (SplitMix64), so that a seed always gives the same plan.

/// The generator.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Creates a generator with the seed `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number in `from..to`; `from` if the range is empty.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        let width = to.saturating_sub(from).max(1);
        from + self.bits() % width
    }

    /// Returns an index below `len`; 0 if `len` is 0.
    pub fn index(&mut self, len: usize) -> usize {
        self.between(0, len as u64) as usize
    }

    /// Returns true with a probability of `percent` in 100.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.between(0, 100) < percent
    }

    /// Returns one element of `all`; none if it is empty.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.index(all.len()))
    }

    /// Returns one value of `weighted`, with a probability proportional to its weight.
    pub fn weighted<T: Copy>(&mut self, weighted: &[(u64, T)]) -> Option<T> {
        let total = weighted.iter().map(|(weight, _)| weight).sum();
        let mut left = self.between(0, total);
        for (weight, value) in weighted {
            if left < *weight {
                return Some(*value);
            }
            left -= weight;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_values() {
        let values = |seed| {
            let mut random = Random::new(seed);
            (0..50).map(|_| random.between(3, 9)).collect::<Vec<_>>()
        };
        assert_eq!(values(1), values(1));
        assert_ne!(values(1), values(2));
        assert!(values(1).iter().all(|value| (3..9).contains(value)));
    }

    #[test]
    fn weights_decide_how_often() {
        let mut random = Random::new(7);
        let all: Vec<char> = (0..1_000)
            .filter_map(|_| random.weighted(&[(9, 'a'), (1, 'b'), (0, 'c')]))
            .collect();
        let count = |wanted| all.iter().filter(|one| **one == wanted).count();
        assert_eq!(all.len(), 1_000);
        assert!(count('a') > 800 && count('b') > 20 && count('c') == 0);
    }
}
