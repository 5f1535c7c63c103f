//! Denial by NSEC records (RFC 4034 §4, RFC 4035 §5.4, RFC 6840 §4).

use crate::dns::name::Name;
use crate::dns::rtype;

/// The type bit map of an NSEC or NSEC3 record (RFC 4034 §4.1.2).
#[derive(Debug, Clone, Copy)]
pub struct TypeBitmap<'a>(&'a [u8]);

impl<'a> TypeBitmap<'a> {
    /// The bit map as in the record.
    pub fn new(bits: &'a [u8]) -> Self {
        Self(bits)
    }

    /// Whether the type is set. A map that ends early has no further types.
    pub fn has(&self, rtype: u16) -> bool {
        let [window, low] = rtype.to_be_bytes();
        let mut rest = self.0;
        while let [number, length, after @ ..] = rest {
            let Some((bits, after)) = after.split_at_checked(usize::from(*length)) else {
                return false;
            };
            if *number == window {
                let byte = bits.get(usize::from(low / 8)).copied().unwrap_or_default();
                return byte & (0x80 >> (low % 8)) != 0;
            }
            rest = after;
        }
        false
    }

    /// Whether it is the parent's side of a zone cut: all data but DS, and all names below, are the
    /// child's.
    pub fn is_cut(&self) -> bool {
        self.has(rtype::NS) && !self.has(rtype::SOA)
    }

    /// Whether names below it are outside of this zone's authority.
    fn hides_names(&self) -> bool {
        self.is_cut() || self.has(rtype::DNAME)
    }

    /// Whether this record proves that its own name has no records of a type. Only the parent can
    /// deny DS, and it can deny nothing else (RFC 6840 §4.1, §4.4).
    pub fn denies(&self, name: &Name, rtype: u16) -> bool {
        let right_side = if rtype == rtype::DS {
            !self.has(rtype::SOA) || name.is_root()
        } else {
            !self.is_cut()
        };
        right_side && !self.has(rtype) && !self.has(rtype::CNAME)
    }

    /// Whether a record at `owner` can deny `name`: not if that is below a cut or a DNAME.
    pub fn is_authority_for(&self, owner: &Name, name: &Name) -> bool {
        !(name.is_below(owner) && self.hides_names())
    }
}

/// An NSEC record (RFC 4034 §4.1) that its zone has signed.
#[derive(Debug, Clone)]
pub struct Nsec<'a> {
    owner: &'a Name,
    next: Name,
    types: TypeBitmap<'a>,
}

/// A proof that a name has no DS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DsDenial {
    /// There is a delegation: the child is unsigned.
    UnsignedDelegation,
    /// There is no delegation: the name is the zone's own, or does not exist.
    NoDelegation,
}

impl<'a> Nsec<'a> {
    /// Reads the value of the record at `owner`.
    pub fn read(owner: &'a Name, value: &'a [u8]) -> Option<Self> {
        let (next, length) = Name::read(value)?;
        Some(Self { owner, next, types: TypeBitmap::new(&value[length..]) })
    }

    /// Whether the name falls between the owner and the next name.
    fn covers(&self, name: &Name) -> bool {
        let behind = self.owner < name;
        // The last one of the zone names the first, which is the zone's own name.
        let last = self.next <= *self.owner;
        behind && (last || *name < self.next) && self.types.is_authority_for(self.owner, name)
    }

    /// Whether the name is an empty non-terminal: the next name is below it.
    fn is_above_next(&self, name: &Name) -> bool {
        self.covers(name) && self.next.is_below(name)
    }

    /// The number of labels of the closest encloser of a covered name.
    fn closest_encloser(&self, name: &Name) -> usize {
        name.common(self.owner).max(name.common(&self.next))
    }
}

/// The NSEC record that proves that a name does not exist, and the number of labels of its closest
/// encloser.
fn covering<'b, 'a>(all: &'b [Nsec<'a>], name: &Name) -> Option<(&'b Nsec<'a>, usize)> {
    let nsec = all.iter().find(|nsec| nsec.covers(name) && !nsec.next.is_below(name))?;
    Some((nsec, nsec.closest_encloser(name)))
}

