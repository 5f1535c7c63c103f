//! `trust-anchor`: the DNSSEC key of a resolver, in the forms that validators take.

use std::{fs, io::Read, net::SocketAddr, path::Path};

use domain::utils::base64;
use namechain_core::api_types::{TrustAnchor, ZoneAnchor};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    cli::{self, AnchorFormat},
    client::{Client, ClientError},
    error::CommandError,
    ui::{Ui, escape_line},
};

/// Where a resolver answers by default.
const DEFAULT_SERVER: &str = "127.0.0.1:5300";
/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 10;
/// The digest type of a DS record, SHA-256 (RFC 4509).
const SHA256: u8 = 2;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    anchor: &'a TrustAnchor,
    unbound: String,
    bind: String,
    systemd: String,
}

/// Runs the command. `--json` prints the key, and each of the forms.
pub fn run(
    ui: Ui,
    client: impl FnOnce() -> Result<Client, ClientError>,
    args: &cli::TrustAnchor,
) -> Result<(), CommandError> {
    let mut also = Vec::new();
    let mut anchor = match &args.key {
        Some(path) => read(path)?,
        None => {
            let answer = client()?.trust_anchor()?;
            // Everything is computed from the key again: the output goes into other programs'
            // configuration.
            let bad = |why| CommandError::Usage(why);
            let found = |dnskey: &str| {
                let servers = answer.servers.iter().map(|server| escape_line(server)).collect();
                anchor_of(dnskey)
                    .map(|found| TrustAnchor { servers, ..found })
                    .ok_or(bad("the resolver's answer holds no DNSKEY record of a signing key"))
            };
            for other in &answer.also {
                also.push(found(&other.dnskey)?);
            }
            found(&answer.dnskey)?
        }
    };
    if let Some(server) = args.server {
        anchor.servers = vec![server.to_string()];
    }
    let servers: Vec<SocketAddr> =
        anchor.servers.iter().filter_map(|server| server.parse().ok()).collect();
    // One for each zone that the key signs.
    let all = |form: &dyn Fn(&AnchorForms<'_>) -> String, between: &str| {
        let anchors = std::iter::once(&anchor).chain(&also);
        let forms = anchors.map(|anchor| form(&AnchorForms { anchor, servers: &servers }));
        forms.collect::<Vec<_>>().join(between)
    };
    let text = match args.format {
        None => all(&|forms| forms.everything(), "\n\n"),
        Some(AnchorFormat::Ds) => all(&|forms| forms.anchor.ds.clone(), "\n"),
        Some(AnchorFormat::Dnskey) => all(&|forms| forms.anchor.dnskey.clone(), "\n"),
        Some(AnchorFormat::Unbound) => all(&|forms| forms.unbound(), "\n"),
        Some(AnchorFormat::Bind) => all(&|forms| forms.bind(), "\n"),
        Some(AnchorFormat::Delv) => all(&|forms| forms.delv(), "\n"),
        Some(AnchorFormat::Systemd) => all(&|forms| forms.systemd(), "\n"),
    };
    let (unbound, bind) = (all(&|forms| forms.unbound(), "\n"), all(&|forms| forms.bind(), "\n"));
    let systemd = all(&|forms| forms.systemd(), "\n");
    let also = also.iter().map(|other| ZoneAnchor {
        zone: other.zone.clone(),
        dnskey: other.dnskey.clone(),
        ds: other.ds.clone(),
    });
    let anchor = &TrustAnchor { also: also.collect(), ..anchor.clone() };
    ui.print_result(&text, &Printed { anchor, unbound, bind, systemd })?;
    Ok(())
}

/// The anchor in a file that holds a DNSKEY record, such as the resolver's key file.
fn read(path: &Path) -> Result<TrustAnchor, CommandError> {
    let wrong = |why: String| CommandError::AnchorFile(path.to_owned(), why);
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| wrong(error.to_string()))?;
    let found = text.lines().find_map(anchor_of);
    let anchor =
        found.ok_or_else(|| wrong("the file holds no DNSKEY record of a signing key".into()))?;
    Ok(TrustAnchor { servers: vec![DEFAULT_SERVER.into()], ..anchor })
}

/// The anchor of the DNSKEY record in a line; `None` if there is none, or it is not of a zone key.
fn anchor_of(line: &str) -> Option<TrustAnchor> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let at = fields.iter().position(|field| *field == "DNSKEY")?;
    let [flags, protocol, algorithm, ref key @ ..] = *fields.get(at + 1..)? else { return None };
    let (flags, protocol): (u16, u8) = (flags.parse().ok()?, protocol.parse().ok()?);
    let algorithm: u8 = algorithm.parse().ok()?;
    let key: Vec<u8> = base64::decode(&key.concat()).ok()?;
    let zone = fields.first().filter(|_| at > 0)?.to_ascii_lowercase();
    let labels: Vec<&str> = zone.strip_suffix('.')?.split('.').collect();
    let plain = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if !labels.iter().all(plain) || zone.len() > 254 || flags & 0x100 == 0 || key.is_empty() {
        return None;
    }
    let mut owner: Vec<u8> =
        labels.iter().flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    owner.push(0);
    let mut dnskey = flags.to_be_bytes().to_vec();
    dnskey.extend([protocol, algorithm]);
    dnskey.extend(&key);
    let tag = key_tag(&dnskey);
    let digest = hex::encode_upper(Sha256::digest([owner, dnskey].concat()));
    Some(TrustAnchor {
        key_tag: tag,
        algorithm,
        dnskey: format!(
            "{zone} IN DNSKEY {flags} {protocol} {algorithm} {}",
            base64::encode_string(&key)
        ),
        ds: format!("{zone} IN DS {tag} {algorithm} {SHA256} {digest}"),
        also: Vec::new(),
        servers: Vec::new(),
        zone,
    })
}

