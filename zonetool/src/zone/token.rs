//! The tokens of a master file (RFC 1035 §5.1): entries, with the line and the bytes of each.

/// A token as it is written, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The bytes, escapes and all.
    pub raw: &'a [u8],
    /// Whether it stood in quotes.
    pub quoted: bool,
}

/// One entry: the lines up to a line feed outside of parentheses.
#[derive(Debug)]
pub struct RawEntry<'a> {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// The bytes, with the line feed.
    pub bytes: &'a [u8],
    /// Whether it begins with a blank: then the owner is the one before.
    pub has_no_owner: bool,
    /// The tokens.
    pub tokens: Vec<Token<'a>>,
}

/// The entries of a file. What is never closed ends with the file.
pub fn entries(text: &[u8]) -> Vec<RawEntry<'_>> {
    let mut entries = Vec::new();
    let (mut start, mut line, mut first_line) = (0, 1, 1);
    let mut at = 0;
    let mut depth = 0usize;
    let mut tokens = Vec::new();
    while at < text.len() {
        match text[at] {
            b'\n' => {
                line += 1;
                at += 1;
                if depth == 0 {
                    let tokens = std::mem::take(&mut tokens);
                    entries.push(entry(first_line, &text[start..at], tokens));
                    (start, first_line) = (at, line);
                }
            }
            b';' => at += length_until(&text[at..], |byte| byte == b'\n'),
            b'(' => {
                depth += 1;
                at += 1;
            }
            b')' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'"' => {
                let inside = &text[at + 1..];
                let length = length_until(inside, |byte| byte == b'"');
                line += inside[..length].iter().filter(|byte| **byte == b'\n').count();
                tokens.push(Token { raw: &inside[..length], quoted: true });
                at += length + 2;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let length = length_until(&text[at..], |byte| b" \t\r\n();\"".contains(&byte));
                tokens.push(Token { raw: &text[at..at + length], quoted: false });
                at += length;
            }
        }
    }
    if start < text.len() {
        entries.push(entry(first_line, &text[start..], tokens));
    }
    entries
}

fn entry<'a>(line: usize, bytes: &'a [u8], tokens: Vec<Token<'a>>) -> RawEntry<'a> {
    let has_no_owner = bytes.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    RawEntry { line, bytes, has_no_owner, tokens }
}

/// How many bytes stand before the first unescaped one that ends it.
fn length_until(text: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    let mut at = 0;
    while at < text.len() && !ends(text[at]) {
        at += if text[at] == b'\\' && text.get(at + 1).is_some_and(|next| *next != b'\n') {
            2
        } else {
            1
        };
    }
    at.min(text.len())
}

impl Token<'_> {
    /// The bytes that it stands for; `None` if an escape is none.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some((byte, after)) = rest.split_first() {
            let (byte, after) = match byte {
                b'\\' => unescape(after)?,
                byte => (*byte, after),
            };
            out.push(byte);
            rest = after;
        }
        Some(out)
    }

    /// The text, if it is ASCII without an escape.
    pub fn text(&self) -> Option<&str> {
        let plain = self.raw.is_ascii() && !self.raw.contains(&b'\\');
        std::str::from_utf8(self.raw).ok().filter(|_| plain)
    }
}

/// The byte behind a backslash, and what follows.
pub fn unescape(after: &[u8]) -> Option<(u8, &[u8])> {
    match after {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let value =
                [a, b, c].iter().fold(0u16, |sum, digit| sum * 10 + u16::from(**digit - b'0'));
            Some((u8::try_from(value).ok()?, rest))
        }
        [b'0'..=b'9', ..] | [] => None,
        [byte, rest @ ..] => Some((*byte, rest)),
    }
}

/// Bytes in quotes, as [`Token::bytes`] reads them.
pub fn quote(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\{other:03}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_their_lines_and_tokens() {
        let text = b"a 60 TXT ( \"x ;)\n\" ; c\n y\\ z )\n\tA 1\n; c\n";
        let found = entries(text);
        let shown: Vec<_> = found
            .iter()
            .map(|entry| (entry.line, entry.has_no_owner, entry.tokens.len()))
            .collect();
        assert_eq!(shown, [(1, false, 5), (4, true, 2), (5, false, 0)]);
        assert_eq!(found[0].tokens[3].bytes().unwrap(), b"x ;)\n");
        assert_eq!(found[0].tokens[4].bytes().unwrap(), b"y z");
        assert_eq!(found.iter().map(|entry| entry.bytes.len()).sum::<usize>(), text.len());
        for open in ["a TXT \"x", "a TXT (", "\\", "a \\0"] {
            assert_eq!(entries(open.as_bytes()).len(), 1, "{open}");
        }
    }

    #[test]
    fn bytes_in_quotes_lead_back() {
        let all: Vec<u8> = (0..=255).collect();
        let text = quote(&all);
        let raw = &text.as_bytes()[1..text.len() - 1];
        assert_eq!(Token { raw, quoted: true }.bytes().unwrap(), all);
        assert_eq!(Token { raw: b"\\256", quoted: false }.bytes(), None);
        assert_eq!(Token { raw: b"\\25", quoted: false }.bytes(), None);
    }
}
