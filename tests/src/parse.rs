//! One Rust file, read as far as the search for imports needs it: its modules, what they define,
//! and what they import.

use std::collections::{BTreeMap, BTreeSet};

use crate::tokens::tokens;

/// The path of a module from the root of its crate: `["cache", "key"]`.
pub(crate) type ModulePath = Vec<String>;

/// One name that a `use` brings into a module.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    /// As it is written: `["crate", "cache", "Key"]`.
    pub path: Vec<String>,
    /// The name that it has in the module; `*` for all of a module's.
    pub name: String,
    /// Whether others can import it from this module (`pub use`).
    pub exported: bool,
}

/// What one module, a file or a `mod name { ... }` in one, defines and imports.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub file: usize,
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// The words of its code outside of `use`: an import that is only exported is not among them.
    pub words: BTreeSet<String>,
}

/// What one file says, before paths are followed.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The file's own module first (an empty path), then those inside it.
    pub modules: BTreeMap<ModulePath, Module>,
    pub types: Vec<String>,
    /// The modules in files of their own that are declared for tests only.
    pub test_modules: Vec<ModulePath>,
}

/// What an open brace belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Module,
    /// `impl` or `trait`: a `type` in it is no type of the module.
    Methods,
    Other,
}

struct Parser<'t> {
    tokens: Vec<&'t str>,
    at: usize,
    with_tests: bool,
    scopes: Vec<Scope>,
    module: ModulePath,
    parsed: Parsed,
}

/// What the file says, with or without what it says for tests only.
pub(crate) fn parse(text: &str, with_tests: bool) -> Parsed {
    let mut parser = Parser {
        tokens: tokens(text),
        at: 0,
        with_tests,
        scopes: Vec::new(),
        module: Vec::new(),
        parsed: Parsed::default(),
    };
    parser.parsed.modules.insert(Vec::new(), Module::default());
    parser.run();
    parser.parsed
}

impl<'t> Parser<'t> {
    fn peek(&self, ahead: usize) -> &'t str {
        self.tokens.get(self.at + ahead).copied().unwrap_or_default()
    }

    fn here(&mut self) -> &mut Module {
        self.parsed.modules.entry(self.module.clone()).or_default()
    }

    /// Whether a declaration can begin at this token.
    fn begins(&self) -> bool {
        let before = self.at.checked_sub(1).map_or("", |at| self.tokens[at]);
        matches!(
            before,
            "" | ";"
                | "{"
                | "}"
                | "]"
                | ")"
                | "pub"
                | "unsafe"
                | "async"
                | "const"
                | "extern"
                | "\"\""
                | "auto"
        )
    }

    fn run(&mut self) {
        let mut next_scope = Scope::Other;
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "#" => {
                    self.attribute();
                    continue;
                }
                "use" if self.begins() => {
                    self.import();
                    continue;
                }
                "mod" if self.begins() => {
                    let name = self.peek(1).to_owned();
                    self.here().items.insert(name.clone());
                    if self.peek(2) == "{" {
                        self.module.push(name);
                        self.here();
                        self.scopes.push(Scope::Module);
                        self.at += 3;
                        continue;
                    }
                    // The declaration of a module is no use of its name.
                    self.at += 2;
                    continue;
                }
                "impl" if self.begins() => next_scope = Scope::Methods,
                word @ ("struct" | "enum" | "union" | "trait" | "type" | "fn" | "const"
                | "static")
                    if self.begins() =>
                {
                    self.item(word);
                    if word == "trait" {
                        next_scope = Scope::Methods;
                    }
                }
                "macro_rules" => {
                    let name = self.peek(2).to_owned();
                    self.here().items.insert(name);
                }
                "{" => {
                    self.scopes.push(next_scope);
                    next_scope = Scope::Other;
                }
                "}" if self.scopes.pop() == Some(Scope::Module) => {
                    self.module.pop();
                }
                ";" => next_scope = Scope::Other,
                _ => {}
            }
            let word = self.peek(0).to_owned();
            self.here().words.insert(word);
            self.at += 1;
        }
    }

    /// `struct Name`, and what else defines a name.
    fn item(&mut self, word: &str) {
        let name = self.peek(1).to_owned();
        if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return;
        }
        let in_methods = self.scopes.last() == Some(&Scope::Methods);
        if matches!(word, "struct" | "enum" | "trait")
            || (word == "union" && matches!(self.peek(2), "{" | "<"))
            || (word == "type" && !in_methods)
        {
            self.parsed.types.push(name.clone());
        }
        if !in_methods {
            self.here().items.insert(name);
        }
    }

    /// `#[...]`: what stands behind `#[cfg(test)]` is for tests only.
    fn attribute(&mut self) {
        let start = self.at;
        self.at += if self.peek(1) == "!" { 2 } else { 1 };
        if self.peek(0) != "[" {
            return;
        }
        self.skip_group();
        let words = &self.tokens[start..self.at];
        let test = words.contains(&"cfg") && words.contains(&"test") && !words.contains(&"not");
        if test && !self.with_tests && words.get(1) != Some(&"!") {
            self.skip_item();
        }
    }

    /// Goes behind the bracket that closes the one here.
    fn skip_group(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// Goes behind the item here, which is for tests only.
    fn skip_item(&mut self) {
        while self.at < self.tokens.len() {
            match self.peek(0) {
                "mod" if self.peek(2) == ";" => {
                    let module = [&self.module[..], &[self.peek(1).to_owned()]].concat();
                    self.parsed.test_modules.push(module);
                    self.at += 1;
                }
                ";" | "," => {
                    self.at += 1;
                    return;
                }
                "}" | ")" => return,
                "{" => {
                    self.skip_group();
                    return;
                }
                "(" | "[" => self.skip_group(),
                _ => self.at += 1,
            }
        }
    }

    /// `use a::{b, c as d};`
    fn import(&mut self) {
        let exported = {
            let mut before = self.at;
            if before > 0 && self.tokens[before - 1] == ")" {
                before = self.tokens[..before].iter().rposition(|t| *t == "(").unwrap_or(0);
            }
            before > 0 && self.tokens[before - 1] == "pub"
        };
        self.at += 1;
        if self.peek(0) == "<" {
            return;
        }
        if self.peek(0) == "::" {
            self.at += 1;
        }
        self.tree(&mut Vec::new(), exported);
    }

    fn tree(&mut self, prefix: &mut Vec<String>, exported: bool) {
        let depth = prefix.len();
        loop {
            match self.peek(0) {
                "{" => {
                    self.at += 1;
                    while !matches!(self.peek(0), "}" | "") {
                        self.tree(prefix, exported);
                        if self.peek(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    break;
                }
                "::" => self.at += 1,
                "as" => {
                    let name = self.peek(1).to_owned();
                    self.at += 2;
                    self.here().imports.push(Import { path: prefix.clone(), name, exported });
                    break;
                }
                "," | ";" | "}" | "" => {
                    let mut path = prefix.clone();
                    // `a::{self}` is `a`.
                    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                        path.pop();
                    }
                    let name = path.last().cloned().unwrap_or_default();
                    self.here().imports.push(Import { path, name, exported });
                    break;
                }
                word => {
                    prefix.push(word.to_owned());
                    self.at += 1;
                }
            }
        }
        prefix.truncate(depth);
    }
}
