//! SVCB and HTTPS records (RFC 9460): the text form and what its values must be. The `domain`
//! library takes what the RFC forbids and refuses some of what it allows.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use domain::utils::base64;

use super::{
    fields::{Context, name_of, next, number_of, shown, take, take_name, take_number},
    token::{Token, quote},
};

/// The types of this form: SVCB and HTTPS.
pub const TYPES: [u16; 2] = [64, 65];

/// The keys that have names (IANA, DNS Service Parameter Keys).
const KEYS: [(u16, &str); 11] = [
    (0, "mandatory"),
    (1, "alpn"),
    (2, "no-default-alpn"),
    (3, "port"),
    (4, "ipv4hint"),
    (5, "ech"),
    (6, "ipv6hint"),
    (7, "dohpath"),
    (8, "ohttp"),
    (9, "tls-supported-groups"),
    (10, "docpath"),
];
const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;
const GROUPS: u16 = 9;
const DOCPATH: u16 = 10;

/// The data of an SVCB or HTTPS record from its tokens, or what is wrong with it.
pub fn encode(tokens: &[Token<'_>], context: Context<'_>) -> Result<Vec<u8>, String> {
    let mut rest = tokens.iter();
    let priority = number_of(next(&mut rest)?, 0xffff)? as u16;
    let target = name_of(next(&mut rest)?, context)?;
    let mut parameters: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    while let Some(token) = rest.next() {
        // A value in quotes is a token of its own right behind the `=`.
        let (key, value) = match token.raw.iter().position(|byte| *byte == b'=') {
            Some(at) if at + 1 == token.raw.len() => match rest.as_slice().first() {
                Some(value) if value.quoted => {
                    rest.next();
                    (&token.raw[..at], Some(value.clone()))
                }
                _ => (&token.raw[..at], Some(Token { raw: &[], quoted: false })),
            },
            Some(at) => {
                (&token.raw[..at], Some(Token { raw: &token.raw[at + 1..], quoted: false }))
            }
            None => (token.raw, None),
        };
        let key = key_of(key).ok_or_else(|| format!("{} is not a service key", shown(token)))?;
        let value = encode_value(key, value.as_ref())?;
        if parameters.insert(key, value).is_some() {
            return Err(format!("{} is given twice", name_of_key(key)));
        }
    }
    if priority == 0 && !parameters.is_empty() {
        return Err("an alias (priority 0) has no parameters".into());
    }
    if let Some(why) = objection(&parameters) {
        return Err(why);
    }
    let mut out = priority.to_be_bytes().to_vec();
    out.extend(target);
    for (key, value) in parameters {
        out.extend(key.to_be_bytes());
        let length = u16::try_from(value.len()).map_err(|_| "a value has over 65,535 bytes")?;
        out.extend(length.to_be_bytes());
        out.extend(value);
    }
    Ok(out)
}

/// A key by its name, or by `keyNNNNN` without leading zeros.
fn key_of(raw: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(raw).ok()?;
    if let Some((key, _)) = KEYS.iter().find(|(_, name)| *name == text) {
        return Some(*key);
    }
    let digits = text.strip_prefix("key")?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let plain = plain && (digits == "0" || !digits.starts_with('0'));
    // 65535 is reserved for "invalid key" (RFC 9460 §14.3.2).
    digits.parse().ok().filter(|key| plain && *key != u16::MAX)
}

fn name_of_key(key: u16) -> String {
    KEYS.iter()
        .find(|(number, _)| *number == key)
        .map_or_else(|| format!("key{key}"), |(_, name)| (*name).to_owned())
}

/// What is wrong with the parameters together.
fn objection(parameters: &BTreeMap<u16, Vec<u8>>) -> Option<String> {
    if parameters.contains_key(&NO_DEFAULT_ALPN) && !parameters.contains_key(&ALPN) {
        return Some("no-default-alpn needs alpn beside it".into());
    }
    let mandatory = parameters.get(&MANDATORY)?.chunks(2);
    let keys = mandatory.filter_map(|key| <[u8; 2]>::try_from(key).ok()).map(u16::from_be_bytes);
    keys.into_iter()
        .find(|key| !parameters.contains_key(key))
        .map(|key| format!("mandatory names {}, which is not there", name_of_key(key)))
}

fn encode_value(key: u16, value: Option<&Token<'_>>) -> Result<Vec<u8>, String> {
    let name = name_of_key(key);
    let bytes = match value {
        Some(token) => token.bytes().ok_or_else(|| format!("{name} has a bad escape"))?,
        None => Vec::new(),
    };
    let text = || {
        let text = std::str::from_utf8(&bytes).ok().filter(|text| !text.is_empty());
        text.ok_or_else(|| format!("{name} needs a value"))
    };
    let bad = |what: &str| format!("a value of {name} is not {what}");
    Ok(match key {
        MANDATORY => {
            let mut keys = Vec::new();
            for part in text()?.split(',') {
                let key = key_of(part.as_bytes()).filter(|key| *key != MANDATORY);
                keys.push(key.ok_or_else(|| bad("a service key other than mandatory"))?);
            }
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(format!("{name} names a key twice"));
            }
            keys.into_iter().flat_map(u16::to_be_bytes).collect()
        }
        ALPN | DOCPATH => lists(&bytes, key == ALPN).ok_or_else(|| {
            format!("{name} is a list of parts of 1 to 255 bytes, with commas between them")
        })?,
        NO_DEFAULT_ALPN | OHTTP if value.is_some() => return Err(format!("{name} has no value")),
        NO_DEFAULT_ALPN | OHTTP => Vec::new(),
        PORT => {
            let port = number_of(&Token { raw: text()?.as_bytes(), quoted: false }, 0xffff)?;
            (port as u16).to_be_bytes().to_vec()
        }
        IPV4HINT => each(text()?, |part| Some(part.parse::<Ipv4Addr>().ok()?.octets().to_vec()))
            .ok_or_else(|| bad("an IPv4 address"))?,
        IPV6HINT => each(text()?, |part| Some(part.parse::<Ipv6Addr>().ok()?.octets().to_vec()))
            .ok_or_else(|| bad("an IPv6 address"))?,
        ECH => base64::decode(text()?).map_err(|_| bad("Base64"))?,
        DOHPATH if is_doh_path(text()?) => bytes.clone(),
        DOHPATH => return Err(bad("a URI template that begins with / and has {?dns}")),
        GROUPS => each(text()?, |part| Some(part.parse::<u16>().ok()?.to_be_bytes().to_vec()))
            .ok_or_else(|| bad("a number"))?,
        _ => bytes.clone(),
    })
}

