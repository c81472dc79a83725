//! Runs of bytes, put together.

use std::ops::Range;

/// The bytes of `ranges` as ranges that neither overlap nor touch, in order; without empty ones.
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
    fn ranges_that_overlap_or_touch_are_one() {
        let ranges = [9..12, 4..4, 0..3, 3..4, 10..11, 20..21];
        assert_eq!(merged(&ranges), [0..4, 9..12, 20..21]);
    }
}
