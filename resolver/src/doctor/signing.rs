//! The DNSSEC key for names of the chain.

use super::Finding;
use crate::{
    config::SignConfig,
    dnssec::sign::{SignError, Signer},
};

/// Checks the key. It makes none.
pub fn check(sign: Option<&SignConfig>) -> Finding {
    let about = "signing";
    let Some(sign) = sign else {
        return Finding::ok(about, "names of the chain are not signed, as configured");
    };
    let path = sign.key.display();
    if !sign.key.exists() {
        return Finding::ok(about, format!("the key {path} will be made at the first start"));
    }
    match Signer::open(&sign.key, sign.algorithm) {
        Ok(signer) => {
            let tag = signer.key_tag();
            Finding::ok(about, format!("names of the chain are signed with key {tag} in {path}"))
        }
        Err(error @ SignError::Permissions(..)) => {
            let remedy = format!(
                "chmod 600 {path}; if someone may have read it, move it away: a new key is made"
            );
            Finding::bad(about, error.to_string(), remedy)
        }
        Err(error) => {
            let remedy = "restore the file, or move it away: a new key is made at the next start, and clients that trust the old one need the new one (zonetool trust-anchor)";
            Finding::bad(about, error.to_string(), remedy)
        }
    }
}
