//! The leading fields of common types, checked before the library reads the record: its own errors
//! name neither the field that is missing nor the text that is too long.

use super::{
    fields::{number_of, shown},
    token::Token,
};

/// The most bytes of a character string (RFC 1035 §3.3).
const MAX_TEXT_BYTES: usize = 255;
/// The most bytes of a token that a message repeats.
const MAX_SHOWN_BYTES: usize = 40;

/// How record data of a type begins.
struct Layout {
    number: u16,
    mnemonic: &'static str,
    /// The numbers at the beginning: what each is called, and its largest value.
    numbers: &'static [(&'static str, u64)],
    /// Whether the data has character strings.
    has_texts: bool,
    /// Data of this type.
    example: &'static str,
}

const fn of(
    number: u16,
    mnemonic: &'static str,
    numbers: &'static [(&'static str, u64)],
    has_texts: bool,
    example: &'static str,
) -> Layout {
    Layout { number, mnemonic, numbers, has_texts, example }
}

const LAYOUTS: &[Layout] = &[
    of(13, "HINFO", &[], true, "amd64 linux"),
    of(15, "MX", &[("preference", 0xffff)], false, "10 mail"),
    of(16, "TXT", &[], true, "\"first part \" \"second part\""),
    of(
        33,
        "SRV",
        &[("priority", 0xffff), ("weight", 0xffff), ("port", 0xffff)],
        false,
        "10 5 5060 sip",
    ),
    of(
        35,
        "NAPTR",
        &[("order", 0xffff), ("preference", 0xffff)],
        true,
        "10 10 \"s\" \"SIP+D2U\" \"\" _sip._udp",
    ),
    of(257, "CAA", &[("flags", 0xff)], false, "0 issue \"ca.example.net\""),
];

/// Checks the data of a record as far as the table says how it begins.
///
/// # Errors
/// The field that is missing or is no number, or the text that is too long, with an example.
pub fn check(number: u16, data: &[Token<'_>]) -> Result<(), String> {
    let Some(layout) = LAYOUTS.iter().find(|layout| layout.number == number) else {
        return Ok(());
    };
    let Layout { mnemonic, numbers, example, .. } = layout;
    for (at, (field, max)) in numbers.iter().enumerate() {
        let found = match data.get(at) {
            Some(token) if number_of(token, *max).is_ok() => continue,
            Some(token) => {
                format!("expected the {field}, a number from 0 to {max}, found {}", shown(token))
            }
            None => format!("the {field} is missing, a number from 0 to {max}"),
        };
        return Err(format!("{mnemonic}: {found}; for example: {mnemonic} {example}"));
    }
    if data.len() <= numbers.len() && !layout.has_texts {
        return Err(format!(
            "{mnemonic}: there is nothing after the {}; for example: {mnemonic} {example}",
            numbers.last().map_or("type", |(field, _)| field)
        ));
    }
    if !layout.has_texts {
        return Ok(());
    }
    for token in data {
        if let Some(bytes) = token.bytes().filter(|bytes| bytes.len() > MAX_TEXT_BYTES) {
            return Err(format!("{mnemonic}: {}", too_long(token, bytes.len())));
        }
    }
    Ok(())
}

/// What to say of a character string of `bytes` bytes.
pub fn too_long(token: &Token<'_>, bytes: usize) -> String {
    format!(
        "the text {} has {bytes} bytes, and one text has at most {MAX_TEXT_BYTES}: split it into \
         {} texts in quotes, one after the other, which readers join again",
        abbreviated(token),
        bytes.div_ceil(MAX_TEXT_BYTES)
    )
}

fn abbreviated(token: &Token<'_>) -> String {
    match token.raw.get(..MAX_SHOWN_BYTES) {
        Some(start) if token.raw.len() > MAX_SHOWN_BYTES => {
            format!("'{}...'", String::from_utf8_lossy(start))
        }
        _ => shown(token),
    }
}
