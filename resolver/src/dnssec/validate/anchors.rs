//! Trust anchors, and negative trust anchors (RFC 7646).

use super::keys::{Dnskey, Ds};
use crate::dns::name::Name;

/// The keys of the root, as IANA has them in <https://data.iana.org/root-anchors/root-anchors.xml>
/// (RFC 9718): KSK-2017, valid since 2017-02-02, in use since 2018-10-11; KSK-2024, valid since
/// 2024-07-18, which takes over the signing on 2026-10-11.
const ROOT: &str = "\
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
";
/// Top-level domains for private use, which are unsigned by nature: the root proves that they do
/// not exist (ICANN resolution 2024.07.29.06).
const PRIVATE: [&str; 1] = ["internal"];
/// The most trust anchors, and the most negative ones.
pub const MAX_ANCHORS: usize = 256;

/// A trust anchor: configured keys of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The zone.
    pub zone: Name,
    /// Its keys as DS records.
    pub digests: Vec<Ds>,
    /// Its keys as DNSKEY records.
    pub keys: Vec<Dnskey>,
}

/// Why a text has no valid trust anchors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// A line is neither a DS nor a DNSKEY record.
    #[error("'{0}' is not a DS or DNSKEY record; write it like '. IN DS 20326 8 2 E06D44B8...'")]
    Line(String),
    /// There are more than [`MAX_ANCHORS`].
    #[error("more than {MAX_ANCHORS} trust anchors")]
    TooMany,
}

/// All trust anchors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors {
    anchors: Vec<Anchor>,
    insecure: Vec<Name>,
}

impl Default for Anchors {
    /// The root's anchors.
    fn default() -> Self {
        // A test parses the constant.
        let anchors = read(ROOT).unwrap_or_default();
        Anchors { insecure: private_zones(&anchors), anchors }
    }
}

/// The closest anchor at or above a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosestAnchor<'a> {
    /// A trust anchor.
    Anchor(&'a Anchor),
    /// A negative trust anchor, or none.
    None,
}

impl Anchors {
    /// The anchors in the lines of `text`, DS and DNSKEY records in master file format, and those
    /// of the root unless `text` names the root. `internal.` is insecure unless `text` names it.
    ///
    /// # Errors
    /// [`AnchorError`]
    pub fn with_root(text: &str) -> Result<Self, AnchorError> {
        let mut given = read(text)?;
        let named = |anchor: &Anchor| given.iter().any(|other| other.zone == anchor.zone);
        let rest: Vec<Anchor> =
            Self::default().anchors.into_iter().filter(|anchor| !named(anchor)).collect();
        given.extend(rest);
        Ok(Self { insecure: private_zones(&given), anchors: given })
    }

    /// The anchors in `text` only, without the root's.
    ///
    /// # Errors
    /// [`AnchorError`]
    pub fn from_text(text: &str) -> Result<Self, AnchorError> {
        Ok(Self { anchors: read(text)?, insecure: Vec::new() })
    }

    /// Adds negative trust anchors: zones that count as insecure.
    ///
    /// # Errors
    /// [`AnchorError::TooMany`]
    pub fn with_insecure(
        mut self,
        zones: impl IntoIterator<Item = Name>,
    ) -> Result<Self, AnchorError> {
        for zone in zones {
            if self.insecure.len() >= MAX_ANCHORS {
                return Err(AnchorError::TooMany);
            }
            self.insecure.push(zone);
        }
        Ok(self)
    }

    /// The closest anchor at or above a name.
    pub fn closest(&self, name: &Name) -> ClosestAnchor<'_> {
        let anchor = self.anchors.iter().filter(|anchor| name.is_in(&anchor.zone));
        let anchor = anchor.max_by_key(|anchor| anchor.zone.count());
        let negative = self.insecure.iter().filter(|zone| name.is_in(zone)).map(Name::count).max();
        match (anchor, negative) {
            // At the same name the negative anchor wins: it was configured on purpose.
            (Some(anchor), Some(negative)) if negative >= anchor.zone.count() => {
                ClosestAnchor::None
            }
            (Some(anchor), _) => ClosestAnchor::Anchor(anchor),
            (None, _) => ClosestAnchor::None,
        }
    }

    /// Whether there is an anchor at the zone or above it, other than the root's.
    pub fn covers(&self, zone: &Name) -> bool {
        self.anchors.iter().any(|anchor| !anchor.zone.is_root() && zone.is_in(&anchor.zone))
    }

    /// The zone of the topmost anchor, whose keys are used to test upstreams.
    pub fn topmost(&self) -> Option<&Name> {
        self.anchors.iter().map(|anchor| &anchor.zone).min_by_key(|zone| zone.count())
    }
}

