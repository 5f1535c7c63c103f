//! The names that this machine uses by itself: search domains and host names. Pure functions of the
//! text of `/etc/resolv.conf` and `/etc/hosts`.

use std::collections::BTreeSet;

/// The most labels that are taken of each file. A list of blocked names may stand in hosts.
const MAX_LABELS: usize = 256;

/// The last labels of the search domains in a resolv.conf(5), in lower case.
pub fn search_labels(resolv_conf: &str) -> BTreeSet<Vec<u8>> {
    let lines = resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        // As in the C library, a keyword begins its line.
        let is_list = line.starts_with("search") || line.starts_with("domain");
        matches!(words.next()?, "search" | "domain").then_some(words).filter(|_| is_list)
    });
    last_labels(lines.flatten())
}

/// The last labels of the names in a hosts(5) file, in lower case. Names that are blocked by an
/// address of nowhere (0.0.0.0, ::) are not taken.
pub fn host_labels(hosts: &str) -> BTreeSet<Vec<u8>> {
    let lines = hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address: std::net::IpAddr = words.next()?.split('%').next()?.parse().ok()?;
        (!address.is_unspecified()).then_some(words)
    });
    last_labels(lines.flatten())
}

fn last_labels<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<Vec<u8>> {
    let mut labels = BTreeSet::new();
    for name in names {
        let label = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        if !label.is_empty() && label.len() <= 63 && labels.len() < MAX_LABELS {
            labels.insert(label.to_ascii_lowercase().into_bytes());
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(labels: BTreeSet<Vec<u8>>) -> Vec<String> {
        labels.into_iter().map(|label| String::from_utf8(label).unwrap()).collect()
    }

    #[test]
    fn search_domains() {
        let text = "# search nothing\nnameserver 192.0.2.1\nsearch ad.MyCompany corp.example.com. .\n\
                    domain office\n search indented\nsearching x\n";
        assert_eq!(shown(search_labels(text)), ["com", "mycompany", "office"]);
    }

    #[test]
    fn host_names() {
        let text = "127.0.0.1 localhost myhost.MyCompany myhost # comment\n\n# 192.0.2.1 none\n\
                    fe80::1%eth0 printer\n0.0.0.0 ads.blocked\n:: ads.blocked6\nnonsense here\n";
        assert_eq!(shown(host_labels(text)), ["localhost", "mycompany", "myhost", "printer"]);
        let long: String = (0..1_000).map(|n| format!("192.0.2.1 n{n}\n")).collect();
        assert_eq!(host_labels(&long).len(), MAX_LABELS);
    }
}
