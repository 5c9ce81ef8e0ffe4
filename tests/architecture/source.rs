//! A source file as the rules see it: its place, its paths, its functions.

use std::path::Path;

use syn::{
    ImplItemFn, ItemFn, ItemMod, ItemUse, TraitItemFn, UseTree,
    spanned::Spanned,
    visit::{self, Visit},
};

/// A file and what was found in it.
pub(crate) struct Source {
    /// From the project's root, with `/`.
    pub(crate) file: String,
    /// The text as it is.
    pub(crate) text: String,
    /// All paths that begin in this crate (from its root) or in another (beginning with its name).
    pub(crate) paths: Vec<Vec<String>>,
    /// Functions and their lengths in lines.
    pub(crate) functions: Vec<(String, usize)>,
    /// Where something is `async` or awaited.
    pub(crate) waits: bool,
    /// Names of the methods that are called.
    pub(crate) methods: Vec<String>,
}

impl Source {
    /// Every Rust file of the project.
    pub(crate) fn read_all(root: &Path) -> Vec<Self> {
        let mut files = Vec::new();
        for folder in ["src", "tests", "benches", "fuzz/fuzz_targets"] {
            collect(&root.join(folder), &mut files);
        }
        files.sort();
        let read = |path: std::path::PathBuf| {
            let text = std::fs::read_to_string(&path).unwrap();
            Self::new(path.strip_prefix(root).unwrap().to_str().unwrap(), &text)
        };
        files.into_iter().map(read).collect()
    }

    /// A file of this name and text.
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut finder = Finder { module: module_of(file), ..Finder::default() };
        finder.visit_file(&parsed);
        Self {
            file: file.into(),
            text: text.into(),
            paths: finder.paths,
            functions: finder.functions,
            waits: finder.waits,
            methods: finder.methods,
        }
    }

    /// The folder (or file) directly below `src`.
    pub(crate) fn layer(&self) -> Option<&str> {
        let rest = self.file.strip_prefix("src/")?;
        Some(rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs"))
    }

    /// The actor whose folder it lies in.
    pub(crate) fn actor(&self) -> Option<&str> {
        self.file.strip_prefix("src/actors/")?.split_once('/').map(|(actor, _)| actor)
    }

    /// Lines before the tests of the file.
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().take_while(|line| *line != "#[cfg(test)]").count()
    }
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

fn module_of(file: &str) -> Vec<String> {
    let rest = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
    let mut module: Vec<String> = rest.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
        module.pop();
    }
    module
}

#[derive(Default)]
struct Finder {
    module: Vec<String>,
    paths: Vec<Vec<String>>,
    functions: Vec<(String, usize)>,
    methods: Vec<String>,
    waits: bool,
}

impl Finder {
    fn keep(&mut self, path: Vec<String>) {
        let Some(first) = path.first() else { return };
        let mut absolute = match first.as_str() {
            "crate" | "atoll" => vec!["crate".to_owned()],
            "self" | "super" => {
                let mut absolute = self.module.clone();
                absolute.insert(0, "crate".to_owned());
                absolute
            }
            _ => Vec::new(),
        };
        for part in path {
            match part.as_str() {
                "super" => drop(absolute.pop()),
                "crate" | "atoll" | "self" => {}
                _ => absolute.push(part),
            }
        }
        self.paths.push(absolute);
    }

    fn keep_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| before.iter().cloned().chain([name]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.keep_tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) => self.keep(with(name.ident.to_string())),
            UseTree::Rename(name) => self.keep(with(name.ident.to_string())),
            UseTree::Glob(_) => self.keep(with("*".into())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.keep_tree(before, tree)),
        }
    }

    fn keep_function(&mut self, name: &syn::Ident, whole: &impl Spanned, is_async: bool) {
        let span = whole.span();
        self.functions.push((name.to_string(), span.end().line + 1 - span.start().line));
        self.waits |= is_async;
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.keep_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.keep(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.keep_function(&item.sig.ident, &item.block, item.sig.asyncness.is_some());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.keep_function(&item.sig.ident, &item.block, item.sig.asyncness.is_some());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.keep_function(&item.sig.ident, item, item.sig.asyncness.is_some());
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.waits = true;
        visit::visit_expr_async(self, block);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.methods.push(call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }
}
