//! A master file as the `domain` library can read it: TTLs in seconds, and the data of the types
//! that it does not know, or not well, in the form of RFC 3597. Every entry stays on its line.

use namechain_core::types::Name;

use super::{
    SOA, data,
    error::ZoneError,
    fields::{Context, absolute_name},
    layout,
    names::{Origins, absolute},
    svcb,
    token::{RawEntry, Token, entries},
    types,
};

/// Rewrites the zone of `name`.
pub fn rewrite(name: &Name, text: &[u8]) -> Result<Vec<u8>, ZoneError> {
    // A byte order mark is no part of the text.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let origins = Origins::of(name);
    let mut origin = absolute(&format!("{name}."));
    let mut out = Vec::with_capacity(text.len());
    for entry in entries(text) {
        let context = Context { origin: &origin, origins: &origins };
        let rewritten = rewrite_entry(&entry, context)
            .map_err(|what| ZoneError::Line { line: entry.line, what })?;
        match rewritten {
            None => out.extend_from_slice(entry.bytes),
            Some(line) => {
                out.extend_from_slice(line.as_bytes());
                let feeds = entry.bytes.iter().filter(|byte| **byte == b'\n').count();
                out.resize(out.len() + feeds, b'\n');
            }
        }
        if let [control, to] = entry.tokens.as_slice()
            && control.raw.eq_ignore_ascii_case(b"$ORIGIN")
        {
            // A bad one is the library's to refuse.
            origin = absolute_name(to, &origin).unwrap_or(origin);
        }
    }
    Ok(out)
}

/// The entry in a form that the library reads; `None` if it does as it is.
fn rewrite_entry(entry: &RawEntry<'_>, context: Context<'_>) -> Result<Option<String>, String> {
    let tokens = entry.tokens.as_slice();
    match tokens {
        [control, ttl] if control.raw.eq_ignore_ascii_case(b"$TTL") => {
            Ok(ttl_of(ttl)?.map(|seconds| format!("$TTL {seconds}")))
        }
        [control, ..] if control.raw.starts_with(b"$") => Ok(None),
        [] => Ok(None),
        _ => rewrite_record(entry, context),
    }
}

fn rewrite_record(entry: &RawEntry<'_>, context: Context<'_>) -> Result<Option<String>, String> {
    let (owner, mut rest) = match (entry.has_no_owner, entry.tokens.as_slice()) {
        (false, [owner, rest @ ..]) => (Some(owner), rest),
        (_, rest) => (None, rest),
    };
    let (mut ttl, mut has_units) = (None, false);
    while let [token, after @ ..] = rest {
        if let Some(seconds) = ttl_of(token)? {
            has_units |= has_unit(token);
            ttl = Some(seconds);
        } else if !token.raw.eq_ignore_ascii_case(b"IN") {
            break;
        }
        rest = after;
    }
    let [rtype, data @ ..] = rest else { return Ok(None) };
    let number = rtype.text().filter(|_| !rtype.quoted).and_then(types::number);
    // The names and the serial number of an SOA are followed by times.
    let is_generic = data.first().is_some_and(|token| token.raw == b"\\#");
    let times_from = if number == Some(SOA) && !is_generic { 3 } else { usize::MAX };
    has_units |= data.iter().skip(times_from).any(|token| has_unit(token));
    let data = match number.map(|number| (number, types::by_number(number))) {
        // The form of RFC 3597 is the library's to read.
        _ if is_generic => None,
        Some((_, Some(info))) => {
            let data = data::encode(info, data, context);
            Some(data.map_err(|what| format!("{}: {what}", info.mnemonic))?)
        }
        Some((number, None)) if svcb::TYPES.contains(&number) => {
            let data = svcb::encode(data, context);
            Some(data.map_err(|what| format!("{}: {what}", types::mnemonic(number)))?)
        }
        Some((number, None)) => {
            layout::check(number, data)?;
            None
        }
        None => None,
    };
    if data.is_none()
        && !has_units
        && number.is_none_or(|number| types::by_number(number).is_none())
    {
        return Ok(None);
    }
    // What is not UTF-8 is written as it is read: in decimal.
    let raw = |token: &Token<'_>| {
        let mut text = String::new();
        for byte in token.raw {
            match byte {
                b' '..=b'~' => text.push(char::from(*byte)),
                b'\t' | b'\n' | b'\r' => text.push(' '),
                other => text.push_str(&format!("\\{other:03}")),
            }
        }
        if token.quoted { format!("\"{text}\"") } else { text }
    };
    let mut line = owner.map_or_else(|| " ".to_owned(), &raw);
    if let Some(seconds) = ttl {
        line.push_str(&format!(" {seconds}"));
    }
    match (&data, number) {
        (Some(data), Some(number)) => {
            line.push_str(&format!(" TYPE{number} \\# {} {}", data.len(), hex::encode(data)));
        }
        _ => {
            let rtype = match number {
                Some(number) if types::by_number(number).is_some() => format!("TYPE{number}"),
                _ => raw(rtype),
            };
            line.push_str(&format!(" {rtype}"));
            for (at, token) in rest.iter().skip(1).enumerate() {
                let time = if at >= times_from { ttl_of(token)? } else { None };
                let text = time.map_or_else(|| raw(token), |seconds| seconds.to_string());
                line.push_str(&format!(" {text}"));
            }
        }
    }
    Ok(Some(line))
}

/// Whether a time is written with units.
fn has_unit(token: &Token<'_>) -> bool {
    !token.raw.iter().all(u8::is_ascii_digit)
}

/// A TTL in seconds, or in units as BIND writes them: `1d`, `1w2d3h4m5s`. `None` if it is none.
fn ttl_of(token: &Token<'_>) -> Result<Option<u32>, String> {
    let Some(text) = token.text().filter(|_| !token.quoted) else { return Ok(None) };
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(None);
    }
    let mut seconds: u64 = 0;
    let mut number: Option<u64> = None;
    for c in text.chars() {
        let unit = match c.to_ascii_lowercase() {
            digit @ '0'..='9' => {
                let digit = u64::from(digit) - u64::from('0');
                number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit));
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Ok(None),
        };
        let Some(number) = number.take() else { return Ok(None) };
        seconds = seconds.saturating_add(number.saturating_mul(unit));
    }
    // Digits without a unit are seconds, and stand alone.
    match number {
        Some(_) if seconds > 0 => return Ok(None),
        Some(number) => seconds = number,
        None => {}
    }
    match u32::try_from(seconds) {
        Ok(seconds) if seconds <= i32::MAX as u32 => Ok(Some(seconds)),
        _ => Err(format!("the TTL {text} is over {} seconds", i32::MAX)),
    }
}
