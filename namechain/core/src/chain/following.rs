//! How a node came to its chain: from where on it followed it live, and which heavier chain it
//! holds back.

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    params::LIVE_AGE_S,
    types::{Block, Hash},
};

/// A chain of more work that is not followed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The height of the last block that both chains have.
    pub fork_height: u32,
    /// The other chain's first block after the fork.
    pub first: Hash,
    /// The other chain's tip.
    pub tip: Hash,
    /// For how long the other chain has to lead before it is followed, in seconds.
    pub seconds: u64,
    /// For how long it has led, in seconds.
    pub led: u64,
}

impl Hold {
    /// How long the other chain still has to lead, in seconds.
    pub fn seconds_left(&self) -> u64 {
        self.seconds.saturating_sub(self.led)
    }
}

/// How this node came to its chain: what a heavier one is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// From this height on the best chain's blocks were taken within an hour of their own times.
    /// Above the tip: none of them was.
    pub live_from: u32,
    /// The heavier chain that is held back.
    pub hold: Option<Hold>,
}

impl Default for Following {
    fn default() -> Self {
        Following { live_from: u32::MAX, hold: None }
    }
}

impl Following {
    /// Blocks were connected above `fork_height` at `now`: what was taken late was not followed
    /// live, nor was what is below it.
    pub(super) fn on_connected(&mut self, fork_height: u32, connected: &[Block], now: u64) {
        let is_late = |block: &&Block| block.header.time.saturating_add(LIVE_AGE_S) < now;
        let last_late = connected.iter().rev().find(is_late).map(|block| block.header.height);
        let tip = connected.last().map_or(fork_height, |block| block.header.height);
        self.live_from = match last_late {
            Some(height) if height == tip => u32::MAX,
            Some(height) => height + 1,
            None if connected.is_empty() => self.live_from,
            None => self.live_from.min(fork_height + 1),
        };
    }
}

impl Encode for Following {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.live_from.to_be_bytes());
        out.push(u8::from(self.hold.is_some()));
        if let Some(hold) = &self.hold {
            out.extend_from_slice(&hold.fork_height.to_be_bytes());
            hold.first.encode(out);
            hold.tip.encode(out);
            out.extend_from_slice(&hold.seconds.to_be_bytes());
            out.extend_from_slice(&hold.led.to_be_bytes());
        }
    }
}

impl Decode for Following {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let live_from = reader.u32()?;
        let hold = reader.flag("a held chain is neither there nor not")?.then(|| {
            Ok(Hold {
                fork_height: reader.u32()?,
                first: Hash(reader.array()?),
                tip: Hash(reader.array()?),
                seconds: reader.u64()?,
                led: reader.u64()?,
            })
        });
        Ok(Following { live_from, hold: hold.transpose()? })
    }
}
