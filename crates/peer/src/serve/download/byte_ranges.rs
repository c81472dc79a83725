//! Merges byte ranges.

use std::ops::Range;

/// Returns the bytes of `ranges` as sorted ranges that neither overlap nor touch, without empty
/// ones.
pub fn merged(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted: Vec<_> = ranges.iter().filter(|r| !r.is_empty()).cloned().collect();
    sorted.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_and_adjacent_ranges_merge() {
        let ranges = [9..12, 4..4, 0..3, 3..4, 10..11, 20..21];
        assert_eq!(merged(&ranges), [0..4, 9..12, 20..21]);
    }
}
