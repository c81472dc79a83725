//! The selected row and the visible rows of a list.

use std::cell::Cell;
use std::ops::Range;

/// A selected row. The visible rows are adjusted when the list is drawn, so that the list scrolls only
/// as far as needed.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    at: usize,
    first: Cell<usize>,
}

impl Selection {
    /// Returns the selected row; 0 for an empty list.
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

    /// Limits the selection to a list of `len` rows.
    pub fn clamp(&mut self, len: usize) {
        self.at = self.at.min(len.saturating_sub(1));
    }

    /// Returns the visible rows of a list with `len` rows, of which `height` fit.
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

/// A scroll position, which is limited when the text is drawn.
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

    /// Returns the first visible line of `len` lines, of which `height` fit.
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
    fn the_window_scrolls_only_as_far_as_needed() {
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
