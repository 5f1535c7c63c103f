//! All the rules of output, in one file.
//!
//! - Standard output has results and nothing else. With `--json` it has exactly one JSON document:
//!   the result, or `{"error": {"code", "exit", "message", "hint"}}`.
//! - While standard output carries a channel's data, with `--json` the documents go to standard
//!   error, one a line.
//! - Standard error has progress, notes and, without `--json`, errors.
//! - No colour. A moving bar only when standard error is a terminal; otherwise a line every ten
//!   seconds.
//! - Nothing that came from a record, a name or a peer reaches the terminal as a control character:
//!   every string that is printed goes through [`escape_terminal`], and what came from outside goes
//!   through [`escape_line`] first, so that it can't begin a line either.

use std::{
    fmt::Write as _,
    io::{BufRead, IsTerminal, Read, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use thiserror::Error;

pub use crate::rfc3339::utc;
use crate::{clock, json};

/// How often progress makes a line when standard error is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The most bytes of an answer to a question that are read.
const MAX_ANSWER_BYTES: u64 = 100;

/// Where output goes, and in which form.
#[derive(Clone, Copy, Debug)]
pub struct Ui {
    json: bool,
    /// Whether standard output carries a channel's data.
    piped: bool,
    /// Whether there are several results: as JSON each is on a line of its own.
    several: bool,
}

/// Standard output can't be written: the disk is full, or the reader is gone.
#[derive(Debug, Error)]
#[error("can't write to standard output: {0}")]
pub struct OutputError(#[from] pub std::io::Error);

/// What `--json` prints for an error.
#[derive(Debug, Serialize)]
pub struct ErrorReport {
    /// The exact cause, as `docs/exit-codes.md` lists them.
    pub code: &'static str,
    /// The exit code.
    pub exit: u8,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The rule of the chain that refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// Whether a terminal could take `c` as something other than a character to draw: C0 and C1
/// controls, and those that change the direction of the text around them (Unicode Bidirectional
/// Algorithm, UAX #9) or end a line.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with every harmful character but the line feed escaped.
pub fn escape_terminal(text: &str) -> String {
    text.split('\n').map(escape_line).collect::<Vec<_>>().join("\n")
}

/// `text` with every harmful character escaped, line feeds too.
pub fn escape_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Writing to a String never fails.
        let _ = match c {
            c if !is_unsafe(c) => write!(out, "{c}"),
            c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)),
            c => write!(out, "\\u{{{:x}}}", u32::from(c)),
        };
    }
    out
}

/// A JSON document whose strings hold nothing harmful either. serde_json escapes what is below
/// 0x20; the rest can only stand inside of strings, where `\uXXXX` means the same.
fn escape_json(value: &impl Serialize) -> String {
    let text = json::pretty(value);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Writing to a String never fails. All of them are below 0x10000.
        let _ = match c {
            '\n' => write!(out, "{c}"),
            c if is_unsafe(c) => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "{c}"),
        };
    }
    out
}

/// The same on one line: no string has a line feed in it, so every one is between two parts.
fn json_line(value: &impl Serialize) -> String {
    escape_json(value).lines().map(str::trim_start).collect()
}

impl Ui {
    /// Output as text, or as JSON.
    pub fn new(json: bool) -> Self {
        Ui { json, piped: false, several: false }
    }

    /// Nothing of ours to standard output: it is somebody else's.
    pub fn with_piped_stdout(self) -> Self {
        Ui { piped: true, ..self }
    }

    /// For a command with several results.
    pub fn with_several_results(self) -> Self {
        Ui { several: true, ..self }
    }

    /// Something that happened beside a pipe: `text` for people, `value` for scripts, on a line of
    /// standard error.
    pub fn print_event(self, text: &str, value: &impl Serialize) {
        let line = if self.json { json_line(value) } else { escape_line(text) };
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// One of several results: as JSON on a line of its own. A reader that has gone is an error:
    /// there is nobody to go on for.
    ///
    /// # Errors
    /// If standard output does not take it.
    pub fn print_line(self, text: &str, value: &impl Serialize) -> Result<(), OutputError> {
        let line = if self.json { json_line(value) } else { escape_line(text) };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}")?;
        Ok(stdout.flush()?)
    }

