//! The walker: events of `pulldown-cmark` become a [`Document`]. Here is what each element of Markdown looks like as
//! text; tags and markers come later.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

use super::{
    Flavor,
    document::{Document, Inline},
    link::{linkable, looks_like_address},
    page::Page,
    table::Table,
};

/// Longest name of a language that goes into a tag.
const LANGUAGE: usize = 32;
/// A line across the message.
const RULE: &str = "———";

/// Reads a text.
pub(super) fn read(source: &str, flavor: Flavor) -> Document {
    let options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS;
    let mut walker = Walker {
        source,
        flavor,
        page: Page::new(flavor),
        entered: Vec::new(),
        links: Vec::new(),
        code: None,
        html: None,
        is_heading: false,
        covered: 0,
    };
    for (event, range) in Parser::new_ext(source, options).into_offset_iter() {
        walker.event(event, range);
    }
    walker.definitions(source.len());
    walker.page.into_document()
}

/// A style that was entered, and what leaving it takes.
enum Entered {
    /// It was added to the styles.
    Styled,
    /// It holds already.
    Already,
    /// It is shown by these characters.
    Shown(&'static str),
}

/// A link or an image whose text is being read.
struct OpenLink {
    /// Where its text begins.
    start: usize,
    url: String,
    title: String,
    /// Its text leads there.
    is_linked: bool,
}

struct Walker<'a> {
    source: &'a str,
    flavor: Flavor,
    page: Page,
    entered: Vec<Entered>,
    links: Vec<OpenLink>,
    /// Words after the fence, and the code.
    code: Option<(String, String)>,
    html: Option<String>,
    is_heading: bool,
    /// Up to where of the source everything was seen in events.
    covered: usize,
}

