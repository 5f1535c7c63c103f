//! From an attempt to an operation, in the state in which it is tried.

use std::{cmp::Reverse, sync::LazyLock};

use namechain_core::types::{
    Action, Hash, Locators, MessagingEntry, MessagingLink, MessagingPolicy, MessagingRecord, Name,
    NameEntry, Network, Operation, PublicKey, Record, RecordSet, SecretKey, Signature,
    SignedMessagingRecord, SignedOperation, Stamp, commitment, next_key_hash,
};

use crate::{
    acts::Status,
    common,
    plain_map::Draft as Block,
    plan::{Act, Attempt, Draft, KEYS, Link, Size, Twist, Who},
    prices::DAY_S,
};

/// Their lengths have different prices. The first is the one that most is about.
pub const NAMES: [&str; 6] = ["first-name", "second-name", "third-name", "xqzvw", "xqzv", "xqz"];

/// What is computed once of keys and names.
pub struct Cast {
    pub names: Vec<Name>,
    pub secrets: Vec<SecretKey>,
    pub keys: Vec<PublicKey>,
    /// By the number of a name, then by that of a key.
    salts: Vec<Vec<[u8; 32]>>,
    commitments: Vec<Vec<Hash>>,
}

impl Cast {
    fn new(network: Network) -> Self {
        let names: Vec<Name> = NAMES.iter().map(|text| common::name(text)).collect();
        let secrets: Vec<SecretKey> = (1..=KEYS).map(common::key).collect();
        let keys: Vec<PublicKey> = secrets.iter().map(SecretKey::public).collect();
        let salts_of = |name| secrets.iter().map(|key| key.salt(network, name)).collect();
        let salts: Vec<Vec<[u8; 32]>> = names.iter().map(salts_of).collect();
        let commitments = names.iter().zip(&salts).map(|(name, salts)| {
            let of_key = |(key, salt)| commitment(network, name, key, salt);
            keys.iter().zip(salts).map(of_key).collect()
        });
        let commitments = commitments.collect();
        Cast { names, secrets, keys, salts, commitments }
    }

    pub fn of(network: Network) -> &'static Cast {
        static DEV: LazyLock<Cast> = LazyLock::new(|| Cast::new(Network::Dev));
        static TEST: LazyLock<Cast> = LazyLock::new(|| Cast::new(Network::Test));
        match network {
            Network::Test => &TEST,
            _ => &DEV,
        }
    }

    fn number(&self, key: &PublicKey) -> usize {
        self.keys.iter().position(|known| known == key).unwrap_or(0)
    }

    /// The name and the key that a commitment is of.
    fn opened(&self, commitment: &Hash) -> Option<(usize, usize)> {
        self.commitments
            .iter()
            .enumerate()
            .find_map(|(name, row)| Some((name, row.iter().position(|c| c == commitment)?)))
    }
}

/// Where an operation is built: in which block it is to come, and what it may refer to.
pub struct Scene<'a> {
    pub network: Network,
    /// What the block is after the operations that are tried before this one.
    pub block: &'a Block<'a>,
    /// The chain's block ids and former titles, the tip last.
    pub places: &'a [crate::plain_map::Place],
    /// A block that is on no chain of ours.
    pub elsewhere: Hash,
    /// Whether signatures are made.
    pub signs: bool,
}

