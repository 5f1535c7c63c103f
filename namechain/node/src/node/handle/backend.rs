//! What the API asks of a node, answered from its handle.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use super::{Command, NodeHandle, Progress, STUCK_AFTER, clock, stopped};
use crate::{
    api::{Backend, Traffic},
    net::{Ban, BanError, BanTarget, NetHandle, UnknownBanTarget},
};
use namechain_core::{
    api_types,
    chain::{Snapshot, StorageError, StoredHeader},
    consensus::{HistoryProof, RuleViolation, price, work::PowHasher},
    sync::{Peer, PeerStatus},
    types::{Block, Hash, Header, Name, Operation},
};

fn ban_target(text: &str) -> Result<BanTarget, api_types::Refusal> {
    text.parse().map_err(|error: UnknownBanTarget| api_types::Refusal {
        code: "bad-request".into(),
        rule: None,
        message: format!("this {error}"),
        hint: Some("zonetool peers lists identities and addresses".into()),
    })
}

fn ban_info(ban: &Ban) -> api_types::BanInfo {
    api_types::BanInfo {
        target: ban.target.to_string(),
        until: ban.until,
        reason: if ban.by_operator { "operator" } else { "misbehavior" }.into(),
    }
}

fn ban_refusal(error: BanError) -> api_types::Refusal {
    let (code, hint) = match &error {
        BanError::Full => ("full", "zonetool bans lists them"),
        BanError::File(_) => ("unavailable", "see the node's log"),
        BanError::NoNetwork => ("unavailable", "it has no peers that could be banned"),
    };
    let (code, message, hint) = (code.into(), error.to_string(), Some(hint.into()));
    api_types::Refusal { code, rule: None, message, hint }
}

impl Backend for NodeHandle {
    fn health(&self) -> Result<(), String> {
        self.check_health(STUCK_AFTER)
    }

    fn bans(&self) -> api_types::Bans {
        api_types::Bans { bans: NodeHandle::bans(self).iter().map(ban_info).collect() }
    }

    fn ban(&self, ban: api_types::NewBan) -> Result<api_types::BanInfo, api_types::Refusal> {
        let target = ban_target(&ban.target)?;
        NodeHandle::ban(self, target, ban.seconds).map(|ban| ban_info(&ban)).map_err(ban_refusal)
    }

    fn lift_bans(
        &self,
        what: api_types::LiftBans,
    ) -> Result<api_types::Lifted, api_types::Refusal> {
        let target = what.target.as_deref().map(ban_target).transpose()?;
        let lifted = NodeHandle::lift_bans(self, target).map_err(ban_refusal)?;
        Ok(api_types::Lifted { lifted })
    }

    fn status(&self) -> api_types::Status {
        let now = self.now();
        let first_block = self.storage.first_block().unwrap_or(0);
        api_types::Status {
            pruned: first_block > 0,
            first_block,
            version: env!("CARGO_PKG_VERSION").into(),
            network: self.network,
            height: now.tip.height(),
            tip: now.tip.id,
            tip_time: now.tip.header.time,
            work: now.work.to_string(),
            serve_depth: self.params().serve_depth,
            served_height: now.served.height(),
            synced: self.synced(),
            mempool_operations: now.mempool_operations,
            mempool_bytes: now.mempool_bytes,
            mining: self.mine.as_str().into(),
            mining_hashes: self.mining_queue.hashes.load(Ordering::Relaxed),
            hold: now.hold.as_ref().map(|hold| api_types::HoldInfo {
                tip: hold.tip,
                fork_height: hold.fork_height,
                seconds: hold.seconds,
                seconds_left: hold.seconds_left(),
            }),
            parked_tip: now.parked_tip,
            tip_age: clock::now().saturating_sub(now.tip.header.time),
            mining_rate: self.mining_queue.rate.load(Ordering::Relaxed),
            peers: self.peer_counts(),
            sync: Progress::of(&now.sync_status, now.tip.height()).info(),
            second_best: now.second_best.map(|(id, height, work)| api_types::OtherTip {
                id,
                height,
                work: work.to_string(),
            }),
            protocol: self.protocol(),
            p2p: self.p2p(),
        }
    }

    fn peers(&self) -> api_types::Peers {
        let Some(net) = &self.net else { return api_types::Peers::default() };
        let now = self.now();
        let known: HashMap<Peer, &PeerStatus> =
            now.peers.iter().map(|status| (status.peer, status)).collect();
        let clock = clock::now();
        let mut peers: Vec<api_types::PeerInfo> = net
            .peers()
            .iter()
            .map(|peer| {
                let status = known.get(&peer.peer);
                api_types::PeerInfo {
                    id: peer.id.clone(),
                    address: peer.address.clone(),
                    direction: if peer.outbound { "out" } else { "in" }.into(),
                    seconds: clock.saturating_sub(peer.since),
                    block_only: peer.block_only,
                    latency_ms: peer.latency_ms,
                    last_block_seconds: peer.last_block.map(|at| clock.saturating_sub(at)),
                    height: status.and_then(|status| status.height),
                    work: status.and_then(|status| status.work).map(|work| work.to_string()),
                    score: status.map_or(0, |status| status.score),
                    agent: status.map_or_else(String::new, |status| status.agent.clone()),
                    doing: status.map_or_else(String::new, |status| status.doing.to_string()),
                }
            })
            .collect();
        peers.sort_by(|a, b| b.seconds.cmp(&a.seconds).then_with(|| a.id.cmp(&b.id)));
        api_types::Peers { addresses: self.p2p(), peers }
    }

