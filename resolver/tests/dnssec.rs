//! Signed answers, case by case, as in RFC 4035 (section 3.1 and appendix B) and RFC 9824. The
//! signatures are verified by hickory, which has no part in making them.

mod common;

use hickory_proto::{
    dnssec::{
        Verifier,
        rdata::{DNSKEY as Dnskey, DNSSECRData, RRSIG as Rrsig},
    },
    op::{Edns, Message, ResponseCode},
    rr::{DNSClass, Name, RData, Record},
};
use resolver::{
    chain::Inactive,
    dnssec::sign::{Algorithm, Signer, SigningKey},
};

use common::{Names, Resolver, Setup, dname, question};

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const MX: u16 = 15;
const TXT: u16 = 16;
const DNAME: u16 = 39;
const DS: u16 = 43;
const RRSIG: u16 = 46;
const NSEC: u16 = 47;
const DNSKEY: u16 = 48;
const ANY: u16 = 255;
/// 2027-01-15, in the middle of a period.
const NOW: u64 = 1_800_000_000 + 3_600;

fn chain() -> Names {
    let ds = [&[0x12, 0x34, 13, 2][..], &[7; 32]].concat();
    let alice = [
        ("", A, vec![192, 0, 2, 1]),
        ("", 65_280, vec![1]),
        ("", MX, [&[0, 10][..], &dname("Mail.Alice")].concat()),
        ("www", A, vec![192, 0, 2, 2]),
        ("www", A, vec![192, 0, 2, 20]),
        ("a.b.ent", TXT, b"\x02hi".to_vec()),
        ("ftp", CNAME, dname("www.alice")),
        ("away", CNAME, dname("www.bobby")),
        ("old", DNAME, dname("new.alice")),
        ("host.new", A, vec![192, 0, 2, 4]),
        ("*.wild", A, vec![192, 0, 2, 5]),
        ("*.wild", TXT, b"\x02hi".to_vec()),
        ("plain", NS, dname("ns.plain.alice")),
        ("ns.plain", A, vec![127, 0, 0, 1]),
        ("fenced", NS, dname("ns.fenced.alice")),
        ("fenced", DS, ds),
        ("ns.fenced", A, vec![127, 0, 0, 1]),
    ];
    Names::default()
        .with("alice", &alice)
        .with("bobby", &[("www", A, vec![192, 0, 2, 9])])
        .inactive("gone", Inactive::Grace { ended: 10, released: 20 })
}

/// A resolver that signs, and the RDATA of its DNSKEY.
struct Signed {
    resolver: Resolver,
    dnskey: Dnskey,
}

impl Signed {
    fn start(algorithm: Algorithm) -> Signed {
        let key = SigningKey::from_pkcs8(&SigningKey::generate(algorithm).unwrap()).unwrap();
        let signer = Some(Signer::new(key, || NOW));
        let resolver = Setup { signer, ..Setup::default() }.start(chain());
        let said = resolver.udp(&question("namechain.alt.", DNSKEY, None));
        let RData::DNSSEC(DNSSECRData::DNSKEY(dnskey)) = said.answers[0].data.clone() else {
            panic!("{said}")
        };
        assert!(dnskey.zone_key() && dnskey.secure_entry_point() && !dnskey.revoke());
        Signed { resolver, dnskey }
    }

    fn ask_with(&self, name: &str, qtype: u16, change: impl FnOnce(&mut Message)) -> Message {
        let mut edns = Edns::new();
        edns.set_dnssec_ok(true).set_max_payload(1_232);
        let mut message = question(name, qtype, None);
        message.set_edns(edns);
        change(&mut message);
        self.resolver.udp(&message)
    }

    /// Sends a query with DO, and verifies every signature of the response.
    fn ask(&self, name: &str, qtype: u16) -> Message {
        let message = self.ask_with(name, qtype, |_| {});
        self.verify(&message.answers);
        self.verify(&message.authorities);
        message
    }

    fn verify(&self, section: &[Record]) {
        for (name, sig) in section.iter().filter_map(signature) {
            let input = sig.input();
            let covered = |record: &&Record| {
                record.name == *name && record.record_type() == input.type_covered
            };
            let set: Vec<&Record> = section.iter().filter(covered).collect();
            assert!(!set.is_empty(), "{name} {input:?}");
            assert_eq!(input.signer_name, Name::from_ascii("namechain.alt.").unwrap());
            assert_eq!(
                usize::from(input.num_labels),
                name.iter().filter(|label| *label != b"*").count()
            );
            assert_eq!(input.key_tag, self.dnskey.calculate_key_tag().unwrap());
            assert!(set.iter().all(|record| record.ttl == input.original_ttl));
            let (from, until) =
                (u64::from(input.sig_inception.get()), u64::from(input.sig_expiration.get()));
            assert!(from + 3_600 < NOW && NOW + 2 * 86_400 < until, "{from} {until}");
            self.dnskey.verify_rrsig(name, DNSClass::IN, sig, set.into_iter()).unwrap();
        }
    }
}