    /// Whether standard output is to have one JSON document.
    pub fn is_json(self) -> bool {
        self.json
    }

    /// The result: `text` for people, `value` for scripts. A pipe whose reader has gone is no
    /// error.
    ///
    /// # Errors
    /// If standard output does not take it.
    pub fn print_result(self, text: &str, value: &impl Serialize) -> Result<(), OutputError> {
        match self.print_secret_result(text, value) {
            Err(OutputError(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// A result that is shown this once: a reader that has gone is an error too.
    ///
    /// # Errors
    /// If standard output does not take it.
    pub fn print_secret_result(
        self,
        text: &str,
        value: &impl Serialize,
    ) -> Result<(), OutputError> {
        let out = match (self.json, self.several) {
            (true, false) => escape_json(value),
            (true, true) => json_line(value),
            (false, _) => escape_terminal(text),
        };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{}", out.trim_end_matches('\n'))?;
        Ok(stdout.flush()?)
    }

    /// Lines of a file whose format ends them with CR and LF.
    ///
    /// # Errors
    /// If standard output does not take them.
    pub fn print_crlf_lines(self, lines: &[String]) -> Result<(), OutputError> {
        let mut stdout = std::io::stdout().lock();
        for line in lines {
            write!(stdout, "{}\r\n", escape_line(line))?;
        }
        Ok(stdout.flush()?)
    }

    /// A note beside the result, on standard error.
    pub fn print_note(self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{}", escape_line(text));
    }

    /// Moves off the line on which progress is drawn, before the program ends in the middle of it.
    pub fn end_progress_line(self) {
        if std::io::stderr().is_terminal() {
            let _ = writeln!(std::io::stderr());
        }
    }

    /// The error that ends the command.
    pub fn print_error(self, report: ErrorReport) {
        if self.json {
            #[derive(Serialize)]
            struct Document {
                error: ErrorReport,
            }
            let document = Document { error: report };
            let written = match self.piped {
                true => Err(std::io::ErrorKind::BrokenPipe.into()),
                false => writeln!(std::io::stdout(), "{}", escape_json(&document))
                    .and_then(|()| std::io::stdout().flush()),
            };
            if written.is_err() {
                let _ = writeln!(std::io::stderr(), "{}", json_line(&document));
            }
            return;
        }
        let mut text = format!("zonetool: {}", escape_line(&report.message));
        if let Some(hint) = report.hint {
            let _ = write!(text, "\nhint: {}", escape_line(&hint));
        }
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// The text of clap: help and version to standard output, refusals to standard error, or as
    /// JSON. Gives the exit code.
    pub fn print_usage(self, error: &clap::Error) -> u8 {
        let text = escape_terminal(&error.render().to_string());
        if !error.use_stderr() {
            let mut out = std::io::stdout().lock();
            return match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => 1,
                _ => 0,
            };
        }
        if self.json {
            let (what, _) = text.split_once("\n\n").unwrap_or((&text, ""));
            let what = what.strip_prefix("error: ").unwrap_or(what);
            self.print_error(ErrorReport {
                code: "usage",
                exit: 2,
                message: what.split_whitespace().collect::<Vec<_>>().join(" "),
                hint: Some("see: zonetool --help".into()),
                rule: None,
            });
        } else {
            let _ = write!(std::io::stderr(), "{text}");
        }
        2
    }

    /// Asks for a secret on the terminal, without echo. `None` if there is no terminal to ask on.
    pub fn ask_secret(self, question: &str) -> std::io::Result<Option<String>> {
        if !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        rpassword::prompt_password(format!("{question}: ")).map(Some)
    }

    /// Whether there is somebody to ask.
    pub fn is_interactive(self) -> bool {
        std::io::stdin().is_terminal()
    }

    /// Says what is expected on standard input and how to end it, if that is a terminal.
    pub fn explain_input(self, what: &str) {
        if std::io::stdin().is_terminal() {
            self.print_note(&format!("{what}; Ctrl-D at the beginning of a line ends it"));
        }
    }

    /// Asks a question on the terminal that only `y` or `yes` confirm to.
    pub fn confirm(self, question: &str) -> std::io::Result<bool> {
        write!(std::io::stderr(), "{} [y/N] ", escape_line(question))?;
        let mut answer = String::new();
        std::io::stdin().lock().take(MAX_ANSWER_BYTES).read_line(&mut answer)?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Begins to show the progress of something.
    pub fn progress(self) -> Progress {
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // The template is constant; the default serves if it were refused.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            Progress::Bar(bar)
        } else {
            Progress::Lines { next: clock::now() }
        }
    }
}

/// The progress of one thing: a line that is drawn again on a terminal, a line now and then
/// elsewhere.
#[derive(Debug)]
pub enum Progress {
    /// On a terminal.
    Bar(ProgressBar),
    /// Elsewhere.
    Lines {
        /// When the next line is due.
        next: Instant,
    },
}

impl Progress {
    /// Shows the state of it. `fraction` draws a bar before the text.
    pub fn show(&mut self, fraction: Option<f64>, text: &str) {
        match self {
            Progress::Bar(bar) => {
                bar.set_message(format!(
                    "{}{}",
                    fraction.map(bar_of).unwrap_or_default(),
                    escape_line(text)
                ));
                bar.tick();
            }
            Progress::Lines { next } => {
                let now = clock::now();
                if now >= *next {
                    *next = now + LINE_INTERVAL;
                    let _ = writeln!(std::io::stderr(), "{}", escape_line(text));
                }
            }
        }
    }

    /// Ends it with a line that stays.
    pub fn done(self, text: &str) {
        if let Progress::Bar(bar) = &self {
            bar.finish_and_clear();
        }
        let _ = writeln!(std::io::stderr(), "{}", escape_line(text));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn bar_of(fraction: f64) -> String {
    const BAR_CELLS: usize = 24;
    let full = (fraction.clamp(0.0, 1.0) * BAR_CELLS as f64) as usize;
    format!("[{}{}] ", "#".repeat(full), "-".repeat(BAR_CELLS - full))
}

/// A number of things: `1 block`, `2 blocks`. `what` is the word for one, which ends in s for more.
pub fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A duration in the largest unit that says enough.
pub fn duration(time: Duration) -> String {
    match time.as_secs() {
        0 => "less than a second".into(),
        secs @ ..=119 => format!("{secs} s"),
        secs @ ..=7_199 => format!("{} min", secs.div_ceil(60)),
        secs => format!("{} h", secs.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_harmful_is_left() {
        let evil = "a\u{1b}[2J\u{7}\u{7f}\u{9b}31m\u{202e}x\u{2066}\u{200f}\u{61c}\r\nb\tü漢";
        assert_eq!(
            escape_terminal(evil),
            "a\\x1b[2J\\x07\\x7f\\u{9b}31m\\u{202e}x\\u{2066}\\u{200f}\\u{61c}\\x0d\nb\\x09ü漢"
        );
        assert_eq!(escape_line("a\nb"), "a\\x0ab");
        for code in 0..=0x2_ffff {
            let Some(c) = char::from_u32(code) else { continue };
            let shown = escape_line(&c.to_string());
            assert!(!shown.chars().any(is_unsafe), "{code:x}");
            assert_eq!(shown.len() == c.len_utf8(), !is_unsafe(c), "{code:x}");
        }
    }

    #[test]
    fn json_says_the_same_without_them() {
        let evil = "a\u{1b}[2J\u{7f}\u{9b}\u{202e}\n\"\\ü";
        let text = escape_json(&serde_json::json!({ "key\u{85}": evil }));
        assert!(!text.chars().any(|c| is_unsafe(c) && c != '\n'), "{text}");
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["key\u{85}"], evil);
    }

    #[test]
    fn bars_and_durations() {
        assert_eq!(bar_of(0.5), format!("[{}{}] ", "#".repeat(12), "-".repeat(12)));
        assert_eq!(bar_of(7.0), format!("[{}] ", "#".repeat(24)));
        assert_eq!([0, 1, 2].map(|n| counted(n, "block")), ["0 blocks", "1 block", "2 blocks"]);
        assert_eq!(duration(Duration::from_secs(119)), "119 s");
        assert_eq!(duration(Duration::from_secs(120)), "2 min");
        assert_eq!(duration(Duration::from_secs(7_201)), "3 h");
    }
}
