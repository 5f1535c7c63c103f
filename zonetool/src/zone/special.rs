//! Fields of record data with a form of their own: bitmaps of types, locations, address prefixes,
//! host identities, relays.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use domain::utils::base64;

use super::{
    fields::{
        Context, Tokens, base64_of, hex_of, name_of, next, number_of, shown, take, take_name,
        take_number,
    },
    types::{mnemonic, number},
};

/// The types that are left, as windows of a bitmap (RFC 4034 §4.1.2).
pub fn encode_types(tokens: &mut Tokens<'_, '_>, out: &mut Vec<u8>) -> Result<(), String> {
    let mut types = BTreeSet::new();
    for token in tokens {
        let found = token.text().and_then(number);
        types.insert(found.ok_or_else(|| format!("{} is not a record type", shown(token)))?);
    }
    for window in 0..=255u8 {
        let mut bits = Vec::new();
        for rtype in types.iter().filter(|rtype| rtype.to_be_bytes()[0] == window) {
            let at = usize::from(rtype.to_be_bytes()[1]);
            bits.resize(at / 8 + 1, 0u8);
            bits[at / 8] |= 0x80 >> (at % 8);
        }
        if !bits.is_empty() {
            out.extend([window, bits.len() as u8]);
            out.extend(bits);
        }
    }
    Ok(())
}

/// The same as mnemonics.
pub fn decode_types(rest: &mut &[u8], words: &mut Vec<String>) -> Option<()> {
    let mut last = None;
    while !rest.is_empty() {
        let (window, length) = (take_number(rest, 1)? as u16, take_number(rest, 1)? as usize);
        let bits = take(rest, length).filter(|bits| (1..=32).contains(&bits.len()))?;
        if last.is_some_and(|last| last >= window) || bits.last() == Some(&0) {
            return None;
        }
        last = Some(window);
        for at in (0..bits.len() * 8).filter(|at| bits[at / 8] & (0x80 >> (at % 8)) != 0) {
            words.push(mnemonic(window << 8 | at as u16));
        }
    }
    Some(())
}

/// The middle of the circle that degrees are counted from, in thousandths of an arc second.
const EQUATOR: u32 = 1 << 31;
/// The reference of altitudes: 100,000 m below the WGS 84 spheroid, in centimetres.
const DEPTH_CM: i64 = 10_000_000;

/// `d m s N|S d m s E|W alt[m] [size[m] [horizontal[m] [vertical[m]]]]` (RFC 1876 §3).
pub fn encode_location(tokens: &mut Tokens<'_, '_>, out: &mut Vec<u8>) -> Result<(), String> {
    let latitude = angle(tokens, ['N', 'S'], 90)?;
    let longitude = angle(tokens, ['E', 'W'], 180)?;
    let altitude = centimetres(next(tokens)?)?.checked_add(DEPTH_CM);
    let altitude = altitude.and_then(|altitude| u32::try_from(altitude).ok());
    let altitude = altitude.ok_or("the altitude is out of range")?;
    // 1 m, 10,000 m, 10 m.
    let mut sizes = [0x12, 0x16, 0x13];
    for size in &mut sizes {
        if let Some(token) = tokens.next() {
            *size = precision(centimetres(token)?)
                .ok_or_else(|| format!("{} is not a size from 0 to 90000000 m", shown(token)))?;
        }
    }
    out.push(0);
    out.extend(sizes);
    for value in [latitude, longitude, altitude] {
        out.extend(value.to_be_bytes());
    }
    Ok(())
}

fn angle(tokens: &mut Tokens<'_, '_>, sides: [char; 2], most: u64) -> Result<u32, String> {
    let mut thousandths = 0;
    for unit in [3_600_000, 60_000, 1_000, 0] {
        let token = next(tokens)?;
        let side = token.text().and_then(|text| {
            let side = text.to_ascii_uppercase();
            sides.iter().position(|one| side == one.to_string())
        });
        if let Some(side) = side
            && unit < 3_600_000
        {
            if thousandths > most * 3_600_000 {
                return Err(format!("there are at most {most} degrees"));
            }
            let thousandths = thousandths as u32;
            return Ok(if side == 0 { EQUATOR + thousandths } else { EQUATOR - thousandths });
        }
        thousandths += match unit {
            3_600_000 => number_of(token, most)? * unit,
            60_000 => number_of(token, 59)? * unit,
            1_000 => seconds(token.text().unwrap_or_default())
                .ok_or_else(|| format!("{} is not seconds of arc", shown(token)))?,
            _ => break,
        };
    }
    Err(format!("the angle does not end with {} or {}", sides[0], sides[1]))
}

