//! Which names at the root are the network's, and not the chain's: what software on this machine
//! and in this network already uses.

use std::collections::BTreeSet;

use hickory_proto::rr::{Name, RecordType};

/// The most labels.
pub const MAX_LABELS: usize = 1024;

/// Last labels that programs on this machine or appliances in the network use, that nobody has
/// delegated and consensus does not reserve: whoever registered one would receive what is meant for
/// containers, virtual machines or the office.
pub const KNOWN_SUFFIXES: [&str; 24] = [
    "containers",
    "crc",
    "ddev",
    "devbox",
    "incus",
    "k3s",
    "k8s",
    "libvirt",
    "lima",
    "lxc",
    "lxd",
    "minikube",
    "multipass",
    "nomad",
    "openshift",
    "podman",
    "qemu",
    "staging",
    "swarm",
    "vagrant",
    "virt",
    "vmnet",
    "vpn",
    "wsl",
];

/// How names at the root are treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootPolicy {
    never_chain: BTreeSet<Box<[u8]>>,
    /// Whether names of the chain have addresses as a single label (`http://alice/`). SAC053
    /// advises against it.
    pub dotless_addresses: bool,
}

impl Default for RootPolicy {
    /// Every name may be the chain's, and has its addresses.
    fn default() -> Self {
        Self { never_chain: BTreeSet::new(), dotless_addresses: true }
    }
}

impl RootPolicy {
    /// With labels that are left to the network, in any case; more than [`MAX_LABELS`] are not
    /// taken.
    pub fn new<'a>(labels: impl IntoIterator<Item = &'a [u8]>, dotless_addresses: bool) -> Self {
        let labels = labels.into_iter().map(|label| label.to_ascii_lowercase().into());
        Self { never_chain: labels.take(MAX_LABELS).collect(), dotless_addresses }
    }

    /// Whether a name is left to the network: its last label is in the list.
    pub fn is_never_chain(&self, name: &Name) -> bool {
        !self.never_chain.is_empty()
            && name.iter().next_back().is_some_and(|label| {
                self.never_chain.contains(label.to_ascii_lowercase().as_slice())
            })
    }

    /// Whether a query for a name of the chain at the root gets no data, because the name has one
    /// label and the type is an address.
    pub fn withholds(&self, name: &Name, qtype: RecordType) -> bool {
        !self.dotless_addresses
            && name.iter().count() == 1
            && matches!(qtype, RecordType::A | RecordType::AAAA)
    }
}

#[cfg(test)]
mod tests {
    use namechain_core::types::{Name as ChainName, Reserved};

    use super::*;

    #[test]
    fn the_last_label_decides() {
        let policy = RootPolicy::new([&b"VPN"[..], b"mycompany"], true);
        let name = |text| Name::from_ascii(text).unwrap();
        for text in ["vpn.", "gw.vpn.", "a.b.MyCompany."] {
            assert!(policy.is_never_chain(&name(text)), "{text}");
        }
        for text in ["alice.", "vpn.alice.", ".", "xvpn."] {
            assert!(!policy.is_never_chain(&name(text)), "{text}");
        }
        assert!(!RootPolicy::default().is_never_chain(&name("vpn.")));
    }

    #[test]
    fn only_addresses_of_one_label_are_withheld() {
        let policy = RootPolicy::new([], false);
        let name = |text| Name::from_ascii(text).unwrap();
        assert!(policy.withholds(&name("alice."), RecordType::A));
        assert!(policy.withholds(&name("alice."), RecordType::AAAA));
        assert!(!policy.withholds(&name("alice."), RecordType::TXT));
        assert!(!policy.withholds(&name("www.alice."), RecordType::A));
        assert!(!RootPolicy::default().withholds(&name("alice."), RecordType::A));
    }

    /// A label that can't be registered needs no place in the list.
    #[test]
    fn every_known_suffix_could_be_registered() {
        for label in KNOWN_SUFFIXES {
            assert!(ChainName::parse(label).is_ok() && Reserved::of(label).is_none(), "{label}");
        }
        assert!(KNOWN_SUFFIXES.is_sorted());
    }
}
