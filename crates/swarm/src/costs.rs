//! The costs of pieces: the bytes that the planner counts for a piece when it sizes requests and
//! estimates durations.
//!
//! All pieces of a file have the same cost, also the shorter last one. The pieces of a folder differ;
//! an average of them is used only where the next piece is unknown.

use convite_core::piece::PIECE_MIN;
use convite_core::{PieceGeometry, PieceIndex, PieceLayout};

#[derive(Debug)]
pub(crate) struct PieceCosts {
    layout: PieceLayout,
    /// The piece size of a file.
    uniform: Option<u64>,
    typical: u64,
    longest: u64,
}

impl PieceCosts {
    pub(crate) fn new(layout: PieceLayout) -> Self {
        let uniform = layout.uniform().as_ref().map(PieceGeometry::piece_size);
        let mut costs = Self {
            layout,
            uniform,
            typical: uniform.unwrap_or(PIECE_MIN),
            longest: uniform.unwrap_or(PIECE_MIN),
        };
        if uniform.is_none() {
            costs.measure();
        }
        costs
    }

    fn measure(&mut self) {
        // Cannot overflow, because a layout has at most 2^54 bytes and 2^32 pieces.
        let (mut sum, mut squares) = (0u128, 0u128);
        for piece in 0..self.piece_count() {
            let cost = self.of(piece);
            self.longest = self.longest.max(cost);
            sum += u128::from(cost);
            squares += u128::from(cost) * u128::from(cost);
        }
        if let Some(typical) = squares.checked_div(sum) {
            // Fits, because an average is at most the longest.
            self.typical = typical as u64;
        }
    }

    pub(crate) fn piece_count(&self) -> u32 {
        self.layout.piece_count()
    }

    /// Returns the cost of a piece in bytes: its length, at least [`PIECE_MIN`], because a piece
    /// of few bytes also takes time. So the number of pieces in a request is bounded.
    pub(crate) fn of(&self, piece: PieceIndex) -> u64 {
        let length = || self.layout.piece_len(piece).max(PIECE_MIN);
        self.uniform.unwrap_or_else(length)
    }

    /// Returns the mean cost of a piece in bytes, weighted by cost: the expected cost of the piece
    /// that a provider is sending at some moment.
    pub(crate) fn typical(&self) -> u64 {
        self.typical
    }

    /// Returns the highest cost of a piece in bytes.
    pub(crate) fn longest(&self) -> u64 {
        self.longest
    }

    /// Returns the cost of these pieces as a multiple of the typical cost.
    pub(crate) fn in_typical(&self, pieces: &[PieceIndex]) -> f64 {
        let sum: u64 = pieces.iter().map(|piece| self.of(*piece)).sum();
        sum as f64 / self.typical as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_pieces_of_a_file_have_the_same_cost() {
        let costs = PieceCosts::new(PieceGeometry::new((300 << 20) + 1).unwrap().into());
        let piece = 256 << 10;
        assert_eq!((costs.typical(), costs.longest()), (piece, piece));
        let last = costs.piece_count() - 1;
        assert_eq!((costs.of(0), costs.of(last)), (piece, piece));
        assert_eq!(costs.in_typical(&[0, last]), 2.0);
    }

    #[test]
    fn average_of_uneven_pieces_is_weighted_by_their_size() {
        let lengths = std::iter::repeat_n(0, 64).chain([4 << 20]);
        let costs = PieceCosts::new(PieceLayout::listed(lengths).unwrap());
        assert_eq!((costs.of(0), costs.of(64)), (PIECE_MIN, 4 << 20));
        assert_eq!(costs.longest(), 4 << 20);
        // Half of the cost is in small pieces.
        assert_eq!(costs.typical(), (PIECE_MIN + (4 << 20)) / 2);
        let empty = PieceCosts::new(PieceLayout::listed([]).unwrap());
        assert_eq!((empty.typical(), empty.longest()), (PIECE_MIN, PIECE_MIN));
    }
}
