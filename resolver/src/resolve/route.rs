//! Decides which source answers for a name, from the name alone, before anything is looked up.
//!
//! Special-use names come first and never leave the machine; then the mounts of the chain;
//! everything else is legacy DNS. "No such name can exist" and "not the chain's" are different
//! variants.

use hickory_proto::rr::Name as DnsName;
use namechain_core::types::{Name, Reserved};
use smallvec::SmallVec;

use crate::{
    chain::mount::{Mount, Mounts, Suffix},
    resolve::{special, special::Special},
};

/// The source for a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// A special-use name, answered locally by its own rules.
    Special(&'static Special),
    /// A suffix itself, such as `namechain.alt.`.
    MountPoint(&'static Suffix),
    /// Below a suffix, with a label that can't be a name of the chain: it does not exist.
    NoSuchName(&'static Suffix),
    /// A name that may be registered on the chain, or a name below it.
    Chain(Name, Mount),
    /// Legacy DNS.
    Legacy,
}

impl Route {
    /// Describes the source for a trace. `in_own_zone`: the name is in a zone with upstreams of its
    /// own.
    pub fn describe(&self, name: &DnsName, in_own_zone: bool) -> String {
        match self {
            Route::Special(_) => {
                format!("{name} is a special-use name: answered locally, never sent upstream")
            }
            Route::MountPoint(_) => format!("{name} is the zone of the chain"),
            Route::NoSuchName(suffix) => {
                format!("{name} is below {suffix}, with a label that no name can have")
            }
            Route::Chain(label, Mount::Suffix(suffix)) => {
                format!("{name} is for the chain: {label}, below {suffix}")
            }
            Route::Chain(label, Mount::Root) => {
                format!(
                    "{name} is for the chain: {label} at the root, or for legacy DNS if that is not registered"
                )
            }
            Route::Legacy if in_own_zone => {
                format!("{name} is for legacy DNS: it is in a zone with upstreams of its own")
            }
            Route::Legacy => {
                format!("{name} is for legacy DNS: its last label can't be registered on the chain")
            }
        }
    }
}

/// The labels of a name without the root label. Those of most names need no allocation.
type Labels<'a> = SmallVec<[&'a [u8]; 8]>;

/// Decides which source answers for a name.
pub fn route(name: &DnsName, mounts: Mounts) -> Route {
    route_labels(&name.iter().collect::<Labels>(), mounts)
}

/// As [`route`], for the name at the start of a question (uncompressed QNAME, QTYPE, QCLASS).
pub fn route_question(question: &[u8], mounts: Mounts) -> Route {
    route_labels(&labels_of(question), mounts)
}

/// The last label of the name of a question, if nothing else decides which source answers: at the
/// root, for legacy DNS or for the chain. `None`: something else does.
pub fn deciding_label(question: &[u8], mounts: Mounts) -> Option<&[u8]> {
    let labels = labels_of(question);
    route_by_suffix(&labels, mounts).is_none().then(|| labels.last().copied().unwrap_or_default())
}

/// The last label of the name of a question; empty for the root.
pub fn last_label(question: &[u8]) -> &[u8] {
    labels(question).last().unwrap_or_default()
}

fn labels_of(question: &[u8]) -> Labels<'_> {
    labels(question).collect()
}

fn labels(question: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = question;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first().filter(|(length, _)| **length > 0)?;
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        rest = after;
        Some(label)
    })
}

fn route_labels(labels: &[&[u8]], mounts: Mounts) -> Route {
    route_by_suffix(labels, mounts).unwrap_or_else(|| {
        match labels.last().and_then(|label| chain_name(label)) {
            Some(name) if mounts.root => Route::Chain(name, Mount::Root),
            _ => Route::Legacy,
        }
    })
}

/// The source for a name, if more than its last label decides.
fn route_by_suffix(labels: &[&[u8]], mounts: Mounts) -> Option<Route> {
    if let Some((suffix, above)) = mounts.suffixes.find(labels) {
        return Some(match above.last().map(|label| chain_name(label)) {
            None => Route::MountPoint(suffix),
            Some(None) => Route::NoSuchName(suffix),
            Some(Some(name)) => Route::Chain(name, Mount::Suffix(suffix)),
        });
    }
    if mounts.root && special::is_canary(labels) {
        return Some(Route::Special(&special::CANARY));
    }
    special::find(labels).map(Route::Special)
}

/// Whether the name of a question (uncompressed QNAME, QTYPE, QCLASS) may be registered on the
/// chain, or is below one that may, at the root.
pub fn is_registrable(question: &[u8]) -> bool {
    let route = route_question(question, Mounts::BOTH);
    matches!(route, Route::Chain(_, Mount::Root))
}

