//! Which row of a list is chosen, and which rows are in sight.

use std::cell::Cell;
use std::ops::Range;

/// A chosen row. The first row in sight follows the choice when the list is drawn, so that it moves
/// only as far as it must.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    at: usize,
    first: Cell<usize>,
}

impl Selection {
    /// The chosen row; meaningless in an empty list.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn up(&mut self, rows: usize) {
        self.at = self.at.saturating_sub(rows);
    }

    pub fn down(&mut self, rows: usize, len: usize) {
        self.at = self.at.saturating_add(rows);
        self.clamp(len);
    }

    pub fn end(&mut self, len: usize) {
        self.at = len.saturating_sub(1);
    }

    pub fn choose(&mut self, row: usize, len: usize) {
        self.at = row;
        self.clamp(len);
    }

    /// After the list changed.
    pub fn clamp(&mut self, len: usize) {
        self.at = self.at.min(len.saturating_sub(1));
    }

    /// The rows in sight of a list of `len` where `height` fit.
    pub fn window(&self, len: usize, height: usize) -> Range<usize> {
        if height == 0 || len == 0 {
            return 0..0;
        }
        let mut first = self.first.get().min(len.saturating_sub(height));
        if self.at < first {
            first = self.at;
        } else if self.at >= first + height {
            first = self.at + 1 - height;
        }
        self.first.set(first);
        first..len.min(first + height)
    }
}

/// How far something long is scrolled, which is corrected when it is drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scroll {
    from: Cell<usize>,
}

impl Scroll {
    pub fn up(&self, lines: usize) {
        self.from.set(self.from.get().saturating_sub(lines));
    }

    pub fn down(&self, lines: usize) {
        self.from.set(self.from.get().saturating_add(lines));
    }

    /// The first line in sight of `len` where `height` fit.
    pub fn first(&self, len: usize, height: usize) -> usize {
        let first = self.from.get().min(len.saturating_sub(height));
        self.from.set(first);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_only_as_far_as_it_must() {
        let mut selection = Selection::default();
        assert_eq!(selection.window(100, 10), 0..10);
        selection.down(9, 100);
        assert_eq!(selection.window(100, 10), 0..10);
        selection.down(1, 100);
        assert_eq!(selection.window(100, 10), 1..11);
        selection.up(5);
        assert_eq!(selection.window(100, 10), 1..11);
        selection.end(100);
        assert_eq!(selection.window(100, 10), 90..100);
        selection.clamp(3);
        assert_eq!((selection.at(), selection.window(3, 10)), (2, 0..3));
        assert_eq!(selection.window(0, 10), 0..0);
    }
}