/// The negative trust anchors of private top-level domains, except those that have an anchor.
fn private_zones(anchors: &[Anchor]) -> Vec<Name> {
    let names = PRIVATE.iter().filter_map(|label| Name::from_text(label));
    names.filter(|name| anchors.iter().all(|anchor| anchor.zone != *name)).collect()
}

/// Parses records in master file format: owner, optional TTL and class, DS or DNSKEY, RDATA. `;`
/// begins a comment.
fn read(text: &str) -> Result<Vec<Anchor>, AnchorError> {
    let mut anchors: Vec<Anchor> = Vec::new();
    let lines = text.lines().map(|line| line.split(';').next().unwrap_or_default().trim());
    for (number, line) in lines.filter(|line| !line.is_empty()).enumerate() {
        if number >= MAX_ANCHORS {
            return Err(AnchorError::TooMany);
        }
        let wrong =
            || AnchorError::Line(line.chars().filter(|c| !c.is_control()).take(100).collect());
        let (zone, value) = read_line(line).ok_or_else(wrong)?;
        let at = anchors.iter().position(|anchor| anchor.zone == zone).unwrap_or(anchors.len());
        if at == anchors.len() {
            anchors.push(Anchor { zone, digests: Vec::new(), keys: Vec::new() });
        }
        match value {
            Value::Ds(ds) => anchors[at].digests.push(ds),
            Value::Key(key) => anchors[at].keys.push(key),
        }
    }
    Ok(anchors)
}

enum Value {
    Ds(Ds),
    Key(Dnskey),
}

fn read_line(line: &str) -> Option<(Name, Value)> {
    // RFC 1035 §5.1 lets a record span lines between parentheses; here it may not.
    if line.matches('(').count() != line.matches(')').count() {
        return None;
    }
    let fields: Vec<&str> =
        line.split_whitespace().filter(|field| !matches!(*field, "(" | ")")).collect();
    let at = fields.iter().position(|field| {
        field.eq_ignore_ascii_case("DS") || field.eq_ignore_ascii_case("DNSKEY")
    })?;
    // The owner comes before the type, and a TTL and a class in any order between them.
    let between = fields.get(1..at)?;
    let fine = |field: &&str| {
        field.eq_ignore_ascii_case("IN") || field.bytes().all(|b| b.is_ascii_digit())
    };
    if between.len() > 2 || !between.iter().all(fine) {
        return None;
    }
    let zone = Name::from_text(fields[0])?;
    let [first, second, third, rest @ ..] = fields.get(at + 1..)? else { return None };
    let rest = rest.concat();
    if fields[at].eq_ignore_ascii_case("DS") {
        let digest = hex::decode(rest).ok().filter(|digest| !digest.is_empty())?;
        let (tag, algorithm, kind) =
            (first.parse().ok()?, algorithm_number(second)?, third.parse().ok()?);
        return Some((zone, Value::Ds(Ds { tag, algorithm, kind, digest: digest.into() })));
    }
    let mut rdata = first.parse::<u16>().ok()?.to_be_bytes().to_vec();
    rdata.push(second.parse().ok()?);
    rdata.push(algorithm_number(third)?);
    rdata.extend(data_encoding::BASE64.decode(rest.as_bytes()).ok()?);
    Some((zone, Value::Key(Dnskey::read(&rdata)?)))
}