/// The label as a name that may be registered on the chain.
pub fn chain_name(label: &[u8]) -> Option<Name> {
    let label = std::str::from_utf8(label).ok()?.to_ascii_lowercase();
    if Reserved::of(&label).is_some() {
        return None;
    }
    Name::parse(&label).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Mounts = Mounts::BOTH;

    fn routed(name: &str, mounts: Mounts) -> String {
        let dns_name = DnsName::from_ascii(name).unwrap();
        let question = crate::dns::testing::question(name.trim_end_matches('.'), 1);
        let decided = route(&dns_name, mounts);
        assert_eq!(route_question(&question, mounts), decided, "{name}");
        match deciding_label(&question, mounts) {
            Some(label) => assert_eq!(label, last_label(&question)),
            None => assert!(!matches!(decided, Route::Legacy | Route::Chain(_, Mount::Root))),
        }
        match decided {
            Route::Special(special) => format!("special {}", special.zone),
            Route::MountPoint(suffix) => format!("mount point {suffix}"),
            Route::NoSuchName(_) => "no such name".into(),
            Route::Chain(name, Mount::Root) => format!("{name} at Root"),
            Route::Chain(name, Mount::Suffix(suffix)) => format!("{name} at {suffix}"),
            Route::Legacy => "legacy".into(),
        }
    }

    #[test]
    fn whose_name_it_is() {
        for (name, expected) in [
            (".", "legacy"),
            ("com.", "legacy"),
            ("example.com.", "legacy"),
            ("example.", "legacy"),
            ("de.", "legacy"),
            ("q.", "legacy"),
            ("wpad.", "legacy"),
            ("_tcp.", "legacy"),
            ("_dmarc._tcp.", "legacy"),
            ("ab--c.", "legacy"),
            ("alice.", "alice at Root"),
            ("www.alice.", "alice at Root"),
            ("WWW.ALICE.", "alice at Root"),
            ("a.b.c.d.alice.", "alice at Root"),
            ("_25._tcp.alice.", "alice at Root"),
            ("alice.com.", "legacy"),
            ("alice.namechain.alt.", "alice at namechain.alt."),
            ("www.Alice.NameChain.ALT.", "alice at namechain.alt."),
            ("namechain.alt.", "mount point namechain.alt."),
            ("com.namechain.alt.", "no such name"),
            ("_x.namechain.alt.", "no such name"),
            ("ab.namechain.alt.", "no such name"),
            ("alt.", "special alt"),
            ("other.alt.", "special alt"),
            ("xnamechain.alt.", "special alt"),
            ("namechain.", "legacy"),
            ("localhost.", "special localhost"),
            ("a.b.localhost.", "special localhost"),
            ("internal.", "legacy"),
            ("metadata.google.internal.", "legacy"),
            ("ipv4only.arpa.", "legacy"),
            ("use-application-dns.net.", "special use-application-dns.net"),
            ("www.Use-Application-DNS.NET.", "special use-application-dns.net"),
            ("xuse-application-dns.net.", "legacy"),
            ("printer.local.", "special local"),
            ("1.0.168.192.in-addr.arpa.", "special 168.192.in-addr.arpa"),
            ("1.0.0.9.in-addr.arpa.", "legacy"),
            ("in-addr.arpa.", "legacy"),
        ] {
            assert_eq!(routed(name, BOTH), expected, "{name}");
        }
    }

    #[test]
    fn a_mount_that_is_off() {
        let only_alt = Mounts::SUFFIX;
        assert_eq!(routed("alice.", only_alt), "legacy");
        assert_eq!(routed("use-application-dns.net.", only_alt), "legacy");
        assert_eq!(routed("alice.namechain.alt.", only_alt), "alice at namechain.alt.");
        let only_root = Mounts::ROOT;
        assert_eq!(routed("alice.", only_root), "alice at Root");
        assert_eq!(
            routed("alice.namechain.alt.", only_root),
            "special alt",
            "it never leaves the machine all the same"
        );
        assert_eq!(routed("namechain.alt.", only_root), "special alt");
    }

    #[test]
    fn what_can_be_registered() {
        let question = |name| crate::dns::testing::question(name, 1);
        for name in ["alice", "www.Alice", "mycompany"] {
            assert!(is_registrable(&question(name)), "{name}");
        }
        for name in ["com", "www.example.com", "", "localhost", "alice.namechain.alt", "internal"] {
            assert!(!is_registrable(&question(name)), "{name}");
        }
    }

    #[test]
    fn labels_of_any_bytes() {
        let name = DnsName::from_labels([&b"\xff\x00"[..]]).unwrap();
        assert_eq!(route(&name, BOTH), Route::Legacy);
    }
}
