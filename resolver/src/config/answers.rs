//! Settings of answers: suffixes, access control, cookies and rebinding protection.

use hickory_proto::rr::Name;
use ipnet::IpNet;

use super::{
    error::ConfigError, file::File, one_or_many::OneOrMany, settings::NeverChain, value::read_value,
};
use crate::{
    chain::mount::Suffixes,
    dns::{cookie::Policy, names::MAX_LABEL_BYTES},
    server::access::{Access, AccessControl},
    upstream::Rebind,
};

/// The policy for DNS cookies.
pub fn cookies(given: Option<&str>) -> Result<Policy, ConfigError> {
    let read = |text| read_value("cookies", text, "is neither off nor on nor require");
    given.map_or(Ok(Policy::default()), read)
}

/// The suffixes below which names of the chain are.
pub fn suffixes(given: Option<&OneOrMany>) -> Result<Suffixes, ConfigError> {
    let Some(OneOrMany(texts)) = given else { return Ok(Suffixes::CANONICAL) };
    Suffixes::read(texts).map_err(|error| ConfigError::Value {
        place: "suffixes".into(),
        value: error.text().to_owned(),
        why: error.to_string(),
    })
}

/// Which clients are answered. A network is in one list only.
pub fn access(file: &File) -> Result<AccessControl, ConfigError> {
    let mut rules: Vec<(IpNet, Access)> = Vec::new();
    for (place, access, list) in [
        ("allow", Access::Allow, &file.allow),
        ("deny", Access::Deny, &file.deny),
        ("refuse", Access::Refuse, &file.refuse),
    ] {
        for text in list.iter().flat_map(|list| &list.0) {
            let net = read_value::<IpNet>(place, text, "is not a network, as in 192.168.0.0/16")?;
            if rules.iter().any(|(other, rule)| *other == net.trunc() && *rule != access) {
                return Err(ConfigError::Value {
                    place: place.into(),
                    value: text.clone(),
                    why: "is in another of the lists allow, deny and refuse too".into(),
                });
            }
            rules.push((net.trunc(), access));
        }
    }
    Ok(AccessControl::new(rules))
}

/// Which names at the root are left to the network.
pub fn never_chain(
    labels: Option<&[String]>,
    automatic: Option<bool>,
) -> Result<NeverChain, ConfigError> {
    let label = |text: &String| {
        let label = text.trim().trim_matches('.').to_ascii_lowercase();
        let is_label = !label.is_empty() && label.len() <= MAX_LABEL_BYTES && !label.contains('.');
        is_label.then(|| label.into_bytes()).ok_or_else(|| ConfigError::Value {
            place: "never-chain".into(),
            value: text.clone(),
            why: "is not one label, as in vpn".into(),
        })
    };
    let labels = labels.unwrap_or_default().iter().map(label).collect::<Result<_, _>>()?;
    Ok(NeverChain { labels, automatic: automatic.unwrap_or(true) })
}

/// Which names may not have private addresses.
pub fn rebind(policy: Option<&str>, allow: Option<&[String]>) -> Result<Rebind, ConfigError> {
    let policy = policy
        .map(|text| read_value("rebind-protection", text, "is neither off nor legacy nor all"));
    let zone = |text: &String| {
        let name = Name::from_utf8(text.trim()).ok().filter(|name| !name.is_root());
        let name = name.ok_or_else(|| ConfigError::Value {
            place: "rebind-allow".into(),
            value: text.clone(),
            why: "is not the name of a zone, as in fritz.box".into(),
        })?;
        let mut name = name.to_lowercase();
        name.set_fqdn(true);
        Ok(name)
    };
    let allow = allow.unwrap_or_default().iter().map(zone).collect::<Result<_, ConfigError>>()?;
    Ok(Rebind { policy: policy.transpose()?.unwrap_or_default(), allow })
}
