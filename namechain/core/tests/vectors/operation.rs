//! Operations, messaging records and entries as the page has them (sections 2.3, 3 and 5).

use super::page::*;

pub const COMMIT: u8 = 1;
pub const REGISTER: u8 = 2;
pub const UPDATE: u8 = 3;
pub const RENEW: u8 = 4;
pub const TRANSFER: u8 = 5;
pub const ACCEPT: u8 = 6;
pub const CANCEL: u8 = 7;
pub const RECOVER: u8 = 8;
pub const REVOKE: u8 = 9;
pub const PUBLISH: u8 = 10;

/// The kinds that change a name which somebody has.
pub const CHANGES: [u8; 8] = [UPDATE, RENEW, TRANSFER, ACCEPT, CANCEL, RECOVER, REVOKE, PUBLISH];

pub fn label(kind: u8) -> &'static str {
    let labels = [
        "commit", "register", "update", "renew", "transfer", "accept", "cancel", "recover",
        "revoke", "publish",
    ];
    labels[usize::from(kind) - 1]
}

/// How a stamp is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stamped {
    /// With the work that it claims.
    Good,
    /// With a nonce that does not reach it.
    Bad,
    /// As it is, with this nonce: in wire examples.
    Nonce(u64),
}

/// An operation before it is signed and stamped.
#[derive(Clone)]
pub struct Op {
    pub net: Net,
    pub kind: u8,
    pub name: Vec<u8>,
    /// The id of the Commit, or the title.
    pub reference: H32,
    pub valid_until: u64,
    /// The seed of the key that signs.
    pub seed: u8,
    /// What stands as the signer, if not that key.
    pub signer: Option<H32>,
    pub fields: Vec<u8>,
    pub genesis: H32,
    pub branch: u32,
    /// Changes the signature once it is made.
    pub forge: fn(&mut Vec<u8>),
    pub anchor: H32,
    pub work: u64,
    pub stamped: Stamped,
}

impl Op {
    /// What is signed without its prefix; all of a Commit without its stamp.
    pub fn body(&self) -> Vec<u8> {
        let mut out = vec![self.kind];
        if self.kind != COMMIT {
            out.extend(&self.name);
            out.extend(self.reference);
            out.extend(self.valid_until.to_be_bytes());
            out.extend(self.signer.unwrap_or_else(|| public(self.seed)));
        }
        out.extend(&self.fields);
        out
    }

    pub fn signing_message(&self) -> Vec<u8> {
        let tag = tag(self.net, "sign-op");
        [&tag[..], &self.genesis, &self.branch.to_be_bytes(), &self.body()].concat()
    }

    /// Everything before the stamp.
    pub fn unstamped(&self) -> Vec<u8> {
        let mut out = self.body();
        if self.kind != COMMIT {
            let mut signature = sign(self.seed, &self.signing_message());
            (self.forge)(&mut signature);
            out.extend(signature);
        }
        out
    }

    pub fn subject(&self) -> H32 {
        hash(self.net, "stamp-op", &[&self.unstamped()])
    }

    pub fn stamp_password(&self, nonce: u64) -> Vec<u8> {
        let mut out = tag(self.net, "work-stamp").to_vec();
        out.extend(self.subject());
        out.extend(self.anchor);
        out.extend(self.work.to_be_bytes());
        out.extend(nonce.to_be_bytes());
        out
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.unstamped();
        let mut password = self.stamp_password(0);
        let what = [&password[..], &[(self.stamped == Stamped::Bad).into()]].concat();
        let at = password.len() - 8;
        let mut has_work = |nonce: u64| {
            password[at..].copy_from_slice(&nonce.to_be_bytes());
            work_value(self.net, 256, &password) <= u128::MAX / u128::from(self.work.max(1))
        };
        let nonce = match self.stamped {
            Stamped::Nonce(nonce) => nonce,
            Stamped::Good => search(&what, has_work),
            Stamped::Bad => (0..).find(|nonce| !has_work(*nonce)).unwrap(),
        };
        out.extend(self.anchor);
        out.extend(self.work.to_be_bytes());
        out.extend(nonce.to_be_bytes());
        out
    }

    pub fn id(&self) -> H32 {
        hash(self.net, "op-id", &[&self.bytes()])
    }
}

/// A messaging record (section 2.3).
#[derive(Clone)]
pub struct Message {
    pub sequence: u32,
    pub previous: H32,
    /// The seed of the identity key.
    pub identity: u8,
    pub next: H32,
    pub x25519: H32,
    pub bundle: H32,
    pub locators: Vec<String>,
    pub policy: u8,
}

