//! The configuration of a scenario, as far as it applies to us.

use super::message;

/// A zone and the addresses of its servers.
#[derive(Debug, Default, Clone)]
pub struct Zone {
    pub name: Vec<u8>,
    pub servers: Vec<String>,
}

/// The settings. Those that are not here configure how unbound works, not its answers.
#[derive(Debug, Default)]
pub struct Settings {
    /// Zones with upstreams.
    pub forward: Vec<Zone>,
    /// Zones whose servers are queried without recursion: where the recursive server starts.
    pub stubs: Vec<Zone>,
    pub trust_anchors: Vec<String>,
    /// The time, in seconds since 1970.
    pub now: Option<u64>,
    pub max_ttl: Option<u64>,
    pub min_ttl: Option<u64>,
    pub serve_expired: bool,
    /// For how long expired answers may be served, in seconds.
    pub serve_expired_ttl: Option<u64>,
    /// The TTL of expired answers.
    pub expired_reply_ttl: u32,
    /// Whether NS records and addresses beside the answer are left out.
    pub minimal: bool,
}

/// Keys and values; a key without a value has an empty one.
fn pairs(lines: &[String]) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for line in lines {
        let mut rest = line.trim();
        while !rest.is_empty() && !rest.starts_with(['#', ';']) {
            if let Some(quoted) = rest.strip_prefix('"') {
                let (text, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                if let Some((_, value)) = pairs.last_mut() {
                    *value = text.to_owned();
                }
                rest = after.trim_start();
                continue;
            }
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            match word.strip_suffix(':') {
                Some(key) => pairs.push((key.to_owned(), String::new())),
                None => {
                    // `key:value`, or a value.
                    if let Some((key, value)) = word.split_once(":\"") {
                        pairs.push((key.to_owned(), value.trim_matches('"').to_owned()));
                    } else if let Some((_, value)) = pairs.last_mut() {
                        *value = format!("{value} {word}").trim().to_owned();
                    }
                }
            }
            rest = after.trim_start();
        }
    }
    pairs
}

impl Settings {
    /// Parses the lines of a configuration.
    pub fn read(lines: &[String]) -> Result<Self, String> {
        let mut settings = Self { expired_reply_ttl: 30, minimal: true, ..Self::default() };
        let mut place = "server".to_owned();
        let root = || Zone { name: vec![0], servers: Vec::new() };
        for (key, value) in pairs(lines) {
            let number = || value.parse::<u64>().map_err(|_| format!("{key}: {value}"));
            let address = || value.split('@').next().unwrap_or_default().to_owned();
            match key.as_str() {
                "server" | "auth-zone" | "rpz" | "view" | "remote-control" => place = key,
                "forward-zone" | "stub-zone" => {
                    let zones = if key == "stub-zone" {
                        &mut settings.stubs
                    } else {
                        &mut settings.forward
                    };
                    zones.push(root());
                    place = key;
                }
                "name" if place == "forward-zone" || place == "stub-zone" => {
                    let zones = if place == "stub-zone" {
                        &mut settings.stubs
                    } else {
                        &mut settings.forward
                    };
                    if let Some(zone) = zones.last_mut() {
                        zone.name = message::name(&value)?.to_ascii_lowercase();
                    }
                }
                "forward-addr" => zones_of(&mut settings.forward).servers.push(address()),
                "stub-addr" => zones_of(&mut settings.stubs).servers.push(address()),
                "trust-anchor" => settings.trust_anchors.push(message::numbered(&value)),
                // `-1`: dates are ignored. In November 2012 those signatures were valid.
                "val-override-date" if value == "-1" => settings.now = Some(1_351_771_200),
                "val-override-date" => settings.now = Some(seconds(&value)?),
                "val-override-timestamp" => settings.now = Some(number()?),
                "cache-max-ttl" => settings.max_ttl = Some(number()?),
                "cache-min-ttl" => settings.min_ttl = Some(number()?),
                "serve-expired" => settings.serve_expired = value == "yes",
                "serve-expired-ttl" => settings.serve_expired_ttl = Some(number()?),
                "serve-expired-reply-ttl" => settings.expired_reply_ttl = number()? as u32,
                "minimal-responses" => settings.minimal = value != "no",
                _ => {}
            }
        }
        Ok(settings)
    }
}

/// The last zone; Stelline's files have comments in place of unbound's first line, for the root.
fn zones_of(zones: &mut Vec<Zone>) -> &mut Zone {
    if zones.is_empty() {
        zones.push(Zone { name: vec![0], servers: Vec::new() });
    }
    let last = zones.len() - 1;
    &mut zones[last]
}

/// `YYYYMMDDHHMMSS` as seconds since 1970.
fn seconds(date: &str) -> Result<u64, String> {
    let wrong = || format!("the date {date}");
    let part = |range: std::ops::Range<usize>| {
        date.get(range).and_then(|text| text.parse::<u64>().ok()).ok_or_else(wrong)
    };
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    // Days since the first of March of the year 0, so that leap days come last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    Ok(((days - 719_468) * 24 + part(8..10)?) * 3_600 + part(10..12)? * 60 + part(12..14)?)
}

#[test]
fn dates() {
    assert_eq!(seconds("19700101000000"), Ok(0));
    assert_eq!(seconds("20070916134226"), Ok(1_189_950_146));
    assert_eq!(seconds("20240229235959"), Ok(1_709_251_199));
}
