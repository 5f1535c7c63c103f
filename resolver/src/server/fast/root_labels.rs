//! Which last labels lead to legacy DNS, as far as a worker has found out: those that nobody can
//! register on the chain, and those that nobody had registered in an epoch of the chain.
//!
//! Whether a label is registered costs a search of the reserved labels, a hash and a look-up in the
//! tree of the chain; here it costs a comparison.

use crate::dns::names::MAX_LABEL_BYTES;

/// Labels that are remembered. Most queries are for names below few of them.
const PLACES: usize = 256;

/// For how long a label leads to legacy DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyIn {
    /// Always: it can't be registered.
    EveryEpoch,
    /// In this epoch of the chain nobody has registered it.
    Epoch(u32),
}

#[derive(Clone, Copy)]
struct Place {
    label: [u8; MAX_LABEL_BYTES],
    /// 0: no label is remembered here.
    length: u8,
    legacy_in: LegacyIn,
}

const EMPTY: Place =
    Place { label: [0; MAX_LABEL_BYTES], length: 0, legacy_in: LegacyIn::EveryEpoch };

/// The labels. Each has one place, and leaves it for the next that has the same.
pub struct RootLabels(Box<[Place; PLACES]>);

impl Default for RootLabels {
    fn default() -> Self {
        Self(Box::new([EMPTY; PLACES]))
    }
}

impl RootLabels {
    /// Whether a label, in lower case, is known to lead to legacy DNS in this epoch.
    pub fn is_legacy(&self, label: &[u8], epoch: impl FnOnce() -> Option<u32>) -> bool {
        let place = &self.0[place_of(label)];
        usize::from(place.length) == label.len()
            && place.label[..label.len()] == *label
            && match place.legacy_in {
                LegacyIn::EveryEpoch => place.length > 0,
                LegacyIn::Epoch(checked) => epoch() == Some(checked),
            }
    }

    /// Remembers a label that leads to legacy DNS.
    pub fn insert(&mut self, label: &[u8], legacy_in: LegacyIn) {
        let place = &mut self.0[place_of(label)];
        let Some(room) = place.label.get_mut(..label.len()) else { return };
        room.copy_from_slice(label);
        // A label has 63 bytes at most: it had room.
        (place.length, place.legacy_in) = (label.len() as u8, legacy_in);
    }
}

/// FNV-1a (draft-eastlake-fnv). Whoever chooses labels for one place makes them push each other
/// out, and gets no more than the full check of each.
fn place_of(label: &[u8]) -> usize {
    let hash = label
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    (hash ^ (hash >> 16)) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_known_in_its_epoch() {
        let mut labels = RootLabels::default();
        let known = |labels: &RootLabels, label: &[u8], epoch| labels.is_legacy(label, || epoch);
        assert!(!known(&labels, b"", Some(1)) && !known(&labels, b"zone", Some(1)));
        labels.insert(b"zone", LegacyIn::Epoch(1));
        labels.insert(b"com", LegacyIn::EveryEpoch);
        assert!(known(&labels, b"zone", Some(1)));
        assert!(!known(&labels, b"zone", Some(2)), "somebody may have registered it since");
        assert!(!known(&labels, b"zone", None), "the chain can't tell");
        assert!(known(&labels, b"com", None) && known(&labels, b"com", Some(7)));
        assert!(!known(&labels, b"zon", Some(1)) && !known(&labels, b"zones", Some(1)));
    }

    #[test]
    fn labels_at_one_place_push_each_other_out() {
        let mut labels = RootLabels::default();
        let all: Vec<String> = (0..10 * PLACES).map(|n| format!("label-{n}")).collect();
        all.iter().for_each(|label| labels.insert(label.as_bytes(), LegacyIn::EveryEpoch));
        let known = all.iter().filter(|label| labels.is_legacy(label.as_bytes(), || None)).count();
        assert!(known <= PLACES && known > PLACES / 2, "{known}");
        labels.insert(&[b'x'; MAX_LABEL_BYTES + 1], LegacyIn::EveryEpoch);
    }
}