impl Walker<'_> {
    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag, range),
            Event::Text(text) => match (&mut self.code, &mut self.html) {
                (Some((_, code)), _) => code.push_str(&text),
                (None, Some(html)) => html.push_str(&text),
                (None, None) => self.inline(&text, range),
            },
            Event::Html(text) => match &mut self.html {
                Some(html) => html.push_str(&text),
                None => self.inline(&text, range),
            },
            Event::InlineHtml(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.inline(&text, range);
            }
            Event::FootnoteReference(text) => self.inline(&format!("[^{text}]"), range),
            Event::Code(text) => {
                self.page.style.code = true;
                self.inline(&text, range);
                self.page.style.code = false;
            }
            Event::SoftBreak | Event::HardBreak => {
                let space = if self.is_heading { " " } else { "\n" };
                self.inline(space, range);
            }
            Event::Rule => {
                self.definitions(range.start);
                self.page.block();
                self.page.put(RULE);
                self.page.end_block();
                self.covered = range.end;
            }
            Event::TaskListMarker(is_done) => self.inline(if is_done { "☑ " } else { "☐ " }, range),
        }
    }

    /// Cells beyond those of a table's head, which the parser leaves out (GitHub Flavored Markdown, 4.10): nothing is lost.
    fn excess(&mut self, end: usize) {
        let left = self.source.get(self.covered..end).unwrap_or_default();
        if let Some(table) = &mut self.page.table {
            for cell in left.split('|').filter(|cell| !cell.trim().is_empty()) {
                table.cell().push_str(cell);
                table.end_cell();
            }
        }
        self.covered = self.covered.max(end);
    }

    fn inline(&mut self, text: &str, range: Range<usize>) {
        self.covered = self.covered.max(range.end);
        self.page.put(text);
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::Emphasis => self.enter(Inline::Italic, ""),
            Tag::Strong => {
                let shown = if self.is_name(range) { "__" } else { "" };
                self.enter(Inline::Bold, shown);
            }
            Tag::Strikethrough => {
                let shown = if self.page.table.is_some() { "~~" } else { "" };
                self.enter(Inline::Strike, shown);
            }
            Tag::Link { link_type: LinkType::Email, dest_url, .. } => {
                self.open_link(format!("mailto:{dest_url}"), String::new());
            }
            Tag::Link { dest_url, title, .. } | Tag::Image { dest_url, title, .. } => {
                self.open_link(dest_url.into_string(), title.into_string());
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.page.table {
                    table.begin_row();
                }
            }
            Tag::TableCell | Tag::Superscript | Tag::Subscript => {}
            block => {
                self.definitions(range.start);
                self.start_block(block);
            }
        }
    }

    fn start_block(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.page.block();
                self.is_heading = true;
                let mark = self.flavor.heading(level as usize);
                self.page.heading(mark);
                if mark.is_empty() {
                    self.enter(Inline::Bold, "");
                }
            }
            Tag::BlockQuote(_) => self.page.begin_quote(),
            Tag::CodeBlock(kind) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.into_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.page.own_line();
                self.code = Some((info, String::new()));
            }
            Tag::HtmlBlock => {
                self.page.block();
                self.html = Some(String::new());
            }
            Tag::List(first) => self.page.begin_list(first),
            Tag::Item => self.page.begin_item(),
            Tag::Table(alignments) => {
                self.page.own_line();
                self.page.table = Some(Table::new(alignments));
            }
            _ => self.page.block(),
        }
    }

    fn end(&mut self, tag: TagEnd, range: Range<usize>) {
        match tag {
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => self.leave(),
            TagEnd::Link | TagEnd::Image => self.close_link(),
            TagEnd::TableCell => {
                self.covered = self.covered.max(range.end);
                if let Some(table) = &mut self.page.table {
                    table.end_cell();
                }
            }
            TagEnd::TableRow => self.excess(range.end),
            TagEnd::TableHead | TagEnd::Superscript | TagEnd::Subscript => {}
            TagEnd::BlockQuote(_) => {
                self.definitions(range.end);
                self.page.end_quote();
            }
            TagEnd::Item => {
                self.definitions(range.end);
                self.page.end_item();
            }
            TagEnd::List(_) => {
                self.definitions(range.end);
                self.page.end_list();
            }
            block => {
                self.end_block(block);
                self.covered = self.covered.max(range.end);
                return;
            }
        }
        self.covered = self.covered.max(range.end);
    }

    fn end_block(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                if self.flavor.heading(level as usize).is_empty() {
                    self.leave();
                }
                self.page.heading("");
                self.is_heading = false;
            }
            TagEnd::CodeBlock => {
                let (info, code) = self.code.take().unwrap_or_default();
                self.code_block(&info, code.trim_end_matches('\n'));
            }
            TagEnd::HtmlBlock => {
                let html = self.html.take().unwrap_or_default();
                self.page.put(html.trim_end());
            }
            TagEnd::Table => {
                let lines = self.page.table.take().map(|table| table.lines()).unwrap_or_default();
                self.page.code("", &lines);
            }
            _ => {}
        }
        self.page.end_block();
    }

    /// The first word after the fence is its language; when more stands there, all of it is shown above the code.
    fn code_block(&mut self, info: &str, code: &str) {
        let (first, more) = info.trim().split_once(char::is_whitespace).unwrap_or((info.trim(), ""));
        let is_word = |one: char| one.is_ascii_alphanumeric() || "_+-.#".contains(one);
        let is_language = first.len() <= LANGUAGE && first.chars().all(is_word) && !code.is_empty();
        let language = if is_language { first } else { "" };
        if !is_language || !more.is_empty() {
            self.page.put(info.trim());
        }
        self.page.code(language, code);
    }

    fn enter(&mut self, inline: Inline, shown: &'static str) {
        let entered = if !shown.is_empty() {
            self.page.put(shown);
            Entered::Shown(shown)
        } else if self.page.style.inline.contains(&Some(inline)) {
            Entered::Already
        } else {
            if let Some(free) = self.page.style.inline.iter_mut().find(|one| one.is_none()) {
                *free = Some(inline);
            }
            Entered::Styled
        };
        self.entered.push(entered);
    }

    fn leave(&mut self) {
        match self.entered.pop() {
            Some(Entered::Styled) => {
                if let Some(last) = self.page.style.inline.iter_mut().rev().find(|one| one.is_some()) {
                    *last = None;
                }
            }
            Some(Entered::Shown(shown)) => self.page.put(shown),
            Some(Entered::Already) | None => {}
        }
    }

    /// `__init__` and its like: whoever writes one means the name, not a bold word.
    fn is_name(&self, range: Range<usize>) -> bool {
        let inner = self.source.get(range).and_then(|text| text.strip_prefix("__")?.strip_suffix("__"));
        inner.is_some_and(|inner| inner.chars().all(|one| one.is_alphanumeric() || one == '_'))
    }

    fn open_link(&mut self, url: String, title: String) {
        let is_free = self.page.style.link.is_none() && self.page.table.is_none();
        let address = linkable(&url, self.flavor).filter(|_| is_free);
        self.page.settle();
        let (start, is_linked) = (self.page.len(), address.is_some());
        self.page.style.link = self.page.style.link.or(address.map(|address| self.page.add_link(address)));
        self.links.push(OpenLink { start, url, title, is_linked });
    }

    /// Where a link cannot lead, its address is shown; so is its title.
    fn close_link(&mut self) {
        let Some(link) = self.links.pop() else { return };
        let shown = self.page.since(link.start).trim().to_owned();
        if shown.is_empty() {
            self.page.put(&link.url);
        }
        if link.is_linked {
            self.page.style.link = None;
        }
        let is_misleading = link.is_linked
            && self.flavor == Flavor::Discord
            && (shown.is_empty() || looks_like_address(&shown));
        if is_misleading {
            self.page.unlink(link.start);
        }
        let is_told =
            shown.is_empty() || shown == link.url || Some(shown.as_str()) == link.url.strip_prefix("mailto:");
        if !is_told && !link.url.is_empty() && (is_misleading || !link.is_linked) {
            self.page.put(&format!(" ({})", link.url));
        }
        if !link.title.is_empty() {
            self.page.put(&format!(" ({})", link.title));
        }
    }

    /// Definitions of links make no events. They are shown, so that none is lost, used or not.
    fn definitions(&mut self, to: usize) {
        let from = self.covered;
        self.covered = from.max(to);
        let passed = self.source.get(from..to).unwrap_or_default();
        let Some(start) = passed.find('[').filter(|start| passed[*start..].contains("]:")) else { return };
        let lines = passed[start..].lines().map(|line| line.trim_start_matches(['>', ' ', '\t']).trim_end());
        let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        self.page.block();
        self.page.put(&lines.join("\n"));
        self.page.end_block();
    }
}
