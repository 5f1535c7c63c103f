//! What validation costs: an ordinary answer, and zones that were made to cost as much as possible
//! (KeyTrap, CVE-2023-50387; NSEC3 with many iterations and labels, CVE-2023-50868).

use std::{fs, net::SocketAddr};

use resolver::dnssec::validate::{
    Anchors, Progress, ValidationSession, Validator, Verdict,
    budget::{MAX_CHECKS_PER_SET, MAX_FAILURES, MAX_HASHES, MAX_QUERIES, Work},
};
use rustix::time::{ClockId, clock_gettime};
use tests::{
    signed::{World, Zone},
    tools,
    unbound::Unbound,
    upstream,
};

/// How many keys have the same tag, and how many signatures refer to it.
const KEYS: usize = 24;

/// The tag of a key (RFC 4034 Appendix B).
fn tag(rdata: &[u8]) -> u16 {
    let sum: u32 = rdata
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |b| u32::from(*b)))
        .sum();
    ((sum + (sum >> 16)) & 0xffff) as u16
}

/// DNSKEY records of RSA keys that all have this tag. No signature is theirs, and finding out takes
/// a full verification each.
fn keys_with(wanted: u16) -> Vec<String> {
    (0..KEYS)
        .map(|number| {
            let mut rdata = vec![1, 0, 3, 8, 3, 1, 0, 1];
            rdata.extend((0..256usize).map(|at| ((at * 31 + number * 17) % 251) as u8));
            rdata[8] |= 0x80;
            *rdata.last_mut().expect("a key") |= 1;
            let fits = (0..=u16::MAX).find(|filler| {
                rdata[100..102].copy_from_slice(&filler.to_be_bytes());
                tag(&rdata) == wanted
            });
            assert!(fits.is_some(), "two bytes reach every tag");
            format!("@ IN DNSKEY 256 3 8 {}", data_encoding::BASE64.encode(&rdata[4..]))
        })
        .collect()
}

/// Replaces each signature of an address by as many as there are keys, by keys with the tag.
fn signatures(lines: Vec<String>) -> Vec<String> {
    lines
        .into_iter()
        .flat_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.get(3..5) != Some(&["RRSIG", "A"]) {
                return vec![line];
            }
            let (owner, labels, times, signer) =
                (fields[0], fields[6], fields[8..10].join(" "), fields[11]);
            (0..KEYS)
                .map(|number| {
                    let bytes: Vec<u8> =
                        (0..256usize).map(|at| ((at * 7 + number) % 127) as u8).collect();
                    let bytes = data_encoding::BASE64.encode(&bytes);
                    format!("{owner} 300 IN RRSIG A 8 {labels} 300 {times} 4711 {signer} {bytes}")
                })
                .collect()
        })
        .collect()
}

fn zones() -> Vec<Zone> {
    let records = "www IN A 192.0.2.1\n";
    vec![
        Zone::new("good", records),
        Zone {
            change: signatures,
            ..Zone::new("keytrap", &format!("{records}{}\n", keys_with(4711).join("\n")))
        },
        Zone { sign: Some(&["-n", "-t", "0"]), ..Zone::new("nsec3", records) },
        Zone {
            sign: Some(&["-n", "-t", "100", "-s", "aabbccddeeff0011"]),
            ..Zone::new("heavy", records)
        },
        Zone { sign: Some(&["-n", "-t", "2000"]), ..Zone::new("over", records) },
    ]
}

/// Nanoseconds of processor time of this thread.
fn computed() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // The value is neither negative nor centuries.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn question(name: &str, rtype: u16) -> Vec<u8> {
    upstream::query(0, name, rtype)[12..].to_vec()
}

/// Validates an answer: the verdict, the work, and the nanoseconds of processor time.
fn validate(
    server: SocketAddr,
    validator: &Validator,
    now: u64,
    name: &str,
    rtype: u16,
) -> (Verdict, Work, u64) {
    let message = upstream::ask_for_proof(server, &question(name, rtype)).expect("an answer");
    let started = computed();
    let mut session = ValidationSession::new(&message).expect("a message");
    let mut spent = computed() - started;
    loop {
        let started = computed();
        let step = session.step(validator, now);
        spent += computed() - started;
        match step {
            Progress::Done(judged) => return (judged.verdict, session.work(), spent),
            Progress::Query(asks) => {
                for ask in asks {
                    let asked = [ask.0.wire(), &ask.1.to_be_bytes(), &[0, 1]].concat();
                    let heard = upstream::ask_for_proof(server, &asked).expect("an answer");
                    session.add_reply(ask, Ok(&heard));
                }
            }
        }
    }
}

#[test]
fn zones_that_cost_as_much_as_they_can_cost_no_more_than_is_allowed() {
    let needed = ["nsd", "unbound", "ldns-keygen", "ldns-signzone", "ldns-key2ds"];
    if !tools::available(
        "zones_that_cost_as_much_as_they_can_cost_no_more_than_is_allowed",
        &needed,
    ) {
        return;
    }
    let world = World::start(&zones());
    let server = Unbound::recursing(&world.zones, world.nsd.addr, None);
    let anchors = Anchors::with_root(&fs::read_to_string(world.anchor()).expect("an anchor"))
        .expect("an anchor");
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
    let long = |labels: usize, zone: &str| format!("{}{zone}.example", "a.".repeat(labels));
    let validator = Validator::new(anchors);
    let ask = |name: &str| validate(server.plain, &validator, now, name, 1);
    let (first, all, _) = ask("www.good.example");
    assert_eq!(first, Verdict::Secure);
    // With the keys in the cache, as every answer but the first.
    let (verdict, normal, unit) = ask("www.good.example");
    assert_eq!((verdict, normal.checks, normal.queries), (Verdict::Secure, 1, 0));
    println!(
        "ordinary, nothing known: {all:?}\nordinary, keys known: {normal:?}, {unit} ns of computing"
    );
    let mut cases = Vec::new();
    for name in [
        "www.keytrap.example",
        &long(20, "nsec3"),
        &long(20, "heavy"),
        &long(110, "heavy"),
        &long(110, "over"),
    ] {
        let (verdict, work, spent) = ask(name);
        let shown = if name.len() > 40 {
            format!("{} labels of {}", name.split('.').count(), &name[name.len() - 14..])
        } else {
            name.to_owned()
        };
        println!(
            "{shown}: {verdict:?}\n    {work:?}, {:.1} times the ordinary answer",
            spent as f64 / unit as f64
        );
        assert!(
            work.hashes <= MAX_HASHES
                && work.queries <= MAX_QUERIES
                && work.failures <= MAX_FAILURES
        );
        cases.push((verdict, work));
    }
    let [(keytrap, trapped), (nsec3, _), (heavy, hashed), (longest, most), (over, none)] =
        cases.as_slice()
    else {
        panic!("five cases");
    };
    assert!(matches!(keytrap, Verdict::Bogus(ede) if ede.code == 6), "{keytrap:?}");
    assert_eq!(trapped.failures, MAX_CHECKS_PER_SET, "of {} that it asks for", KEYS * KEYS);
    assert_eq!((nsec3, heavy), (&Verdict::Secure, &Verdict::Secure));
    assert!(hashed.hashes > 2_000, "{hashed:?}");
    assert!(
        matches!(longest, Verdict::Bogus(ede) if ede.text.contains("hashes")),
        "{longest:?} {most:?}"
    );
    assert!(matches!(over, Verdict::Insecure(Some(ede)) if ede.code == 27), "{over:?}");
    assert_eq!(none.hashes, 0);
}
