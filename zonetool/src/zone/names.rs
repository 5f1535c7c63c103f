//! Domain names in wire form: what lies in a name's zone, and the names inside of record data.

use namechain_core::types::Name;

use super::ALTERNATIVE_SUFFIX;

/// The two places at which a name's zone stands, as absolute names in wire form and lower case.
#[derive(Clone, Debug)]
pub struct Origins {
    /// `NAME.`
    root: Vec<u8>,
    /// `NAME.namechain.alt.`
    alternative: Vec<u8>,
}

impl Origins {
    /// Where the zone of `name` stands.
    pub fn of(name: &Name) -> Self {
        Origins {
            root: absolute(&format!("{name}.")),
            alternative: absolute(&format!("{name}.{ALTERNATIVE_SUFFIX}")),
        }
    }

    /// `owner`, an absolute name in wire form, relative to the zone and in lower case; `None` if it
    /// is not in it.
    pub fn relative(&self, owner: &[u8]) -> Option<Vec<u8>> {
        let lower = owner.to_ascii_lowercase();
        let inside =
            [&self.root, &self.alternative].into_iter().find_map(|origin| below(&lower, origin))?;
        let mut relative = lower[..inside].to_vec();
        relative.push(0);
        Some(relative)
    }

    /// `name`, an absolute name in wire form, moved from `NAME.namechain.alt.` to `NAME.` if it
    /// lies there. Where `at` is given, the label `@` before it was meant to be it.
    pub fn moved(&self, name: &[u8], at: Option<&[u8]>) -> Vec<u8> {
        let name = match (name, at) {
            ([1, b'@', rest @ ..], Some(origin)) if rest.eq_ignore_ascii_case(origin) => rest,
            _ => name,
        };
        match below(&name.to_ascii_lowercase(), &self.alternative) {
            Some(inside) => [&name[..inside], &self.root].concat(),
            None => name.to_vec(),
        }
    }

    /// Record data with every name in it moved to where the chain keeps the zone. `at` is the
    /// current origin where the record has a free-standing `@`. Data that is too short for its type
    /// comes back as it is.
    pub fn move_names(&self, rtype: u16, rdata: &[u8], at: Option<&[u8]>) -> Vec<u8> {
        let mut out = Vec::with_capacity(rdata.len());
        let mut rest = rdata;
        for part in layout(rtype, rdata) {
            match part {
                Part::Bytes(len) if len <= rest.len() => {
                    out.extend_from_slice(&rest[..len]);
                    rest = &rest[len..];
                }
                Part::Name => {
                    let Some(len) = name_len(rest) else { return rdata.to_vec() };
                    out.extend(self.moved(&rest[..len], at));
                    rest = &rest[len..];
                }
                Part::Bytes(_) => return rdata.to_vec(),
            }
        }
        out.extend_from_slice(rest);
        out
    }
}

/// A piece of record data; what follows the last one holds no names.
enum Part {
    Bytes(usize),
    Name,
}

/// Where the names are in the data of the types that have any (RFC 1035 §3.3, 1183, 2782, 3403,
/// 4025, 6672, 9460).
fn layout(rtype: u16, rdata: &[u8]) -> Vec<Part> {
    use Part::{Bytes, Name};
    match rtype {
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME
        2..=5 | 7..=9 | 12 | 39 => vec![Name],
        // MINFO, RP
        14 | 17 => vec![Name, Name],
        // MX, SVCB, HTTPS
        15 | 64 | 65 => vec![Bytes(2), Name],
        // SRV
        33 => vec![Bytes(6), Name],
        // NAPTR: order, preference, three character strings
        35 => {
            let mut at = 4;
            for _ in 0..3 {
                at += 1 + usize::from(rdata.get(at).copied().unwrap_or(0));
            }
            vec![Bytes(at), Name]
        }
        // IPSECKEY whose gateway is a name
        45 if rdata.get(1) == Some(&3) => vec![Bytes(3), Name],
        _ => Vec::new(),
    }
}

