//! A network in one thread: nodes, the links between them, and a queue of what happens when.
//! Everything comes from a seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use namechain_core::{
    consensus::header::genesis,
    sync::{
        Action, Event, GossipId, Job, JobId, Peer, RequestError, RequestId, limits,
        message::{Request, Response},
    },
    types::Hash,
};

use crate::{
    cache::Cache,
    common::{NETWORK, NOW, Random},
    cpu::Cpu,
    disk::Disk,
    evil::{Evil, Told, Wrong},
    gossip::Message,
    node::{Clock, Node},
};

pub enum Member {
    Honest(Box<Node>),
    Evil(Box<Evil>),
}

/// A connection: which members, and by which numbers they know each other.
pub struct Link {
    pub ends: [usize; 2],
    pub peers: [Peer; 2],
}

/// Something that is going to happen.
pub enum Happening {
    Tick(usize),
    Dial(usize, usize),
    /// A request arrives at an end of a link.
    Request {
        link: u64,
        end: usize,
        id: RequestId,
        request: Request,
    },
    Response {
        link: u64,
        end: usize,
        id: RequestId,
        response: Response,
    },
    Fails {
        link: u64,
        end: usize,
        id: RequestId,
        error: RequestError,
    },
    Told {
        link: u64,
        end: usize,
        message: Arc<Message>,
    },
    Job {
        node: usize,
        life: u32,
        id: JobId,
        job: Box<Job>,
    },
    /// A block has been connected, and what follows from that is done.
    Perform {
        node: usize,
        life: u32,
        actions: Vec<Action>,
    },
    Closed {
        node: usize,
        life: u32,
        peer: Peer,
    },
    EvilAct(usize),
    Restart(usize),
}

/// How the network is.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Milliseconds that a message takes, at least and at most.
    pub delay: (u64, u64),
    /// Of a thousand messages, how many are lost, and how many come twice.
    pub lost: u64,
    pub twice: u64,
    /// Which side of a split each member is on.
    pub sides: Option<Vec<bool>>,
}

/// How many requests a member has had.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    pub headers: u32,
    pub blocks: u32,
}

pub struct World {
    pub random: Random,
    pub now: u64,
    pub cache: Cache,
    pub members: Vec<Member>,
    pub weather: Weather,
    genesis: Hash,
    pub up: Vec<bool>,
    lives: Vec<u32>,
    cpus: Vec<Cpu>,
    /// By member: by how many seconds its clock is ahead of the true one.
    pub ahead_s: Vec<i64>,
    queue: BTreeMap<(u64, u64), Happening>,
    happened: u64,
    pub links: BTreeMap<u64, Link>,
    next_link: u64,
    next_peer: u64,
    /// By member: the ids of messages that it has seen, and those that it has to judge.
    pub seen: Vec<BTreeSet<Hash>>,
    pub judging: BTreeMap<(usize, GossipId), (u64, Arc<Message>)>,
    pub next_gossip: u64,
    /// Who has banned whom until when.
    banned: BTreeMap<(usize, usize), u64>,
    pub bans: u64,
    /// Whether the dishonest make nothing new any more: some of them make sound blocks too, up to
    /// the last moment.
    pub evil_rests: bool,
    /// How many links each member wants to have dialled.
    pub dials: usize,
    /// By member: what it was asked for.
    pub served: Vec<Served>,
    trace: bool,
    /// A digest of everything that has happened: the same seed gives the same.
    pub digest: u64,
}