/// Whether it is proven that the name does not exist and that no wildcard applies.
pub fn name_error(all: &[Nsec<'_>], name: &Name) -> bool {
    let Some((_, closest)) = covering(all, name) else { return false };
    let wildcard = name.suffix(closest).wildcard();
    wildcard.is_some_and(|wildcard| covering(all, &wildcard).is_some())
}

/// Whether it is proven that the name, or the wildcard that applies, has no records of a type.
pub fn no_data(all: &[Nsec<'_>], name: &Name, rtype: u16) -> bool {
    if let Some(own) = all.iter().find(|nsec| nsec.owner == name) {
        return own.types.denies(name, rtype);
    }
    if all.iter().any(|nsec| nsec.is_above_next(name)) {
        return true;
    }
    let Some((_, closest)) = covering(all, name) else { return false };
    let Some(wildcard) = name.suffix(closest).wildcard() else { return false };
    all.iter().any(|nsec| *nsec.owner == wildcard && nsec.types.denies(&wildcard, rtype))
}

/// Whether it is proven that no name is closer than the wildcard below the last `labels` labels
/// (RFC 4035 §5.3.4).
pub fn no_closer_match(all: &[Nsec<'_>], name: &Name, labels: usize) -> bool {
    covering(all, name).is_some_and(|(_, closest)| closest == labels)
}

/// The proof that a name has no DS; `None` if there is none.
pub fn no_ds(all: &[Nsec<'_>], name: &Name) -> Option<DsDenial> {
    if let Some(own) = all.iter().find(|nsec| nsec.owner == name) {
        let types = own.types;
        if types.has(rtype::DS) || types.has(rtype::SOA) {
            return None;
        }
        return Some(if types.has(rtype::NS) {
            DsDenial::UnsignedDelegation
        } else {
            DsDenial::NoDelegation
        });
    }
    all.iter().any(|nsec| nsec.covers(name)).then_some(DsDenial::NoDelegation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    /// A value: the next name and types below 256.
    fn value(next: &str, types: &[u16]) -> Vec<u8> {
        let mut bits = [0u8; 32];
        types.iter().for_each(|t| bits[usize::from(t / 8)] |= 0x80 >> (t % 8));
        [name(next).wire(), &[0, 32], &bits].concat()
    }

    #[test]
    fn a_map_of_types_is_read_and_one_that_ends_early_has_none() {
        // RFC 4034 §4.3: A MX RRSIG NSEC TYPE1234
        let text = "0006400100000003041b000000000000000000000000000000000000000000000000000020";
        let bits = hex::decode(text).unwrap();
        let types = TypeBitmap::new(&bits);
        for rtype in [1, 15, 46, 47, 1234] {
            assert!(types.has(rtype), "{rtype}");
        }
        for rtype in [0, 2, 16, 48, 1233, 1235, 65535] {
            assert!(!types.has(rtype), "{rtype}");
        }
        assert!(!TypeBitmap::new(&bits[..5]).has(1) && !TypeBitmap::new(&[]).has(1));
    }

    #[test]
    fn what_a_parent_says_of_a_cut_is_nothing_about_what_is_below() {
        let owner = name("child.example");
        let cut = value("d.example", &[2, 46, 47]);
        let parent = [Nsec::read(&owner, &cut).unwrap()];
        assert!(!name_error(&parent, &name("www.child.example")));
        assert!(!no_data(&parent, &owner, 1), "only DS is the parent's to deny");
        assert!(no_data(&parent, &owner, rtype::DS));
        assert_eq!(no_ds(&parent, &owner), Some(DsDenial::UnsignedDelegation));
        assert_eq!(no_ds(&parent, &name("www.child.example")), None);
        let apex = value("a.child.example", &[2, 6, 46, 47]);
        let child = [Nsec::read(&owner, &apex).unwrap()];
        assert!(no_data(&child, &owner, 1));
        assert!(!no_data(&child, &owner, rtype::DS), "nor the child's to deny DS");
        assert_eq!(no_ds(&child, &owner), None);
        let dname = value("d.example", &[39, 46, 47]);
        let moved = [Nsec::read(&owner, &dname).unwrap()];
        assert!(!no_data(&moved, &name("www.child.example"), 1));
    }

    #[test]
    fn an_empty_non_terminal_has_no_data_and_is_no_name_error() {
        let (owner, types) = (name("a.example"), value("x.y.example", &[1]));
        let all = [Nsec::read(&owner, &types).unwrap()];
        assert!(no_data(&all, &name("y.example"), 1) && !name_error(&all, &name("y.example")));
        assert_eq!(no_ds(&all, &name("y.example")), Some(DsDenial::NoDelegation));
        assert!(!no_data(&all, &name("z.example"), 1));
    }
}