    fn traffic(&self) -> Traffic {
        let traffic = self.net.as_ref().map(NetHandle::traffic).unwrap_or_default();
        Traffic { received: traffic.bytes_in, sent: traffic.bytes_out }
    }

    fn price(&self) -> api_types::Price {
        let (tip, params) = (self.snapshot(), self.params());
        let (names, bytes) = (tip.header.name_price, tip.header.byte_price);
        let of = |text: &str| {
            Name::parse(text).map_or(0, |name| price::registration(params, &name, names))
        };
        api_types::Price {
            network: self.network,
            anchor: tip.id,
            height: tip.height(),
            time: tip.header.time,
            name_multiplier: names,
            byte_multiplier: bytes,
            register: of("aaaaaa"),
            register_5: of("aaaaa"),
            register_4: of("aaaa"),
            register_3: of("aaa"),
            update: price::records(params, 1, bytes),
            renew: Name::parse("aaaaaa").map_or(0, |name| price::renewal(params, &name)),
            rescue: price::rescue(params),
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        NodeHandle::snapshot(self)
    }

    fn served(&self) -> Arc<Snapshot> {
        NodeHandle::served(self)
    }

    fn snapshot_at(&self, height: u32) -> Option<Arc<Snapshot>> {
        self.ask(|reply| Command::SnapshotAt(height, reply)).flatten().map(Arc::new)
    }

    fn pending_name(&self, name: &Name) -> bool {
        self.ask(|reply| Command::NamePending(name.clone(), reply)).unwrap_or(false)
    }

    fn pending_commitment(&self, commitment: &Hash) -> bool {
        self.ask(|reply| Command::CommitmentPending(*commitment, reply)).unwrap_or(false)
    }

    fn block(&self, id: &Hash) -> Result<Option<(StoredHeader, Block, bool)>, StorageError> {
        self.find(self.storage.header(id)?)
    }

    fn block_at(&self, height: u32) -> Result<Option<(StoredHeader, Block, bool)>, StorageError> {
        match self.storage.active(height)? {
            Some(id) => self.block(&id),
            None => Ok(None),
        }
    }

    fn header_at(&self, height: u32) -> Result<Option<StoredHeader>, StorageError> {
        self.storage.active(height)?.map_or(Ok(None), |id| self.storage.header(&id))
    }

    fn header(&self, id: &Hash) -> Result<Option<(StoredHeader, bool)>, StorageError> {
        let Some(stored) = self.storage.header(id)? else { return Ok(None) };
        let active = self.storage.active(stored.header.height)? == Some(*id);
        Ok(Some((stored, active)))
    }

    fn first_block(&self) -> Result<u32, StorageError> {
        self.storage.first_block()
    }

    fn history_heights(&self, key: &Hash) -> Result<Vec<u32>, StorageError> {
        self.storage.touched(key)
    }

    fn place(&self, height: u32, against: u32) -> Result<Option<HistoryProof>, StorageError> {
        let failed = std::cell::Cell::new(None);
        let node = |position| {
            self.storage.history(position).unwrap_or_else(|error| {
                failed.set(Some(error));
                None
            })
        };
        let proof = HistoryProof::make(u64::from(height), u64::from(against), node);
        failed.take().map_or(Ok(proof), Err)
    }

    fn submit(&self, operation: Operation) -> Result<api_types::Submitted, api_types::Refusal> {
        NodeHandle::submit(self, operation)
    }

    fn template(&self) -> Result<api_types::MiningTemplate, api_types::Refusal> {
        self.ask(Command::Template).unwrap_or_else(|| Err(stopped()))
    }

    fn mined(&self, header: Header) -> Result<api_types::MinedBlock, api_types::Refusal> {
        // Here and not on the chain thread, which has no time for what anybody may send.
        if !PowHasher::new(self.network).has_header_work(&header) {
            let violation = RuleViolation::HeaderWork;
            return Err(api_types::Refusal {
                code: "rule".into(),
                rule: Some(violation.id().into()),
                message: violation.to_string(),
                hint: None,
            });
        }
        self.ask(|reply| Command::MinedOutside(Box::new(header), reply))
            .unwrap_or_else(|| Err(stopped()))
    }

    fn bundle(&self, name: &Name) -> Result<api_types::BundleInfo, api_types::Refusal> {
        self.bundles.get(name, self.current_identity(name)?, clock::now())
    }

    fn put_bundle(
        &self,
        name: &Name,
        bundle: Vec<u8>,
        gives_one_time: bool,
    ) -> Result<api_types::BundleInfo, api_types::Refusal> {
        self.bundles.put(name, bundle, gives_one_time, self.current_identity(name)?, clock::now())
    }

    fn take_prekey(&self, name: &Name) -> Result<api_types::PrekeyInfo, api_types::Refusal> {
        self.bundles.take(name, self.current_identity(name)?, clock::now())
    }
}
