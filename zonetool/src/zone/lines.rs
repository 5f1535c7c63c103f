//! Where the entries of a master file begin, so that an error about a whole record can name its
//! line, and which of them have a free-standing `@` in their data, which the library takes for a
//! label.
//!
//! Only quotes, comments and parentheses are looked at (RFC 1035 §5.1); the library does the
//! reading.

/// The entries of a file by where they begin.
#[derive(Debug)]
pub struct Lines {
    entries: Vec<Entry>,
}

/// A line on which an entry can begin, with those that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The byte offset.
    start: usize,
    /// The number of the line, from 1.
    pub line: usize,
    /// Whether a free-standing `@` comes after the owner: the origin (RFC 1035 §5.1).
    pub has_at: bool,
}

/// A parenthesis or a quote that is never closed, and its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclosed {
    /// The line, from 1.
    pub line: usize,
    /// `parenthesis` or `quote`.
    pub what: &'static str,
}

impl Lines {
    /// Finds the lines outside of any parenthesis or quote.
    pub fn of(text: &[u8]) -> Result<Self, Unclosed> {
        let mut entries = Vec::new();
        let mut entry = Entry { start: 0, line: 1, has_at: false };
        let mut line = 1;
        // Lines of the parentheses and of the quote that are open.
        let mut parentheses: Vec<usize> = Vec::new();
        let mut quote = None;
        let mut comment = false;
        let mut bytes = text.iter().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'\n' => {
                    line += 1;
                    comment = false;
                    if parentheses.is_empty() && quote.is_none() {
                        entries.push(entry);
                        entry = Entry { start: at + 1, line, has_at: false };
                    }
                }
                _ if comment => {}
                // The next byte means itself. A line feed still ends the line.
                b'\\' if text.get(at + 1) != Some(&b'\n') => {
                    bytes.next();
                }
                b'"' => quote = if quote.is_some() { None } else { Some(line) },
                _ if quote.is_some() => {}
                b';' => comment = true,
                b'@' if at > entry.start && stands_free(text, at) => entry.has_at = true,
                b'(' => parentheses.push(line),
                b')' => {
                    parentheses.pop();
                }
                _ => {}
            }
        }
        match (quote, parentheses.first()) {
            (Some(line), _) => Err(Unclosed { line, what: "quote" }),
            (None, Some(line)) => Err(Unclosed { line: *line, what: "parenthesis" }),
            (None, None) => {
                entries.push(entry);
                Ok(Lines { entries })
            }
        }
    }

    /// The entry that covers byte `offset`.
    pub fn entry_at(&self, offset: usize) -> Entry {
        let after = self.entries.partition_point(|entry| entry.start <= offset);
        self.entries[after.saturating_sub(1)]
    }
}

/// Whether the byte at `at` is a token of its own.
fn stands_free(text: &[u8], at: usize) -> bool {
    let ends = |byte: Option<&u8>| byte.is_none_or(|byte| b" \t\r\n();\"".contains(byte));
    ends(at.checked_sub(1).and_then(|before| text.get(before))) && ends(text.get(at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_in_parentheses_begins_on_its_first_line() {
        let text = b"a A 1.2.3.4\nb TXT ( \"x ;)\n\" ; )\n y\n)\nc A 1.2.3.4\n";
        let lines = Lines::of(text).unwrap();
        let at =
            |needle: u8| lines.entry_at(text.iter().position(|byte| *byte == needle).unwrap()).line;
        assert_eq!((at(b'a'), at(b'b'), at(b'y'), at(b'c')), (1, 2, 2, 6));
    }

    #[test]
    fn an_at_in_the_data_is_seen() {
        for (entry, has_at) in [
            ("@ A 1.2.3.4", false),
            ("a CNAME @", true),
            ("a CNAME @;x", true),
            ("  CNAME @", true),
            ("a CNAME (\n@\n)", true),
            ("a CNAME \\@", false),
            ("a CNAME @.b", false),
            ("a CNAME b@", false),
            ("a TXT \" @ \" ; @", false),
        ] {
            assert_eq!(Lines::of(entry.as_bytes()).unwrap().entry_at(0).has_at, has_at, "{entry}");
        }
    }

    #[test]
    fn what_stays_open_is_named() {
        assert_eq!(
            Lines::of(b"a\nb TXT (\n\"x\"\n").unwrap_err(),
            Unclosed { line: 2, what: "parenthesis" }
        );
        assert_eq!(
            Lines::of(b"a\n\nb TXT \"x\n").unwrap_err(),
            Unclosed { line: 3, what: "quote" }
        );
        assert!(Lines::of(b"a TXT \\\" \\( ; (\n").is_ok());
    }
}
