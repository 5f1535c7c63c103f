//! The bytes of `docs/protocol.md`, written from the page and not from the code: what the vectors
//! are made of. Nothing here uses the crate that is tested.

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    sync::Mutex,
};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use blake2::{Blake2b, Digest, digest::consts::U32};
use ed25519_dalek::{Signer, SigningKey};

pub type H32 = [u8; 32];

/// What the page says of a network, as far as vectors need it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Net {
    pub name: &'static str,
    pub magic: &'static [u8; 4],
    pub base: u64,
    /// The easiest target, compact: shift and mantissa.
    pub easiest: u32,
    pub is_fixed: bool,
    pub interval: u64,
}

pub const MAIN: Net = Net {
    name: "main",
    magic: b"NCm1",
    base: 524_288,
    easiest: 0x5780_0000,
    is_fixed: false,
    interval: 120,
};
pub const TEST: Net =
    Net { name: "test", magic: b"NCt1", base: 8_192, easiest: 0x5d80_0000, ..MAIN };
pub const DEV: Net = Net {
    name: "dev",
    magic: b"NCd1",
    base: 64,
    easiest: 0x6880_0000,
    is_fixed: true,
    interval: 1,
};

pub const GENESIS_TIME: u64 = 1_795_046_400;
pub const HALF_LIFE: u64 = 2_700;
pub const DAY: u64 = 86_400;
pub const LEASE: u64 = 31_536_000;
pub const GRACE: u64 = 2_592_000;
pub const BRANCH: u32 = 2;

pub fn tag(net: Net, domain: &str) -> [u8; 16] {
    let mut tag = [0; 16];
    tag[..domain.len()].copy_from_slice(domain.as_bytes());
    tag[12..].copy_from_slice(net.magic);
    tag
}

pub fn hash(net: Net, domain: &str, parts: &[&[u8]]) -> H32 {
    let mut hasher = Blake2b::<U32>::new();
    hasher.update(tag(net, domain));
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// `W(memory, password)` of section 1.5.
pub fn work_value(net: Net, memory_kib: u32, password: &[u8]) -> u128 {
    thread_local! {
        static MEMORY: RefCell<Vec<Block>> = RefCell::new(vec![Block::default(); 1_024]);
    }
    let params = Params::new(memory_kib, 1, 1, Some(16)).unwrap();
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (salt, mut out) = (tag(net, "namechain"), [0; 16]);
    MEMORY.with_borrow_mut(|memory| {
        let memory = &mut memory[..memory_kib as usize];
        argon.hash_password_into_with_memory(password, &salt, &mut out, memory).unwrap();
    });
    u128::from_be_bytes(out)
}

/// The first nonce for which `holds`. Making all vectors takes minutes of work, nearly all of it
/// here: what was found is kept in a file beside the build, under `what` is searched for.
pub fn search(what: &[u8], mut holds: impl FnMut(u64) -> bool) -> u64 {
    static KNOWN: Mutex<Option<HashMap<String, u64>>> = Mutex::new(None);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vector-nonces");
    let what = hex::encode(hash(DEV, "search", &[what]));
    let known = KNOWN.lock().unwrap().get_or_insert_with(|| read_nonces(&path)).get(&what).copied();
    if let Some(nonce) = known.filter(|nonce| holds(*nonce)) {
        return nonce;
    }
    let nonce = (0..).find(|nonce| holds(*nonce)).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    writeln!(file, "{what} {nonce}").unwrap();
    nonce
}

fn read_nonces(path: &Path) -> HashMap<String, u64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.filter_map(|(what, nonce)| Some((what.to_owned(), nonce.parse().ok()?))).collect()
}

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn public(seed: u8) -> H32 {
    key(seed).verifying_key().to_bytes()
}

pub fn sign(seed: u8, message: &[u8]) -> Vec<u8> {
    key(seed).sign(message).to_bytes().to_vec()
}

pub fn name_bytes(name: &str) -> Vec<u8> {
    [&[name.len() as u8], name.as_bytes()].concat()
}

