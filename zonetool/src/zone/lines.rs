//! Where the entries of a master file begin, so that an error about a whole record can name its line.
//!
//! Only quotes, comments and parentheses are looked at (RFC 1035 §5.1); the library does the reading.

/// The entries of a file by where they begin.
#[derive(Debug)]
pub struct Lines {
    /// Byte offset and line number (from 1) of each line on which an entry can begin, in order.
    starts: Vec<(usize, usize)>,
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
        let mut starts = vec![(0, 1)];
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
                        starts.push((at + 1, line));
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
            (None, None) => Ok(Lines { starts }),
        }
    }

    /// The line on which the entry that covers byte `offset` begins.
    pub fn of_entry_at(&self, offset: usize) -> usize {
        let after = self.starts.partition_point(|(start, _)| *start <= offset);
        self.starts[after.saturating_sub(1)].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_in_parentheses_begins_on_its_first_line() {
        let text = b"a A 1.2.3.4\nb TXT ( \"x ;)\n\" ; )\n y\n)\nc A 1.2.3.4\n";
        let lines = Lines::of(text).unwrap();
        let at = |needle: u8| lines.of_entry_at(text.iter().position(|byte| *byte == needle).unwrap());
        assert_eq!((at(b'a'), at(b'b'), at(b'y'), at(b'c')), (1, 2, 2, 6));
    }

    #[test]
    fn what_stays_open_is_named() {
        assert_eq!(Lines::of(b"a\nb TXT (\n\"x\"\n").unwrap_err(), Unclosed { line: 2, what: "parenthesis" });
        assert_eq!(Lines::of(b"a\n\nb TXT \"x\n").unwrap_err(), Unclosed { line: 3, what: "quote" });
        assert!(Lines::of(b"a TXT \\\" \\( ; (\n").is_ok());
    }
}