impl Scene<'_> {
    pub fn build(&self, attempt: &Attempt) -> Operation {
        let attempt = &self.first_things_first(attempt);
        let (cast, time) = (Cast::of(self.network), self.block.now.time);
        let (name_number, signer, reference) = self.subject(cast, attempt);
        let entry = self.block.rows.names.get(&cast.names[name_number]);
        let stamp = self.stamp(attempt);
        if let Act::Commit(key) = attempt.act {
            return self.commit(attempt, key.into(), stamp);
        }
        let name = &cast.names[name_number];
        let valid_until = match attempt.twist {
            Twist::ValidTo(seconds) => time.saturating_add_signed(seconds),
            _ => time + DAY_S / 2,
        };
        let (key, twist) = (cast.keys[signer], attempt.twist);
        let salt = cast.salts[name_number][signer];
        let action = match &attempt.act {
            Act::Register { recovery, .. } => register(cast, *recovery, salt, twist),
            Act::Publish(draft) => self.publish(name, &reference, draft, entry, twist),
            act => changing(cast, act, entry, twist),
        };
        let signature = Signature([0; 64]);
        let mut named = SignedOperation {
            name: name.clone(),
            reference,
            valid_until,
            signer: key,
            action,
            signature,
            stamp,
        };
        if self.signs {
            let message = named.signing_message(&common::context());
            named.signature = cast.secrets[signer].sign(&message);
        }
        self.priced(Operation::Named(named), attempt.twist)
    }

    /// What has to come before what is attempted, if it is not there.
    fn first_things_first(&self, attempt: &Attempt) -> Attempt {
        let mut attempt = attempt.clone();
        let rows = &self.block.rows;
        if let Who::Key(_) = attempt.who {
            return attempt;
        }
        let registers = matches!(attempt.act, Act::Register { .. });
        let is_change = !registers && !matches!(attempt.act, Act::Commit(_));
        if is_change && rows.names.is_empty() {
            let (commit, recovery) = (Some(0), Some(1));
            attempt.act = Act::Register { commit, recovery };
            return self.first_things_first(&attempt);
        }
        let is_answer = matches!(attempt.act, Act::Accept(_) | Act::Cancel);
        if is_answer && rows.names.values().all(|entry| entry.transfer.is_none()) {
            attempt.act = Act::Transfer(1);
        }
        let is_lost = |entry: &NameEntry| entry.revoked && entry.recovery.is_some();
        if is_change && attempt.twist.is_none() && rows.names.values().all(is_lost) {
            attempt.act = Act::Recover(0, Some(1));
        }
        let opens = matches!(attempt.act, Act::Register { commit: Some(_), .. });
        if opens && rows.commits.values().all(|row| row.spent) {
            attempt.act = Act::Commit(0);
        }
        attempt
    }

    /// The numbers of the name and of the signing key, and what the operation refers to.
    fn subject(&self, cast: &Cast, attempt: &Attempt) -> (usize, usize, Hash) {
        let rows = &self.block.rows;
        let key_or = |right: usize| match attempt.who {
            Who::Key(number) | Who::Wrong(number) => usize::from(number),
            Who::Right => right,
        };
        if let Act::Register { commit, .. } = &attempt.act {
            let of_ours = rows.commits.values().filter_map(|row| {
                let (name, key) = cast.opened(&row.commitment)?;
                Some((name, key, row.commit_id))
            });
            let mut of_ours: Vec<_> = of_ours.collect();
            let displacing = |(name, _, commit_id): &(usize, usize, Hash)| {
                self.is_displacing(&cast.names[*name], commit_id)
            };
            let ripe = |(.., commit_id): &(usize, usize, Hash)| self.is_ripe(commit_id);
            if attempt.twist.is_none() && of_ours.iter().any(displacing) {
                of_ours.retain(displacing);
            } else if attempt.twist.is_none() && of_ours.iter().any(ripe) {
                of_ours.retain(ripe);
            }
            // The youngest first: then an older one can displace it.
            of_ours.sort_by_key(|(.., id)| Reverse(rows.commits[id].position));
            return match commit {
                Some(index) if !of_ours.is_empty() => {
                    let (name, key, commit_id) = of_ours[usize::from(*index) % of_ours.len()];
                    (name, key_or(key), commit_id)
                }
                _ => (attempt.name, key_or(0), Hash([6; 32])),
            };
        }
        let is_answer = matches!(attempt.act, Act::Accept(_) | Act::Cancel);
        let fit = |entry: &&NameEntry| !is_answer || entry.transfer.is_some();
        let owned: Vec<&Name> = rows.names.values().filter(fit).map(|entry| &entry.name).collect();
        let name = match attempt.who {
            Who::Right | Who::Wrong(_) if !owned.is_empty() => owned[attempt.name % owned.len()],
            _ => &cast.names[attempt.name],
        };
        let entry = rows.names.get(name);
        let title = entry.map_or(Hash::ZERO, |entry| entry.title);
        let title = match attempt.twist {
            Twist::StaleTitle => self.stale_title(name, title),
            _ => title,
        };
        let number = cast.names.iter().position(|known| known == name).unwrap_or(0);
        (number, key_or(right_key(cast, &attempt.act, entry)), title)
    }

    /// Whether a Commit can be opened now.
    fn is_ripe(&self, commit_id: &Hash) -> bool {
        let (row, now) = (&self.block.rows.commits[commit_id], &self.block.now);
        let (blocks, seconds) = self.block.model().rules.commit;
        let is_old = now.height >= row.position.height + blocks && now.time >= row.time + seconds;
        is_old && !row.spent
    }

    /// Whether a Commit can take a name from somebody as it settles.
    fn is_displacing(&self, name: &Name, commit_id: &Hash) -> bool {
        let (rows, now) = (&self.block.rows, &self.block.now);
        let model = self.block.model();
        let (Some(entry), Some(row)) = (rows.names.get(name), rows.commits.get(commit_id)) else {
            return false;
        };
        let settles = model.status(entry, now.height, now.time) == Status::Settling;
        settles && !row.spent && row.position < entry.commit
    }

    fn stamp(&self, attempt: &Attempt) -> Stamp {
        let back = match attempt.twist {
            Twist::AnchorBack(back) => back as usize,
            _ => 0,
        };
        let place = self.places.iter().rev().nth(back).unwrap_or(&self.places[0]);
        let anchor = match attempt.twist {
            Twist::AnchorElsewhere => self.elsewhere,
            _ => place.id,
        };
        let nonce = match attempt.twist {
            Twist::Nonce(nonce) => u64::from(nonce),
            _ => 0,
        };
        Stamp { anchor, work: 1, nonce }
    }

    fn commit(&self, attempt: &Attempt, signer: usize, stamp: Stamp) -> Operation {
        let cast = Cast::of(self.network);
        let commitment = cast.commitments[attempt.name][signer];
        let mut op = Operation::Commit { commitment, stamp };
        let price = self.block.registration(&cast.names[attempt.name], &stamp.anchor);
        op.stamp_mut().work = match attempt.twist {
            Twist::Salt => self.block.price(&op),
            twist => twisted(price, twist),
        };
        op
    }

    fn priced(&self, mut op: Operation, twist: Twist) -> Operation {
        op.stamp_mut().work = twisted(self.block.price(&op), twist);
        op
    }

    /// The last title that a name had before the present one, on this chain.
    fn stale_title(&self, name: &Name, title: Hash) -> Hash {
        let titles = self.places.iter().rev().filter_map(|place| place.rows.names.get(name));
        titles.map(|entry| entry.title).find(|old| *old != title).unwrap_or(Hash([7; 32]))
    }

    fn publish(
        &self,
        name: &Name,
        title: &Hash,
        draft: &Draft,
        entry: Option<&NameEntry>,
        twist: Twist,
    ) -> Action {
        let cast = Cast::of(self.network);
        let stands = entry.and_then(|entry| entry.messaging.as_deref());
        let hash_of = |number: usize| next_key_hash(self.network, &cast.keys[number]);
        let announced = |stands: &MessagingEntry| {
            (0..cast.keys.len()).find(|number| hash_of(*number) == stands.record.next)
        };
        let identity = match draft.identity {
            Some(number) => usize::from(number),
            None => stands.and_then(announced).unwrap_or(0),
        };
        let next = entry.map_or(0, |entry| entry.messaging_sequence) + 1;
        let previous = match stands {
            _ if !draft.is_previous_right => Hash([4; 32]),
            Some(stands) => stands.record.hash(self.network),
            None => Hash::ZERO,
        };
        let record = MessagingRecord {
            sequence: next.saturating_add_signed(draft.sequence.into()),
            previous,
            identity: cast.keys[identity],
            next: draft.next.map_or(Hash::ZERO, |number| hash_of(number.into())),
            x25519: [0; 32],
            bundle: Hash::ZERO,
            locators: Locators::default(),
            policy: MessagingPolicy::default(),
        };
        let link = match draft.link {
            Link::None => None,
            Link::Standing => stands.map(|stands| cast.number(&stands.record.identity)),
            Link::Key(number) => Some(usize::from(number)),
        };
        let signed = if self.signs {
            let link = link.map(|number| &cast.secrets[number]);
            let identity = &cast.secrets[identity];
            SignedMessagingRecord::sign(self.network, name, title, record, identity, link)
        } else {
            let signature = Signature([0; 64]);
            let link = link.map(|number| MessagingLink { identity: cast.keys[number], signature });
            SignedMessagingRecord { record, possession: signature, link }
        };
        Action::Publish { sequence: next_sequence(entry, twist), record: Some(Box::new(signed)) }
    }
}

