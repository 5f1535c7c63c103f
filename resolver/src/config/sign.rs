//! The table `sign`: DNSSEC signing of names of the chain.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    error::ConfigError,
    settings::{ChainConfig, SignConfig},
};
use crate::dnssec::sign::Algorithm;

/// The name of the key file in a data directory.
const KEY_FILE: &str = "dnssec.key";

/// The table.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SignTable {
    /// Whether answers are signed for clients that set DO.
    pub enabled: Option<bool>,
    /// The algorithm's number: 13 or 15.
    pub algorithm: Option<u8>,
    /// The key's file.
    pub key: Option<PathBuf>,
}

impl SignTable {
    /// How to sign; `None`: off. The key is at the configured path, in the data directory of the
    /// node in this process, or else in the user's state directory.
    pub fn into_config(
        self,
        chain: &ChainConfig,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<SignConfig>, ConfigError> {
        if self.enabled == Some(false) {
            return Ok(None);
        }
        let unknown = |number: u8| ConfigError::Value {
            place: "sign.algorithm".into(),
            value: number.to_string(),
            why: "is neither 13 (ECDSAP256SHA256) nor 15 (ED25519)".into(),
        };
        let read = |number| Algorithm::from_number(number).ok_or_else(|| unknown(number));
        let algorithm = self.algorithm.map(read).transpose()?;
        let requested =
            self.enabled == Some(true) || self.algorithm.is_some() || self.key.is_some();
        let key = match (self.key, chain) {
            (Some(key), _) => Some(key),
            (None, ChainConfig::Embedded { data_dir, .. }) => Some(data_dir.join(KEY_FILE)),
            (None, ChainConfig::Remote { .. }) => state_dir(env).map(|dir| dir.join(KEY_FILE)),
        };
        match key {
            Some(key) => Ok(Some(SignConfig { algorithm, key, requested })),
            None if requested => Err(ConfigError::Conflict(
                "sign: there is no home directory for the key: set a path with key = PATH",
            )),
            // Nobody asked for it.
            None => Ok(None),
        }
    }
}

/// The state directory of the service manager, or else of the user.
pub fn state_dir(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |key: &str| env(key).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd gives a list (systemd.exec(5), `StateDirectory=`).
    let given = env("STATE_DIRECTORY").and_then(|list| list.into_string().ok());
    if let Some(first) = given.as_deref().and_then(|list| list.split(':').next()).map(Path::new)
        && first.is_absolute()
    {
        return Some(first.to_owned());
    }
    let base =
        absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(base.join("namechain"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> ChainConfig {
        ChainConfig::Remote {
            url: "http://127.0.0.1:7380".into(),
            network: None,
            api: None,
            admin: None,
        }
    }

    fn key(table: SignTable, env: &[(&str, &str)]) -> Option<PathBuf> {
        let look = |key: &str| {
            env.iter().find(|(name, _)| *name == key).map(|(_, value)| OsString::from(value))
        };
        table.into_config(&remote(), look).unwrap().map(|sign| sign.key)
    }

    #[test]
    fn where_the_key_of_a_resolver_without_a_node_is() {
        let all = [
            ("HOME", "/home/a"),
            ("XDG_STATE_HOME", "/state"),
            ("STATE_DIRECTORY", "/var/lib/namechain:/var/lib/other"),
        ];
        for (env, expected) in [
            (&all[..1], "/home/a/.local/state/namechain/dnssec.key"),
            (&all[..2], "/state/namechain/dnssec.key"),
            (&all[..], "/var/lib/namechain/dnssec.key"),
        ] {
            assert_eq!(key(SignTable::default(), env), Some(expected.into()));
        }
        assert_eq!(key(SignTable::default(), &[("HOME", "relative")]), None, "nobody asked for it");
        let named = SignTable { key: Some("/elsewhere".into()), ..SignTable::default() };
        assert_eq!(key(named, &all), Some("/elsewhere".into()));
        assert_eq!(key(SignTable { enabled: Some(false), ..SignTable::default() }, &all), None);
    }

    #[test]
    fn what_can_not_be_done_is_said() {
        let error =
            |table: SignTable| table.into_config(&remote(), |_| None).unwrap_err().to_string();
        let requested = SignTable { enabled: Some(true), ..SignTable::default() };
        assert!(error(requested).contains("no home directory"));
        let odd = SignTable { algorithm: Some(8), ..SignTable::default() };
        assert!(error(odd).contains("'8' is neither 13"));
    }
}
