//! What the crate says to the vectors.

mod block;
mod operation;
mod wire;

pub use block::{Verdict, judge_arrivals, judge_block};
pub use operation::judge_operation;
pub use wire::check_wire;

use std::collections::BTreeMap;

use namechain_core::{
    codec::{Decode, Encode},
    consensus::{
        state::State,
        status::{EntryKind, end},
    },
    params::Params,
    types::{Entry, Hash, Network},
};
use serde_json::Value;

/// The bytes of a field in hexadecimal.
pub fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a field in hexadecimal")).expect("hexadecimal")
}

pub fn hash(value: &Value) -> Hash {
    Hash(bytes(value).try_into().expect("32 bytes"))
}

pub fn number<T: TryFrom<u64>>(value: &Value) -> T {
    let number = value.as_u64().unwrap_or_else(|| panic!("{value} is a number"));
    T::try_from(number).ok().expect("a number that fits")
}

pub fn network(value: &Value) -> Network {
    value["network"].as_str().expect("a network").parse().expect("a network")
}

/// The state in a plain map.
#[derive(Clone)]
pub struct JudgedState {
    pub params: &'static Params,
    pub entries: BTreeMap<Hash, Entry>,
}

impl JudgedState {
    pub fn read(params: &'static Params, entries: &Value) -> JudgedState {
        let entries = entries.as_array().expect("entries").iter().map(|entry| {
            let entry = Entry::from_bytes(&bytes(entry)).expect("an entry");
            (entry.key(params.network), entry)
        });
        JudgedState { params, entries: entries.collect() }
    }

    /// The entries in the order of their keys, in hexadecimal.
    pub fn encoded(&self) -> Vec<String> {
        self.entries.values().map(|entry| hex::encode(entry.to_bytes())).collect()
    }
}

impl State for JudgedState {
    type Error = std::convert::Infallible;

    fn get(&self, key: &Hash) -> Result<Option<Entry>, Self::Error> {
        Ok(self.entries.get(key).cloned())
    }

    fn set(&mut self, key: Hash, entry: Option<Entry>) {
        match entry {
            Some(entry) => self.entries.insert(key, entry),
            None => self.entries.remove(&key),
        };
    }

    fn ended(&self, kind: EntryKind, time: u64, limit: usize) -> Result<Vec<Hash>, Self::Error> {
        let mut rows: Vec<(u64, Hash)> = self
            .entries
            .iter()
            .filter(|(_, entry)| EntryKind::of(entry) == kind)
            .map(|(key, entry)| (end(self.params, entry), *key))
            .filter(|(end, _)| *end <= time)
            .collect();
        rows.sort();
        rows.truncate(limit);
        Ok(rows.into_iter().map(|(_, key)| key).collect())
    }
}
