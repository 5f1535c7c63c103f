//! The modules of a crate, what each file of it defines, and which files import from which.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    parse::{Import, Module, ModulePath, parse},
    source::RustFile,
};

/// A definition of a type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeDefinition {
    /// The name of the struct, enum, union, trait or alias.
    pub name: String,
    /// The file that it is in.
    pub path: String,
}

/// The files of one crate target (a library or a program) and the paths between its modules.
#[derive(Debug)]
struct CrateTarget<'a> {
    files: Vec<&'a RustFile>,
    modules: BTreeMap<ModulePath, Module>,
}

/// The targets below `src` that have modules in files: the root's file, and the directory of its
/// modules.
fn roots(files: &[RustFile]) -> Vec<(&RustFile, String)> {
    let roots = files.iter().filter_map(|file| {
        let (package, path) = file.path.split_once("/src/")?;
        let parts: Vec<&str> = path.split('/').collect();
        let dir = match parts.as_slice() {
            ["lib.rs" | "main.rs"] => format!("{package}/src/"),
            ["bin", name, "main.rs"] => format!("{package}/src/bin/{name}/"),
            _ => return None,
        };
        Some((file, dir))
    });
    roots.collect()
}

/// The module that the file at `path`, from the directory of the target's modules, is.
fn module_path(path: &str) -> ModulePath {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

/// The groups of files of a package, each group a cycle: every file of it imports, by `use` and by
/// way of others, every other. Code for tests is left aside. A name that a module passes on
/// (`pub use`) counts as imported from the file that defines it.
pub fn file_cycles(files: &[RustFile]) -> Vec<Vec<String>> {
    let mut cycles = Vec::new();
    for (root, dir) in roots(files) {
        let others: Vec<(&RustFile, ModulePath)> = files
            .iter()
            .filter(|file| !file.is_test() && file.path != root.path)
            .filter_map(|file| Some((file, file.path.strip_prefix(dir.as_str())?)))
            .filter(|(_, path)| !path.starts_with("bin/"))
            .map(|(file, path)| (file, module_path(path)))
            .collect();
        cycles.extend(CrateTarget::new(root, others).cycles());
    }
    cycles.sort();
    cycles
}

/// The types that the files define, code for tests included.
pub fn type_definitions(files: &[RustFile]) -> Vec<TypeDefinition> {
    let mut found = Vec::new();
    for file in files {
        for name in parse(&file.text, true).types {
            found.push(TypeDefinition { name, path: file.path.clone() });
        }
    }
    found.sort();
    found
}

impl<'a> CrateTarget<'a> {
    fn new(root: &'a RustFile, others: Vec<(&'a RustFile, ModulePath)>) -> Self {
        let mut target = Self { files: Vec::new(), modules: BTreeMap::new() };
        let mut only_tests = BTreeSet::new();
        for (file, at) in std::iter::once((root, Vec::new())).chain(others) {
            let parsed = parse(&file.text, false);
            only_tests
                .extend(parsed.test_modules.into_iter().map(|inner| [&at[..], &inner].concat()));
            for (inner, mut module) in parsed.modules {
                module.file = target.files.len();
                target.modules.insert([&at[..], &inner].concat(), module);
            }
            target.files.push(file);
        }
        target.modules.retain(|path, _| !only_tests.iter().any(|test| path.starts_with(test)));
        target
    }

    fn cycles(&self) -> Vec<Vec<String>> {
        let arrows = self.arrows();
        let reached: Vec<BTreeSet<usize>> =
            (0..self.files.len()).map(|file| reachable(&arrows, file)).collect();
        let mut cycles = BTreeSet::new();
        for (file, others) in reached.iter().enumerate() {
            let mut group: Vec<String> = others
                .iter()
                .filter(|other| reached[**other].contains(&file))
                .map(|other| self.files[*other].path.clone())
                .collect();
            group.sort();
            if group.len() > 1 {
                cycles.insert(group);
            }
        }
        cycles.into_iter().collect()
    }

    /// For each file, those that it imports from.
    fn arrows(&self) -> BTreeMap<usize, BTreeSet<usize>> {
        let mut arrows: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (path, module) in &self.modules {
            for import in &module.imports {
                // What is only passed on is not used here.
                if import.exported && !module.words.contains(&import.name) {
                    continue;
                }
                let from = if import.name == "*" {
                    self.files_behind_glob(path, import)
                } else {
                    self.defining_file(path, &import.path, &mut BTreeSet::new())
                        .into_iter()
                        .collect()
                };
                let others = from.into_iter().filter(|file| *file != module.file);
                arrows.entry(module.file).or_default().extend(others);
            }
        }
        arrows
    }

    /// The files that define what the module `at` uses of a `use a::*`.
    fn files_behind_glob(&self, at: &ModulePath, import: &Import) -> BTreeSet<usize> {
        let Some((_, of)) = import.path.split_last() else { return BTreeSet::new() };
        match self.follow(at, of, &mut BTreeSet::new()) {
            Found::Elsewhere => BTreeSet::new(),
            // The variants of an enum.
            Found::File(file) => [file].into(),
            Found::Module(of) => {
                let words = self.modules[at].words.iter();
                let named = words.filter_map(|word| {
                    self.defining_file(&of, &["self".into(), word.clone()], &mut BTreeSet::new())
                        .filter(|_| self.has(&of, word))
                });
                named.collect()
            }
        }
    }

    /// Whether the module defines or imports the name.
    fn has(&self, module: &ModulePath, name: &str) -> bool {
        self.modules[module].items.contains(name)
            || self.imported(module, name, &mut BTreeSet::new()).is_some()
    }

    /// The file that defines what `path` names in the module `at`; `None` for another crate's.
    fn defining_file(
        &self,
        at: &ModulePath,
        path: &[String],
        seen: &mut BTreeSet<(ModulePath, String)>,
    ) -> Option<usize> {
        let (mut module, rest) = self.start(at, path, seen)?;
        for (index, segment) in rest.iter().enumerate() {
            let inner = [&module[..], std::slice::from_ref(segment)].concat();
            if self.modules.contains_key(&inner) {
                module = inner;
                continue;
            }
            if segment == "*" || self.modules[&module].items.contains(segment) {
                break;
            }
            let Some(owner) = self.imported(&module, segment, seen) else { break };
            let Found::Module(next) = owner else {
                let Found::File(file) = owner else { return None };
                return Some(file);
            };
            if index + 1 == rest.len() {
                return Some(self.modules[&next].file);
            }
            module = next;
        }
        Some(self.modules[&module].file)
    }

    /// The module that `path` begins at, seen from the module `at`, and what is left of the path.
    fn start<'p>(
        &self,
        at: &ModulePath,
        path: &'p [String],
        seen: &mut BTreeSet<(ModulePath, String)>,
    ) -> Option<(ModulePath, &'p [String])> {
        let (first, mut rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" => Vec::new(),
            "self" => at.clone(),
            "super" => at.split_last()?.1.to_vec(),
            local => {
                let inner = [&at[..], &[local.to_owned()]].concat();
                if self.modules.contains_key(&inner) || self.modules[at].items.contains(local) {
                    return Some((at.clone(), path));
                }
                return match self.imported(at, local, seen)? {
                    Found::Module(module) => Some((module, rest)),
                    // Below an item, such as a variant of an enum.
                    Found::File(file) => {
                        let module = self.modules.iter().find(|(_, m)| m.file == file)?.0.clone();
                        Some((module, &[]))
                    }
                    Found::Elsewhere => None,
                };
            }
        };
        while rest.first().is_some_and(|segment| segment == "super") {
            module.pop()?;
            rest = &rest[1..];
        }
        Some((module, rest))
    }

    /// What the name is that a `use` brings into the module.
    fn imported(
        &self,
        module: &ModulePath,
        name: &str,
        seen: &mut BTreeSet<(ModulePath, String)>,
    ) -> Option<Found> {
        if !seen.insert((module.clone(), name.to_owned())) {
            return None;
        }
        let imports = &self.modules[module].imports;
        if let Some(import) = imports.iter().find(|import| import.name == name) {
            return Some(self.follow(module, &import.path, seen));
        }
        for glob in imports.iter().filter(|import| import.name == "*") {
            let (_, of) = glob.path.split_last()?;
            let Found::Module(of) = self.follow(module, of, seen) else { continue };
            if of == *module {
                continue;
            }
            let inner = [&of[..], &[name.to_owned()]].concat();
            if self.modules.contains_key(&inner) {
                return Some(Found::Module(inner));
            }
            if self.modules[&of].items.contains(name) {
                return Some(Found::File(self.modules[&of].file));
            }
            if let Some(found) = self.imported(&of, name, seen) {
                return Some(found);
            }
        }
        None
    }

    fn follow(
        &self,
        at: &ModulePath,
        path: &[String],
        seen: &mut BTreeSet<(ModulePath, String)>,
    ) -> Found {
        if let Some(module) = self.as_module(at, path) {
            return Found::Module(module);
        }
        self.defining_file(at, path, seen).map_or(Found::Elsewhere, Found::File)
    }

    /// The module that `path` names, without looking through imports.
    fn as_module(&self, at: &ModulePath, path: &[String]) -> Option<ModulePath> {
        let mut module: ModulePath = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "self" => at.clone(),
            "super" => at.split_last()?.1.to_vec(),
            local => [&at[..], &[local.to_owned()]].concat(),
        };
        for segment in &path[1..] {
            if segment == "super" {
                module.pop()?;
            } else {
                module.push(segment.clone());
            }
        }
        self.modules.contains_key(&module).then_some(module)
    }
}

