//! Tables of text.

use super::Output;
use convite_core::display;

/// A table whose columns are as wide as their contents; empty columns at the end are omitted.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// The escaped text of a cell.
#[derive(Default)]
struct Cell {
    /// Alternately plain and marked text, plain first.
    pieces: Vec<String>,
}

impl Cell {
    fn plain(text: &str) -> Self {
        Self {
            pieces: vec![display::escape(text).into_owned()],
        }
    }

    /// Creates a cell in which the ranges in `marks` are marked: half-open ranges of characters, in
    /// order, without overlaps. They are untrusted; invalid ranges mark nothing.
    fn marked(text: &str, marks: &[[u32; 2]]) -> Self {
        let mut pieces = vec![String::new()];
        let mut marks = marks.iter();
        let mut mark = marks.next();
        for (at, c) in (0..).zip(text.chars()) {
            while mark.is_some_and(|[_, end]| *end <= at) {
                mark = marks.next();
            }
            let is_marked = mark.is_some_and(|[begin, _]| *begin <= at);
            if is_marked != (pieces.len() % 2 == 0) {
                pieces.push(String::new());
            }
            if let Some(piece) = pieces.last_mut() {
                piece.push_str(&display::escape(c.encode_utf8(&mut [0; 4])));
            }
        }
        Self { pieces }
    }

    fn width(&self) -> usize {
        self.pieces.iter().map(|piece| piece.chars().count()).sum()
    }

    /// Returns the text, with marked parts in bold (ECMA-48, SGR) if `bold`.
    fn shown(&self, bold: bool) -> String {
        let pieces = self.pieces.iter().enumerate();
        let shown = pieces.map(|(n, piece)| {
            if bold && n % 2 == 1 {
                format!("\u{1b}[1m{piece}\u{1b}[22m")
            } else {
                piece.clone()
            }
        });
        shown.collect()
    }
}

impl Table {
    /// Creates a table with these columns. A column whose name begins with `>` is right-aligned.
    pub fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; every cell is escaped.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.iter().map(|cell| Cell::plain(cell));
        self.rows.push(cells.collect());
    }

    /// Adds a row with marks in its first cell (half-open ranges of characters); every cell is escaped.
    pub fn marked_row<const N: usize>(
        &mut self,
        first: &str,
        marks: &[[u32; 2]],
        rest: [String; N],
    ) {
        let rest = rest.iter().map(|cell| Cell::plain(cell));
        let first = Cell::marked(first, marks);
        self.rows.push(std::iter::once(first).chain(rest).collect());
    }

    /// Prints the table. The header is printed only on a terminal, so that scripts get only rows; marks
    /// are printed only if colours are enabled.
    pub fn print(&self, output: &Output) {
        for line in self.lines(output.is_interactive(), output.is_coloured()) {
            output.line(&line);
        }
    }

    fn lines(&self, for_a_person: bool, with_marks: bool) -> Vec<String> {
        let head: Vec<Cell> = self
            .head
            .iter()
            .map(|name| Cell::plain(name.trim_start_matches('>')))
            .collect();
        let shown = || for_a_person.then_some(&head).into_iter().chain(&self.rows);
        let width = |column: usize| {
            let cells = shown().filter_map(|row| row.get(column));
            cells.map(Cell::width).max().unwrap_or(0)
        };
        let has_text = |column: &usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(*column));
            cells.map(Cell::width).any(|width| width > 0)
        };
        let columns = (0..self.head.len()).rfind(has_text).map_or(1, |n| n + 1);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<Cell>| {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate().take(columns) {
                let pad = " ".repeat(widths[column].saturating_sub(cell.width()));
                let last = column + 1 == columns;
                let (before, after) = if self.head[column].starts_with('>') {
                    (&*pad, "")
                } else if last {
                    ("", "")
                } else {
                    ("", &*pad)
                };
                let gap = if column == 0 { "" } else { "  " };
                line.extend([gap, before, &cell.shown(with_marks), after]);
            }
            line.truncate(line.trim_end().len());
            line
        };
        shown().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_escaped_in_tables() {
        let mut table = Table::new(&["name", ">size", "peer"]);
        table.row(["a".into(), "1 B".into(), "x".into()]);
        table.row(["ñandú\u{1b}[2J".into(), "12 KiB".into(), "yy".into()]);
        assert_eq!(
            table.lines(true, true),
            [
                "name              size  peer",
                "a                  1 B  x",
                "ñandú\\u{1b}[2J  12 KiB  yy",
            ]
        );
        assert_eq!(table.lines(false, false).len(), 2);
    }

    #[test]
    fn an_empty_last_column_is_hidden() {
        let mut table = Table::new(&["name", "space"]);
        table.row(["a".into(), String::new()]);
        assert_eq!(table.lines(true, true), ["name", "a"]);
        table.row(["b".into(), "lab".into()]);
        assert_eq!(table.lines(true, true), ["name  space", "a", "b     lab"]);
        assert_eq!(Table::new(&["name", "space"]).lines(false, false), [""; 0]);
    }

    #[test]
    fn matches_are_bold_on_a_terminal_without_width() {
        let mut table = Table::new(&["name", "x"]);
        table.marked_row("ñandú\u{1b}.txt", &[[0, 2], [6, 9]], ["1".into()]);
        table.marked_row("plain", &[], ["2".into()]);
        assert_eq!(
            table.lines(true, true)[1..],
            [
                "\u{1b}[1mña\u{1b}[22mndú\\u{1b}\u{1b}[1m.tx\u{1b}[22mt  1",
                "plain            2",
            ]
        );
        assert_eq!(table.lines(false, false)[0], "ñandú\\u{1b}.txt  1");
        // Invalid marks.
        for marks in [
            &[[3, 1]][..],
            &[[4, 99]],
            &[[2, 4], [0, 1]],
            &[[9, 9]],
            &[[0, 0]],
        ] {
            let mut table = Table::new(&["name"]);
            table.marked_row("name", marks, []);
            assert_eq!(table.lines(false, false), ["name"]);
        }
    }
}