/// The length of the uncompressed name at the front of `bytes`.
pub fn name_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            _ => return None,
        }
    }
}

/// An absolute name in wire form as text: what is not printable, and dots and backslashes inside of
/// a label, as `\DDD`.
pub fn text_of(name: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = name;
    while let [len @ 1..=63, tail @ ..] = rest {
        let (label, after) = tail.split_at(usize::from(*len).min(tail.len()));
        for byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    text.push('\\');
                    text.push(char::from(*byte));
                }
                b'!'..=b'~' => text.push(char::from(*byte)),
                other => text.push_str(&format!("\\{other:03}")),
            }
        }
        text.push('.');
        rest = after;
    }
    if text.is_empty() { ".".into() } else { text }
}

/// How many bytes of labels stand before `origin` in `name`; `None` if it is not in `origin`. Both
/// in lower case.
pub fn below(name: &[u8], origin: &[u8]) -> Option<usize> {
    let mut at = 0;
    while name.len() - at >= origin.len() {
        if name[at..] == *origin {
            return Some(at);
        }
        at += 1 + usize::from(name[at]);
    }
    None
}

/// The wire form of an absolute name made of plain labels.
pub fn absolute(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split_terminator('.') {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Origins {
        Origins::of(&Name::parse("alice").unwrap())
    }

    #[test]
    fn owners_lie_in_the_zone_or_not() {
        for (owner, relative) in [
            ("alice.", Some(&b"\0"[..])),
            ("WWW.Alice.", Some(b"\x03www\0")),
            ("alice.namechain.alt.", Some(b"\0")),
            ("www.alice.namechain.alt.", Some(b"\x03www\0")),
            ("bob.", None),
            ("malice.", None),
            (".", None),
            ("namechain.alt.", None),
            ("alice.example.", None),
        ] {
            assert_eq!(alice().relative(&absolute(owner)).as_deref(), relative, "{owner}");
        }
        // A label that ends in the bytes of the origin is not in the origin.
        assert_eq!(alice().relative(b"\x07x\x05alice\0"), None);
    }

    #[test]
    fn names_in_data_move() {
        let before = [&[0, 10][..], &absolute("Mail.alice.namechain.alt.")].concat();
        assert_eq!(
            alice().move_names(15, &before, None),
            [&[0, 10][..], &absolute("Mail.alice.")].concat()
        );
        let naptr = |name| [&[0, 1, 0, 2, 1, b'u', 0, 1, b'x'][..], &absolute(name)].concat();
        assert_eq!(
            alice().move_names(35, &naptr("a.alice.namechain.alt."), None),
            naptr("a.alice.")
        );
        let rp = |a, b| [absolute(a), absolute(b)].concat();
        assert_eq!(
            alice().move_names(17, &rp("x.alice.namechain.alt.", "alice.namechain.alt."), None),
            rp("x.alice.", "alice.")
        );
        let elsewhere = absolute("www.bob.namechain.alt.");
        assert_eq!(alice().move_names(5, &elsewhere, None), elsewhere);
        // Not a name, and not names at all.
        assert_eq!(alice().move_names(15, &[1], None), [1]);
        assert_eq!(
            alice().move_names(16, &absolute("alice.namechain.alt."), None),
            absolute("alice.namechain.alt.")
        );
    }

    #[test]
    fn an_at_is_the_origin() {
        let at =
            |text, origin: &str| alice().move_names(5, &absolute(text), Some(&absolute(origin)));
        assert_eq!(at("@.alice.", "alice."), absolute("alice."));
        assert_eq!(
            at("@.Sub.alice.namechain.alt.", "sub.alice.namechain.alt."),
            absolute("Sub.alice.")
        );
        assert_eq!(at("@.alice.", "sub.alice."), absolute("@.alice."));
        assert_eq!(alice().move_names(5, &absolute("@.alice."), None), absolute("@.alice."));
    }
}
