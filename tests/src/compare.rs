//! Two servers asked the same: what differs.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use crate::dig::{self, Reply, Row};

/// What of a reply has to be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The status, and the answers with their TTLs: for a zone of a name, where SOA and NS are our
    /// own.
    Answer,
    /// The status and every section; a TTL may be lower by what has passed, or by a cap.
    Sections,
    /// As `Sections`, but that there is no additional section: for what is passed on, which is what
    /// answers the question.
    PassedOn,
}

/// The questions that a zone gives rise to: every owner with every type it has, with types that it
/// may not have, and a name below it that may not exist; a wildcard's label as such and with
/// something in its place.
pub fn questions(rows: &[Row]) -> Vec<(String, String)> {
    let mut types: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        types.entry(row.owner.clone()).or_default().insert(&row.rtype);
        if let Some(rest) = row.owner.strip_prefix("*.") {
            types.entry(format!("anything.{rest}")).or_default().insert(&row.rtype);
            types.entry(format!("any.thing.{rest}")).or_default().insert(&row.rtype);
        }
        // The empty non-terminals on the way up.
        if let Some((_, parent)) =
            row.owner.split_once('.').filter(|(_, parent)| !parent.is_empty())
        {
            types.entry(parent.to_owned()).or_default();
        }
    }
    let mut questions = BTreeSet::new();
    for (owner, types) in types {
        let asked = types.into_iter().chain(["A", "TXT", "HINFO"]);
        questions.extend(asked.map(|rtype| (owner.clone(), rtype.to_owned())));
        questions.insert((format!("not-there.{owner}"), "A".to_owned()));
    }
    questions.into_iter().collect()
}

/// Asks both servers everything and says what differs, a line each.
pub fn differences(
    reference: SocketAddr,
    ours: SocketAddr,
    questions: &[(String, String)],
    options: &str,
    depth: Depth,
) -> Vec<String> {
    let expected = dig::ask_all(reference, questions, options);
    let found = dig::ask_all(ours, questions, options);
    let mut lines = Vec::new();
    for (((name, rtype), expected), found) in questions.iter().zip(&expected).zip(&found) {
        if !equal(expected, found, depth) {
            lines.push(format!(
                "{name} {rtype}\n  reference {}\n  ours      {}",
                show(expected),
                show(found)
            ));
        }
    }
    lines
}

fn equal(expected: &Reply, found: &Reply, depth: Depth) -> bool {
    let answers = expected.status == found.status && rows(&expected.answer, &found.answer, depth);
    answers
        && match depth {
            Depth::Answer => true,
            Depth::PassedOn => {
                rows(&expected.authority, &found.authority, depth) && found.additional.is_empty()
            }
            Depth::Sections => {
                rows(&expected.authority, &found.authority, depth)
                    && rows(&expected.additional, &found.additional, depth)
            }
        }
}

/// The order within a section says nothing (RFC 1034 §3.6), so both are sorted. The case of a name
/// says nothing either.
fn rows(expected: &[Row], found: &[Row], depth: Depth) -> bool {
    let sorted = |rows: &[Row]| {
        let mut rows: Vec<Row> = rows
            .iter()
            .map(|row| Row { owner: row.owner.to_ascii_lowercase(), ..row.clone() })
            .collect();
        rows.sort();
        rows
    };
    let (expected, found) = (sorted(expected), sorted(found));
    expected.len() == found.len()
        && expected.iter().zip(&found).all(|(expected, found)| {
            let same = Row { ttl: expected.ttl, ..found.clone() } == *expected;
            same && match depth {
                Depth::Answer => expected.ttl == found.ttl,
                Depth::Sections | Depth::PassedOn => found.ttl <= expected.ttl,
            }
        })
}

fn show(reply: &Reply) -> String {
    let rows = |rows: &[Row]| {
        let rows: Vec<String> = rows
            .iter()
            .map(|row| format!("{} {} {} {}", row.owner, row.ttl, row.rtype, row.rdata))
            .collect();
        rows.join(" | ")
    };
    let (answer, authority) = (rows(&reply.answer), rows(&reply.authority));
    format!(
        "{} [{answer}] [{authority}] [{}] flags {}, EDE {:?}, {} bytes",
        reply.status,
        rows(&reply.additional),
        reply.flags.join(" "),
        reply.ede,
        reply.size
    )
}
