//! The examples of RFC 4035 Appendix B and RFC 5155 Appendix B, one file per case in
//! `testdata/dnssec/`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use domain::base::name::ToName;
use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};

use crate::dns::message::Section;
use crate::dns::name::Name;
use crate::dns::rtype;
use crate::dns::testing::{Build, question};
use crate::dnssec::validate::keys::Dnskey;
use crate::dnssec::validate::session::{Progress, ValidationSession, Validator};
use crate::dnssec::validate::trust::{SignedZone, Trust};
use crate::dnssec::validate::verdict::Verdict;

/// One record in wire form.
#[derive(Clone)]
struct Record {
    section: Section,
    owner: Vec<u8>,
    rtype: u16,
    ttl: u32,
    value: Vec<u8>,
}

/// A case as in its file.
struct Case {
    key: Vec<u8>,
    now: u64,
    question: Vec<u8>,
    rcode: u8,
    verdict: String,
    records: Vec<Record>,
}

fn record(section: Section, line: &str) -> Record {
    let mut file = Zonefile::from(format!("{line}\n").as_bytes());
    let Some(Entry::Record(record)) = file.next_entry().unwrap() else {
        panic!("no record: {line}")
    };
    let owner: domain::base::Name<Vec<u8>> = record.owner().to_name();
    let mut value = Vec::new();
    let Ok(()) = record.data().compose_rdata(&mut value);
    let (rtype, ttl) = (record.rtype().to_int(), record.ttl().as_secs());
    Record { section, owner: owner.as_slice().to_vec(), rtype, ttl, value }
}

fn number(rtype: &str) -> u16 {
    match rtype {
        "A" => 1,
        "MX" => 15,
        "AAAA" => 28,
        "DS" => rtype::DS,
        other => panic!("{other}"),
    }
}

impl Case {
    fn read(file: &str) -> Case {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../testdata/dnssec")
            .join(format!("{file}.txt"));
        let text = fs::read_to_string(path).unwrap();
        let mut case = Case {
            key: Vec::new(),
            now: 0,
            question: Vec::new(),
            rcode: 0,
            verdict: String::new(),
            records: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with(';')) {
            let (what, rest) = line.split_once(' ').unwrap();
            match what {
                "key" => case.key = record(Section::Answer, rest).value,
                "now" => case.now = rest.parse().unwrap(),
                "question" => {
                    let fields: Vec<&str> = rest.split(' ').collect();
                    case.question = question(fields[0], number(fields[1]));
                    case.rcode = if fields[2] == "NXDOMAIN" { 3 } else { 0 };
                    case.verdict = fields[3].to_owned();
                }
                "answer" => case.records.push(record(Section::Answer, rest)),
                "authority" => case.records.push(record(Section::Authority, rest)),
                other => panic!("{other}"),
            }
        }
        case
    }

    fn message(&self, records: &[Record]) -> Vec<u8> {
        let build = Build::answer(&self.question).rcode(self.rcode);
        let add =
            |build: Build, r: &Record| build.record(r.section, &r.owner, r.rtype, r.ttl, &r.value);
        records.iter().fold(build, add).done()
    }

    /// Validates with the zone's key known, and one of the root's, which signs nothing.
    fn judge(&self, records: &[Record]) -> Verdict {
        let validator = Validator::default();
        let zone = |name: &str, key: &[u8]| {
            let keys = vec![Dnskey::read(key).unwrap()];
            let name = Name::from_text(name).unwrap();
            validator.known().insert(
                &name,
                Trust::Secure(Arc::new(SignedZone { name: name.clone(), keys })),
                60,
                self.now,
            );
        };
        zone("example", &self.key);
        zone(".", &[1, 1, 3, 15, 0]);
        let Ok(mut session) = ValidationSession::new(&self.message(records)) else {
            return Verdict::Bogus(crate::dns::ede::Ede::new(6, "no message"));
        };
        match session.step(&validator, self.now) {
            Progress::Done(validated) => validated.verdict,
            // A name below the zone's is not a zone, so answers in the zone's name have to validate
            // alone.
            Progress::Query(asks) => {
                for ask in asks {
                    let none =
                        crate::dns::ede::Ede::new(crate::dns::ede::Ede::OTHER, "not asked here");
                    session.add_reply(ask, Err(none));
                }
                match session.step(&validator, self.now) {
                    Progress::Done(validated) => validated.verdict,
                    Progress::Query(asks) => panic!("{asks:?}"),
                }
            }
        }
    }

    fn run(file: &str) {
        let case = Case::read(file);
        let verdict = case.judge(&case.records);
        let said = match &verdict {
            Verdict::Secure => "secure",
            Verdict::Insecure(None) => "insecure",
            Verdict::Bogus(_) => "bogus",
            other => panic!("{other:?}"),
        };
        assert_eq!(said, case.verdict, "{verdict:?}");
        case.without_a_proof();
        case.with_a_bit_changed();
    }

    /// Every NSEC and NSEC3 record is needed.
    fn without_a_proof(&self) {
        let proofs = self.records.iter().filter(|r| matches!(r.rtype, rtype::NSEC | rtype::NSEC3));
        for proof in proofs {
            let rest: Vec<Record> = self
                .records
                .iter()
                .filter(|r| {
                    r.owner != proof.owner || !matches!(r.rtype, rtype::NSEC | rtype::NSEC3)
                })
                .cloned()
                .collect();
            let verdict = self.judge(&rest);
            let unproven = matches!(verdict, Verdict::Bogus(_) | Verdict::Indeterminate(_));
            // Where names may be left out of the proof (opt-out), less is proven than a denial.
            let left_out = self.verdict == "insecure" && verdict == Verdict::Insecure(None);
            assert!(unproven || left_out, "{verdict:?}");
        }
    }

    /// No signed bit can be changed, except what AD does not cover.
    fn with_a_bit_changed(&self) {
        let denial = !self.records.iter().any(|r| r.section == Section::Answer);
        for (at, changed) in self.records.iter().enumerate() {
            let covered = denial
                || changed.section == Section::Answer
                || matches!(changed.rtype, rtype::NSEC | rtype::NSEC3);
            let length = changed.value.len();
            for byte in [0, length / 2, length - 1] {
                let mut records = self.records.clone();
                records[at].value[byte] ^= 1;
                let verdict = self.judge(&records);
                let spoilt = matches!(verdict, Verdict::Bogus(_) | Verdict::Indeterminate(_));
                // A signature over something else is as good as none; see above.
                let left_out = changed.rtype == rtype::RRSIG
                    && self.verdict == "insecure"
                    && verdict == Verdict::Insecure(None);
                assert!(
                    spoilt || left_out || !covered,
                    "{} {byte}: {verdict:?}",
                    Name::of(&changed.owner)
                );
            }
        }
    }
}

macro_rules! cases {
    ($($name:ident)*) => { $(#[test] fn $name() { Case::run(stringify!($name)); })* };
}

cases! {
    rfc4035_b1_answer
    rfc4035_b2_name_error
    rfc4035_b3_no_data
    rfc4035_b5_unsigned_delegation
    rfc4035_b6_wildcard
    rfc4035_b7_wildcard_no_data
    rfc4035_b8_ds_of_the_child
    rfc5155_b1_name_error
    rfc5155_b2_no_data
    rfc5155_b2_1_empty_non_terminal
    rfc5155_b3_opt_out_delegation
    rfc5155_b4_wildcard
    rfc5155_b5_wildcard_no_data
    rfc5155_b6_ds_of_the_child
}