enum Found {
    Module(ModulePath),
    File(usize),
    /// In another crate.
    Elsewhere,
}

fn reachable(arrows: &BTreeMap<usize, BTreeSet<usize>>, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut todo = vec![from];
    while let Some(file) = todo.pop() {
        for next in arrows.get(&file).into_iter().flatten() {
            if reached.insert(*next) {
                todo.push(*next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Vec<RustFile> {
        let file = |(path, text): &(&str, &str)| RustFile {
            path: format!("crate/src/{path}"),
            text: (*text).to_owned(),
        };
        texts.iter().map(file).collect()
    }

    fn cycles(texts: &[(&str, &str)]) -> Vec<String> {
        let shown = |group: Vec<String>| {
            let names = group.iter().filter_map(|path| path.strip_prefix("crate/src/"));
            names.collect::<Vec<_>>().join(" ")
        };
        file_cycles(&files(texts)).into_iter().map(shown).collect()
    }

    #[test]
    fn two_files_that_import_from_each_other_are_a_cycle() {
        let a = ("a.rs", "use crate::b::B;\npub struct A;");
        let b = ("b.rs", "use super::a::{self, A};\npub struct B;");
        assert_eq!(cycles(&[("lib.rs", "mod a; mod b;"), a, b]), ["a.rs b.rs"]);
        let free = ("b.rs", "// use crate::a::A;\npub struct B;");
        assert_eq!(cycles(&[("lib.rs", "mod a; mod b;"), a, free]), [""; 0]);
    }

    #[test]
    fn a_way_around_over_a_third_file_is_found() {
        let files = [
            ("lib.rs", ""),
            ("a.rs", "use crate::b::B;\npub struct A;"),
            ("b.rs", "pub use crate::c::C;\npub struct B(C);"),
            ("c.rs", "fn f() { use crate::{a::A as Other, x}; }\npub struct C;"),
            ("d.rs", "use crate::a::A;"),
        ];
        assert_eq!(cycles(&files), ["a.rs b.rs c.rs"]);
    }

    /// The child takes `Y` from where it is defined, and the parent uses nothing of the child's.
    #[test]
    fn what_a_module_only_passes_on_is_not_its_own() {
        let parent = "mod x;\nmod y;\npub use x::{X, x};\npub(crate) use self::y::Y;";
        let x = ("m/x.rs", "use super::Y;\npub struct X(Y);");
        let y = ("m/y.rs", "pub struct Y;");
        assert_eq!(cycles(&[("lib.rs", ""), ("m/mod.rs", parent), x, y]), [""; 0]);
        let using = format!("{parent}\nfn f(_: X) {{}}");
        let own = ("m/x.rs", "use super::f;\npub struct X;");
        assert_eq!(cycles(&[("lib.rs", ""), ("m/mod.rs", &using), own, y]), ["m/mod.rs m/x.rs"]);
        // By a glob, and from two levels further up.
        let y = ("m/y.rs", "use crate::m::*;\nstruct Y(X);");
        assert_eq!(
            cycles(&[("lib.rs", "pub use m::*;"), ("m.rs", parent), x, y]),
            ["m/x.rs m/y.rs"]
        );
    }

    #[test]
    fn tests_and_modules_inside_a_file_are_told_apart() {
        let a = "use crate::b::B;\nmod inner { use super::super::b::C; }\n\
                 #[cfg(test)]\nmod tests { use crate::c::D; }\npub struct A;";
        let b = "#[cfg(test)]\nuse crate::a::A;\npub struct B;\npub struct C;";
        let c = "use crate::a::A;\npub struct D;";
        assert_eq!(cycles(&[("lib.rs", ""), ("a.rs", a), ("b.rs", b), ("c.rs", c)]), [""; 0]);
        let only_tests = "#[cfg(all(test, unix))]\nmod a_tests;\nuse a_tests::T;\npub struct B;";
        let a_tests = ("b/a_tests.rs", "use super::B;\npub struct T;");
        assert_eq!(cycles(&[("lib.rs", ""), ("b.rs", only_tests), a_tests]), [""; 0]);
        let shipped = only_tests.replace("#[cfg(all(test, unix))]", "");
        assert_eq!(cycles(&[("lib.rs", ""), ("b.rs", &shipped), a_tests]), ["b.rs b/a_tests.rs"]);
    }

    #[test]
    fn a_program_is_a_crate_of_its_own() {
        let files = [
            ("lib.rs", "pub mod a;"),
            ("a.rs", "pub struct A;"),
            ("bin/p/main.rs", "mod a;\nuse a::B;\npub struct A;"),
            ("bin/p/a.rs", "use crate::A;\nuse p::a::A as Other;\npub struct B;"),
        ];
        assert_eq!(cycles(&files), ["bin/p/a.rs bin/p/main.rs"]);
    }

    #[test]
    fn types_are_counted_where_they_are_defined() {
        let text = "pub struct A; enum B { C }\ntrait D { type E; }\nimpl D for A { type E = B; }\n\
                    type F<T> = Vec<T>;\nfn f<T: D>() -> impl D { struct G; todo!() }\n\
                    #[cfg(test)] mod tests { struct A; } // struct H";
        let found = type_definitions(&files(&[("a.rs", text)]));
        let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["A", "A", "B", "D", "F", "G"]);
    }
}