impl Message {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![1, 0];
        out.extend(self.sequence.to_be_bytes());
        for part in [self.previous, public(self.identity), self.next, self.x25519, self.bundle] {
            out.extend(part);
        }
        out.push(self.locators.len() as u8);
        for locator in &self.locators {
            out.push(locator.len() as u8);
            out.extend(locator.as_bytes());
        }
        out.push(self.policy);
        out
    }

    pub fn hash(&self, net: Net) -> H32 {
        hash(net, "messaging", &[&self.encode()])
    }

    /// What the identity key (`possession`) or the one before (`link`) signs.
    pub fn signing_message(&self, net: Net, domain: &str, name: &[u8], title: &H32) -> Vec<u8> {
        [&tag(net, domain)[..], name, title, &self.encode()].concat()
    }

    /// The signed messaging record, linked by the key with the seed `link` if there is one.
    pub fn signed(&self, net: Net, name: &[u8], title: &H32, link: Option<u8>) -> Vec<u8> {
        let message = |domain| self.signing_message(net, domain, name, title);
        let possession = sign(self.identity, &message("possession"));
        let link = link.map(|seed| [&public(seed)[..], &sign(seed, &message("link"))].concat());
        [self.encode(), possession, optional(link.as_deref())].concat()
    }
}

pub fn next_key(net: Net, seed: u8) -> H32 {
    hash(net, "next-key", &[&public(seed)])
}

/// A height and a time.
pub type At = (u32, u64);

fn at(out: &mut Vec<u8>, (height, time): At) {
    out.extend(height.to_be_bytes());
    out.extend(time.to_be_bytes());
}

#[derive(Clone)]
pub struct NameE {
    pub name: String,
    pub owner: H32,
    pub recovery: Option<H32>,
    pub title: H32,
    pub sequence: u32,
    pub registered: At,
    pub commit: (u32, u32),
    pub updated: At,
    pub expires: u64,
    pub revoked: bool,
    /// By the owner, by the recovery key.
    pub rescued: (u64, u64),
    /// To, subject, height and time.
    pub transfer: Option<(H32, H32, At)>,
    pub records: Vec<u8>,
    /// The record, linked, height and time.
    pub messaging: Option<(Vec<u8>, bool, At)>,
    pub messaging_sequence: u32,
}

#[derive(Clone)]
pub struct CommitE {
    pub id: H32,
    pub commitment: H32,
    pub height: u32,
    pub index: u32,
    pub time: u64,
    pub work: u64,
    pub price: u32,
    pub spent: bool,
}

#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "a few live at a time")]
pub enum E {
    Name(NameE),
    Commit(CommitE),
}

impl E {
    pub fn key(&self, net: Net) -> H32 {
        match self {
            E::Name(entry) => hash(net, "name-key", &[entry.name.as_bytes()]),
            E::Commit(entry) => hash(net, "commit-key", &[&entry.id]),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        match self {
            E::Name(entry) => entry.encode(),
            E::Commit(entry) => entry.encode(),
        }
    }
}

impl NameE {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![1];
        out.extend(name_bytes(&self.name));
        out.extend(self.owner);
        out.extend(optional(self.recovery.as_ref().map(|key| &key[..])));
        out.extend(self.title);
        out.extend(self.sequence.to_be_bytes());
        at(&mut out, self.registered);
        out.extend([self.commit.0.to_be_bytes(), self.commit.1.to_be_bytes()].concat());
        at(&mut out, self.updated);
        out.extend(self.expires.to_be_bytes());
        out.push(self.revoked.into());
        out.extend([self.rescued.0.to_be_bytes(), self.rescued.1.to_be_bytes()].concat());
        out.extend(optional(
            self.transfer
                .map(|(to, subject, when)| {
                    let mut out = [to, subject].concat();
                    at(&mut out, when);
                    out
                })
                .as_deref(),
        ));
        out.extend(&self.records);
        out.extend(optional(
            self.messaging
                .as_ref()
                .map(|(record, linked, when)| {
                    let mut out = record.clone();
                    out.push((*linked).into());
                    at(&mut out, *when);
                    out
                })
                .as_deref(),
        ));
        out.extend(self.messaging_sequence.to_be_bytes());
        out
    }
}

impl CommitE {
    fn encode(&self) -> Vec<u8> {
        let mut out = [&[2][..], &self.id, &self.commitment].concat();
        out.extend([self.height.to_be_bytes(), self.index.to_be_bytes()].concat());
        out.extend([self.time.to_be_bytes(), self.work.to_be_bytes()].concat());
        out.extend(self.price.to_be_bytes());
        out.push(self.spent.into());
        out
    }
}
