//! Runs the transcripts in `testdata/cli`: command lines with what they print and how they end.
//!
//! ```text
//! # a comment
//! @ FILE            a file in the directory that the transcript runs in; its lines follow
//! | a line of it
//! $ zonetool ARGS   a command; 'one word' in quotes, \x1b and \u{202e} are characters
//! < a line of its standard input
//! > a line of its standard output; [..] stands for anything, {dir} for the directory
//! ! a line of its standard error
//! = 2               its exit code, 0 if there is no such line
//! ```
//!
//! `TRANSCRIPTS=overwrite` writes what was printed into the transcripts that differ, to be read
//! before it is committed.

mod schema;

use std::{
    ffi::OsString,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    command: String,
    input: Vec<String>,
    output: Vec<String>,
    error: Vec<String>,
    exit: i32,
}

/// A line of a transcript that is no part of a step, or a step.
enum Item {
    Text(String),
    Step(Step),
}

fn parse(text: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for line in text.lines() {
        let (mark, rest) = line.split_at(line.len().min(1));
        let rest = rest.strip_prefix(' ').unwrap_or(rest).to_owned();
        match (mark, items.last_mut()) {
            ("$", _) => items.push(Item::Step(Step { command: rest, ..Step::default() })),
            ("<", Some(Item::Step(step))) => step.input.push(rest),
            (">", Some(Item::Step(step))) => step.output.push(rest),
            ("!", Some(Item::Step(step))) => step.error.push(rest),
            ("=", Some(Item::Step(step))) => step.exit = rest.parse().expect("an exit code"),
            ("" | "#" | "@" | "|", _) => items.push(Item::Text(line.to_owned())),
            _ => panic!("what is this line? {line}"),
        }
    }
    items
}

fn render(items: &[Item]) -> String {
    let mut out = String::new();
    for item in items {
        match item {
            Item::Text(line) => out += &format!("{line}\n"),
            Item::Step(step) => {
                out += &format!("$ {}\n", step.command);
                for (mark, lines) in [("<", &step.input), (">", &step.output), ("!", &step.error)] {
                    for line in lines {
                        out += format!("{mark} {line}").trim_end();
                        out.push('\n');
                    }
                }
                if step.exit != 0 {
                    out += &format!("= {}\n", step.exit);
                }
            }
        }
    }
    out
}

/// A command line as words.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut rest = command;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let word = words.last_mut().expect("never empty");
        let escape = |start: &str, end: char| {
            let (digits, after) = after.strip_prefix(start)?.split_once(end)?;
            Some((char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, after))
        };
        rest = match c {
            '\'' => {
                quoted = !quoted;
                after
            }
            ' ' if !quoted => {
                words.push(String::new());
                after
            }
            '\\' if after.starts_with("u{") => {
                let (c, after) = escape("u{", '}').expect("\\u{...}");
                word.push(c);
                after
            }
            '\\' if after.starts_with('x') => {
                word.push(char::from(u8::from_str_radix(&after[1..3], 16).expect("\\xNN")));
                &after[3..]
            }
            c => {
                word.push(c);
                after
            }
        };
    }
    words
}

/// The path of programs, with ours before all others, for steps that are a line of a shell.
fn path_with_zonetool() -> OsString {
    let ours = Path::new(env!("CARGO_BIN_EXE_zonetool")).parent().expect("a directory").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(ours).chain(std::env::split_paths(&path));
    std::env::join_paths(all).expect("a path")
}

fn run(step: &Step, dir: &Path) -> Step {
    let shown = dir.to_str().expect("a directory in UTF-8");
    let words: Vec<String> =
        words(&step.command).iter().map(|word| word.replace("{dir}", shown)).collect();
    let program = match words[0].as_str() {
        "zonetool" => env!("CARGO_BIN_EXE_zonetool"),
        other => other,
    };
    let mut child = Command::new(program)
        .args(&words[1..])
        .current_dir(dir)
        .env_clear()
        .env("PATH", path_with_zonetool())
        .env("HOME", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let input: String = step.input.iter().map(|line| format!("{line}\n")).collect();
    // A command that does not read its input may be gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let done = child.wait_with_output().expect("the command ends");
    if words[1..].iter().any(|word| word == "--json")
        && let Ok(document) = serde_json::from_slice(&done.stdout)
    {
        let args: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        schema::check_document(&args, &document);
    }
    let lines = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("output in UTF-8").replace(shown, "{dir}");
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n'),
            "a control character in {text:?}"
        );
        text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
    };
    Step {
        command: step.command.clone(),
        input: step.input.clone(),
        output: lines(done.stdout),
        error: lines(done.stderr),
        exit: done.status.code().expect("it ends by itself"),
    }
}

