//! A lexer for Rust, as far as the tests of the repository need it: words and punctuation, without
//! comments and without the contents of literals.

/// The words (identifiers, keywords, lifetimes' names) and the punctuation of `text`, in order.
/// `::` is one token; a literal of text is the token `""`; a number is a word.
pub fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = if c.is_whitespace() {
            c.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = literal(rest) {
            found.push("\"\"");
            length
        } else if is_word(c) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            found.push(&rest[..length]);
            length
        } else {
            let length = if rest.starts_with("::") { 2 } else { c.len_utf8() };
            found.push(&rest[..length]);
            length
        };
        at += length;
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the block comment, which may hold others, at the start of `text`.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the string, byte string, raw string or character at the start of `text`, if there
/// is one.
fn literal(text: &str) -> Option<usize> {
    let prefixes = ["br", "cr", "b", "c", "r", ""];
    let prefix = prefixes.into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with('"')
                || (*prefix == "b" && rest.starts_with('\''))
                || (prefix.ends_with('r') && rest.trim_start_matches('#').starts_with('"'))
                || (prefix.is_empty() && is_character(rest))
        })
    })?;
    let body = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let inner = &body[hashes + 1..];
        let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
        return Some(prefix.len() + hashes + 1 + length);
    }
    let quote = body.chars().next()?;
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Some(prefix.len() + at + 1);
        }
    }
    Some(text.len())
}

/// Whether `text`, which may begin with `'`, begins with a character and not with a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('\'')
        && match chars.next() {
            Some('\\') => true,
            Some(_) => chars.next() == Some('\''),
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_words() {
        let text = "use a::b; // use c\n/* use /* d */ e */ let s = \"use f; \\\" use g\";";
        assert_eq!(tokens(text), ["use", "a", "::", "b", ";", "let", "s", "=", "\"\"", ";"]);
        let raw = "r#\"use a \" b\"# r\"c\" b\"d\" br##\"e\"# f\"##";
        assert_eq!(tokens(raw), ["\"\""; 4]);
        assert_eq!(tokens("r#type x"), ["r", "#", "type", "x"]);
    }

    #[test]
    fn a_lifetime_is_no_character() {
        assert_eq!(tokens("&'a str"), ["&", "'", "a", "str"]);
        assert_eq!(
            tokens("'\"' '\\'' '{' b'}' 'ß' x"),
            ["\"\"", "\"\"", "\"\"", "\"\"", "\"\"", "x"]
        );
    }
}
