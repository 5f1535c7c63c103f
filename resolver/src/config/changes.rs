//! The difference between two configurations, and which part of it takes effect without a restart.

use super::settings::Config;

/// The keys with different values.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys that take effect at once.
    pub live: Vec<&'static str>,
    /// Keys that need a restart.
    pub restart: Vec<&'static str>,
}

impl Changes {
    /// Compares two configurations.
    pub fn between(old: &Config, new: &Config) -> Changes {
        let mut changes = Changes::default();
        let mut live = |key, same: bool| changes.live.extend((!same).then_some(key));
        live("upstream", old.upstreams == new.upstreams);
        live("forward", old.zones == new.zones);
        live("recursive", old.recursive == new.recursive);
        live("validate", old.validate == new.validate);
        live("hedge-ms", old.hedge == new.hedge);
        live("min-ttl-seconds or max-ttl-seconds", old.ttl == new.ttl);
        live("mount-root", old.mounts.root == new.mounts.root);
        live("never-chain or never-chain-auto", old.never_chain == new.never_chain);
        live("dotless-addresses", old.dotless_addresses == new.dotless_addresses);
        live("allow", old.allow == new.allow);
        live("upstream-timeout-ms", old.upstream_timeout == new.upstream_timeout);
        live("rebind-protection or rebind-allow", old.rebind == new.rebind);
        live("cookies", old.cookies == new.cookies);
        live("delegation", old.delegation == new.delegation);
        live("query-log", old.query_log == new.query_log);
        let mut restart = |key, same: bool| changes.restart.extend((!same).then_some(key));
        restart("network, node, api, admin-socket or data-dir", old.chain == new.chain);
        restart("sign", old.sign == new.sign);
        restart("suffixes", old.mounts.suffixes == new.mounts.suffixes);
        restart("listen", old.listen == new.listen);
        restart("encrypted", old.encrypted == new.encrypted);
        restart("workers or fast-path", old.udp == new.udp);
        restart("serve-stale-seconds", old.serve_stale == new.serve_stale);
        restart("cache-bytes", old.cache_bytes == new.cache_bytes);
        changes
    }
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.live.as_slice(), self.restart.as_slice()) {
            ([], []) => f.write_str("nothing has changed"),
            (live, []) => write!(f, "changed: {}", live.join(", ")),
            ([], restart) => {
                write!(f, "nothing changes before a restart, which {} takes", restart.join(", "))
            }
            (live, restart) => {
                write!(
                    f,
                    "changed: {}; not before a restart: {}",
                    live.join(", "),
                    restart.join(", ")
                )
            }
        }
    }
}