fn signature(record: &Record) -> Option<(&Name, &Rrsig)> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(sig)) => Some((&record.name, sig)),
        _ => None,
    }
}

/// Owner and type of each record; for a signature, the type that it covers.
fn outline(section: &[Record]) -> Vec<String> {
    let below = |name: &Name| name.to_string().to_lowercase().replace("namechain.alt.", "@");
    section
        .iter()
        .map(|record| match signature(record) {
            Some((name, sig)) => format!("{} RRSIG {}", below(name), sig.input().type_covered),
            None => format!("{} {}", below(&record.name), record.record_type()),
        })
        .map(|line| line.replace("ANAME", "DNAME"))
        .collect()
}

/// The next name and the types of the NSEC record of a section.
fn nsec(section: &[Record]) -> (String, Vec<u16>) {
    let found = section.iter().find_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::NSEC(nsec)) => Some(nsec),
        _ => None,
    });
    let nsec = found.expect("an NSEC record");
    (nsec.next_domain_name().to_string(), nsec.type_bit_maps().map(u16::from).collect())
}

/// RFC 4035 §3.1.1, appendix B.1: each RRset with its signature, and nothing else that was not
/// asked for.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_with_its_signature() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let signed = Signed::start(algorithm);
        for (name, qtype, expected) in [
            ("alice.namechain.alt.", A, vec!["alice.@ A", "alice.@ RRSIG A"]),
            (
                "WWW.alice.namechain.ALT.",
                A,
                vec!["www.alice.@ A", "www.alice.@ A", "www.alice.@ RRSIG A"],
            ),
            ("alice.namechain.alt.", MX, vec!["alice.@ MX", "alice.@ RRSIG MX"]),
            ("alice.namechain.alt.", 65_280, vec!["alice.@ Unknown", "alice.@ RRSIG Unknown"]),
            ("namechain.alt.", SOA, vec!["@ SOA", "@ RRSIG SOA"]),
            ("namechain.alt.", DNSKEY, vec!["@ DNSKEY", "@ RRSIG DNSKEY"]),
        ] {
            let answer = signed.ask(name, qtype);
            assert_eq!(outline(&answer.answers), expected, "{algorithm}: {name}");
            assert!(answer.authorities.is_empty() && answer.metadata.authoritative);
            assert!(answer.edns.unwrap().flags().dnssec_ok);
        }
        signed.resolver.server.stop().await;
    }
}

/// RFC 4035 §3.1.1 with aliases; RFC 6672 §5.3.1: the CNAME synthesized from a DNAME has no
/// signature.
#[tokio::test(flavor = "multi_thread")]
async fn aliases_are_signed_one_by_one() {
    let signed = Signed::start(Algorithm::Ed25519);
    let www = ["www.alice.@ A", "www.alice.@ A", "www.alice.@ RRSIG A"];
    let ftp = ["ftp.alice.@ CNAME", "ftp.alice.@ RRSIG CNAME"];
    assert_eq!(
        outline(&signed.ask("ftp.alice.namechain.alt.", A).answers),
        [&ftp[..], &www].concat()
    );
    assert_eq!(outline(&signed.ask("ftp.alice.namechain.alt.", CNAME).answers), ftp);
    let answer = signed.ask("host.old.alice.namechain.alt.", A);
    let expected = [
        "old.alice.@ DNAME",
        "old.alice.@ RRSIG DNAME",
        "host.old.alice.@ CNAME",
        "host.new.alice.@ A",
        "host.new.alice.@ RRSIG A",
    ];
    assert_eq!(outline(&answer.answers), expected);
    // The target of an alias at the root is not in the zone.
    let answer = signed.ask("away.alice.namechain.alt.", A);
    assert_eq!(
        outline(&answer.answers),
        ["away.alice.@ CNAME", "away.alice.@ RRSIG CNAME", "www.bobby. A"]
    );
    // The target of an alias that does not exist is denied.
    let answer = signed.ask("nothing.old.alice.namechain.alt.", A);
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert_eq!(nsec(&answer.authorities).1, [RRSIG, NSEC, 128]);
    signed.resolver.server.stop().await;
}

