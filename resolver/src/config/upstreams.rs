//! The upstreams in flags and file.

use hickory_proto::rr::Name;

use super::{error::ConfigError, file, one_or_many};
use crate::chain::mount::Suffixes;
use crate::upstream::{ForwardZone, Options, RecursiveConfig, Upstream};

/// The upstreams of the flags, or else of the file; `None` if neither has any.
pub fn upstreams(
    flags: Vec<Upstream>,
    list: Option<one_or_many::OneOrMany>,
    tables: &[file::UpstreamTable],
) -> Result<Option<Vec<Upstream>>, ConfigError> {
    if !flags.is_empty() {
        return Ok(Some(flags));
    }
    if list.is_none() && tables.is_empty() {
        return Ok(None);
    }
    let mut all = read_list("upstream", list.as_ref())?;
    for table in tables {
        let options = Options {
            bootstrap: table.bootstrap.clone(),
            ca: table.ca.clone(),
            pins: table.pin.as_ref().map(|pins| pins.0.clone()).unwrap_or_default(),
        };
        let upstream = Upstream::parse(&table.url, options);
        all.push(upstream.map_err(|error| value("upstreams", &table.url, error.to_string()))?);
    }
    Ok(Some(all))
}

/// The zones with upstreams of their own.
pub fn zones(tables: &[file::ForwardTable]) -> Result<Vec<ForwardZone>, ConfigError> {
    let mut zones: Vec<ForwardZone> = Vec::new();
    for table in tables {
        let wrong = |why: &str| value("forward", &table.zone, why.to_owned());
        let zone = read_zone(&table.zone).map_err(wrong)?;
        let upstreams = read_list("forward", Some(&table.upstream))?;
        if upstreams.is_empty() {
            return Err(wrong("has no upstream"));
        }
        if zones.iter().any(|other| other.zone == zone) {
            return Err(wrong("is there twice: write all its upstreams into one list"));
        }
        zones.push(ForwardZone { zone, upstreams, validate: table.validate });
    }
    Ok(zones)
}

/// Checks that no zone with upstreams of its own has names of the chain.
///
/// # Errors
/// The first that has.
pub fn check_zones(zones: &[ForwardZone], suffixes: Suffixes) -> Result<(), ConfigError> {
    let overlaps = |zone: &Name| {
        let mut suffixes = suffixes.iter().map(|suffix| suffix.name());
        suffixes.any(|suffix| zone.zone_of(&suffix) || suffix.zone_of(zone))
    };
    let Some(wrong) = zones.iter().find(|it| overlaps(&it.zone)) else { return Ok(()) };
    let why = "contains names of the chain, which have no upstream";
    Err(value("forward", &wrong.zone.to_ascii(), why.to_owned()))
}

/// The configuration of the built-in recursive resolver.
pub fn recursive(table: file::RecursiveTable) -> RecursiveConfig {
    let default = RecursiveConfig::default();
    RecursiveConfig {
        root_hints: table.root_hints,
        trust_anchor: table.trust_anchor,
        validate: table.validate.unwrap_or(default.validate),
        port: table.port.unwrap_or(default.port),
        loopback: table.loopback.unwrap_or(default.loopback),
    }
}

fn read_list(
    place: &str,
    list: Option<&one_or_many::OneOrMany>,
) -> Result<Vec<Upstream>, ConfigError> {
    let texts = list.map(|list| list.0.as_slice()).unwrap_or_default();
    let read = |text: &String| {
        text.parse::<Upstream>().map_err(|error| value(place, text, error.to_string()))
    };
    texts.iter().map(read).collect()
}

fn read_zone(text: &str) -> Result<Name, &'static str> {
    const WHAT: &str = "is not a zone's name, as in corp.example";
    let mut zone = Name::from_utf8(text.trim()).map_err(|_| WHAT)?.to_lowercase();
    zone.set_fqdn(true);
    if zone.is_root() {
        return Err("is the root: write its upstreams as upstream = [...]");
    }
    Ok(zone)
}

fn value(place: &str, value: &str, why: String) -> ConfigError {
    ConfigError::Value { place: place.into(), value: value.into(), why }
}
