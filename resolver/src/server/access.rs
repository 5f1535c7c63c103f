//! Access control: which networks may query, as unbound's `access-control`: of the networks that
//! contain an address, the most specific decides.

use std::net::IpAddr;

use ipnet::IpNet;

/// What happens to queries from a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// They are answered.
    Allow,
    /// They are dropped without a response.
    Deny,
    /// They get REFUSED.
    Refuse,
}

/// What happens to the queries of each client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessControl {
    /// The most specific network first.
    rules: Vec<(IpNet, Access)>,
    /// Whether all of this machine's own addresses are answered, so that no rule needs to be looked
    /// at for them.
    is_local_allowed: bool,
}

impl Default for AccessControl {
    /// Queries of this machine are answered, all others get REFUSED.
    fn default() -> Self {
        Self { rules: Vec::new(), is_local_allowed: true }
    }
}

impl AccessControl {
    /// With these rules, beside those of the default: 127.0.0.0/8 and ::1 are answered, and the
    /// rest is refused. Of two rules for the same network the last counts.
    pub fn new(rules: impl IntoIterator<Item = (IpNet, Access)>) -> Self {
        let mut rules: Vec<_> =
            rules.into_iter().map(|(net, access)| (net.trunc(), access)).collect();
        rules.reverse();
        rules.sort_by_key(|(net, _)| std::cmp::Reverse(net.prefix_len()));
        let is_local = |net: &IpNet| net.addr().is_loopback();
        let is_local_allowed =
            !rules.iter().any(|(net, access)| is_local(net) && *access != Access::Allow);
        Self { rules, is_local_allowed }
    }

    /// The networks with this rule, the most specific first.
    pub fn networks(&self, access: Access) -> impl Iterator<Item = &IpNet> {
        self.rules.iter().filter(move |(_, rule)| *rule == access).map(|(net, _)| net)
    }

    /// What happens to queries from this address.
    pub fn of(&self, address: IpAddr) -> Access {
        let is_local = address.is_loopback();
        if is_local && self.is_local_allowed {
            return Access::Allow;
        }
        let rule = self.rules.iter().find(|(net, _)| net.contains(&address));
        match rule {
            // One for a network around this machine's own is less specific than the default's.
            Some((net, access)) if !is_local || net.addr().is_loopback() => *access,
            _ if is_local => Access::Allow,
            _ => Access::Refuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[(&str, Access)]) -> AccessControl {
        AccessControl::new(rules.iter().map(|(net, access)| (net.parse().unwrap(), *access)))
    }

    #[test]
    fn the_most_specific_network_decides() {
        use Access::{Allow, Deny, Refuse};
        let nested = rules(&[
            ("192.0.2.0/24", Allow),
            ("0.0.0.0/0", Deny),
            ("192.0.2.128/25", Refuse),
            ("192.0.2.200/32", Allow),
            ("127.0.0.2/32", Refuse),
            ("2001:db8::/32", Allow),
            ("2001:db8:1::/48", Deny),
        ]);
        for (address, expected) in [
            ("192.0.2.1", Allow),
            ("192.0.2.129", Refuse),
            ("192.0.2.200", Allow),
            ("198.51.100.1", Deny),
            ("127.0.0.1", Allow),
            ("127.0.0.2", Refuse),
            ("2001:db8::1", Allow),
            ("2001:db8:1::1", Deny),
            ("2001:db9::1", Refuse),
            ("::1", Allow),
        ] {
            assert_eq!(nested.of(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn without_rules_only_this_machine_may_ask() {
        let none = AccessControl::default();
        assert_eq!(none.of("127.0.0.1".parse().unwrap()), Access::Allow);
        assert_eq!(none.of("::1".parse().unwrap()), Access::Allow);
        assert_eq!(none.of("192.0.2.1".parse().unwrap()), Access::Refuse);
    }

    #[test]
    fn of_two_rules_for_a_network_the_last_counts() {
        let twice = rules(&[("192.0.2.0/24", Access::Allow), ("192.0.2.7/24", Access::Deny)]);
        assert_eq!(twice.of("192.0.2.1".parse().unwrap()), Access::Deny);
    }
}
