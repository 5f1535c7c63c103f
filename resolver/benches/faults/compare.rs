//! Ten thousand names of all kinds from a real authoritative server (NSD): directly, through us,
//! through unbound. Differences are counted, with examples of each kind.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query},
    rr::{Name, Record, RecordType},
};

use crate::{
    Choice,
    common::{
        process::Running,
        servers::{self, Ours},
    },
    others::over_tcp,
};

const ZONE: &str = "compare.example";
const NAMES: u32 = 10_000;
const PATIENCE: Duration = Duration::from_secs(5);
const CACHE_BYTES: usize = 128 << 20;
/// Examples of a kind of difference.
const EXAMPLES: usize = 2;

/// The kinds of names, in turn: the records in the zone at `n{number}`, and the queries.
const KINDS: [(&str, &str, &[&str]); 24] = [
    ("A", "@ A 192.0.2.7", &["A", "AAAA"]),
    ("AAAA", "@ AAAA 2001:db8::7", &["AAAA", "A"]),
    ("both addresses", "@ A 192.0.2.8\n@ AAAA 2001:db8::8", &["A", "AAAA"]),
    ("MX with its address", "@ MX 10 mx.@\nmx.@ A 192.0.2.9", &["MX"]),
    ("TXT", "@ TXT \"hello\" \"wo;rld\"", &["TXT"]),
    ("TXT of 3,000 bytes", "@ TXT BIG", &["TXT"]),
    ("120 addresses", "@ A MANY", &["A"]),
    ("SRV", "_x._tcp.@ SRV 1 2 853 @", &["_x._tcp SRV", "_tcp SRV"]),
    ("CAA", "@ CAA 0 issue \"ca.example.net\"", &["CAA"]),
    ("HTTPS", "@ HTTPS 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1", &["HTTPS"]),
    ("SVCB", "@ SVCB 2 svc.@ alpn=dot port=853", &["SVCB"]),
    (
        "TLSA",
        "_443._tcp.@ TLSA 3 1 1 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF",
        &["_443._tcp TLSA"],
    ),
    (
        "SSHFP",
        "@ SSHFP 4 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF",
        &["SSHFP"],
    ),
    ("NAPTR", "@ NAPTR 10 20 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b.example!\" .", &["NAPTR"]),
    ("PTR", "@ PTR host.@", &["PTR"]),
    (
        "LOC, HINFO, RP",
        "@ LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m\n@ HINFO \"c\" \"o\"\n@ RP a.@ b.@",
        &["TYPE29", "HINFO", "TYPE17"],
    ),
    ("unknown type", "@ TYPE65280 \\# 4 0A000001", &["TYPE65280"]),
    ("alias", "@ CNAME t.@\nt.@ A 192.0.2.10", &["A", "CNAME", "TXT"]),
    ("aliases in a row", "@ CNAME a.@\na.@ CNAME b.@\nb.@ CNAME c.@\nc.@ A 192.0.2.11", &["A"]),
    ("alias to nothing", "@ CNAME nothing.@", &["A"]),
    ("DNAME", "@ DNAME t.@\nw.t.@ A 192.0.2.12", &["w A", "DNAME", "v A"]),
    ("wildcard", "*.@ A 192.0.2.13\n*.@ TXT \"w\"", &["any A", "a.b TXT", "any MX"]),
    ("lifetime 0", "@ 0 A 192.0.2.14", &["A"]),
    ("not there", "x.y.@ A 192.0.2.15", &["z A", "y A", "q.x.y A"]),
];

fn zone_file(path: &Path, names: u32) -> Result<(), String> {
    let mut text = format!(
        "$ORIGIN {ZONE}.\n$TTL 3600\n@ SOA ns.{ZONE}. host.{ZONE}. 1 2 3 4 300\n@ NS ns.{ZONE}.\nns A 192.0.2.1\n"
    );
    let big: String = (0..15).map(|n| format!("\"{}\" ", format!("{n:02}").repeat(100))).collect();
    for number in 0..names {
        let (_, records, _) = KINDS[number as usize % KINDS.len()];
        for line in records.lines() {
            let (owner, data) = line.split_once(' ').ok_or("a record")?;
            let at = format!("n{number}");
            let whole = |text: &str| text.replace('@', &at);
            // The mail address in NAPTR is not an owner.
            let data = if data.starts_with("NAPTR") { data.to_owned() } else { whole(data) };
            if let Some(kind) = data.strip_suffix(" MANY") {
                for n in 0..120 {
                    let _ = writeln!(text, "{} {kind} 198.51.100.{n}", whole(owner));
                }
            } else {
                let _ = writeln!(text, "{} {}", whole(owner), data.replace("BIG", &big));
            }
        }
    }
    fs::write(path, text).map_err(|error| error.to_string())
}

struct TestQuestion {
    kind: &'static str,
    name: String,
    qtype: RecordType,
}

fn questions(names: u32) -> Result<Vec<TestQuestion>, String> {
    let mut all = Vec::new();
    for number in 0..names {
        let (kind, _, asked) = KINDS[number as usize % KINDS.len()];
        for question in asked {
            let (prefix, qtype) = question
                .rsplit_once(' ')
                .map_or((String::new(), *question), |(a, b)| (format!("{a}."), b));
            let qtype = match qtype.strip_prefix("TYPE") {
                Some(number) => {
                    RecordType::from(number.parse::<u16>().map_err(|error| error.to_string())?)
                }
                None => qtype.parse().map_err(|error| format!("{qtype}: {error}"))?,
            };
            all.push(TestQuestion { kind, name: format!("{prefix}n{number}.{ZONE}."), qtype });
        }
    }
    Ok(all)
}

