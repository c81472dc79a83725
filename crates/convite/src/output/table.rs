//! Columns of text.

use super::Output;
use convite_core::display;

/// Rows that are printed in columns as wide as they need be.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns. One whose name begins with `>` is aligned to the right.
    pub fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; every cell is escaped.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.iter().map(|cell| display::escape(cell).into_owned());
        self.rows.push(cells.collect());
    }

    /// Prints it: the head only for a person, so that scripts get rows alone.
    pub fn print(&self, output: &Output) {
        for line in self.lines(output.is_for_a_person()) {
            output.line(&line);
        }
    }

    fn lines(&self, with_head: bool) -> Vec<String> {
        let head: Vec<String> = self
            .head
            .iter()
            .map(|name| name.trim_start_matches('>').to_owned())
            .collect();
        let shown = || with_head.then_some(&head).into_iter().chain(&self.rows);
        let width = |column: usize| {
            let cells = shown().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
                let last = column + 1 == row.len();
                let (before, after) = match self.head[column].starts_with('>') {
                    true => (&*pad, ""),
                    false if last => ("", ""),
                    false => ("", &*pad),
                };
                let gap = if column == 0 { "" } else { "  " };
                line.extend([gap, before, cell, after]);
            }
            line
        };
        shown().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_strangers_cannot_steer_the_terminal() {
        let mut table = Table::new(&["name", ">size", "peer"]);
        table.row(["a".into(), "1 B".into(), "x".into()]);
        table.row(["ñandú\u{1b}[2J".into(), "12 KiB".into(), "yy".into()]);
        assert_eq!(
            table.lines(true),
            [
                "name              size  peer",
                "a                  1 B  x",
                "ñandú\\u{1b}[2J  12 KiB  yy",
            ]
        );
        assert_eq!(table.lines(false).len(), 2);
    }
}
