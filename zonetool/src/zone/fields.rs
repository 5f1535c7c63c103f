//! Reading the fields of record data: from tokens of a zone file, and from wire form.

use domain::utils::base64;

use super::{
    names::{Origins, name_len, text_of},
    token::{Token, unescape},
};

/// What names in the data are relative to, and where the zone stands.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The origin as an absolute name in wire form.
    pub origin: &'a [u8],
    /// Where the zone of the name stands.
    pub origins: &'a Origins,
}

/// The tokens of record data that are left.
pub type Tokens<'t, 'a> = std::slice::Iter<'t, Token<'a>>;

/// A token for a message.
pub fn shown(token: &Token<'_>) -> String {
    format!("'{}'", String::from_utf8_lossy(token.raw))
}

/// The next token, or that it is missing.
pub fn next<'t, 'a>(tokens: &mut Tokens<'t, 'a>) -> Result<&'t Token<'a>, String> {
    tokens.next().ok_or_else(|| "the record ends before its data does".to_owned())
}

/// A number up to `max`.
pub fn number_of(token: &Token<'_>, max: u64) -> Result<u64, String> {
    let value = token.text().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let value = value.and_then(|text| text.parse().ok()).filter(|value| *value <= max);
    value.ok_or_else(|| format!("{} is not a number from 0 to {max}", shown(token)))
}

/// Bytes in hexadecimal.
pub fn hex_of(text: &str) -> Result<Vec<u8>, String> {
    hex::decode(text).map_err(|_| format!("'{text}' is not pairs of hexadecimal digits"))
}

/// Bytes in Base64.
pub fn base64_of(text: &str) -> Result<Vec<u8>, String> {
    if text == "-" {
        return Ok(Vec::new());
    }
    base64::decode(text).map_err(|_| format!("'{text}' is not Base64"))
}

/// A name, made absolute and moved to where the chain keeps the zone.
pub fn name_of(token: &Token<'_>, context: Context<'_>) -> Result<Vec<u8>, String> {
    let name = absolute_name(token, context.origin)?;
    Ok(context.origins.moved(&name, None))
}

/// A name in wire form, relative to `origin`.
pub fn absolute_name(token: &Token<'_>, origin: &[u8]) -> Result<Vec<u8>, String> {
    let bad =
        || format!("{} is not a domain name: labels have 1 to 63 bytes, names 255", shown(token));
    let whole = |name: Vec<u8>| if name.len() <= 255 { Ok(name) } else { Err(bad()) };
    match token.raw {
        b"@" if !token.quoted => return Ok(origin.to_vec()),
        b"." => return Ok(vec![0]),
        _ => {}
    }
    let (mut name, mut label) = (Vec::new(), Vec::new());
    let mut rest = token.raw;
    let mut end = |label: &mut Vec<u8>| {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length));
        name.push(length?);
        name.append(label);
        Some(())
    };
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'.' => {
                end(&mut label).ok_or_else(bad)?;
                if rest.is_empty() {
                    name.push(0);
                    return whole(name);
                }
            }
            b'\\' => {
                let (byte, after) = unescape(after).ok_or_else(bad)?;
                label.push(byte);
                rest = after;
            }
            byte => label.push(*byte),
        }
    }
    end(&mut label).ok_or_else(bad)?;
    whole([&name, origin].concat())
}

/// So many bytes from the front.
pub fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

/// A big-endian number of so many bytes.
pub fn take_number(rest: &mut &[u8], length: usize) -> Option<u64> {
    Some(take(rest, length)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// A name as text.
pub fn take_name(rest: &mut &[u8]) -> Option<String> {
    let length = name_len(rest).filter(|length| *length <= 255)?;
    take(rest, length).map(text_of)
}