impl World {
    pub fn new(seed: u64, honest: usize, evil: &[Wrong], trace: bool) -> Self {
        let mut members: Vec<Member> = (0..honest)
            .map(|_| Member::Honest(Box::new(Node::new(Arc::new(Disk::default()), NOW))))
            .collect();
        members.extend(evil.iter().map(|wrong| Member::Evil(Box::new(Evil::new(*wrong)))));
        let count = members.len();
        let mut random = Random(seed);
        let cpus = (0..count).map(|_| Cpu::new(1 + random.below(8))).collect();
        let mut world = World {
            random,
            now: 1_000,
            cache: Cache::new(),
            members,
            weather: Weather { delay: (5, 50), lost: 0, twice: 0, sides: None },
            genesis: genesis(NETWORK).header.id(NETWORK),
            up: vec![true; count],
            lives: vec![0; count],
            cpus,
            ahead_s: vec![0; count],
            queue: BTreeMap::new(),
            happened: 0,
            links: BTreeMap::new(),
            next_link: 0,
            next_peer: 0,
            seen: vec![BTreeSet::new(); count],
            judging: BTreeMap::new(),
            next_gossip: 0,
            banned: BTreeMap::new(),
            bans: 0,
            evil_rests: false,
            dials: 2,
            served: vec![Served::default(); count],
            trace,
            digest: seed,
        };
        for member in 0..count {
            let at = world.random.below(1_000);
            world.at(at, Happening::Tick(member));
            if let Member::Evil(_) = world.members[member] {
                let at = 2_000 + world.random.below(8_000);
                world.at(at, Happening::EvilAct(member));
            }
        }
        world
    }

    pub fn clock(&self, member: usize) -> Clock {
        let unix = NOW.saturating_add_signed(self.ahead_s[member]) + self.now / 1_000;
        Clock { now: self.now, unix }
    }

    pub fn honest(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.members.iter().enumerate().filter_map(|(at, member)| match member {
            Member::Honest(node) => Some((at, &**node)),
            Member::Evil(_) => None,
        })
    }

    fn at(&mut self, after: u64, happening: Happening) {
        self.happened += 1;
        self.queue.insert((self.now + after, self.happened), happening);
    }

    fn delay(&mut self) -> u64 {
        let (least, most) = self.weather.delay;
        least + self.random.below(most - least + 1)
    }

