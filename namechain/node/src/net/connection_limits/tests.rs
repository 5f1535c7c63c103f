//! The connection limits by themselves: no sockets, connections that are only said to be there.

use libp2p::core::ConnectedPoint;

use super::*;

struct Door {
    connection_limits: ConnectionLimits,
    next: usize,
}

impl Door {
    fn new(limits: Limits) -> Self {
        Door {
            connection_limits: ConnectionLimits::new(PeerId::random(), limits, BanList::default()),
            next: 1,
        }
    }

    /// Somebody at `ip` connects, proves who he is, and comes in; or is refused.
    fn comes(&mut self, peer: PeerId, ip: &str) -> Result<ConnectionId, Refusal> {
        let (id, address) = self.begins(ip)?;
        let refusal =
            |denied: ConnectionDenied| *denied.downcast_ref::<Refusal>().expect("a refusal");
        let entered = self
            .connection_limits
            .handle_established_inbound_connection(id, peer, &address, &address);
        entered.map_err(refusal)?;
        self.stands(
            id,
            peer,
            ConnectedPoint::Listener { local_addr: address.clone(), send_back_addr: address },
        );
        Ok(id)
    }

    fn begins(&mut self, ip: &str) -> Result<(ConnectionId, Multiaddr), Refusal> {
        let id = ConnectionId::new_unchecked(self.next);
        self.next += 1;
        let address: Multiaddr =
            format!("/ip4/{ip}/tcp/{}", 1024 + self.next).parse().expect("an address");
        let begun =
            self.connection_limits.handle_pending_inbound_connection(id, &address, &address);
        begun.map_err(|denied| *denied.downcast_ref::<Refusal>().expect("a refusal"))?;
        Ok((id, address))
    }

    fn stands(&mut self, connection_id: ConnectionId, peer_id: PeerId, endpoint: ConnectedPoint) {
        self.connection_limits.on_swarm_event(FromSwarm::ConnectionEstablished(
            ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint: &endpoint,
                failed_addresses: &[],
                other_established: 0,
            },
        ));
    }

    /// We dial somebody.
    fn dials(&mut self, peer: PeerId, ip: &str) -> Result<ConnectionId, Refusal> {
        let id = ConnectionId::new_unchecked(self.next);
        self.next += 1;
        let address: Multiaddr = format!("/ip4/{ip}/tcp/7379").parse().expect("an address");
        let refusal =
            |denied: ConnectionDenied| *denied.downcast_ref::<Refusal>().expect("a refusal");
        self.connection_limits.order(id);
        let role = Endpoint::Dialer;
        self.connection_limits
            .handle_pending_outbound_connection(id, Some(peer), &[], role)
            .map_err(refusal)?;
        let port_use = PortUse::New;
        self.connection_limits
            .handle_established_outbound_connection(id, peer, &address, role, port_use)
            .map_err(refusal)?;
        self.stands(id, peer, ConnectedPoint::Dialer { address, role_override: role, port_use });
        Ok(id)
    }

    /// Which connection is being hung up on.
    fn closed(&mut self) -> Option<ConnectionId> {
        match self.connection_limits.close.pop_front()? {
            (_, CloseConnection::One(id)) => Some(id),
            (peer, CloseConnection::All) => self
                .connection_limits
                .links
                .iter()
                .find(|(_, link)| link.peer == peer)
                .map(|(id, _)| *id),
        }
    }
}

fn any() -> PeerId {
    PeerId::random()
}

#[test]
fn a_subnet_gets_so_many_and_others_still_come_in() {
    let mut door = Door::new(Limits::default());
    let from_one: Vec<_> =
        (0..200).map(|host| door.comes(any(), &format!("203.0.{host}.1"))).collect();
    assert_eq!(from_one.iter().filter(|came| came.is_ok()).count(), limits::INBOUND_PER_GROUP);
    assert_eq!(from_one[20], Err(Refusal::GroupFull));
    assert_eq!(from_one.last(), Some(&Err(Refusal::TooOften)));
    assert!(door.comes(any(), "198.51.100.1").is_ok());
}

#[test]
fn connections_that_only_begin_are_bounded_by_group() {
    let mut door = Door::new(Limits::default());
    let begun = (0..100).filter(|host| door.begins(&format!("203.0.113.{host}")).is_ok()).count();
    assert_eq!(begun, limits::INBOUND_PENDING_PER_GROUP, "from one group");
    let begun = (0..200).filter(|group| door.begins(&format!("198.{group}.0.1")).is_ok()).count();
    assert_eq!(begun, 200, "the others still may: the transport sheds the oldest");
}

#[test]
fn a_group_that_comes_and_goes_is_let_in_so_often() {
    let mut door = Door::new(Limits::default());
    let mut came = 0;
    for second in 0..60 {
        door.connection_limits.tick(Duration::from_secs(second), 0);
        for host in 0..100 {
            if let Ok(id) = door.comes(any(), &format!("203.0.113.{host}")) {
                came += 1;
                door.connection_limits.links.remove(&id);
            }
        }
    }
    assert_eq!(came, limits::INBOUND_BURST + 59 * limits::INBOUND_PER_SECOND);
    door.connection_limits.tick(Duration::from_secs(600), 0);
    assert!(door.connection_limits.begin_buckets.is_empty(), "who stays away is forgotten");
}