fn register(cast: &Cast, recovery: Option<u8>, mut salt: [u8; 32], twist: Twist) -> Action {
    if let Twist::Salt = twist {
        salt[0] ^= 1;
    }
    let recovery = recovery.map(|number| cast.keys[usize::from(number)]);
    Action::Register { recovery, salt, records: record_set(Size::One(1)) }
}

fn changing(cast: &Cast, act: &Act, entry: Option<&NameEntry>, twist: Twist) -> Action {
    let key = |number: &u8| cast.keys[usize::from(*number)];
    let sequence = next_sequence(entry, twist);
    let pending = entry.and_then(|entry| entry.transfer.as_ref());
    let transfer = match twist {
        Twist::Sequence(_) | Twist::Salt => Hash([5; 32]),
        _ => pending.map_or(Hash::ZERO, |pending| pending.subject),
    };
    match act {
        Act::Update(size) => Action::Update { sequence, records: record_set(*size) },
        Act::Renew => {
            let off = if let Twist::Sequence(off) = twist { i64::from(off) } else { 0 };
            let expires = entry.map_or(0, |entry| entry.expires);
            Action::Renew { expires: expires.saturating_add_signed(off) }
        }
        Act::Transfer(to) => Action::Transfer { sequence, to: key(to) },
        Act::Accept(recovery) => Action::Accept { transfer, recovery: recovery.as_ref().map(key) },
        Act::Cancel => Action::Cancel { transfer },
        Act::Recover(owner, recovery) => {
            Action::Recover { owner: key(owner), recovery: recovery.as_ref().map(key) }
        }
        Act::Revoke => Action::Revoke,
        Act::Withdraw => Action::Publish { sequence, record: None },
        Act::Commit(_) | Act::Register { .. } | Act::Publish(_) => {
            unreachable!("these are built elsewhere")
        }
    }
}

