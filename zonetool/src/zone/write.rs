//! Records to a master file that [`super::read`] takes back to the same bytes.

use std::fmt::Write as _;

use domain::{
    base::{
        iana::Rtype,
        zonefile_fmt::{DisplayKind, ZonefileFmt},
    },
    rdata::ZoneRecordData,
};
use namechain_core::types::{Name, Record, RecordSet};

use super::{
    data,
    read::{parse, read},
    svcb, types,
};

/// A record as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordText {
    /// The owner relative to the name: `@` or labels with escapes.
    pub owner: String,
    /// Seconds.
    pub ttl: u32,
    /// The type's mnemonic or `TYPEnnn`.
    pub rtype: String,
    /// The data in presentation form, or in the form of RFC 3597 §5.
    pub data: String,
}

/// The master file of `name` with these records. Printable ASCII and line feeds only, whatever the
/// records hold.
pub fn master_file(name: &Name, records: &RecordSet) -> String {
    let mut text = format!("$ORIGIN {name}.\n");
    for RecordText { owner, ttl, rtype, data } in record_texts(name, records) {
        // Writing to a String never fails.
        let _ = writeln!(text, "{owner} {ttl} IN {rtype} {data}");
    }
    text
}

/// The records of `name` as text, in their order.
pub fn record_texts(name: &Name, records: &RecordSet) -> Vec<RecordText> {
    records.records().iter().map(|record| record_text(name, record)).collect()
}

fn record_text(name: &Name, record: &Record) -> RecordText {
    let rtype = Rtype::from_int(record.rtype);
    let generic = || {
        format!("\\# {} {}", record.rdata.len(), hex::encode(&record.rdata)).trim_end().to_owned()
    };
    let mut text = RecordText {
        owner: owner_text(&record.owner),
        ttl: record.ttl,
        rtype: types::mnemonic(record.rtype),
        data: presentation(rtype, &record.rdata).unwrap_or_else(generic),
    };
    // The presentation form stands only if it leads back to the same bytes.
    if !leads_back(name, &text, record) {
        text.data = generic();
    }
    text
}

fn presentation(rtype: Rtype, rdata: &[u8]) -> Option<String> {
    match types::by_number(rtype.to_int()) {
        Some(info) => return data::decode(info, rdata),
        None if svcb::TYPES.contains(&rtype.to_int()) => return svcb::decode(rdata),
        None => {}
    }
    let data = parse(rtype, rdata).filter(|data| !matches!(data, ZoneRecordData::Unknown(_)))?;
    let text = data.display_zonefile(DisplayKind::Simple).to_string();
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')).then_some(text)
}

fn leads_back(name: &Name, text: &RecordText, record: &Record) -> bool {
    let line = format!("{} {} IN {} {}", text.owner, text.ttl, text.rtype, text.data);
    read(name, line.as_bytes()).is_ok_and(|zone| zone.records.records() == [record.clone()])
}

/// A relative owner in wire form as text: letters, digits, `-`, `_` and `*` as they are, the rest
/// as `\DDD`.
fn owner_text(owner: &[u8]) -> String {
    let mut labels = Vec::new();
    let mut rest = owner;
    while let [len @ 1..=63, tail @ ..] = rest {
        let (label, after) = tail.split_at(usize::from(*len).min(tail.len()));
        labels.push(
            label
                .iter()
                .map(|byte| match byte {
                    b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*' => char::from(*byte).to_string(),
                    other => format!("\\{other:03}"),
                })
                .collect::<String>(),
        );
        rest = after;
    }
    if labels.is_empty() { "@".into() } else { labels.join(".") }
}