#[test]
fn somebody_always_makes_room_for_a_newcomer() {
    let mut door = Door::new(Limits { inbound: 60, ..Limits::default() });
    let mut honest = Vec::new();
    for host in 0..8 {
        door.connection_limits.tick(Duration::from_secs(host), 0);
        honest.push(door.comes(any(), &format!("203.0.113.{host}")).expect("room"));
    }
    for group in 0..250 {
        door.connection_limits.tick(Duration::from_secs(10 + group), 0);
        door.comes(any(), &format!("198.{group}.0.1")).expect("somebody leaves for it");
        if let Some(gone) = door.closed() {
            door.connection_limits.links.remove(&gone);
        }
    }
    assert_eq!(door.connection_limits.inbound().count(), 60);
    assert!(honest.iter().all(|id| door.connection_limits.links.contains_key(id)));
}

#[test]
fn an_identity_is_discouraged_and_its_address_never() {
    let mut door = Door::new(Limits::default());
    let evil = any();
    let id = door.comes(evil, "203.0.113.5").expect("room");
    door.connection_limits.discourage(evil, Duration::from_secs(60));
    assert_eq!(door.closed(), Some(id));
    assert_eq!(door.comes(evil, "198.51.100.9"), Err(Refusal::Banned));
    assert_eq!(door.dials(evil, "198.51.100.9"), Err(Refusal::Banned));
    assert!(door.comes(any(), "203.0.113.5").is_ok(), "others behind the same address");
    door.connection_limits.tick(Duration::from_secs(61), 0);
    assert!(door.comes(evil, "203.0.113.5").is_ok());
}

#[test]
fn dialled_by_both_at_once_both_keep_the_same() {
    for _ in 0..20 {
        let (mut a, mut b) = (Door::new(Limits::default()), Door::new(Limits::default()));
        let (a_id, b_id) = (a.connection_limits.us, b.connection_limits.us);
        // Each has dialled, and then sees the other's dial arrive.
        let a_out = a.dials(b_id, "198.51.100.2").expect("dialled");
        let b_out = b.dials(a_id, "198.51.100.1").expect("dialled");
        let (a_in, b_in) = (a.comes(b_id, "198.51.100.2"), b.comes(a_id, "198.51.100.1"));
        if a_id < b_id {
            assert_eq!((a_in, a.closed()), (Err(Refusal::Duplicate), None));
            assert!(b_in.is_ok());
            assert_eq!(b.closed(), Some(b_out));
        } else {
            assert_eq!((b_in, b.closed()), (Err(Refusal::Duplicate), None));
            assert!(a_in.is_ok());
            assert_eq!(a.closed(), Some(a_out));
        }
    }
}

#[test]
fn a_peer_that_comes_back_replaces_the_connection_whose_end_was_not_noticed() {
    let mut door = Door::new(Limits::default());
    let peer = any();
    let old = door.comes(peer, "198.51.100.2").expect("room");
    door.connection_limits.tick(limits::SIMULTANEOUS + Duration::from_secs(1), 0);
    door.comes(peer, "198.51.100.2").expect("back");
    assert_eq!(door.closed(), Some(old));
}

#[test]
fn nobody_dials_but_us() {
    let mut door = Door::new(Limits::default());
    let id = ConnectionId::new_unchecked(7);
    let denied = door
        .connection_limits
        .handle_pending_outbound_connection(id, Some(any()), &[], Endpoint::Dialer)
        .expect_err("not ordered");
    assert_eq!(denied.downcast_ref::<Refusal>(), Some(&Refusal::NotOrdered));
}

#[test]
fn what_an_operator_bans_is_disconnected_and_stays_out() {
    let mut door = Door::new(Limits::default());
    let (evil, other) = (any(), any());
    let id = door.comes(evil, "203.0.113.5").expect("room");
    let neighbour = door.comes(other, "198.51.100.9").expect("room");
    door.connection_limits.ban(BanTarget::Peer(evil), Some(1_000)).expect("kept");
    assert_eq!(door.closed(), Some(id));
    assert_eq!(door.comes(evil, "192.0.2.1"), Err(Refusal::Banned));
    let subnet: BanTarget = "198.51.100.0/24".parse().expect("a subnet");
    door.connection_limits.ban(subnet, None).expect("kept");
    assert_eq!(door.closed(), Some(neighbour));
    assert_eq!(door.begins("198.51.100.200").map(|_| ()), Err(Refusal::Banned));
    assert_eq!(door.dials(any(), "198.51.100.3"), Err(Refusal::Banned));
    assert!(door.comes(any(), "198.51.101.1").is_ok(), "another subnet");
    door.connection_limits.tick(Duration::from_secs(5), 1_000);
    assert!(door.comes(evil, "192.0.2.1").is_ok(), "its time is over");
    assert_eq!(door.connection_limits.lift_bans(Some(&subnet)).expect("kept"), 1);
    assert!(door.begins("198.51.100.200").is_ok());
}

#[test]
fn an_operator_sees_and_lifts_bans_for_misbehavior_too() {
    let mut door = Door::new(Limits::default());
    let evil = any();
    door.connection_limits.discourage(evil, Duration::from_secs(60));
    let ban = Ban { target: BanTarget::Peer(evil), until: Some(160), by_operator: false };
    assert_eq!(door.connection_limits.list_bans(100), [ban]);
    assert_eq!(door.connection_limits.lift_bans(None).expect("kept"), 1);
    assert!(door.comes(evil, "203.0.113.5").is_ok());
}
