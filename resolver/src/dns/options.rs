//! The EDNS options of a query (RFC 6891 §6.1.2).

use super::cookie;
use super::message::{Packet, u16_at};
use super::rtype;

/// The options that have an effect here: COOKIE, edns-tcp-keepalive, Padding.
const USED: [u16; 3] = [cookie::OPTION, 11, 12];
/// The length of an option's code and length fields.
const OPTION_HEADER_BYTES: usize = 4;

/// A query without the EDNS options that have no effect here, whose values may be anything: a
/// server ignores what it does not support (RFC 6891 §6.1.2). `None` if the query has no OPT at its
/// end, or the options are malformed.
pub fn without_unused(query: &[u8]) -> Option<Vec<u8>> {
    let packet = Packet::parse(query).ok()?;
    let opt = packet.records().iter().find(|record| record.rtype == rtype::OPT)?;
    if opt.end != query.len() {
        return None;
    }
    let (head, mut options) = query.split_at(opt.data);
    let mut kept = Vec::new();
    while !options.is_empty() {
        let (code, length) = (u16_at(options, 0).ok()?, u16_at(options, 2).ok()?);
        let (option, rest) = options.split_at_checked(OPTION_HEADER_BYTES + usize::from(length))?;
        if USED.contains(&code) {
            kept.extend_from_slice(option);
        }
        options = rest;
    }
    let mut out = head.to_vec();
    let length_at = out.len() - 2;
    // Not longer than it was.
    out[length_at..].copy_from_slice(&(kept.len() as u16).to_be_bytes());
    out.extend_from_slice(&kept);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing::{Build, question};

    #[test]
    fn only_options_that_have_an_effect_stay() {
        let query = |options: &[u8]| {
            let question = question("a.example", 1);
            Build::answer(&question).opt_with(options).done()
        };
        let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
        let subnet = [0, 8, 0, 4, 0, 0, 0, 0];
        let all = [&subnet[..], &cookie, &[0, 3, 0, 0], &[0xff, 0xff, 0, 1, 9]].concat();
        assert_eq!(without_unused(&query(&all)), Some(query(&cookie)));
        assert_eq!(without_unused(&query(&subnet)), Some(query(&[])));
        for malformed in [&[0, 8, 0][..], &[0, 8, 0, 5, 0, 0, 0, 0]] {
            assert_eq!(without_unused(&query(malformed)), None);
        }
        assert_eq!(without_unused(&Build::answer(&question("a.example", 1)).done()), None);
        let behind = Build::answer(&question("a.example", 1)).opt_with(&subnet).opt().done();
        assert_eq!(without_unused(&behind), None);
    }
}
