//! Compares a response with the one that a scenario expects.

use super::{
    message::{AA, AD, CD, Message, QR, RA, RD, Record, TC},
    rpl::Entry,
    servers::Kind,
    settings::Settings,
};

/// The TTL of stale answers, in seconds (RFC 8767 §4). Unbound's is configurable.
const STALE_TTL: u32 = 30;
const SECTIONS: [&str; 3] = ["answer", "authority", "additional"];

/// Compares; describes the difference.
pub fn compare(
    entry: &Entry,
    got: &Message,
    settings: &Settings,
    kind: Kind,
) -> Result<(), String> {
    let expected = &entry.message;
    let all = entry.matches("all") || entry.matches("all_noedns");
    let wants = |word: &str| all || entry.matches(word);
    let differ = |what: &str, mine: String, theirs: String| {
        Err(format!("{what}: {theirs} was expected, it is {mine}"))
    };
    if wants("opcode") && got.opcode != expected.opcode {
        return differ("opcode", got.opcode.to_string(), expected.opcode.to_string());
    }
    if wants("rcode") && got.rcode != expected.rcode {
        return differ(
            "rcode",
            format!("{} {:?}", got.rcode, got.extended_errors()),
            expected.rcode.to_string(),
        );
    }
    // Stelline plays a client: it ignores AA, and what is said of recursion.
    let flags =
        if kind == Kind::Stelline { TC | AD | CD } else { QR | AA | TC | RD | RA | AD | CD };
    if wants("flags") && (got.flags ^ expected.flags) & flags != 0 {
        return differ(
            "flags",
            format!("{:04x}", got.flags & flags),
            format!("{:04x}", expected.flags & flags),
        );
    }
    let expects_do = expected.edns.as_ref().is_some_and(|edns| edns.dnssec_ok);
    if wants("flags") && expects_do && !got.edns.as_ref().is_some_and(|edns| edns.dnssec_ok) {
        return differ("DO", "not set".into(), "set".into());
    }
    if let (Some(mine), Some(theirs)) = (&got.question, &expected.question) {
        let (name, qtype) =
            (wants("qname") || wants("question"), wants("qtype") || wants("question"));
        if (name && !mine.name.eq_ignore_ascii_case(&theirs.name))
            || (qtype && mine.qtype != theirs.qtype)
        {
            return differ("question", format!("{mine:?}"), format!("{theirs:?}"));
        }
    }
    for (at, section) in SECTIONS.into_iter().enumerate() {
        if wants(section) {
            let (mine, theirs) = (&got.sections[at], &expected.sections[at]);
            records(
                section,
                &counted(mine, at, expected),
                &counted(theirs, at, expected),
                entry.matches("ttl"),
                settings,
            )?;
        }
    }
    for word in &entry.matches {
        if let Some(code) = word.strip_prefix("ede=") {
            let codes = got.extended_errors();
            let there = code.parse().map_or(!codes.is_empty(), |code| codes.contains(&code));
            if !there {
                return differ("extended error", format!("{codes:?}"), code.to_owned());
            }
        }
    }
    Ok(())
}

/// The records of a section that are compared. Name servers and their addresses beside an answer
/// are optional: unbound leaves them out by default, we relay what the upstream sent.
fn counted(records: &[Record], at: usize, expected: &Message) -> Vec<Record> {
    let positive = !expected.sections[0].is_empty();
    let proof = |record: &&Record| {
        at == 0
            || (at == 1
                && (!positive || matches!(record.covered(), 47 | 50 | 43))
                && !is_ns(record))
    };
    records.iter().filter(proof).cloned().collect()
}

fn is_ns(record: &Record) -> bool {
    record.covered() == 2
}

fn records(
    section: &str,
    mine: &[Record],
    theirs: &[Record],
    ttl: bool,
    settings: &Settings,
) -> Result<(), String> {
    let mut left: Vec<&Record> = mine.iter().collect();
    for wanted in theirs {
        let expected =
            if wanted.ttl == settings.expired_reply_ttl { STALE_TTL } else { wanted.ttl };
        // TTLs may differ by one second.
        let in_time = |got: u32| {
            !ttl || [wanted.ttl, expected].iter().any(|wanted| wanted.wrapping_sub(got) <= 1)
        };
        match left.iter().position(|got| got.is_like(wanted) && in_time(got.ttl)) {
            Some(at) => drop(left.swap_remove(at)),
            None => {
                let mine: Vec<_> = mine.iter().map(Record::shown).collect();
                return Err(format!("{section}: no {} among {mine:#?}", wanted.shown()));
            }
        }
    }
    match left.first() {
        None => Ok(()),
        Some(more) => Err(format!("{section}: {} was not expected", more.shown())),
    }
}