pub fn optional(value: Option<&[u8]>) -> Vec<u8> {
    value.map_or(vec![0], |value| [&[1], value].concat())
}

pub fn record(owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let len = (rdata.len() as u16).to_be_bytes();
    [owner, &rtype.to_be_bytes(), &ttl.to_be_bytes(), &len, rdata].concat()
}

/// The records field: its length and what follows.
pub fn records(all: &[Vec<u8>]) -> Vec<u8> {
    let all = all.concat();
    [&(all.len() as u16).to_be_bytes()[..], &all].concat()
}

/// One A record at the apex, 15 bytes.
pub fn one_record() -> Vec<u8> {
    records(&[record(&[0], 1, 300, &[192, 0, 2, 1])])
}

/// Records of exactly this many bytes.
pub fn records_of(bytes: usize) -> Vec<u8> {
    records(&[record(&[0], 16, 300, &vec![0x61; bytes - 9])])
}

pub fn varint(mut value: u128) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        out.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            return out;
        }
    }
}

/// The signed varint of `a ⊖ b`.
pub fn lead(a: u64, b: u64) -> Vec<u8> {
    let n = i128::from(a.wrapping_sub(b) as i64);
    varint(if n >= 0 { 2 * n } else { -2 * n - 1 } as u128)
}

// Section 1.6.

pub fn down(value: (u64, i64)) -> u32 {
    let (mantissa, shift) = value;
    let excess = 40 - i64::from(mantissa.leading_zeros());
    let (shift, mantissa) =
        (shift + excess, if excess > 0 { mantissa >> excess } else { mantissa << -excess });
    match shift {
        ..0 => 0x0080_0000,
        0..=104 => (shift as u32) << 24 | mantissa as u32,
        _ => 0x68ff_ffff,
    }
}

pub fn target(net: Net, time: u64, due: u64) -> u32 {
    let late = i128::from(time) - i128::from(due);
    if net.is_fixed || late >= 0 {
        return net.easiest;
    }
    let x = (late * 65_536).div_euclid(i128::from(HALF_LIFE)).max(-200 * 65_536);
    let (s, f) = (x.div_euclid(65_536), x.rem_euclid(65_536));
    let cubic = 195_766_423_245_049 * f + 971_821_376 * f.pow(2) + 5_127 * f.pow(3) + (1 << 47);
    let factor = 65_536 + cubic / (1 << 48);
    let (mantissa, shift) = (net.easiest & 0xff_ffff, i64::from(net.easiest >> 24));
    down((u64::from(mantissa) * factor as u64, shift + s as i64 - 16))
}

pub fn target_value(compact: u32) -> u128 {
    u128::from(compact & 0xff_ffff) << (compact >> 24)
}

/// `floor(2^128 / (target + 1))`.
pub fn target_work(compact: u32) -> u128 {
    let divisor = target_value(compact) + 1;
    // 2^128 = (2^128 - 1) + 1.
    let (quotient, rest) = (u128::MAX / divisor, u128::MAX % divisor);
    quotient + u128::from(rest + 1 == divisor)
}

// Section 6.1.

pub fn scaled(base: u64, p: u32) -> u64 {
    let product = (u128::from(base) * u128::from(p)).div_ceil(1_024);
    product.clamp(1, u64::MAX.into()) as u64
}

pub fn factor(name: &str) -> u64 {
    match name.len() {
        3 => 256,
        4 => 64,
        5 => 8,
        _ => 1,
    }
}

pub fn registration(net: Net, name: &str, p: u32) -> u64 {
    scaled(net.base * factor(name), p)
}

pub fn records_price(net: Net, n: usize, p: u32) -> u64 {
    scaled(net.base * (1 + (n as u64).div_ceil(512)) / 32, p)
}

pub fn renewal(net: Net, name: &str) -> u64 {
    (net.base * factor(name) / 16).max(1)
}

pub fn rescue(net: Net) -> u64 {
    (net.base / 64).max(1)
}