/// Seconds of arc with up to three decimals, in thousandths.
fn seconds(text: &str) -> Option<u64> {
    decimal(text, 3).filter(|value| *value < 60_000)
}

/// A number with up to `places` decimals, in units of the last.
fn decimal(text: &str, places: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || part.len() > places || !digits(whole) || !digits(part)
    {
        return None;
    }
    format!("{whole}{part:0<places$}").parse().ok()
}

/// Metres, with `m` or without, in centimetres.
fn centimetres(token: &super::token::Token<'_>) -> Result<i64, String> {
    let bad = || format!("{} is not a number of metres", shown(token));
    let text = token.text().ok_or_else(bad)?;
    let text = text.strip_suffix(['m', 'M']).unwrap_or(text);
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text),
    };
    let value = decimal(text, 2).ok_or_else(bad)?;
    i64::try_from(value).map(|value| sign * value).map_err(|_| bad())
}

/// Centimetres as a digit and a power of ten.
fn precision(value: i64) -> Option<u8> {
    let mut value = u64::try_from(value).ok()?;
    let mut power = 0;
    while value >= 10 {
        value /= 10;
        power += 1;
    }
    (power <= 9).then_some((value as u8) << 4 | power)
}

/// The location as [`encode_location`] reads it.
pub fn decode_location(rest: &mut &[u8]) -> Option<String> {
    if take_number(rest, 1)? != 0 {
        return None;
    }
    let mut sizes = Vec::new();
    for byte in take(rest, 3)? {
        let (digit, power) = (u64::from(byte >> 4), u32::from(byte & 15));
        if digit > 9 || power > 9 || (digit == 0 && power > 0) {
            return None;
        }
        let value = digit * 10u64.pow(power);
        sizes.push(format!("{}.{:02}m", value / 100, value % 100));
    }
    let mut angles = Vec::new();
    for (sides, most) in [(['N', 'S'], 90), (['E', 'W'], 180)] {
        let value = take_number(rest, 4)? as u32;
        let side = sides[usize::from(value < EQUATOR)];
        let value = value.abs_diff(EQUATOR);
        if value > most * 3_600_000 {
            return None;
        }
        let (minutes, thousandths) = (value / 60_000, value % 60_000);
        angles.push(format!(
            "{} {} {}.{:03} {side}",
            minutes / 60,
            minutes % 60,
            thousandths / 1_000,
            thousandths % 1_000
        ));
    }
    let altitude = take_number(rest, 4)? as i64 - DEPTH_CM;
    let sign = if altitude < 0 { "-" } else { "" };
    let altitude = altitude.unsigned_abs();
    Some(format!(
        "{} {sign}{}.{:02}m {}",
        angles.join(" "),
        altitude / 100,
        altitude % 100,
        sizes.join(" ")
    ))
}

/// `[!]afi:address/prefix` (RFC 3123 §4).
pub fn encode_prefixes(tokens: &mut Tokens<'_, '_>, out: &mut Vec<u8>) -> Result<(), String> {
    for token in tokens {
        let bad =
            || format!("{} is not of the form [!]1:IPV4/LENGTH or [!]2:IPV6/LENGTH", shown(token));
        let text = token.text().ok_or_else(bad)?;
        let (negated, text) = match text.strip_prefix('!') {
            Some(text) => (0x80, text),
            None => (0, text),
        };
        let (family, text) = text.split_once(':').ok_or_else(bad)?;
        let (address, length) = text.rsplit_once('/').ok_or_else(bad)?;
        let (family, address): (u16, Vec<u8>) = match family {
            "1" => (1, address.parse::<Ipv4Addr>().map_err(|_| bad())?.octets().into()),
            "2" => (2, address.parse::<Ipv6Addr>().map_err(|_| bad())?.octets().into()),
            _ => return Err(bad()),
        };
        let length: u8 = length.parse().map_err(|_| bad())?;
        if usize::from(length) > address.len() * 8 {
            return Err(bad());
        }
        let end = address.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        out.extend(family.to_be_bytes());
        out.extend([length, negated | end as u8]);
        out.extend(&address[..end]);
    }
    Ok(())
}