/// The tag of a key (RFC 4034 appendix B).
fn key_tag(dnskey: &[u8]) -> u16 {
    let words = dnskey.chunks(2).map(|pair| {
        u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]))
    });
    let sum: u32 = words.sum();
    ((sum + (sum >> 16)) & 0xffff) as u16
}

/// An anchor and the servers, to be written down.
struct AnchorForms<'a> {
    anchor: &'a TrustAnchor,
    servers: &'a [SocketAddr],
}

impl AnchorForms<'_> {
    fn everything(&self) -> String {
        let TrustAnchor { zone, key_tag, algorithm, dnskey, ds, .. } = self.anchor;
        format!(
            "{zone} is signed with key {key_tag}, algorithm {algorithm}\n\n{ds}\n{dnskey}\n\n\
             unbound.conf:\n\n{}\n\nnamed.conf (BIND):\n\n{}\n\n/etc/dnssec-trust-anchors.d/namechain.positive (systemd-resolved):\n\n{}",
            self.unbound(),
            self.bind(),
            self.systemd()
        )
    }

    fn unbound(&self) -> String {
        let forward: String = self
            .servers
            .iter()
            .map(|server| format!("\n    forward-addr: {}@{}", server.ip(), server.port()))
            .collect();
        let local = self.servers.iter().any(|server| server.ip().is_loopback());
        let local = if local { "\n    do-not-query-localhost: no" } else { "" };
        let TrustAnchor { zone, ds, .. } = self.anchor;
        format!(
            "server:{local}\n    trust-anchor: \"{ds}\"\nforward-zone:\n    name: \"{zone}\"{forward}"
        )
    }

    fn bind(&self) -> String {
        let forwarders: String = self
            .servers
            .iter()
            .map(|server| format!(" {} port {};", server.ip(), server.port()))
            .collect();
        let name = self.anchor.zone.trim_end_matches('.');
        let delv = self.delv();
        format!(
            "{delv}\nzone \"{name}\" {{ type forward; forward only; forwarders {{{forwarders} }}; }};"
        )
    }

    fn delv(&self) -> String {
        let TrustAnchor { zone, key_tag, algorithm, ds, .. } = self.anchor;
        let digest = ds.rsplit(' ').next().unwrap_or_default();
        format!(
            "trust-anchors {{\n    \"{zone}\" static-ds {key_tag} {algorithm} {SHA256} \"{digest}\";\n}};"
        )
    }

    fn systemd(&self) -> String {
        // dnssec-trust-anchors.d(5): one record a line, relative names allowed, comments behind
        // `;`.
        self.anchor.ds.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of RFC 6605 §6.1 and RFC 8080 §6.1, with the DS records that stand there.
    #[test]
    fn tags_and_digests_are_those_of_the_standards() {
        for (dnskey, ds) in [
            (
                "example.net. 3600 IN DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
                "example.net. IN DS 55648 13 2 B4C8C1FE2E7477127B27115656AD6256F424625BF5C1E2770CE6D6E37DF61D17",
            ),
            (
                "Example.com. IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZ HJpBoRQwAQEX1SxZJA4= ; a comment",
                "example.com. IN DS 3613 15 2 3AA5AB37EFCE57F737FC1627013FEE07BDF241BD10F3B1964AB55C78E79A304B",
            ),
        ] {
            let dnskey = dnskey.split(" ;").next().unwrap();
            assert_eq!(anchor_of(dnskey).unwrap().ds, ds);
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        for line in [
            "",
            "; a comment",
            "DNSKEY 257 3 13 AAAA",
            "a. IN DNSKEY 257 3",
            "a. IN DNSKEY 257 3 13",
            "a. IN DNSKEY 257 3 13 ?",
            "a. IN DNSKEY 1 3 13 AAAA",
            "a IN DNSKEY 257 3 13 AAAA",
            "a\"b. IN DNSKEY 257 3 13 AAAA",
            "a..b. IN DNSKEY 257 3 13 AAAA",
        ] {
            assert_eq!(anchor_of(line), None, "{line}");
        }
    }

    #[test]
    fn the_forms() {
        let line = "namechain.alt. IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=";
        let anchor = anchor_of(line).unwrap();
        let servers = ["127.0.0.1:5300".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
        let forms = AnchorForms { anchor: &anchor, servers: &servers };
        let digest = anchor.ds.rsplit(' ').next().unwrap();
        assert_eq!(
            forms.unbound(),
            format!(
                "server:\n    do-not-query-localhost: no\n    trust-anchor: \"{}\"\n\
                 forward-zone:\n    name: \"namechain.alt.\"\n    forward-addr: 127.0.0.1@5300\n    forward-addr: 2001:db8::1@53",
                anchor.ds
            )
        );
        assert_eq!(
            forms.bind(),
            format!(
                "trust-anchors {{\n    \"namechain.alt.\" static-ds {} 15 2 \"{digest}\";\n}};\n\
                 zone \"namechain.alt\" {{ type forward; forward only; forwarders {{ 127.0.0.1 port 5300; 2001:db8::1 port 53; }}; }};",
                anchor.key_tag
            )
        );
        assert_eq!(forms.delv(), forms.bind().rsplit_once("\nzone").unwrap().0);
        assert_eq!(forms.systemd(), anchor.ds);
    }
}