/// `next(p, c, aim)` of section 6.3.
pub fn next_multiplier(net: Net, p: u32, c: u64, aim: u64, dt: u64) -> u32 {
    if net.is_fixed {
        return 1_024;
    }
    let clamp = |p: u128| p.clamp(1_024, 1 << 31);
    let (p, c, aim) = (u128::from(p), u128::from(c), u128::from(aim));
    let interval = u128::from(net.interval);
    let mut next = clamp(if c >= aim {
        p + p * (c - aim) / (8 * aim)
    } else {
        p - p * (aim - c) * interval.min(dt.into()) / (8 * aim * interval)
    });
    for _ in 1..(dt / net.interval).min(160) {
        next = clamp(next - next / 8);
    }
    next as u32
}

/// `max(parent's due, parent's time) + interval`.
pub fn next_due(net: Net, due: u64, time: u64) -> u64 {
    due.max(time).saturating_add(net.interval)
}

// Sections 4 and 11.

#[derive(Clone)]
pub struct Head {
    pub version: u32,
    pub height: u32,
    pub previous: H32,
    pub ops_root: H32,
    pub state_root: H32,
    pub history_root: H32,
    pub time: u64,
    pub due: u64,
    pub names: u32,
    pub bytes: u32,
    pub nonce: u64,
}

impl Head {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = [self.version.to_be_bytes(), self.height.to_be_bytes()].concat();
        for root in [self.previous, self.ops_root, self.state_root, self.history_root] {
            out.extend(root);
        }
        out.extend([self.time.to_be_bytes(), self.due.to_be_bytes()].concat());
        out.extend([self.names.to_be_bytes(), self.bytes.to_be_bytes()].concat());
        out.extend(self.nonce.to_be_bytes());
        out
    }

    pub fn id(&self, net: Net) -> H32 {
        hash(net, "header-id", &[&self.encode()])
    }

    pub fn value(&self, net: Net) -> u128 {
        work_value(net, 1_024, &[&tag(net, "work-header")[..], &self.encode()].concat())
    }

    pub fn has_work(&self, net: Net) -> bool {
        self.value(net) <= target_value(target(net, self.time, self.due))
    }

    /// The header with the first nonce for which its work holds, or does not.
    pub fn search(&self, net: Net, holds: bool) -> Head {
        let start = Head { nonce: 0, ..self.clone() };
        let what = [&tag(net, "header-id")[..], &start.encode(), &[holds.into()]].concat();
        let with = |nonce| Head { nonce, ..start.clone() };
        with(search(&what, |nonce| with(nonce).has_work(net) == holds))
    }

    pub fn leaf(&self, net: Net) -> RangeNode {
        let work = target_work(target(net, self.time, self.due));
        RangeNode::leaf(net, &self.id(net), work, self.time, self.due)
    }
}

pub fn genesis(net: Net) -> Head {
    Head {
        version: BRANCH,
        height: 0,
        previous: [0; 32],
        ops_root: ops_root(net, &[]),
        state_root: [0; 32],
        history_root: history_root(net, &[]),
        time: GENESIS_TIME,
        due: GENESIS_TIME,
        names: 1_024,
        bytes: 1_024,
        nonce: 0,
    }
}

pub fn genesis_id(net: Net) -> H32 {
    genesis(net).id(net)
}

pub fn block(head: &Head, ops: &[Vec<u8>]) -> Vec<u8> {
    [head.encode(), (ops.len() as u32).to_be_bytes().to_vec(), ops.concat()].concat()
}

pub fn ops_root(net: Net, ops: &[Vec<u8>]) -> H32 {
    match ops {
        [] => hash(net, "ops-empty", &[]),
        [one] => hash(net, "ops-leaf", &[one]),
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            hash(net, "ops-node", &[&ops_root(net, left), &ops_root(net, right)])
        }
    }
}

/// A node of the history range (section 4.3).
#[derive(Clone)]
pub struct RangeNode {
    pub hash: H32,
    pub work: u128,
    pub first: (u64, u64),
    pub last: (u64, u64),
}

