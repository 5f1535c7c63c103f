//! Forgetting answers when somebody asks for it: all, those for a name, those for a zone.

use std::sync::{Arc, OnceLock};

use hickory_proto::rr::Name;
use namechain::{
    api::FlushHook,
    rpc::{Flush, Flushed, Refusal},
};

use crate::{current::Current, wire};

/// What the API hands flushes on to. It is there before there are answers to forget: until then it says so.
#[derive(Clone, Default)]
pub struct Flusher(Arc<OnceLock<Current>>);

impl Flusher {
    /// Says whose answers are forgotten from now on.
    pub fn serves(&self, current: &Current) {
        // A second one is a program's mistake that does no harm.
        let _ = self.0.set(current.clone());
    }

    /// The hook for the API.
    pub fn hook(&self) -> FlushHook {
        let flusher = self.clone();
        Arc::new(move |what| flusher.flush(what))
    }

    fn flush(&self, what: &Flush) -> Result<Flushed, Refusal> {
        let current =
            self.0.get().ok_or_else(|| refusal("unavailable", "the resolver is starting", "ask again"))?;
        let responder = current.get();
        let cache = responder.pipeline().legacy.cache();
        let flushed = match (&what.name, &what.zone) {
            (Some(name), _) => cache.flush_name(&wire_form(name)?),
            (None, Some(zone)) => cache.flush_zone(&wire_form(zone)?),
            (None, None) => cache.flush(),
        };
        tracing::info!(name = what.name, zone = what.zone, flushed, "answers were forgotten as asked");
        Ok(Flushed { flushed })
    }
}

fn refusal(code: &str, message: &str, hint: &str) -> Refusal {
    Refusal { code: code.into(), rule: None, message: message.into(), hint: Some(hint.into()) }
}

/// A name as people write it, with or without its final dot, in wire form and lower case.
fn wire_form(text: &str) -> Result<Vec<u8>, Refusal> {
    let hint = "write it like www.example.com, an internationalized name in its xn-- form";
    let name = Name::from_ascii(text).ok().filter(|_| !text.is_empty());
    let name = name.ok_or_else(|| refusal("bad-request", "this is not a DNS name", hint))?;
    Ok(wire::from_labels(name.iter()))
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

    #[test]
    fn before_there_is_anything_it_says_so() {
        let hook = Flusher::default().hook();
        assert_eq!(hook(&Flush::default()).unwrap_err().code, "unavailable");
    }
}
