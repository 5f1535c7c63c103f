//! The table `validate`: DNSSEC validation of legacy DNS.

use std::{fs, path::Path};

use serde::Deserialize;

use super::{error::ConfigError, one_or_many::OneOrMany};
use crate::upstream::{ValidateConfig, ValidateMode};
use crate::{dns::name::Name, dnssec::validate::Anchors};

/// The longest file of trust anchors that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 16;

/// The table `validate`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ValidateTable {
    /// `auto`, `on` or `off`.
    pub mode: Option<String>,
    /// DS or DNSKEY records, or files with such lines.
    pub trust_anchors: Option<OneOrMany>,
    /// Zones that count as insecure (RFC 7646).
    pub insecure: Option<OneOrMany>,
}

/// Reads the table.
pub fn config(table: &ValidateTable) -> Result<ValidateConfig, ConfigError> {
    let mode = match table.mode.as_deref() {
        None | Some("auto") => ValidateMode::Auto,
        Some("on") => ValidateMode::On,
        Some("off") => ValidateMode::Off,
        Some(other) => return Err(value("mode", other, "is neither auto nor on nor off")),
    };
    let anchors = match &table.trust_anchors {
        None => Anchors::default(),
        Some(given) => {
            let lines: Vec<String> =
                given.0.iter().map(|text| read_lines(text)).collect::<Result<_, _>>()?;
            let wrong = |error| {
                value("trust-anchors", &given.0.join(", "), format!("can't be used: {error}"))
            };
            Anchors::with_root(&lines.join("\n")).map_err(wrong)?
        }
    };
    let zone = |text: &String| {
        Name::from_text(text.trim()).ok_or_else(|| value("insecure", text, "is not a domain name"))
    };
    let zones = table.insecure.iter().flat_map(|list| &list.0);
    let zones: Vec<Name> = zones.map(zone).collect::<Result<_, _>>()?;
    let anchors = anchors
        .with_insecure(zones)
        .map_err(|_| value("insecure", "...", "are more than 256 zones"))?;
    Ok(ValidateConfig { mode, anchors })
}

/// The text itself if it is a record (it has spaces and names no file), or the content of the file.
fn read_lines(text: &str) -> Result<String, ConfigError> {
    let path = Path::new(text);
    if text.split_whitespace().count() >= 5 && !path.exists() {
        return Ok(text.to_owned());
    }
    let unreadable = |why: String| ConfigError::Unreadable(path.to_owned(), why);
    let length = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(unreadable(format!("it has more than {MAX_FILE_BYTES} bytes")));
    }
    fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))
}

fn value(key: &str, value: &str, why: impl Into<String>) -> ConfigError {
    ConfigError::Value { place: format!("validate.{key}"), value: value.into(), why: why.into() }
}