impl RangeNode {
    pub fn leaf(net: Net, id: &H32, work: u128, time: u64, due: u64) -> RangeNode {
        let parts = [varint(work), varint(time.into()), lead(due, time)].concat();
        let hash = hash(net, "hist-leaf", &[id, &parts]);
        RangeNode { hash, work, first: (time, due), last: (time, due) }
    }

    pub fn encode(&self) -> Vec<u8> {
        let span = self.last.0.wrapping_sub(self.first.0);
        let mut out = [self.hash.to_vec(), varint(self.work), varint(self.first.0.into())].concat();
        out.extend(varint(span.into()));
        out.extend([lead(self.first.1, self.first.0), lead(self.last.1, self.last.0)].concat());
        out
    }

    pub fn join(net: Net, left: &RangeNode, right: &RangeNode) -> RangeNode {
        RangeNode {
            hash: hash(net, "hist-node", &[&left.encode(), &right.encode()]),
            work: left.work.saturating_add(right.work),
            first: left.first,
            last: right.last,
        }
    }

    /// The node over these leaves, as many as a power of two.
    pub fn over(net: Net, leaves: &[RangeNode]) -> RangeNode {
        match leaves {
            [leaf] => leaf.clone(),
            more => {
                let (left, right) = more.split_at(more.len() / 2);
                RangeNode::join(net, &RangeNode::over(net, left), &RangeNode::over(net, right))
            }
        }
    }
}

/// The sizes of the peaks over so many leaves, the largest first.
pub fn peak_sizes(count: usize) -> Vec<usize> {
    (0..usize::BITS).rev().map(|bit| 1 << bit).filter(|size| count & size != 0).collect()
}

pub fn peaks(net: Net, mut leaves: &[RangeNode]) -> Vec<RangeNode> {
    let mut peaks = Vec::new();
    for size in peak_sizes(leaves.len()) {
        peaks.push(RangeNode::over(net, &leaves[..size]));
        leaves = &leaves[size..];
    }
    peaks
}

pub fn history_root(net: Net, leaves: &[RangeNode]) -> H32 {
    let count = (leaves.len() as u64).to_be_bytes();
    let joined = peaks(net, leaves).into_iter().rev().reduce(|r, l| RangeNode::join(net, &l, &r));
    let bytes = joined.map(|node| node.encode()).unwrap_or_default();
    hash(net, "hist-root", &[&count, &bytes])
}

/// The bytes of a place proof (section 10).
pub fn place_proof(net: Net, leaves: &[RangeNode], index: usize) -> Vec<u8> {
    let (mut first, mut place) = (0, 0);
    let sizes = peak_sizes(leaves.len());
    while index - first >= sizes[place] {
        first += sizes[place];
        place += 1;
    }
    let before = leaves[..index].iter().map(|leaf| leaf.work).sum();
    let mut out = [(index as u64).to_be_bytes(), (leaves.len() as u64).to_be_bytes()].concat();
    out.extend(varint(before));
    let mut size = 1;
    while size < sizes[place] {
        let sibling = first + (((index - first) / size) ^ 1) * size;
        out.extend(RangeNode::over(net, &leaves[sibling..sibling + size]).encode());
        size *= 2;
    }
    for (other, peak) in peaks(net, leaves).iter().enumerate() {
        if other != place {
            out.extend(peak.encode());
        }
    }
    out
}

// Section 5.2.

pub fn bit(key: &H32, number: usize) -> bool {
    key[number / 8] >> (7 - number % 8) & 1 == 1
}

/// The root over sorted keys and value hashes.
pub fn tree_root(net: Net, leaves: &[(H32, H32)]) -> H32 {
    match leaves {
        [] => [0; 32],
        [(key, value)] => hash(net, "tree-leaf", &[key, value]),
        more => {
            let (low, high) = (&more[0].0, &more[more.len() - 1].0);
            let number = (0..256).find(|n| bit(low, *n) != bit(high, *n)).unwrap();
            let at = more.partition_point(|(key, _)| !bit(key, number));
            let (left, right) = (tree_root(net, &more[..at]), tree_root(net, &more[at..]));
            hash(net, "tree-node", &[&[number as u8], &left, &right])
        }
    }
}