fn each(text: &str, encode: impl Fn(&str) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    Some(text.split(',').map(encode).collect::<Option<Vec<_>>>()?.concat())
}

/// A list of character strings; `\,` and `\\` in a part, once the token's own escapes are undone
/// (RFC 9460 appendix A.1).
fn lists(bytes: &[u8], needed: bool) -> Option<Vec<u8>> {
    if bytes.is_empty() {
        return (!needed).then(Vec::new);
    }
    let (mut out, mut part) = (Vec::new(), Vec::new());
    let mut rest = bytes.iter();
    let mut end = |part: &mut Vec<u8>| {
        out.push(u8::try_from(part.len()).ok().filter(|length| *length > 0)?);
        out.append(part);
        Some(())
    };
    while let Some(byte) = rest.next() {
        match byte {
            b',' => end(&mut part)?,
            b'\\' => part.push(*rest.next().filter(|next| b",\\".contains(next))?),
            byte => part.push(*byte),
        }
    }
    end(&mut part)?;
    Some(out)
}

/// Whether it can be the template of DNS over HTTPS (RFC 9461 §5): relative, with the variable dns.
fn is_doh_path(text: &str) -> bool {
    let variables: Vec<&str> = text
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .flat_map(|(inside, _)| {
            inside.trim_start_matches(['?', '&', '+', '#', '/', ';', '.']).split(',')
        })
        .collect();
    let closed = text.matches('{').count() == text.matches('}').count();
    text.starts_with('/')
        && closed
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && variables.contains(&"dns")
}

/// The data as text; `None` if it is not what RFC 9460 allows.
pub fn decode(rdata: &[u8]) -> Option<String> {
    let mut rest = rdata;
    let mut words = vec![take_number(&mut rest, 2)?.to_string(), take_name(&mut rest)?];
    let mut last = None;
    let mut parameters = BTreeMap::new();
    while !rest.is_empty() {
        let (key, length) = (take_number(&mut rest, 2)? as u16, take_number(&mut rest, 2)?);
        let value = take(&mut rest, length as usize)?;
        if last.is_some_and(|last| last >= key) {
            return None;
        }
        last = Some(key);
        let text = decode_value(key, value)?;
        words.push(match text {
            None => name_of_key(key),
            Some(text) => format!("{}={text}", name_of_key(key)),
        });
        parameters.insert(key, value.to_vec());
    }
    objection(&parameters).is_none().then(|| words.join(" "))
}

fn decode_value(key: u16, value: &[u8]) -> Option<Option<String>> {
    let chunks = |size: usize| {
        Some(value.chunks_exact(size)).filter(|all| all.remainder().is_empty() && !value.is_empty())
    };
    Some(Some(match key {
        MANDATORY => {
            let keys: Vec<String> =
                chunks(2)?.map(|key| name_of_key(u16::from_be_bytes([key[0], key[1]]))).collect();
            keys.join(",")
        }
        ALPN | DOCPATH => {
            let (mut rest, mut text) = (value, Vec::new());
            while !rest.is_empty() {
                let length = take_number(&mut rest, 1)? as usize;
                if !text.is_empty() {
                    text.push(b',');
                }
                for byte in take(&mut rest, length).filter(|part| !part.is_empty())? {
                    if b",\\".contains(byte) {
                        text.push(b'\\');
                    }
                    text.push(*byte);
                }
            }
            quote(&text)
        }
        PORT => u16::from_be_bytes(value.try_into().ok()?).to_string(),
        IPV4HINT => {
            let each = chunks(4)?.map(|part| {
                let octets: Option<[u8; 4]> = part.try_into().ok();
                octets.map(|octets| Ipv4Addr::from(octets).to_string())
            });
            each.collect::<Option<Vec<_>>>()?.join(",")
        }
        IPV6HINT => {
            let each = chunks(16)?.map(|part| {
                let octets: Option<[u8; 16]> = part.try_into().ok();
                octets.map(|octets| Ipv6Addr::from(octets).to_string())
            });
            each.collect::<Option<Vec<_>>>()?.join(",")
        }
        GROUPS => chunks(2)?
            .map(|part| u16::from_be_bytes([part[0], part[1]]).to_string())
            .collect::<Vec<_>>()
            .join(","),
        ECH => base64::encode_string(value),
        DOHPATH => {
            let text = std::str::from_utf8(value).ok().filter(|text| is_doh_path(text))?;
            quote(text.as_bytes())
        }
        _ if value.is_empty() => return Some(None),
        NO_DEFAULT_ALPN | OHTTP => return None,
        _ => quote(value),
    }))
}
