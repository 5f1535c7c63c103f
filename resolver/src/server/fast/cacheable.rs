//! Whether a cached answer of legacy DNS may be served as it is. The pipeline decides once per
//! cached answer.
//!
//! The result depends only on the answer and the mounts, so it is stored beside the answer, for
//! each combination of mounts.

use crate::{
    cache::Slot,
    chain::mount::{Mount, Mounts},
    dns::{
        message::{Packet, Section, rcode},
        names, rtype,
    },
    resolve,
    resolve::{
        Pipeline,
        route::{Route, route},
    },
};
use hickory_proto::rr::Name;
use namechain_core::types::Name as ChainName;

/// Which source is authoritative for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Legacy DNS, whatever the state of the chain.
    Legacy,
    /// Legacy DNS, as long as this name is not registered.
    Unregistered(ChainName),
    /// Not legacy DNS.
    Other,
}

/// The source for the name at the start of a question.
pub fn owner(question: &[u8], mounts: Mounts) -> Owner {
    let name = question.get(..question.len().saturating_sub(4)).and_then(names::to_name);
    match name.map(|name: Name| route(&name, mounts)) {
        Some(Route::Legacy) => Owner::Legacy,
        Some(Route::Chain(label, Mount::Root)) => Owner::Unregistered(label),
        _ => Owner::Other,
    }
}

/// Whether a cached answer is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servable {
    /// It is complete.
    Whole = 1,
    /// It is complete as long as the last label of its name is not registered.
    WholeIfUnregistered = 2,
    /// The pipeline has to decide at each query.
    Unclear = 3,
}

impl Servable {
    /// Classifies the message that is cached for a question.
    pub fn of(message: &[u8], pipeline: &Pipeline) -> Self {
        let mounts = pipeline.mounts;
        let Ok(packet) = Packet::parse(message) else { return Servable::Unclear };
        if !matches!(packet.rcode(), rcode::NOERROR | rcode::NXDOMAIN) {
            return Servable::Unclear;
        }
        let aliases = packet.section(Section::Answer).any(|record| record.rtype == rtype::CNAME);
        if aliases && !resolve::is_whole(message, mounts, &pipeline.legacy) {
            return Servable::Unclear;
        }
        match owner(packet.question(), mounts) {
            Owner::Legacy => Servable::Whole,
            Owner::Unregistered(_) => Servable::WholeIfUnregistered,
            Owner::Other => Servable::Unclear,
        }
    }

    /// The class of the answer in a slot: stored before, or computed now.
    pub fn in_slot(slot: &mut Slot, pipeline: &Pipeline) -> Self {
        let mounts = pipeline.mounts;
        let shift = 2 * (u8::from(mounts.root) | (u8::from(mounts.alt) << 1));
        match (slot.verdict >> shift) & 0b11 {
            1 => Servable::Whole,
            2 => Servable::WholeIfUnregistered,
            3 => Servable::Unclear,
            _ => {
                let verdict = Servable::of(slot.wire(), pipeline);
                slot.verdict |= (verdict as u8) << shift;
                verdict
            }
        }
    }
}
