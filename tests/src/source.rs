//! The source tree, as the tests of the repository read it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package stands in the repository")
        .to_owned()
}

/// A file of the repository as text.
///
/// # Panics
/// If it can't be read.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A Rust source file.
#[derive(Debug)]
pub struct RustFile {
    /// The path from the root of the repository.
    pub path: String,
    /// The text as it is.
    pub text: String,
}

/// All Rust files below `dir` (from the root of the repository), by path.
///
/// # Panics
/// If one can't be read.
pub fn rust_files(dir: &str) -> Vec<RustFile> {
    let mut files = Vec::new();
    collect(&root().join(dir), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The files with comments or prose of the repository, by path: programs, scripts, settings,
/// documents. Not what others wrote (`testdata/`), nor what is generated.
///
/// # Panics
/// If a directory can't be read.
pub fn text_files() -> Vec<String> {
    let mut files = Vec::new();
    collect_texts(&root(), &mut files);
    files.sort();
    files
}

fn collect_texts(dir: &Path, files: &mut Vec<String>) {
    let endings = ["rs", "md", "toml", "sh", "yaml", "yml", "service", "socket"];
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(&*name, ".git" | "target" | "testdata" | "corpus" | "artifacts") {
                collect_texts(&path, files);
            }
        } else if matches!(&*name, "run" | "Dockerfile")
            || endings.iter().any(|ending| name.ends_with(&format!(".{ending}")))
        {
            let path = path.strip_prefix(root()).expect("below the root");
            files.push(path.to_string_lossy().into_owned());
        }
    }
}

fn collect(dir: &Path, files: &mut Vec<RustFile>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.expect("an entry").path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let path =
                path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            files.push(RustFile { path, text });
        }
    }
}

impl RustFile {
    /// The path from the package's `src`, split at the slashes.
    fn in_src(&self) -> Vec<&str> {
        self.path.split_once("/src/").map_or_else(Vec::new, |(_, path)| path.split('/').collect())
    }

    /// Whether all of it is built for tests only.
    pub fn is_test(&self) -> bool {
        let parts = self.in_src();
        parts.is_empty()
            || parts
                .iter()
                .any(|part| matches!(*part, "tests" | "tests.rs" | "testing" | "testing.rs"))
    }

    /// The room: the top module that it belongs to; `None` for the crate's root and for binaries.
    pub fn room(&self) -> Option<&str> {
        let first = *self.in_src().first()?;
        let room = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(room, "lib" | "main" | "bin")).then_some(room)
    }

    /// The code without comments, and without the module of unit tests at its end.
    pub fn code(&self) -> String {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let lines =
            self.text[..end].lines().map(|line| line.split("//").next().unwrap_or_default());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The rooms that the code names, by `crate::` or by `super::` up to the crate's root; its own
    /// is not among them.
    pub fn uses(&self) -> BTreeSet<String> {
        let code = self.code();
        let parts = self.in_src();
        // A file's module is as deep as its path; `mod.rs` stands for its directory.
        let depth = if parts.last() == Some(&"mod.rs") { parts.len() - 1 } else { parts.len() };
        let to_root = "super::".repeat(depth);
        let mut found = BTreeSet::new();
        for prefix in ["crate::", to_root.as_str()] {
            for (at, _) in code.match_indices(prefix) {
                let before = code[..at].chars().next_back().unwrap_or(' ');
                if !(before.is_alphanumeric() || matches!(before, '_' | ':')) {
                    found.extend(heads(&code[at + prefix.len()..]));
                }
            }
        }
        found.retain(|room| Some(room.as_str()) != self.room());
        found
    }
}

/// The first segments of a path, or of each path of a `{...}` group.
fn heads(path: &str) -> Vec<String> {
    let word = |text: &str| {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    if !path.starts_with('{') {
        return vec![word(path)];
    }
    let (mut depth, mut heads, mut expected) = (0, Vec::new(), true);
    for (at, c) in path.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => expected = true,
            c if depth == 1 && expected && !c.is_whitespace() => {
                heads.push(word(&path[at..]));
                expected = false;
            }
            _ => {}
        }
    }
    heads
}

