//! Removes cached answers: all, those for a name, or those for a zone.

use namechain_core::api_types::{Flush, Flushed, Refusal};

use super::name;
use crate::{dns::names, server::responder::Responder};

/// Removes the answers that `what` selects.
pub fn flush(responder: &Responder, what: &Flush) -> Result<Flushed, Refusal> {
    let cache = responder.cache();
    let flushed = match (&what.name, &what.zone) {
        (Some(name), _) => cache.flush_name(&wire_form(name)?),
        (None, Some(zone)) => cache.flush_zone(&wire_form(zone)?),
        (None, None) => cache.flush(),
    };
    // Keys are few and quickly fetched again: a name's own are not told apart.
    responder.pipeline().legacy.flush_keys();
    tracing::info!(
        name = what.name,
        zone = what.zone,
        flushed,
        "cached answers were removed on request"
    );
    Ok(Flushed { flushed })
}

/// A name as people write it, with or without its final dot, in wire form and lower case.
fn wire_form(text: &str) -> Result<Vec<u8>, Refusal> {
    Ok(names::from_labels(name(text)?.iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_people_write_them() {
        assert_eq!(wire_form("WWW.example.com").unwrap(), b"\x03www\x07example\x03com\0");
        assert_eq!(wire_form("example.com.").unwrap(), b"\x07example\x03com\0");
        assert_eq!(wire_form(".").unwrap(), b"\0");
        let long = format!("{}.example", "x".repeat(64));
        for bad in ["", "a..b", "b\u{fc}cher.example", &long, &"a.".repeat(200)] {
            assert_eq!(wire_form(bad).unwrap_err().code, "bad-request", "{bad}");
        }
    }
}
