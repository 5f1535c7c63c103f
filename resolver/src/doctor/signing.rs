//! The key that the chain's names are signed with.

use super::Finding;
use crate::{
    config::Sign,
    dnssec::sign::{SignError, Signer},
};

/// Looks at it. None is made here.
pub fn look(sign: Option<&Sign>) -> Finding {
    let about = "signing";
    let Some(sign) = sign else {
        return Finding::ok(about, "names of the chain are not signed, as the configuration says");
    };
    let path = sign.key.display();
    if !sign.key.exists() {
        return Finding::ok(about, format!("the key {path} is made at the first start"));
    }
    match Signer::open(&sign.key, sign.algorithm) {
        Ok(signer) => {
            let tag = signer.anchor().tag;
            Finding::ok(
                about,
                format!("names of the chain are signed with the key {tag} in {path}"),
            )
        }
        Err(error @ SignError::Open(..)) => {
            let remedy = format!(
                "chmod 600 {path}, and think about who has read it: a new key is made if it is moved away"
            );
            Finding::bad(about, error.to_string(), remedy)
        }
        Err(error) => {
            let remedy = "put back the file that was there, or move it away: a new key is made at the next start, and whoever trusts the old one needs the new one (zonetool trust-anchor)";
            Finding::bad(about, error.to_string(), remedy)
        }
    }
}
