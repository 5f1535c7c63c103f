//! Zones that the tests sign with Ed25519.

use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::dns::ede::Ede;
use crate::dns::message::Section;
use crate::dns::rtype;
use crate::dns::testing::{Build, name, question};
use crate::dnssec::validate::anchors::Anchors;
use crate::dnssec::validate::keys::Dnskey;
use crate::dnssec::validate::rrset::Message;
use crate::dnssec::validate::session::{Progress, ValidationSession, Validator};
use crate::dnssec::validate::signed_data;
use crate::dnssec::validate::verdict::Verdict;

/// The time in these tests.
pub const NOW: u64 = 1_700_000_000;

/// The fields of a signature.
#[derive(Clone)]
pub struct Claims {
    pub signer: &'static str,
    pub labels: Option<u8>,
    pub expiration: u32,
    pub inception: u32,
    pub algorithm: u8,
}

impl Claims {
    pub fn of(signer: &'static str) -> Claims {
        let now = NOW as u32;
        Claims {
            signer,
            labels: None,
            expiration: now + 1_000,
            inception: now - 1_000,
            algorithm: 15,
        }
    }
}

/// A key pair.
pub struct Pair {
    pair: Ed25519KeyPair,
    /// The RDATA of its DNSKEY record.
    pub dnskey: Vec<u8>,
}

impl Pair {
    pub fn new(seed: u8, flags: u16) -> Pair {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let [high, low] = flags.to_be_bytes();
        let dnskey = [&[high, low, 3, 15], pair.public_key().as_ref()].concat();
        Pair { pair, dnskey }
    }

    pub fn tag(&self) -> u16 {
        Dnskey::read(&self.dnskey).unwrap().tag()
    }

    /// The RRSIG of an RRset.
    pub fn sign(
        &self,
        owner: &str,
        rtype: u16,
        ttl: u32,
        values: &[&[u8]],
        claims: &Claims,
    ) -> Vec<u8> {
        let labels = owner.split('.').filter(|label| !label.is_empty() && *label != "*").count();
        let mut head = rtype.to_be_bytes().to_vec();
        head.extend([claims.algorithm, claims.labels.unwrap_or(labels as u8)]);
        for field in [ttl, claims.expiration, claims.inception] {
            head.extend(field.to_be_bytes());
        }
        head.extend(self.tag().to_be_bytes());
        head.extend(name(claims.signer));
        // The validator's own code makes the signed data, from a message with an empty signature.
        let build = Build::answer(&question(owner, rtype));
        let build = values
            .iter()
            .fold(build, |b, v| b.record(Section::Answer, &name(owner), rtype, ttl, v));
        let message = build.record(Section::Answer, &name(owner), rtype::RRSIG, ttl, &head).done();
        let set = Message::read(&message).unwrap().sets.remove(0);
        let bytes = signed_data::signed(&set, &set.signatures[0]).unwrap_or_default();
        [head.as_slice(), self.pair.sign(&bytes).as_ref()].concat()
    }

    /// Adds an RRset and its signature to `build`.
    pub fn add(
        &self,
        build: Build,
        section: Section,
        owner: &str,
        rtype: u16,
        values: &[&[u8]],
        claims: &Claims,
    ) -> Build {
        let signature = self.sign(owner, rtype, 300, values, claims);
        let build =
            values.iter().fold(build, |b, v| b.record(section, &name(owner), rtype, 300, v));
        build.record(section, &name(owner), rtype::RRSIG, 300, &signature)
    }

    /// The key as the line of a trust anchor.
    pub fn anchor(&self, zone: &str) -> String {
        let flags = u16::from_be_bytes([self.dnskey[0], self.dnskey[1]]);
        format!("{zone} IN DNSKEY {flags} 3 15 {}", data_encoding::BASE64.encode(&self.dnskey[4..]))
    }
}

/// Answers the queries of a session: the name in wire form and the type.
pub type World<'a> = &'a dyn Fn(&str, u16) -> Option<Vec<u8>>;

/// Validates a message with the replies of a world.
pub fn judge(anchors: &str, message: &[u8], world: World<'_>) -> Verdict {
    judge_at(anchors, message, world, NOW)
}

/// Validates a message with the replies of a world at a time.
pub fn judge_at(anchors: &str, message: &[u8], world: World<'_>, now: u64) -> Verdict {
    let validator = Validator::new(Anchors::from_text(anchors).unwrap());
    let mut session = ValidationSession::new(message).unwrap();
    loop {
        match session.step(&validator, now) {
            Progress::Done(validated) => return validated.verdict,
            Progress::Query(asks) => {
                for ask in asks {
                    let heard = world(&ask.0.to_string(), ask.1);
                    let heard =
                        heard.as_deref().ok_or_else(|| Ede::new(Ede::OTHER, "nobody answers"));
                    session.add_reply(ask.clone(), heard);
                }
            }
        }
    }
}