/// Whether a line is what the transcript says, where `[..]` stands for anything.
fn fits(pattern: &str, line: &str) -> bool {
    match pattern.split_once("[..]") {
        None => pattern == line,
        Some((before, rest)) => line.strip_prefix(before).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|at| tail.is_char_boundary(*at))
                .any(|at| fits(rest, &tail[at..]))
        }),
    }
}

fn all_fit(patterns: &[String], lines: &[String]) -> bool {
    patterns.len() == lines.len()
        && patterns.iter().zip(lines).all(|(pattern, line)| fits(pattern.trim_end(), line))
}

/// Runs a transcript; gives back what it should say if it differs.
fn play(path: &Path) -> Option<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut items = parse(&fs::read_to_string(path).expect("a transcript"));
    let mut file: Option<PathBuf> = None;
    let mut differs = false;
    for item in &mut items {
        match item {
            Item::Text(line) => match (line.split_at(line.len().min(2)), &file) {
                (("@ ", name), _) => {
                    let path = dir.path().join(name);
                    fs::write(&path, "").expect("a file");
                    file = Some(path);
                }
                (("| " | "|", text), Some(path)) => {
                    let mut text = words(&format!("'{text}'"))[0].clone();
                    text.push('\n');
                    let mut file =
                        fs::OpenOptions::new().append(true).open(path).expect("the file");
                    file.write_all(text.as_bytes()).expect("room");
                }
                _ => {}
            },
            Item::Step(step) => {
                let found = run(step, dir.path());
                let fits = all_fit(&step.output, &found.output)
                    && all_fit(&step.error, &found.error)
                    && step.exit == found.exit;
                if !fits {
                    differs = true;
                    *step = found;
                }
            }
        }
    }
    differs.then(|| render(&items))
}

#[test]
fn transcripts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/cli");
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .expect("transcripts")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 5, "only {paths:?}");
    let overwrite = std::env::var_os("TRANSCRIPTS").is_some_and(|value| value == "overwrite");
    let mut failed = Vec::new();
    for path in paths {
        if let Some(found) = play(&path) {
            if overwrite {
                fs::write(&path, &found).expect("room");
            }
            failed.push(format!("--- {}\n{found}", path.display()));
        }
    }
    assert!(failed.is_empty(), "these say something else now:\n{}", failed.join("\n"));
}

/// Otherwise the comparison with the definitions would prove nothing.
#[test]
fn the_definitions_can_tell_a_difference() {
    let good = serde_json::json!({ "name": "alice", "network": "dev", "available": true });
    assert!(schema::check_document(&["available", "alice"], &good));
    for (field, value) in [
        ("name", "Alice".into()),
        ("network", "other".into()),
        ("available", 1.into()),
        ("new", true.into()),
    ] {
        let mut wrong = good.clone();
        wrong[field] = value;
        let judged = std::panic::catch_unwind(|| schema::check_document(&["available"], &wrong));
        assert!(judged.is_err(), "{field}");
    }
    assert!(!schema::check_document(&["status"], &good), "it has no definition yet");
}

#[test]
fn the_runner_can_tell_a_difference() {
    assert!(fits("a [..] c [..]", "a b c d") && fits("[..]", "") && fits("a[..]", "a"));
    assert!(!fits("a [..] c", "a b d") && !fits("a", "ab") && !fits("a[..]", "b"));
    assert_eq!(words("a 'b c' \\x1b\\u{202e}"), ["a", "b c", "\u{1b}\u{202e}"]);
}
