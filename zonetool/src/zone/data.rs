//! Record data by the fields of [`super::types`]: text to bytes, bytes to text.

use std::net::Ipv4Addr;

use domain::utils::base64;

use super::{
    fields::{
        Context, Tokens, base64_of, hex_of, name_of, next, number_of, shown, take, take_name,
        take_number,
    },
    layout::too_long,
    special,
    token::{Token, quote},
    types::{ALGORITHMS, CERTIFICATE_TYPES, Field, SCHEMES, TypeInfo, mnemonic, number},
};

/// The data of a type of the table from its tokens, or what is wrong with it.
pub fn encode(
    info: &TypeInfo,
    tokens: &[Token<'_>],
    context: Context<'_>,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = tokens.iter();
    for field in info.fields {
        encode_field(*field, &mut rest, context, &mut out)?;
    }
    match rest.next() {
        Some(token) => Err(format!("there is text after the end of the record: {}", shown(token))),
        None if out.len() > usize::from(u16::MAX) => Err("the data has over 65,535 bytes".into()),
        None => Ok(out),
    }
}

fn named(token: &Token<'_>, names: &[(u16, &str)], max: u64) -> Result<u16, String> {
    let by_name = token.text().and_then(|text| {
        names.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(number, _)| *number)
    });
    match by_name {
        Some(number) => Ok(number),
        None => Ok(number_of(token, max)? as u16),
    }
}

