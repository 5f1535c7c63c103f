//! The table `encrypted`: DNS over TLS, HTTPS and QUIC.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;

use super::{
    error::ConfigError,
    value::{ADDRESS, read_value},
};
use crate::server::encrypted::{EncryptedConfig, IdentityFrom};

/// The table's keys.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EncryptedTable {
    /// Addresses of DNS over TLS.
    pub listen_tls: Option<Vec<String>>,
    /// Addresses of DNS over HTTPS.
    pub listen_https: Option<Vec<String>>,
    /// Addresses of DNS over QUIC.
    pub listen_quic: Option<Vec<String>>,
    /// A PEM file with the certificate and its intermediates.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the certificate's key.
    pub key: Option<PathBuf>,
    /// A PEM file with a raw public key's private key (RFC 7250); it is made if it does not exist.
    pub raw_key: Option<PathBuf>,
}

/// The configuration of encrypted DNS; `None`: off.
pub fn encrypted(table: &EncryptedTable) -> Result<Option<EncryptedConfig>, ConfigError> {
    let addresses = |key: &str, given: &Option<Vec<String>>| {
        let given = given.iter().flatten();
        given.map(|text| read_value(key, text, ADDRESS)).collect::<Result<Vec<SocketAddr>, _>>()
    };
    let tls = addresses("encrypted.listen-tls", &table.listen_tls)?;
    let https = addresses("encrypted.listen-https", &table.listen_https)?;
    let quic = addresses("encrypted.listen-quic", &table.listen_quic)?;
    let identity = match (&table.certificate, &table.key, &table.raw_key) {
        (Some(certificate), Some(key), None) => {
            Some(IdentityFrom::Certificate { certificate: certificate.clone(), key: key.clone() })
        }
        (None, None, Some(file)) => Some(IdentityFrom::RawKey(file.clone())),
        (None, None, None) => None,
        (_, _, Some(_)) => {
            return Err(ConfigError::Conflict(
                "encrypted: raw-key and certificate exclude each other",
            ));
        }
        _ => {
            return Err(ConfigError::Conflict(
                "encrypted: certificate and key have to be set together",
            ));
        }
    };
    match (identity, tls.is_empty() && https.is_empty() && quic.is_empty()) {
        (None, true) => Ok(None),
        (None, false) => {
            let why =
                "encrypted: a listener needs an identity: set certificate and key, or raw-key";
            Err(ConfigError::Conflict(why))
        }
        (Some(_), true) => {
            let why =
                "encrypted: there is no listener: set listen-tls, listen-https or listen-quic";
            Err(ConfigError::Conflict(why))
        }
        (Some(identity), false) => Ok(Some(EncryptedConfig { tls, https, quic, identity })),
    }
}