    pub fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>9} {}", self.now, what());
        }
    }

    /// Lets everything happen that is due in the next so many milliseconds.
    pub fn run(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= end
        {
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
    }

    fn cut(&self, a: usize, b: usize) -> bool {
        self.weather.sides.as_ref().is_some_and(|sides| sides[a] != sides[b])
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick(member) => self.tick(member),
            Happening::Dial(from, to) => self.dial(from, to),
            Happening::Request { link, end, id, request } => self.requested(link, end, id, request),
            Happening::Response { link, end, id, response } => {
                let Some(Link { ends, peers }) = self.links.get(&link) else { return };
                let (node, peer) = (ends[end], peers[end]);
                self.event(node, Event::ResponseReceived { peer, request: id, response });
            }
            Happening::Fails { link, end, id, error } => {
                let Some(Link { ends, peers }) = self.links.get(&link) else { return };
                let (node, peer) = (ends[end], peers[end]);
                self.event(node, Event::RequestFailed { peer, request: id, error });
            }
            Happening::Told { link, end, message } => self.told(link, end, &message),
            Happening::Job { node, life, id, job } => {
                if self.lives[node] != life || !self.up[node] {
                    return;
                }
                if let Member::Honest(honest) = &mut self.members[node] {
                    honest.jobs -= 1;
                    let event = honest.run(&mut self.cache, id, *job);
                    self.event(node, event);
                }
            }
            Happening::Perform { node, life, actions } => {
                if self.lives[node] == life {
                    self.perform(node, actions);
                }
            }
            Happening::Closed { node, life, peer } => {
                if self.lives[node] == life {
                    self.event(node, Event::PeerDisconnected { peer });
                }
            }
            Happening::EvilAct(member) => self.evil_act(member),
            Happening::Restart(node) => {
                self.say(|| format!("{node} is back"));
                self.up[node] = true;
                self.at(0, Happening::Tick(node));
            }
        }
    }

    fn tick(&mut self, member: usize) {
        if !self.up[member] {
            return;
        }
        self.at(1_000, Happening::Tick(member));
        let mine = self.links.values().filter(|link| link.ends[0] == member).count();
        if mine < self.dials && self.random.below(3) == 0 {
            let to = self.random.below(self.members.len() as u64) as usize;
            self.dial(member, to);
        }
        self.event(member, Event::Tick);
        if let Member::Honest(node) = &self.members[member] {
            node.assert_limits();
        }
    }

    /// Connects two members, if they can be and are not.
    pub fn dial(&mut self, from: usize, to: usize) {
        let linked = |link: &Link| link.ends == [from, to] || link.ends == [to, from];
        let banned = [(from, to), (to, from)]
            .iter()
            .any(|pair| self.banned.get(pair).is_some_and(|until| *until > self.now));
        let there = self.links.values().any(linked);
        if from == to || !self.up[from] || !self.up[to] || there || banned || self.cut(from, to) {
            return;
        }
        self.next_link += 1;
        self.next_peer += 2;
        let peers = [Peer(self.next_peer), Peer(self.next_peer + 1)];
        self.links.insert(self.next_link, Link { ends: [from, to], peers });
        self.event(
            from,
            Event::PeerConnected { peer: peers[0], ip: None, outbound: true, block_only: false },
        );
        self.event(
            to,
            Event::PeerConnected { peer: peers[1], ip: None, outbound: false, block_only: false },
        );
    }

    /// Ends a link. Those who did not end it hear of it a little later.
    fn close(&mut self, link: u64, by: Option<usize>) {
        let Some(Link { ends, peers }) = self.links.remove(&link) else { return };
        for (node, peer) in ends.into_iter().zip(peers) {
            if Some(node) != by && self.up[node] {
                let (life, delay) = (self.lives[node], self.delay());
                self.at(delay, Happening::Closed { node, life, peer });
            }
        }
    }

    fn link_of(&self, node: usize, peer: Peer) -> Option<(u64, usize)> {
        self.links.iter().find_map(|(link, Link { ends, peers })| {
            let end = (0..2).find(|end| ends[*end] == node && peers[*end] == peer)?;
            Some((*link, end))
        })
    }

    /// Puts a message on a link, or loses it.
    pub fn send(&mut self, link: u64, happening: impl FnOnce() -> Happening) {
        self.send_after(link, 0, happening);
    }

    /// The same, so many milliseconds late.
    fn send_after(&mut self, link: u64, late: u64, happening: impl FnOnce() -> Happening) {
        let Some(Link { ends: [a, b], .. }) = self.links.get(&link) else { return };
        let cut = self.cut(*a, *b);
        if !cut && self.random.below(1_000) >= self.weather.lost {
            let delay = self.delay();
            self.at(late + delay, happening());
        }
    }

    /// Gives an event to a member, and does what it wants to be done.
    pub fn event(&mut self, node: usize, event: Event) {
        let clock = self.clock(node);
        if !self.up[node] {
            return;
        }
        self.digest = (self.digest ^ self.now ^ (node as u64) << 40).wrapping_mul(0x0100_0000_01b3);
        let Member::Honest(honest) = &mut self.members[node] else { return };
        let before = honest.chain.tip_id();
        if self.trace && !matches!(event, Event::Tick) {
            let text = format!("{event:?}");
            println!("{:>9} {node} <- {}", self.now, &text[..text.len().min(160)]);
        }
        let actions = honest.handle(event, clock);
        let tip = honest.chain.tip_id();
        if tip == before {
            return self.perform(node, actions);
        }
        if self.trace {
            println!("{:>9} {node} tip {} {tip}", self.now, honest.tip().height);
        }
        let operations = honest.chain.read_block(&tip).unwrap().operations.len();
        let (life, after) = (self.lives[node], self.cpus[node].milliseconds_to_connect(operations));
        self.at(after, Happening::Perform { node, life, actions });
    }

    pub fn perform(&mut self, node: usize, actions: Vec<Action>) {
        for action in actions {
            if self.trace {
                let text = format!("{action:?}");
                println!("{:>9} {node} -> {}", self.now, &text[..text.len().min(160)]);
            }
            match action {
                Action::SendRequest { peer, id, request } => self.asked(node, peer, id, request),
                Action::ReportAcceptance { gossip, acceptance } => {
                    self.judged(node, gossip, acceptance)
                }
                Action::BroadcastBlock(block) => self.publish(node, Message::Block(block)),
                Action::BroadcastOperation(operation) => {
                    self.publish(node, Message::Operation(operation))
                }
                Action::RunJob { id, job } => {
                    let after = self.cpus[node].milliseconds_until_done(self.now, &job);
                    let life = self.lives[node];
                    if let Member::Honest(honest) = &mut self.members[node] {
                        honest.jobs += 1;
                        assert!(honest.jobs <= limits::JOBS, "the queue of jobs overflows");
                    }
                    self.at(after, Happening::Job { node, life, id, job: Box::new(job) });
                }
                // Who is connected with whom is the plan's.
                Action::DialExtraPeer => {}
                Action::Disconnect { peer, .. } => {
                    if let Some((link, _)) = self.link_of(node, peer) {
                        self.close(link, Some(node));
                    }
                }
                Action::Ban { peer, misbehavior, seconds } => {
                    let Some((link, end)) = self.link_of(node, peer) else { continue };
                    let other = self.links[&link].ends[1 - end];
                    let evil = matches!(self.members[other], Member::Evil(_));
                    assert!(evil, "{node} bans the honest {other} for {misbehavior:?}");
                    self.bans += 1;
                    self.banned.insert((node, other), self.now + seconds * 1_000);
                    self.close(link, Some(node));
                }
                Action::ConnectBlock { .. }
                | Action::SubmitOperation(_)
                | Action::ParkChain { .. } => {
                    unreachable!("the node does these itself")
                }
            }
        }
    }

    fn asked(&mut self, node: usize, peer: Peer, id: RequestId, request: Request) {
        let Some((link, end)) = self.link_of(node, peer) else { return };
        // Half of what is lost is noticed by the transport.
        if self.random.below(2_000) < self.weather.lost {
            let error = if self.random.below(2) == 0 {
                RequestError::Timeout
            } else {
                RequestError::Closed
            };
            return self.at(8_000, Happening::Fails { link, end, id, error });
        }
        self.send(link, || Happening::Request { link, end: 1 - end, id, request });
    }

    fn requested(&mut self, link: u64, end: usize, id: RequestId, request: Request) {
        let Some(Link { ends, peers }) = self.links.get(&link) else { return };
        let (node, peer) = (ends[end], peers[end]);
        if !self.up[node] {
            return;
        }
        self.served[node].headers += u32::from(matches!(request, Request::Headers { .. }));
        self.served[node].blocks += u32::from(matches!(request, Request::Blocks { .. }));
        let clock = self.clock(node);
        let response = match &self.members[node] {
            Member::Honest(honest) => Some(honest.serve(&request, clock.unix)),
            Member::Evil(evil) => evil.serve(&request, &mut self.random, clock),
        };
        let late = match &self.members[node] {
            Member::Honest(_) => 0,
            Member::Evil(evil) => evil.late_by(&request),
        };
        if let Request::Hello(hello) = request {
            self.event(node, Event::HelloReceived { peer, hello });
        }
        if let Some(response) = response {
            if self.random.below(1_000) < self.weather.twice {
                let again = response.clone();
                self.send(link, || Happening::Response { link, end: 1 - end, id, response: again });
            }
            self.send_after(link, late, || Happening::Response {
                link,
                end: 1 - end,
                id,
                response,
            });
        }
    }

    fn evil_act(&mut self, member: usize) {
        if self.evil_rests {
            return;
        }
        let after = 3_000 + self.random.below(6_000);
        self.at(after, Happening::EvilAct(member));
        let honest: Vec<usize> = self.honest().map(|(at, _)| at).collect();
        let seen = honest[self.random.below(honest.len() as u64) as usize];
        let clock = self.clock(member);
        let (first, last) = self.members.split_at_mut(member);
        let (Some(Member::Honest(node)), Some(Member::Evil(evil))) =
            (first.get(seen), last.first_mut())
        else {
            return;
        };
        let told = evil.act(node, &mut self.cache, &mut self.random, clock);
        for told in told {
            let message = Arc::new(match told {
                Told::Block(block) => Message::Block(block),
                Told::Operation(operation) => Message::Operation(operation),
            });
            self.flood(member, &message, None);
        }
        // It says hello again as it likes.
        if let Member::Evil(evil) = &self.members[member] {
            let hello = evil.hello(clock);
            let links: Vec<(u64, usize)> = self
                .links
                .iter()
                .filter_map(|(link, Link { ends, .. })| {
                    Some((*link, (0..2).find(|end| ends[*end] == member)?))
                })
                .collect();
            for (link, end) in links {
                let request = Request::Hello(hello.clone());
                let id = RequestId(0);
                self.send(link, || Happening::Request { link, end: 1 - end, id, request });
            }
        }
    }

    /// A node loses power, and some of what it had not made durable.
    pub fn crash(&mut self, node: usize, back_after: u64) {
        if !self.up[node] {
            return;
        }
        self.say(|| format!("{node} crashes"));
        let links: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| link.ends.contains(&node))
            .map(|(number, _)| *number)
            .collect();
        self.up[node] = false;
        self.lives[node] += 1;
        for link in links {
            self.close(link, Some(node));
        }
        self.judging.retain(|(at, _), _| *at != node);
        self.seen[node].clear();
        let (lost, unix) = (self.random.below(6) as usize, self.clock(node).unix);
        if let Member::Honest(honest) = &mut self.members[node] {
            **honest = honest.restarted(lost, unix);
        }
        self.at(back_after, Happening::Restart(node));
    }

    /// Splits the network. If `noticed`, connections across break; otherwise they just go silent.
    pub fn split(&mut self, sides: Vec<bool>, noticed: bool) {
        self.say(|| format!("split {sides:?}, noticed: {noticed}"));
        self.weather.sides = Some(sides);
        if noticed {
            let across: Vec<u64> = self
                .links
                .iter()
                .filter(|(_, link)| self.cut(link.ends[0], link.ends[1]))
                .map(|(number, _)| *number)
                .collect();
            for link in across {
                self.close(link, None);
            }
        }
    }

    /// Mends the network, and makes sure that no honest node is left alone.
    pub fn heal(&mut self) {
        self.say(|| "healed".into());
        self.weather.sides = None;
        (self.weather.lost, self.weather.twice) = (0, 0);
        let honest: Vec<usize> = self.honest().map(|(at, _)| at).collect();
        for (at, from) in honest.iter().enumerate() {
            self.at(10, Happening::Dial(*from, honest[(at + 1) % honest.len()]));
        }
    }

    pub fn mine(&mut self, node: usize) {
        let clock = self.clock(node);
        if let Member::Honest(honest) = &mut self.members[node]
            && self.up[node]
        {
            let actions = honest.mine(&mut self.cache, clock);
            self.say(|| format!("{node} has mined"));
            self.perform(node, actions);
        }
    }

    pub fn use_names(&mut self, node: usize) {
        let (clock, genesis) = (self.clock(node), self.genesis);
        if let Member::Honest(honest) = &mut self.members[node]
            && self.up[node]
        {
            let actions = honest.act(&mut self.cache, &mut self.random, genesis, clock);
            self.perform(node, actions);
        }
    }
}