/// Over UDP, and over TCP if the response is truncated.
fn ask(socket: &UdpSocket, server: SocketAddr, asked: &TestQuestion, id: u16) -> Option<Message> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(&asked.name).ok()?, asked.qtype));
    let mut edns = Edns::new();
    edns.set_max_payload(1_232);
    message.set_edns(edns);
    let bytes = message.to_vec().ok()?;
    socket.send_to(&bytes, server).ok()?;
    let mut buffer = [0; 4_096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).ok()?;
        if from == server && buffer[..2] == bytes[..2] {
            let answer = Message::from_vec(&buffer[..length]).ok()?;
            if !answer.metadata.truncation {
                return Some(answer);
            }
            return Message::from_vec(&over_tcp(server, &bytes)?).ok();
        }
    }
}

/// Records as they are compared: without order, case of the owner, and TTL.
fn set(records: &[Record]) -> BTreeMap<String, u32> {
    let shown = records.iter().map(|record| {
        let owner = record.name.to_lowercase();
        (format!("{owner} {} {}", record.record_type(), record.data), record.ttl)
    });
    shown.collect()
}

/// How an answer differs from the server's own, in a few words; `None` if it does not.
fn difference(right: &Message, found: Option<&Message>) -> Vec<String> {
    let Some(found) = found else { return vec!["no answer".into()] };
    let mut kinds = Vec::new();
    if right.metadata.response_code != found.metadata.response_code {
        kinds.push(format!(
            "{} becomes {}",
            right.metadata.response_code, found.metadata.response_code
        ));
    }
    for (section, right, found) in [
        ("answer", &right.answers, &found.answers),
        ("authority", &right.authorities, &found.authorities),
        ("additional", &right.additionals, &found.additionals),
    ] {
        let (right, found) = (set(right), set(found));
        let keys = |set: &BTreeMap<String, u32>| set.keys().cloned().collect::<BTreeSet<_>>();
        let types = |names: BTreeSet<String>| {
            let types = names.iter().filter_map(|row| row.split(' ').nth(1));
            types.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
        };
        let missing: BTreeSet<String> = keys(&right).difference(&keys(&found)).cloned().collect();
        let more: BTreeSet<String> = keys(&found).difference(&keys(&right)).cloned().collect();
        if !missing.is_empty() {
            kinds.push(format!("{section} without {}", types(missing)));
        }
        if !more.is_empty() {
            kinds.push(format!("{section} with other {}", types(more)));
        }
        if found.iter().any(|(row, ttl)| right.get(row).is_some_and(|right| ttl > right)) {
            kinds.push(format!("{section}: a longer lifetime"));
        }
    }
    kinds
}

#[derive(Default)]
struct Counters {
    same: usize,
    /// The number of differences and their names, by kind.
    kinds: BTreeMap<String, (usize, Vec<String>)>,
}

/// Runs it and prints the tables.
pub fn run(choice: &Choice) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let names = choice.names.unwrap_or(NAMES);
    let file = dir.path().join("compare.zone");
    zone_file(&file, names)?;
    let authority = servers::nsd_of(ZONE, &file, dir.path())?;
    let config = format!("cache-bytes = {CACHE_BYTES}\n");
    let settings = Ours { config, ..Ours::new(dir.path().join("chain"), vec![authority.address]) };
    let ours = servers::ours(&settings, dir.path())?;
    let unbound = servers::unbound_at(ZONE, authority.address, dir.path());
    let questions = questions(names)?;
    println!("\n### compare: {names} names, {} questions\n", questions.len());
    let through: Vec<&Running> = std::iter::once(&ours).chain(unbound.as_ref().ok()).collect();
    if let Err(why) = &unbound {
        println!("(without unbound: {why})\n");
    }
    for server in through {
        for pass in ["asked for", "kept"] {
            compare(
                &format!("{}, {pass}", server.name),
                server.address,
                authority.address,
                &questions,
            )?;
        }
    }
    Ok(())
}

fn compare(
    title: &str,
    server: SocketAddr,
    authority: SocketAddr,
    questions: &[TestQuestion],
) -> Result<(), String> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    let mut all: BTreeMap<&str, Counters> = BTreeMap::new();
    for (number, asked) in questions.iter().enumerate() {
        let id = (number & 0xffff) as u16;
        let right = ask(&socket, authority, asked, id)
            .ok_or_else(|| format!("the server says nothing on {}", asked.name))?;
        let found = ask(&socket, server, asked, id);
        let tally = all.entry(asked.kind).or_default();
        let kinds = difference(&right, found.as_ref());
        tally.same += usize::from(kinds.is_empty());
        for kind in kinds {
            let (count, examples) = tally.kinds.entry(kind).or_default();
            *count += 1;
            if examples.len() < EXAMPLES {
                examples.push(format!("{} {}", asked.name, asked.qtype));
            }
        }
    }
    let same: usize = all.values().map(|tally| tally.same).sum();
    println!("**{title}**: {same} of {} are the same in every section\n", questions.len());
    if same < questions.len() {
        println!("| names | the same | what differs | how often | for example |");
        println!("|---|---|---|---|---|");
        for (names, tally) in &all {
            for (kind, (count, examples)) in &tally.kinds {
                println!(
                    "| {names} | {} | {kind} | {count} | {} |",
                    tally.same,
                    examples.join(", ")
                );
            }
        }
        println!();
    }
    Ok(())
}
