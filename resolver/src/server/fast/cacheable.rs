//! Whether an answer of legacy DNS may be given as it is: the pipeline's judgement, made once for
//! each answer that is kept.
//!
//! It depends on nothing but the answer and the mounts, so it is remembered beside the answer, once
//! for each set of mounts.

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

/// Whose a name is, as far as legacy DNS may speak of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Legacy DNS, whatever the chain says.
    Legacy,
    /// Legacy DNS, as long as nobody has registered this name.
    Unregistered(ChainName),
    /// Somebody else.
    Other,
}

/// Whose the name at the front of a question is.
pub fn owner(question: &[u8], mounts: Mounts) -> Owner {
    let name = question.get(..question.len().saturating_sub(4)).and_then(names::to_name);
    match name.map(|name: Name| route(&name, mounts)) {
        Some(Route::Legacy) => Owner::Legacy,
        Some(Route::Chain(label, Mount::Root)) => Owner::Unregistered(label),
        _ => Owner::Other,
    }
}

/// The judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servable {
    /// It is the whole answer.
    Whole = 1,
    /// It is the whole answer as long as nobody has registered the last label of its name.
    WholeIfUnregistered = 2,
    /// It is for the pipeline to say.
    Unclear = 3,
}

impl Servable {
    /// Judges the message that is kept under a question.
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

    /// The judgement of what is in a slot: remembered, or made now.
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