fn next_sequence(entry: Option<&NameEntry>, twist: Twist) -> u32 {
    let off = if let Twist::Sequence(off) = twist { i32::from(off) } else { 0 };
    (entry.map_or(0, |entry| entry.sequence) + 1).saturating_add_signed(off)
}

/// The number of the key that may do it.
fn right_key(cast: &Cast, act: &Act, entry: Option<&NameEntry>) -> usize {
    let key = entry.and_then(|entry| match act {
        Act::Recover(..) => entry.recovery,
        Act::Accept(_) => entry.transfer.map(|pending| pending.to),
        _ => Some(entry.owner),
    });
    key.map_or(0, |key| cast.number(&key))
}

fn twisted(price: u64, twist: Twist) -> u64 {
    match twist {
        Twist::Work(more) => price.saturating_add_signed(more).max(1),
        _ => price,
    }
}

/// Records of this size, as the page counts it.
fn record_set(size: Size) -> RecordSet {
    // Owner, type, ttl and rdata length of a record at the name itself.
    const FIELDS: usize = 1 + 2 + 4 + 2;
    let rdata = match size {
        Size::None => return RecordSet::default(),
        Size::One(number) => vec![10, 0, 0, number],
        Size::Bytes(bytes) => vec![0; bytes - FIELDS],
    };
    RecordSet::new(vec![Record { owner: vec![0], rtype: 1, ttl: 60, rdata }])
        .expect("the records are within their bounds")
}