/// RFC 4035 appendix B.6 is not needed: by RFC 9824 §3.3 the answer is signed under the queried
/// name instead of the wildcard.
#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_is_signed_as_the_name_that_was_asked_for() {
    let signed = Signed::start(Algorithm::Ed25519);
    for name in [
        "x.wild.alice.namechain.alt.",
        "x.y.wild.alice.namechain.alt.",
        "*.wild.alice.namechain.alt.",
    ] {
        let answer = signed.ask(name, A);
        assert_eq!((answer.answers.len(), answer.authorities.len()), (2, 0), "{name}");
    }
    signed.resolver.server.stop().await;
}

/// RFC 4035 appendix B.2 (name error), B.3 (no data), B.7 (wildcard no data), B.8 (DS of the zone
/// itself), in the form of RFC 9824 §3.1 to §3.3.
#[tokio::test(flavor = "multi_thread")]
async fn denials() {
    let signed = Signed::start(Algorithm::EcdsaP256);
    for (name, qtype, types) in [
        ("nobody.namechain.alt.", A, vec![RRSIG, NSEC, 128]),
        ("x.nobody.namechain.alt.", A, vec![RRSIG, NSEC, 128]),
        ("com.namechain.alt.", A, vec![RRSIG, NSEC, 128]),
        ("gone.namechain.alt.", A, vec![RRSIG, NSEC, 128]),
        ("nope.alice.namechain.alt.", A, vec![RRSIG, NSEC, 128]),
        ("x.www.alice.namechain.alt.", A, vec![RRSIG, NSEC, 128]),
        ("www.alice.namechain.alt.", TXT, vec![A, RRSIG, NSEC]),
        // A type of a later window (RFC 4034 §4.1.2).
        ("alice.namechain.alt.", TXT, vec![A, MX, RRSIG, NSEC, 65_280]),
        ("alice.namechain.alt.", SOA, vec![A, MX, RRSIG, NSEC, 65_280]),
        ("alice.namechain.alt.", DS, vec![A, MX, RRSIG, NSEC, 65_280]),
        // Empty non-terminals (RFC 9824 §3.2).
        ("ent.alice.namechain.alt.", TXT, vec![RRSIG, NSEC]),
        ("b.ent.alice.namechain.alt.", A, vec![RRSIG, NSEC]),
        ("b.ent.alice.namechain.alt.", ANY, vec![RRSIG, NSEC]),
        ("wild.alice.namechain.alt.", A, vec![RRSIG, NSEC]),
        // A name that a wildcard matches (RFC 9824 §3.3).
        ("x.wild.alice.namechain.alt.", MX, vec![A, TXT, RRSIG, NSEC]),
        ("old.alice.namechain.alt.", A, vec![DNAME, RRSIG, NSEC]),
        ("namechain.alt.", A, vec![SOA, RRSIG, NSEC, DNSKEY]),
        ("namechain.alt.", DS, vec![SOA, RRSIG, NSEC, DNSKEY]),
    ] {
        let answer = signed.ask(name, qtype);
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "{name}: RFC 9824 §3.1");
        let at = name.replace("namechain.alt.", "@");
        let expected = [
            "@ SOA".into(),
            "@ RRSIG SOA".into(),
            format!("{at} NSEC"),
            format!("{at} RRSIG NSEC"),
        ];
        assert_eq!(
            (outline(&answer.answers), outline(&answer.authorities)),
            (vec![], expected.into()),
            "{name}"
        );
        assert_eq!(nsec(&answer.authorities), (format!("\\000.{name}"), types), "{name} {qtype}");
    }
    signed.resolver.server.stop().await;
}

/// RFC 4035 §3.1.4: a referral to a signed zone has the DS records (appendix B.4), to another one
/// the proof that there are none (B.5); §3.1.4.1: a DS query is answered by the parent.
#[tokio::test(flavor = "multi_thread")]
async fn cuts() {
    let signed = Signed::start(Algorithm::Ed25519);
    let refer = |name: &str| {
        let answer = signed.ask_with(name, A, |message| message.metadata.recursion_desired = false);
        signed.verify(&answer.authorities);
        assert!(answer.answers.is_empty() && !answer.metadata.authoritative, "{answer}");
        answer
    };
    let fenced = refer("www.fenced.alice.namechain.alt.");
    assert_eq!(
        outline(&fenced.authorities),
        ["fenced.alice.@ NS", "fenced.alice.@ DS", "fenced.alice.@ RRSIG DS"]
    );
    let plain = refer("www.plain.alice.namechain.alt.");
    assert_eq!(
        outline(&plain.authorities),
        ["plain.alice.@ NS", "plain.alice.@ NSEC", "plain.alice.@ RRSIG NSEC"]
    );
    // Names below the cut are not covered (RFC 9824 §3.2).
    let cut = ("plain\\000.alice.namechain.alt.".to_owned(), vec![NS, RRSIG, NSEC]);
    assert_eq!(nsec(&plain.authorities), cut);
    let answer = signed.ask("plain.alice.namechain.alt.", DS);
    assert_eq!((answer.answers.len(), nsec(&answer.authorities)), (0, cut));
    let answer = signed.ask("fenced.alice.namechain.alt.", DS);
    assert_eq!(outline(&answer.answers), ["fenced.alice.@ DS", "fenced.alice.@ RRSIG DS"]);
    signed.resolver.server.stop().await;
}

