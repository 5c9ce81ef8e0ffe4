//! The page that the walker writes on: lines, the empty ones between blocks, and what stands before a line in lists and
//! quotes.

use super::{
    Flavor,
    document::{Document, Style},
    table::Table,
};

/// Most containers that show in what stands before a line: deeper ones are shown like these.
const DEEPEST: usize = 8;

/// What is owed before the next text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Line,
    Blank,
}

#[derive(Debug)]
enum Container {
    Quote { sign: &'static str },
    Item { marker: String, is_marked: bool },
}

/// The document while it is written.
#[derive(Debug)]
pub(super) struct Page {
    document: Document,
    flavor: Flavor,
    gap: Gap,
    is_line_start: bool,
    containers: Vec<Container>,
    /// How many of them are quotes.
    quotes: usize,
    /// The next number of each open list that has numbers.
    lists: Vec<Option<u64>>,
    heading: &'static str,
    /// The style of what is put next.
    pub(super) style: Style,
    /// The table that is being read: text goes into its cell.
    pub(super) table: Option<Table>,
}

impl Page {
    /// An empty one.
    pub(super) fn new(flavor: Flavor) -> Self {
        Self {
            document: Document::default(),
            flavor,
            gap: Gap::None,
            is_line_start: true,
            containers: Vec::new(),
            quotes: 0,
            lists: Vec::new(),
            heading: "",
            style: Style::default(),
            table: None,
        }
    }

    /// What was written.
    pub(super) fn into_document(self) -> Document {
        self.document
    }

    /// Text, or a line break.
    pub(super) fn put(&mut self, text: &str) {
        if let Some(table) = &mut self.table {
            table.cell().push_str(text);
            return;
        }
        self.settle();
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.line_break();
            }
            let line = line.trim_end_matches('\r');
            if !line.is_empty() {
                self.prefix();
                self.document.push(line, false, self.style);
            }
        }
    }

    /// Code in a block of its own. Its lines have nothing before them.
    pub(super) fn code(&mut self, language: &str, code: &str) {
        if code.is_empty() {
            return;
        }
        if !self.is_line_start {
            self.line_break();
        }
        let block = Some(self.document.blocks.len());
        self.document.blocks.push(language.to_owned());
        if self.flavor == Flavor::Discord {
            let signs = self.signs();
            self.document.push(&signs, true, self.lines());
        }
        self.document.push(&code.replace('\r', ""), false, Style { block, ..self.lines() });
        self.is_line_start = false;
    }

    /// A block begins: on a new line, after what is owed.
    pub(super) fn block(&mut self) {
        if !self.is_line_start {
            self.gap = self.gap.max(Gap::Line);
        }
        self.settle();
    }

    /// A block begins that cannot stand beside a bullet.
    pub(super) fn own_line(&mut self) {
        self.block();
        if matches!(self.containers.last(), Some(Container::Item { is_marked: false, .. })) {
            self.prefix();
            self.line_break();
        }
    }

    /// A block is over: an empty line is owed.
    pub(super) fn end_block(&mut self) {
        self.gap = Gap::Blank;
    }

    /// What stands before the next text: a heading's marker, or nothing.
    pub(super) fn heading(&mut self, marker: &'static str) {
        self.heading = marker;
    }

    pub(super) fn begin_quote(&mut self) {
        self.own_line();
        self.containers.push(Container::Quote { sign: self.flavor.quote(self.quotes) });
        self.quotes += 1;
        self.style.quote = true;
    }

    pub(super) fn end_quote(&mut self) {
        self.containers.pop();
        self.quotes = self.quotes.saturating_sub(1);
        self.style.quote = self.quotes > 0;
        self.gap = Gap::Blank;
    }

    pub(super) fn begin_list(&mut self, first: Option<u64>) {
        self.block();
        self.lists.push(first);
    }

    pub(super) fn end_list(&mut self) {
        self.lists.pop();
        if self.lists.is_empty() {
            self.gap = Gap::Blank;
        }
    }

    pub(super) fn begin_item(&mut self) {
        self.block();
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ => self.flavor.bullet().to_owned(),
        };
        self.containers.push(Container::Item { marker, is_marked: false });
    }

    pub(super) fn end_item(&mut self) {
        self.containers.pop();
        self.gap = self.gap.max(Gap::Line);
    }

    /// Pays what is owed.
    pub(super) fn settle(&mut self) {
        let gap = std::mem::replace(&mut self.gap, Gap::None);
        if self.document.text().is_empty() || self.table.is_some() {
            return;
        }
        if gap >= Gap::Line && !self.is_line_start {
            self.line_break();
        }
        if gap == Gap::Blank {
            let signs = self.signs();
            self.document.push(&signs, true, self.lines());
            self.line_break();
        }
    }

    fn line_break(&mut self) {
        // A style may go over the end of a line, but not over what stands before the next.
        let is_bare = self.containers.is_empty();
        let style = if is_bare { Style { code: false, ..self.style } } else { self.lines() };
        self.document.push("\n", false, style);
        self.is_line_start = true;
    }

    /// What stands before a line, once a line.
    fn prefix(&mut self) {
        if std::mem::take(&mut self.is_line_start) {
            let mut prefix = String::new();
            for (depth, container) in self.containers.iter_mut().enumerate() {
                let is_shown = depth < DEEPEST;
                match container {
                    Container::Quote { sign } if is_shown => prefix.push_str(sign),
                    Container::Quote { .. } => {}
                    Container::Item { marker, is_marked: marked @ false } => {
                        *marked = true;
                        prefix.push_str(if is_shown { marker } else { "" });
                    }
                    Container::Item { marker, .. } if is_shown => {
                        prefix.extend(std::iter::repeat_n(' ', marker.chars().count()));
                    }
                    Container::Item { .. } => {}
                }
            }
            self.document.push(&prefix, true, self.lines());
        }
        let heading = std::mem::take(&mut self.heading);
        self.document.push(heading, true, self.lines());
    }

    /// What stands before an empty line.
    fn signs(&self) -> String {
        let signs = self.containers.iter().take(DEEPEST).map(|container| match container {
            Container::Quote { sign } => *sign,
            Container::Item { .. } => "",
        });
        signs.collect()
    }

    fn lines(&self) -> Style {
        Style::of_lines(self.style.quote)
    }

    /// Registers an address.
    pub(super) fn add_link(&mut self, address: String) -> usize {
        self.document.links.push(address);
        self.document.links.len() - 1
    }

    /// Where the next text will stand, in the page or in the cell.
    pub(super) fn len(&mut self) -> usize {
        match &mut self.table {
            Some(table) => table.cell().len(),
            None => self.document.text().len(),
        }
    }

    /// What was put since.
    pub(super) fn since(&mut self, start: usize) -> &str {
        match &mut self.table {
            Some(table) => table.cell().get(start..).unwrap_or_default(),
            None => self.document.text().get(start..).unwrap_or_default(),
        }
    }

    /// Takes the links off what was put since.
    pub(super) fn unlink(&mut self, start: usize) {
        self.document.unlink(start);
    }
}