/// The rooms of a package and the rooms that each uses, tests left aside.
///
/// # Panics
/// If a file can't be read.
pub fn arrows(package: &str) -> BTreeMap<String, BTreeSet<String>> {
    let files = rust_files(&format!("{package}/src"));
    let shipped = files.iter().filter(|file| !file.is_test());
    let rooms: BTreeSet<String> =
        shipped.filter_map(|file| file.room()).map(str::to_owned).collect();
    let mut arrows: BTreeMap<String, BTreeSet<String>> =
        rooms.iter().map(|room| (room.clone(), BTreeSet::new())).collect();
    for file in files.iter().filter(|file| !file.is_test()) {
        let Some(uses) = file.room().and_then(|room| arrows.get_mut(room)) else { continue };
        uses.extend(file.uses().into_iter().filter(|used| rooms.contains(used)));
    }
    arrows
}

/// The anchors of a document's headings, as GitHub makes them.
pub fn anchors(text: &str) -> BTreeSet<String> {
    let mut in_code = false;
    let headings = text.lines().filter(|line| {
        in_code ^= line.starts_with("```");
        !in_code && line.starts_with('#')
    });
    let anchor = |line: &str| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// The numbers of the lines of comments and of prose that are longer than `most` characters and
/// could be broken: not those of tables, of code (between fences), or of one long word such as a
/// link.
pub fn long_lines(path: &str, text: &str, most: usize) -> Vec<usize> {
    let is_prose = path.ends_with(".md");
    let markers: &[&str] = if path.ends_with(".rs") { &["///", "//!", "//"] } else { &["#"] };
    let (mut long, mut in_code) = (Vec::new(), false);
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.trim_start();
        let marker = markers.iter().find(|marker| content.starts_with(**marker));
        let content = match marker {
            _ if is_prose => content,
            Some(marker) => content[marker.len()..].trim_start(),
            None => {
                in_code = false;
                continue;
            }
        };
        if content.starts_with("```") {
            in_code = !in_code;
        } else if !in_code
            && line.chars().count() > most
            && !content.starts_with('|')
            && is_breakable(line, content, most)
        {
            long.push(number);
        }
    }
    long
}

/// Whether there is room for a word of the content, and a space behind it, before the limit.
fn is_breakable(line: &str, content: &str, most: usize) -> bool {
    let indent = line.len() - content.len();
    let words = content.trim_start_matches(['-', '*', '>', ' ']);
    let start = indent + content.len() - words.len();
    line.char_indices().take(most + 1).any(|(at, c)| at > start && c == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_found() {
        let most = 20;
        let words = "some words that are too long";
        for (path, line) in [
            ("a.md", words.to_owned()),
            ("a.md", format!("- {words}")),
            ("a.md", format!("    {words}")),
            ("a.rs", format!("    /// {words}")),
            ("a.rs", format!("// {words}")),
            ("run", format!("# {words}")),
        ] {
            assert_eq!(long_lines(path, &format!("ok\n{line}"), most), [2], "{line}");
        }
        for (path, text) in [
            ("a.md", "some words\nnot so long".to_owned()),
            ("a.md", format!("| {words} |")),
            ("a.md", format!("```\n{words}\n```")),
            ("a.md", "- https://example.com/a/b/c and so on".to_owned()),
            ("a.rs", format!("/// ```\n/// {words}\n/// ```")),
            ("a.rs", format!("let code = {words};")),
            ("run", format!("echo {words}")),
        ] {
            assert_eq!(long_lines(path, &text, most), [0; 0], "{text}");
        }
        let twice = format!("/// ```\n/// {words}\n/// ```\n/// {words}");
        assert_eq!(long_lines("a.rs", &twice, most), [4]);
    }

    #[test]
    fn anchors_are_those_of_headings() {
        let text = "# A page\n```\n# no heading\n```\n## `[validate]`, and more\ntext\n";
        assert_eq!(anchors(text), ["a-page", "validate-and-more"].map(str::to_owned).into());
    }

    #[test]
    fn uses_are_found() {
        let text = "use crate::{codec::{Decode, Encode}, types::Hash};\nuse super::tree; // crate::store\n\
                    fn f() { crate::chain::g(); super::own() }\n#[cfg(test)]\nmod tests {\n use crate::node;\n}\n";
        let file = |path: &str| RustFile { path: path.into(), text: text.into() };
        let uses = |path: &str| file(path).uses().into_iter().collect::<Vec<_>>();
        assert_eq!(
            uses("namechain/core/src/consensus/mod.rs"),
            ["chain", "codec", "own", "tree", "types"]
        );
        assert_eq!(uses("namechain/core/src/consensus/rules.rs"), ["chain", "codec", "types"]);
        assert_eq!(file("namechain/core/src/consensus/rules.rs").room(), Some("consensus"));
        assert_eq!(file("namechain/core/src/bin/namechaind.rs").room(), None);
        assert!(file("namechain/core/src/store/tests/crash.rs").is_test());
    }
}