/// An algorithm as a number or a mnemonic (RFC 4034 §2.2, §5.3; IANA's list of DNS security
/// algorithms).
fn algorithm_number(text: &str) -> Option<u8> {
    const MNEMONICS: [(&str, u8); 16] = [
        ("RSAMD5", 1),
        ("DH", 2),
        ("DSA", 3),
        ("RSASHA1", 5),
        ("DSA-NSEC3-SHA1", 6),
        ("RSASHA1-NSEC3-SHA1", 7),
        ("RSASHA256", 8),
        ("RSASHA512", 10),
        ("ECC-GOST", 12),
        ("ECDSAP256SHA256", 13),
        ("ECDSAP384SHA384", 14),
        ("ED25519", 15),
        ("ED448", 16),
        ("INDIRECT", 252),
        ("PRIVATEDNS", 253),
        ("PRIVATEOID", 254),
    ];
    let known = MNEMONICS.iter().find(|(mnemonic, _)| mnemonic.eq_ignore_ascii_case(text));
    known.map(|(_, number)| *number).or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    const KEY: &str = "example. 300 IN DNSKEY 257 3 13 ( mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+";

    #[test]
    fn the_roots_anchors_are_built_in() {
        let anchors = Anchors::default();
        assert_eq!(anchors.topmost(), Some(&Name::root()));
        let ClosestAnchor::Anchor(root) = anchors.closest(&name("www.example.com")) else {
            panic!("no root")
        };
        let tags: Vec<u16> = root.digests.iter().map(|ds| ds.tag).collect();
        assert_eq!((tags, root.digests[1].digest.len()), (vec![20326, 38696], 32));
    }

    #[test]
    fn what_is_given_takes_the_place_of_what_is_built_in() {
        let line = "example. IN DS 1 13 2 00ff";
        let anchors =
            Anchors::with_root(&format!("; mine\n{line} ; yes\n. 60 DS 2 8 2 AA BB\n")).unwrap();
        let ClosestAnchor::Anchor(root) = anchors.closest(&Name::root()) else { panic!("no root") };
        assert_eq!((root.digests.len(), root.digests[0].tag), (1, 2));
        let ClosestAnchor::Anchor(own) = anchors.closest(&name("a.example")) else {
            panic!("no example")
        };
        assert_eq!((own.digests[0].tag, &*own.digests[0].digest), (1, &[0, 0xff][..]));
        assert!(anchors.covers(&name("a.example")) && !anchors.covers(&name("example.com")));
        assert_eq!(Anchors::from_text(line).unwrap().closest(&name("com")), ClosestAnchor::None);
    }

    #[test]
    fn a_negative_anchor_ends_trust_and_a_deeper_one_begins_it_again() {
        let anchors = Anchors::with_root("lab.corp.example. IN DS 1 13 2 00ff").unwrap();
        let anchors = anchors.with_insecure([name("corp.example")]).unwrap();
        assert_eq!(anchors.closest(&name("www.corp.example")), ClosestAnchor::None);
        assert!(matches!(anchors.closest(&name("a.lab.corp.example")), ClosestAnchor::Anchor(_)));
        assert!(matches!(anchors.closest(&name("example")), ClosestAnchor::Anchor(_)));
    }

    /// The root denies `internal`, and the network's own server answers for it.
    #[test]
    fn internal_names_are_insecure_unless_they_have_an_anchor() {
        for anchors in [Anchors::default(), Anchors::with_root("example. IN DS 1 13 2 00").unwrap()]
        {
            assert_eq!(anchors.closest(&name("metadata.google.internal")), ClosestAnchor::None);
            assert!(matches!(anchors.closest(&name("internal.com")), ClosestAnchor::Anchor(_)));
        }
        let anchors = Anchors::with_root("internal. IN DS 1 13 2 00ff").unwrap();
        assert!(matches!(anchors.closest(&name("a.internal")), ClosestAnchor::Anchor(_)));
    }

    /// RFC 4034 §2.2, §5.3: dig and dnssec-keygen print numbers, other tools mnemonics.
    #[test]
    fn an_algorithm_may_be_a_mnemonic() {
        let key = |algorithm| {
            let text = format!(
                "example. DNSKEY 257 3 {algorithm} l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
            );
            Anchors::from_text(&text)
        };
        assert_eq!(key("ed25519"), key("15"));
        let ds = |algorithm| Anchors::from_text(&format!("example. IN DS 1 {algorithm} 2 00ff"));
        assert_eq!(ds("RSASHA256"), ds("8"));
        assert_eq!(ds("ECDSAP256SHA256"), ds("13"));
        assert!(ds("RSASHA257").is_err() && ds("256").is_err());
    }

    #[test]
    fn what_is_no_anchor_is_refused() {
        for line in [
            "example. IN A 192.0.2.1",
            ". IN DS 1 13",
            ". IN DS 1 13 2 xyz",
            ". CH DS 1 13 2 00",
            KEY,
            "DS 1 2 3 00",
        ] {
            assert!(matches!(Anchors::with_root(line), Err(AnchorError::Line(_))), "{line}");
        }
        let key = "example. DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=";
        let anchors = Anchors::from_text(key).unwrap();
        let ClosestAnchor::Anchor(anchor) = anchors.closest(&name("example")) else {
            panic!("none")
        };
        // RFC 8080 §6.1.
        assert_eq!((anchor.keys[0].tag(), anchor.keys[0].algorithm()), (3613, 15));
        assert_eq!(Anchors::from_text(&format!("{key}\n").repeat(300)), Err(AnchorError::TooMany));
    }
}
