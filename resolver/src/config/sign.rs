//! The table `sign`: whether the chain's names are signed, how, and with what.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{ChainFrom, ConfigError};
use crate::dnssec::sign::Algorithm;

/// The key's file, where it is kept with the data of a node.
const KEY_FILE: &str = "dnssec.key";

/// The table.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Table {
    /// Whether answers are signed for clients that ask for it.
    pub enabled: Option<bool>,
    /// By its number: 13 or 15.
    pub algorithm: Option<u8>,
    /// The key's file.
    pub key: Option<PathBuf>,
}

/// How the chain's names are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The algorithm, if it was said: a key that is there has its own.
    pub algorithm: Option<Algorithm>,
    /// The key's file, made at the first start.
    pub key: PathBuf,
    /// Whether somebody asked for it: then it is an error if there is no place for the key.
    pub asked: bool,
}

impl Table {
    /// How to sign; `None`: not at all. The key is where it was said, with the data of a node in
    /// this process, or else with what programs of this user keep for themselves.
    pub(super) fn read(
        self,
        chain: &ChainFrom,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Sign>, ConfigError> {
        if self.enabled == Some(false) {
            return Ok(None);
        }
        let unknown = |number: u8| ConfigError::Value {
            place: "sign.algorithm".into(),
            value: number.to_string(),
            why: "is neither 13 (ECDSAP256SHA256) nor 15 (ED25519)".into(),
        };
        let read = |number| Algorithm::of_number(number).ok_or_else(|| unknown(number));
        let algorithm = self.algorithm.map(read).transpose()?;
        let asked = self.enabled == Some(true) || self.algorithm.is_some() || self.key.is_some();
        let key = match (self.key, chain) {
            (Some(key), _) => Some(key),
            (None, ChainFrom::Embedded { data_dir, .. }) => Some(data_dir.join(KEY_FILE)),
            (None, ChainFrom::Remote { .. }) => state_dir(env).map(|dir| dir.join(KEY_FILE)),
        };
        match key {
            Some(key) => Ok(Some(Sign { algorithm, key, asked })),
            None if asked => Err(ConfigError::Conflict(
                "sign: there is no home directory to keep the key in: say where with key = PATH",
            )),
            // Nobody asked for it.
            None => Ok(None),
        }
    }
}

/// Where a service manager, or else the user, has programs keep what they remember.
fn state_dir(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
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

    fn remote() -> ChainFrom {
        ChainFrom::Remote { url: "http://127.0.0.1:7380".into(), network: None, api: None }
    }

    fn key(table: Table, env: &[(&str, &str)]) -> Option<PathBuf> {
        let look = |key: &str| {
            env.iter().find(|(name, _)| *name == key).map(|(_, value)| OsString::from(value))
        };
        table.read(&remote(), look).unwrap().map(|sign| sign.key)
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
            assert_eq!(key(Table::default(), env), Some(expected.into()));
        }
        assert_eq!(key(Table::default(), &[("HOME", "relative")]), None, "nobody asked for it");
        let named = Table { key: Some("/elsewhere".into()), ..Table::default() };
        assert_eq!(key(named, &all), Some("/elsewhere".into()));
        assert_eq!(key(Table { enabled: Some(false), ..Table::default() }, &all), None);
    }

    #[test]
    fn what_can_not_be_done_is_said() {
        let error = |table: Table| table.read(&remote(), |_| None).unwrap_err().to_string();
        let asked = Table { enabled: Some(true), ..Table::default() };
        assert!(error(asked).contains("no home directory"));
        let odd = Table { algorithm: Some(8), ..Table::default() };
        assert!(error(odd).contains("'8' is neither 13"));
    }
}