fn encode_field(
    field: Field,
    tokens: &mut Tokens<'_, '_>,
    context: Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    match field {
        Field::U8 => out.push(number_of(next(tokens)?, 0xff)? as u8),
        Field::U16 => out.extend((number_of(next(tokens)?, 0xffff)? as u16).to_be_bytes()),
        Field::U32 => out.extend((number_of(next(tokens)?, 0xffff_ffff)? as u32).to_be_bytes()),
        Field::Algorithm => out.push(named(next(tokens)?, ALGORITHMS, 0xff)? as u8),
        Field::Scheme => out.push(named(next(tokens)?, SCHEMES, 0xff)? as u8),
        Field::CertificateType => {
            out.extend(named(next(tokens)?, CERTIFICATE_TYPES, 0xffff)?.to_be_bytes());
        }
        Field::Type => {
            let token = next(tokens)?;
            let found = token.text().and_then(number);
            let found = found.ok_or_else(|| format!("{} is not a record type", shown(token)))?;
            out.extend(found.to_be_bytes());
        }
        Field::Types => special::encode_types(tokens, out)?,
        Field::Ipv4 => {
            let token = next(tokens)?;
            let address = token.text().and_then(|text| text.parse::<Ipv4Addr>().ok());
            let address =
                address.ok_or_else(|| format!("{} is not an IPv4 address", shown(token)))?;
            out.extend(address.octets());
        }
        Field::Name => out.extend(name_of(next(tokens)?, context)?),
        Field::Text => text_field(next(tokens)?, out)?,
        Field::OptionalText => tokens.next().map_or(Ok(()), |token| text_field(token, out))?,
        Field::Texts => {
            text_field(next(tokens)?, out)?;
            tokens.try_for_each(|token| text_field(token, out))?;
        }
        Field::Rest => {
            let token = next(tokens)?;
            let text = token.bytes().filter(|text| !text.is_empty());
            out.extend(text.ok_or_else(|| format!("{} is not a character string", shown(token)))?);
        }
        Field::Hex => out.extend(hex_of(&joined(tokens)?)?),
        Field::OptionalBase64 if tokens.as_slice().is_empty() => {}
        Field::Base64 | Field::OptionalBase64 => out.extend(base64_of(&joined(tokens)?)?),
        Field::Eui(bytes) => out.extend(groups(next(tokens)?, '-', bytes, 1)?),
        Field::Locator64 => out.extend(groups(next(tokens)?, ':', 4, 2)?),
        Field::Nsap => {
            let token = next(tokens)?;
            let text = token
                .text()
                .and_then(|text| text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")));
            let text = text.ok_or_else(|| format!("{} does not begin with 0x", shown(token)))?;
            out.extend(hex_of(&text.replace('.', ""))?);
        }
        Field::Location => special::encode_location(tokens, out)?,
        Field::Prefixes => special::encode_prefixes(tokens, out)?,
        Field::HostIdentity => special::encode_host_identity(tokens, context, out)?,
        Field::Relay => special::encode_relay(tokens, context, out)?,
    }
    Ok(())
}

/// What is left, as one text.
fn joined(tokens: &mut Tokens<'_, '_>) -> Result<String, String> {
    let mut text = next(tokens)?.text().map(str::to_owned);
    for token in tokens {
        text = text.zip(token.text()).map(|(text, more)| text + more);
    }
    text.ok_or_else(|| "an escape is not allowed here".into())
}

fn text_field(token: &Token<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let text = token.bytes().ok_or_else(|| format!("{} has a bad escape", shown(token)))?;
    let length = u8::try_from(text.len());
    out.push(length.map_err(|_| too_long(token, text.len()))?);
    out.extend(text);
    Ok(())
}

/// `count` groups of hexadecimal digits, of `width` bytes each.
fn groups(token: &Token<'_>, between: char, count: usize, width: usize) -> Result<Vec<u8>, String> {
    let bad = || {
        let example = vec!["0123".get(..width * 2).unwrap_or_default(); count];
        format!("{} is not of the form {}", shown(token), example.join(&between.to_string()))
    };
    let parts: Vec<&str> = token.text().ok_or_else(bad)?.split(between).collect();
    if parts.len() != count {
        return Err(bad());
    }
    let mut out = Vec::new();
    for part in parts {
        let whole = part.len() == width * 2 || (width == 2 && (1..=4).contains(&part.len()));
        let value = u16::from_str_radix(part, 16).ok().filter(|_| whole && !part.starts_with('+'));
        out.extend_from_slice(&value.ok_or_else(bad)?.to_be_bytes()[2 - width..]);
    }
    Ok(out)
}

/// The data of a type of the table as text; `None` if it is not well-formed.
pub fn decode(info: &TypeInfo, rdata: &[u8]) -> Option<String> {
    let mut rest = rdata;
    let mut words = Vec::new();
    for field in info.fields {
        decode_field(*field, &mut rest, &mut words)?;
    }
    rest.is_empty().then(|| words.join(" "))
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(*take(rest, 1)?.first()?);
    take(rest, length)
}

fn decode_field(field: Field, rest: &mut &[u8], words: &mut Vec<String>) -> Option<()> {
    let all = |rest: &mut &[u8]| std::mem::take(rest).to_vec();
    match field {
        Field::U8 | Field::Algorithm => words.push(take_number(rest, 1)?.to_string()),
        Field::Scheme => {
            let number = take_number(rest, 1)?;
            let known = SCHEMES.iter().find(|(scheme, _)| u64::from(*scheme) == number);
            words.push(known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned()));
        }
        Field::U16 | Field::CertificateType => words.push(take_number(rest, 2)?.to_string()),
        Field::U32 => words.push(take_number(rest, 4)?.to_string()),
        Field::Type => words.push(mnemonic(take_number(rest, 2)? as u16)),
        Field::Types => special::decode_types(rest, words)?,
        Field::Ipv4 => {
            let octets: [u8; 4] = take(rest, 4)?.try_into().ok()?;
            words.push(Ipv4Addr::from(octets).to_string());
        }
        Field::Name => words.push(take_name(rest)?),
        Field::Text => words.push(quote(take_text(rest)?)),
        Field::OptionalText if rest.is_empty() => {}
        Field::OptionalText => words.push(quote(take_text(rest)?)),
        Field::Texts => {
            words.push(quote(take_text(rest)?));
            while !rest.is_empty() {
                words.push(quote(take_text(rest)?));
            }
        }
        Field::Rest => words.push(quote(&Some(all(rest)).filter(|text| !text.is_empty())?)),
        Field::Hex => {
            let bytes = Some(all(rest)).filter(|bytes| !bytes.is_empty())?;
            words.push(hex::encode(bytes));
        }
        Field::OptionalBase64 if rest.is_empty() => {}
        Field::Base64 | Field::OptionalBase64 => match all(rest) {
            bytes if bytes.is_empty() => words.push("-".into()),
            bytes => words.push(base64::encode_string(&bytes)),
        },
        Field::Eui(length) => {
            let bytes = take(rest, length)?.iter().map(|byte| format!("{byte:02x}"));
            words.push(bytes.collect::<Vec<_>>().join("-"));
        }
        Field::Locator64 => {
            let groups = take(rest, 8)?.chunks(2).map(hex::encode);
            words.push(groups.collect::<Vec<_>>().join(":"));
        }
        Field::Nsap => {
            let bytes = Some(all(rest)).filter(|bytes| !bytes.is_empty())?;
            words.push(format!("0x{}", hex::encode(bytes)));
        }
        Field::Location => words.push(special::decode_location(rest)?),
        Field::Prefixes => special::decode_prefixes(rest, words)?,
        Field::HostIdentity => special::decode_host_identity(rest, words)?,
        Field::Relay => special::decode_relay(rest, words)?,
    }
    Some(())
}