/// The types in a denial, RRSIG and NSEC, can be queried; one signature is a full answer (RFC 8482
/// §4.1).
#[tokio::test(flavor = "multi_thread")]
async fn questions_for_the_proof_itself() {
    let signed = Signed::start(Algorithm::Ed25519);
    for name in [
        "www.alice.namechain.alt.",
        "ftp.alice.namechain.alt.",
        "ent.alice.namechain.alt.",
        "nobody.namechain.alt.",
        "namechain.alt.",
    ] {
        let at = name.replace("namechain.alt.", "@");
        let answer = signed.ask(name, NSEC);
        assert_eq!(outline(&answer.answers), [format!("{at} NSEC"), format!("{at} RRSIG NSEC")]);
        let answer = signed.ask_with(name, RRSIG, |_| {});
        assert_eq!(outline(&answer.answers), [format!("{at} RRSIG NSEC")]);
    }
    let answer = signed.ask("www.alice.namechain.alt.", ANY);
    assert_eq!(outline(&answer.answers), ["www.alice.@ A", "www.alice.@ A", "www.alice.@ RRSIG A"]);
    signed.resolver.server.stop().await;
}

/// RFC 9824 §5: NXDOMAIN for clients that set CO, with CO set in the response.
#[tokio::test(flavor = "multi_thread")]
async fn the_response_code_is_restored_for_those_who_ask() {
    let signed = Signed::start(Algorithm::Ed25519);
    let compact = |message: &mut Message| {
        if let Some(edns) = &mut message.edns {
            edns.flags_mut().z = 0x4000;
        }
    };
    // Before and after: neither is served the answer that was cached for the other.
    for _ in 0..2 {
        for (name, rcode) in [
            ("com.namechain.alt.", ResponseCode::NXDomain),
            ("nobody.namechain.alt.", ResponseCode::NXDomain),
            ("www.alice.namechain.alt.", ResponseCode::NoError),
        ] {
            let answer = signed.ask_with(name, TXT, compact);
            assert_eq!(answer.metadata.response_code, rcode, "{name}");
            assert_eq!(answer.edns.unwrap().flags().z, 0x4000);
            let answer = signed.ask(name, TXT);
            assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "{name}");
            assert_eq!(answer.edns.unwrap().flags().z, 0);
        }
    }
    signed.resolver.server.stop().await;
}

/// Without DO there are no signatures; at the root there are none at all, as there is no chain of
/// trust to the key.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_for_others_or_at_the_root() {
    let signed = Signed::start(Algorithm::Ed25519);
    let unsigned = |message: &Message| {
        let all = message.answers.iter().chain(&message.authorities);
        all.clone().count() > 0
            && all.clone().all(|record| ![RRSIG, NSEC].contains(&u16::from(record.record_type())))
    };
    for (name, qtype) in [
        ("www.alice.namechain.alt.", A),
        ("www.alice.namechain.alt.", TXT),
        ("www.alice.namechain.alt.", NSEC),
        ("www.alice.namechain.alt.", RRSIG),
        ("nobody.namechain.alt.", A),
        ("namechain.alt.", DNSKEY),
    ] {
        let plain = signed.resolver.udp(&question(name, qtype, None));
        assert!(unsigned(&plain), "{name} {qtype}: {plain}");
    }
    for (name, qtype, rcode) in [
        ("www.alice.", A, ResponseCode::NoError),
        ("www.alice.", TXT, ResponseCode::NoError),
        ("nope.alice.", A, ResponseCode::NXDomain),
    ] {
        let root = signed.ask(name, qtype);
        assert!(unsigned(&root), "{name} {qtype}: {root}");
        assert_eq!(root.metadata.response_code, rcode);
    }
    signed.resolver.server.stop().await;
}
