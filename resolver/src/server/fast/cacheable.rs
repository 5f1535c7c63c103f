//! Whether a cached answer of legacy DNS may be served as it is. The pipeline decides once per
//! cached answer.
//!
//! The result depends only on the answer and the mounts, so it is stored beside the answer, for
//! each combination of mounts.

use crate::{
    cache::Slot,
    chain::mount::Mount,
    dns::{
        message::{Packet, Section, rcode},
        rtype,
    },
    resolve,
    resolve::{
        Pipeline,
        route::{Route, route_question},
    },
};

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
        match route_question(packet.question(), mounts) {
            Route::Legacy => Servable::Whole,
            Route::Chain(_, Mount::Root) => Servable::WholeIfUnregistered,
            _ => Servable::Unclear,
        }
    }

    /// The class of the answer in a slot: stored before, or computed now.
    pub fn in_slot(slot: &mut Slot, pipeline: &Pipeline) -> Self {
        let mounts = pipeline.mounts;
        let shift = 2 * (u8::from(mounts.root) | (u8::from(mounts.suffixes.is_any()) << 1));
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
