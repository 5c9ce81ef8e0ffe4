//! A table as lines of text whose columns stand below each other.

use pulldown_cmark::Alignment;
use unicode_width::UnicodeWidthStr;

/// Widest column that others are filled up to; longer cells stand out of theirs.
const WIDEST: usize = 32;

/// A table while it is read.
#[derive(Debug, Default)]
pub(super) struct Table {
    alignments: Vec<Alignment>,
    rows: Vec<Vec<String>>,
    cell: String,
}

impl Table {
    /// One with these columns.
    pub(super) fn new(alignments: Vec<Alignment>) -> Self {
        Self { alignments, ..Self::default() }
    }

    /// The cell that is being read.
    pub(super) fn cell(&mut self) -> &mut String {
        &mut self.cell
    }

    /// A row begins.
    pub(super) fn begin_row(&mut self) {
        self.rows.push(Vec::new());
    }

    /// The cell is complete.
    pub(super) fn end_cell(&mut self) {
        let cell = std::mem::take(&mut self.cell);
        if let Some(row) = self.rows.last_mut() {
            row.push(cell.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    /// The lines; below the first a rule.
    pub(super) fn lines(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let widths: Vec<_> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.width()).max().unwrap_or_default().min(WIDEST)
            })
            .collect();
        let mut lines: Vec<_> = self.rows.iter().map(|row| self.line(row, &widths)).collect();
        let rule: Vec<_> = widths.iter().map(|width| "─".repeat((*width).max(1))).collect();
        lines.insert(lines.len().min(1), rule.join("─┼─"));
        lines.join("\n")
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let cells: Vec<_> = widths
            .iter()
            .enumerate()
            .map(|(column, width)| {
                let cell = row.get(column).map_or("", String::as_str);
                let room = width.saturating_sub(cell.width());
                let left = match self.alignments.get(column) {
                    Some(Alignment::Right) => room,
                    Some(Alignment::Center) => room / 2,
                    _ => 0,
                };
                format!("{}{cell}{}", " ".repeat(left), " ".repeat(room - left))
            })
            .collect();
        cells.join(" │ ").trim_end().to_owned()
    }
}
