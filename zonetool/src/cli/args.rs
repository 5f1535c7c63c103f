//! Arguments that several commands share.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::Args;
use namechain_core::types::{Name, PublicKey};

use crate::key_text::{self, KeyKind, KeyTextError};

/// A name as the only argument.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// The name: one label, such as alice
    pub name: String,
}

/// What `register` and `update` share.
#[derive(Debug, Args)]
pub struct ZoneArgs {
    /// The name: one label of 3 to 63 letters, digits and hyphens, such as alice
    pub name: String,
    /// The zone file (RFC 1035), relative to NAME. (or with $ORIGIN NAME.namechain.alt.); - is
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub zone: PathBuf,
    /// Accept a zone without records
    #[arg(long)]
    pub empty: bool,
    /// Show what would be signed and what it costs; sign and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How long the signature is valid.
    #[command(flatten)]
    pub validity: ValidityArgs,
    /// How to wait.
    #[command(flatten)]
    pub waiting: WaitArgs,
}

/// How long a signature is valid.
#[derive(Clone, Copy, Debug, Args)]
pub struct ValidityArgs {
    /// How many hours a block may record the operation after it is signed
    #[arg(long, value_name = "HOURS", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=23))]
    pub valid_for: u32,
}

impl ValidityArgs {
    /// The time for which the signature is valid.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(u64::from(self.valid_for) * 3_600)
    }
}

/// Whether to wait for blocks, and how long.
#[derive(Clone, Copy, Debug, Args)]
pub struct WaitArgs {
    /// Wait until the operation is recorded, a registered name has settled, and the node serves it
    #[arg(long)]
    pub wait: bool,
    /// How long to wait for blocks in all, in seconds; proof of work is not counted
    #[arg(long, value_name = "SECONDS", default_value = "14400", value_parser = seconds)]
    pub timeout: Duration,
    /// Wait until this many blocks follow the one that recorded it
    #[arg(long, value_name = "BLOCKS", requires = "wait")]
    pub depth: Option<u32>,
    /// Do not mine on this machine when nobody else does
    #[arg(long)]
    pub no_mine: bool,
}

impl WaitArgs {
    /// How many blocks must follow.
    pub fn depth(&self) -> u32 {
        self.depth.unwrap_or(0)
    }
}

/// An owner key, or a name whose owner is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOrName {
    /// This key.
    Key(PublicKey),
    /// The owner of this name.
    Name(String),
}

impl FromStr for KeyOrName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if key_text::is_key(text) {
            let key = key_text::decode(KeyKind::Owner, text);
            return key.map(KeyOrName::Key).map_err(|error| error.to_string());
        }
        match Name::parse(&text.to_ascii_lowercase()) {
            Ok(name) => Ok(KeyOrName::Name(name.to_string())),
            Err(_) => Err(format!("{}, or a name", KeyTextError::Form(KeyKind::Owner))),
        }
    }
}

/// The value of `--recovery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// No recovery key.
    None,
    /// This one.
    Key(PublicKey),
}

impl Recovery {
    /// The key that was given, or `default` if none was.
    pub fn key_or(asked: Option<Recovery>, default: Option<PublicKey>) -> Option<PublicKey> {
        match asked {
            None => default,
            Some(Recovery::Key(key)) => Some(key),
            Some(Recovery::None) => None,
        }
    }
}

impl FromStr for Recovery {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Recovery::None),
            key => key_text::decode(KeyKind::Recovery, key).map(Recovery::Key),
        }
    }
}

/// A number of seconds, for clap.
pub fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<u32>()
        .map(|seconds| Duration::from_secs(seconds.into()))
        .map_err(|_| "expected a number of seconds".into())
}

/// A time as a number of seconds, minutes, hours, days or weeks, for clap. In seconds.
pub fn span_seconds(text: &str) -> Result<u64, String> {
    let wrong = || "expected a number of s, m, h, d or w, such as 7d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let number = text[..text.len() - unit.len_utf8()].parse::<u32>().map_err(|_| wrong())?;
    if number == 0 { Err(wrong()) } else { Ok(u64::from(number) * seconds) }
}

#[cfg(test)]
mod tests {
    use namechain_core::types::SecretKey;

    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("2h", 7_200), ("7d", 604_800)] {
            assert_eq!(span_seconds(text), Ok(seconds), "{text}");
        }
        assert_eq!(span_seconds("4294967295w"), Ok(4_294_967_295 * 604_800));
        for wrong in ["", "7", "d", "0d", "-1d", "1.5h", "7 d", "7\u{fc}", "4294967296s"] {
            assert!(span_seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn recovery_is_a_key_or_none() {
        assert_eq!("none".parse(), Ok(Recovery::None));
        let key = SecretKey::from_seed(&[1; 32]).public();
        let text = key_text::recovery(Some(&key));
        assert_eq!([text, key.to_string()].map(|text| text.parse()), [Ok(Recovery::Key(key)); 2]);
        assert!("11".parse::<Recovery>().is_err());
        assert_eq!(Recovery::key_or(None, Some(key)), Some(key));
        assert_eq!(Recovery::key_or(Some(Recovery::None), Some(key)), None);
    }
}
