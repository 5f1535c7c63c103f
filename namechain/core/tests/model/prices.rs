//! The numbers of docs/protocol.md, section 8, and the prices of section 6.1 and 6.3, written from
//! the page.

use namechain_core::types::{Action, Name, NameEntry, Operation, SignedOperation};

pub const DAY_S: u64 = 86_400;
pub const ANCHOR_BLOCKS: u32 = 720;
pub const ANCHOR_PRICE_BLOCKS: u32 = 60;
pub const MAX_SHARED: u64 = 229_376;
pub const MAX_BLOCK: u64 = 262_144;
pub const MAX_COMMITS: u64 = 40;
pub const HEADER_AND_COUNT: u64 = 168 + 4;

/// What differs between the networks.
#[derive(Debug)]
pub struct Rules {
    pub fixed: bool,
    pub base: u64,
    pub interval: u64,
    /// Blocks and seconds.
    pub commit: (u32, u64),
    pub settle: (u32, u64),
    pub transfer: (u32, u64),
    pub lease: u64,
    pub grace: u64,
}

pub const DEV: Rules = Rules {
    fixed: true,
    base: 64,
    interval: 1,
    commit: (1, 1),
    settle: (1, 1),
    transfer: (1, 2),
    lease: 31_536_000,
    grace: 2_592_000,
};

pub const TEST: Rules = Rules {
    fixed: false,
    base: 8_192,
    interval: 120,
    commit: (10, 600),
    settle: (30, 3_600),
    transfer: (10, 86_400),
    lease: 31_536_000,
    grace: 2_592_000,
};

/// Who uses the fixed price of a rescue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Owner,
    Recovery,
}

fn scaled(base: u64, multiplier: u32) -> u64 {
    let product = u128::from(base) * u128::from(multiplier);
    u64::try_from(product.div_ceil(1_024)).unwrap_or(u64::MAX).max(1)
}

fn factor(name: &Name) -> u64 {
    match name.as_str().len() {
        3 => 256,
        4 => 64,
        5 => 8,
        _ => 1,
    }
}

impl Rules {
    pub fn registration(&self, name: &Name, names: u32) -> u64 {
        scaled(self.base * factor(name), names)
    }

    pub fn commitment(&self, names: u32) -> u64 {
        scaled(self.base, names)
    }

    pub fn records(&self, size: usize, bytes: u32) -> u64 {
        scaled(self.base * (1 + (size as u64).div_ceil(512)) / 32, bytes)
    }

    fn renewal(&self, name: &Name) -> u64 {
        (self.base * factor(name) / 16).max(1)
    }

    fn rescue(&self) -> u64 {
        (self.base / 64).max(1)
    }

    /// The role whose fixed price applies to an operation on a name with this entry.
    pub fn fixed_role(&self, op: &SignedOperation, entry: &NameEntry, time: u64) -> Option<Role> {
        let role = match op.action {
            Action::Recover { .. } => Role::Recovery,
            Action::Cancel { .. } | Action::Revoke if op.signer == entry.owner => Role::Owner,
            Action::Cancel { .. } | Action::Revoke => Role::Recovery,
            _ => return None,
        };
        let used = match role {
            Role::Owner => entry.rescued.owner,
            Role::Recovery => entry.rescued.recovery,
        };
        (used == 0 || time >= used + DAY_S).then_some(role)
    }

    /// The price of an operation, with the entry of the name that it is on.
    pub fn price(
        &self,
        op: &Operation,
        entry: Option<&NameEntry>,
        time: u64,
        (names, bytes): (u32, u32),
    ) -> u64 {
        let Operation::Named(op) = op else { return self.commitment(names) };
        if entry.is_some_and(|entry| self.fixed_role(op, entry, time).is_some()) {
            return self.rescue();
        }
        match &op.action {
            Action::Renew { .. } => self.renewal(&op.name),
            Action::Register { records, .. } | Action::Update { records, .. } => {
                self.records(records.byte_len(), bytes)
            }
            Action::Publish { record: Some(record), .. } => self.records(record.byte_len(), bytes),
            _ => self.records(0, bytes),
        }
    }

    /// The multiplier after a block that comes `seconds` after its parent with `count` of what is
    /// aimed at.
    pub fn next_multiplier(&self, before: u32, count: u64, aim: u64, seconds: u64) -> u32 {
        if self.fixed {
            return 1_024;
        }
        let clamp = |p: i128| p.clamp(1_024, 1 << 31);
        let (p, c, aim) = (i128::from(before), i128::from(count), i128::from(aim));
        let interval = i128::from(self.interval);
        let mut p = if c >= aim {
            clamp(p + p * (c - aim) / (8 * aim))
        } else {
            let passed = i128::from(seconds).min(interval);
            clamp(p - p * (aim - c) * passed / (8 * aim * interval))
        };
        for _ in 1..(seconds / self.interval).min(160) {
            p = clamp(p - p / 8);
        }
        p as u32
    }
}