/// The prefixes as [`encode_prefixes`] reads them.
pub fn decode_prefixes(rest: &mut &[u8], words: &mut Vec<String>) -> Option<()> {
    while !rest.is_empty() {
        let (family, length) = (take_number(rest, 2)?, take_number(rest, 1)?);
        let flags = take_number(rest, 1)?;
        let bytes = take(rest, (flags & 0x7f) as usize)?;
        let negated = if flags & 0x80 == 0 { "" } else { "!" };
        if bytes.last() == Some(&0) {
            return None;
        }
        let mut octets = [0; 16];
        octets.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let address = match (family, bytes.len()) {
            (1, 0..=4) if length <= 32 => Ipv4Addr::from(*octets.first_chunk::<4>()?).to_string(),
            (2, _) if length <= 128 => Ipv6Addr::from(octets).to_string(),
            _ => return None,
        };
        words.push(format!("{negated}{family}:{address}/{length}"));
    }
    Some(())
}

/// `algorithm HIT key [server ...]` (RFC 8005 §6).
pub fn encode_host_identity(
    tokens: &mut Tokens<'_, '_>,
    context: Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let algorithm = number_of(next(tokens)?, 0xff)? as u8;
    let hit = hex_of(next(tokens)?.text().unwrap_or_default())?;
    let key = base64_of(next(tokens)?.text().unwrap_or_default())?;
    let (Ok(hit_length @ 1..), Ok(key_length @ 1..)) =
        (u8::try_from(hit.len()), u16::try_from(key.len()))
    else {
        return Err("the HIT has 1 to 255 bytes, the key 1 to 65,535".into());
    };
    out.extend([hit_length, algorithm]);
    out.extend(key_length.to_be_bytes());
    out.extend(hit);
    out.extend(key);
    for token in tokens {
        out.extend(name_of(token, context)?);
    }
    Ok(())
}

/// The same as text.
pub fn decode_host_identity(rest: &mut &[u8], words: &mut Vec<String>) -> Option<()> {
    let (hit, algorithm) = (take_number(rest, 1)? as usize, take_number(rest, 1)?);
    let key = take_number(rest, 2)? as usize;
    let hit = take(rest, hit).filter(|hit| !hit.is_empty())?;
    let key = take(rest, key).filter(|key| !key.is_empty())?;
    words.extend([algorithm.to_string(), hex::encode(hit), base64::encode_string(key)]);
    while !rest.is_empty() {
        words.push(take_name(rest)?);
    }
    Some(())
}

/// `D type relay` (RFC 8777 §4.3.1).
pub fn encode_relay(
    tokens: &mut Tokens<'_, '_>,
    context: Context<'_>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let discovery = number_of(next(tokens)?, 1)? as u8;
    let kind = number_of(next(tokens)?, 3)? as u8;
    let token = next(tokens)?;
    let text = token.text().unwrap_or_default();
    out.push(discovery << 7 | kind);
    let bad = |what: &str| format!("{} is not {what}", shown(token));
    match kind {
        0 if text == "." => {}
        0 => return Err(bad("'.', as no relay has")),
        1 => out.extend(text.parse::<Ipv4Addr>().map_err(|_| bad("an IPv4 address"))?.octets()),
        2 => out.extend(text.parse::<Ipv6Addr>().map_err(|_| bad("an IPv6 address"))?.octets()),
        _ => out.extend(name_of(token, context)?),
    }
    Ok(())
}

/// The same as text.
pub fn decode_relay(rest: &mut &[u8], words: &mut Vec<String>) -> Option<()> {
    let byte = take_number(rest, 1)?;
    let kind = byte & 0x7f;
    words.extend([(byte >> 7).to_string(), kind.to_string()]);
    words.push(match kind {
        0 => ".".to_owned(),
        1 => Ipv4Addr::from(<[u8; 4]>::try_from(take(rest, 4)?).ok()?).to_string(),
        2 => Ipv6Addr::from(<[u8; 16]>::try_from(take(rest, 16)?).ok()?).to_string(),
        3 => take_name(rest)?,
        _ => return None,
    });
    Some(())
}
