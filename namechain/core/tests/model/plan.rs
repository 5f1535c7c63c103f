//! What a history is made of, before it is known what it meets: proptest draws these, and shrinks
//! them. Everything is relative to the state in which it is tried.

use proptest::{collection::vec, option::weighted, prelude::*, sample::Index};

/// How many keys there are.
pub const KEYS: u8 = 4;

/// What somebody tries in a block.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Which of the names.
    pub name: usize,
    pub who: Who,
    pub act: Act,
    pub twist: Twist,
}

/// Whose key signs.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// The one that may do it, about a name that is somebody's. While there is no such name, one
    /// is registered; while there is no Commit for that, there is one.
    Right,
    /// This one, about the same name.
    Wrong(u8),
    /// This one, about any name.
    Key(u8),
}

#[derive(Clone, Debug)]
pub enum Act {
    Commit(u8),
    /// Opens one of the recorded Commits, counted from the youngest, or one that is not recorded.
    Register {
        commit: Option<u16>,
        recovery: Option<u8>,
    },
    Update(Size),
    Renew,
    Transfer(u8),
    Accept(Option<u8>),
    Cancel,
    Recover(u8, Option<u8>),
    Revoke,
    Withdraw,
    Publish(Draft),
}

/// How many bytes of records.
#[derive(Clone, Copy, Debug)]
pub enum Size {
    None,
    /// One record, with this number in it.
    One(u8),
    /// Of this many bytes.
    Bytes(usize),
}

/// A messaging record, by the numbers of its keys.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    /// The key that is announced, if none is given and one is.
    pub identity: Option<u8>,
    pub next: Option<u8>,
    pub link: Link,
    /// How far from the right sequence number.
    pub sequence: i8,
    pub is_previous_right: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Link {
    None,
    /// By the identity key that stands.
    Standing,
    Key(u8),
}

/// The one thing in which an attempt is not as it should be, or as it mostly is.
#[derive(Clone, Copy, Debug)]
pub enum Twist {
    None,
    /// Another nonce: the same act under another operation id.
    Nonce(u8),
    /// Under a title that the name had before, or never.
    StaleTitle,
    /// The last valid time, this many seconds after the block's.
    ValidTo(i64),
    /// Anchored so many blocks below the tip.
    AnchorBack(u32),
    /// Anchored at a block of another chain.
    AnchorElsewhere,
    /// The work, so much more than the price.
    Work(i64),
    /// How far from the right sequence number, or lease; or another transfer than that which waits.
    Sequence(i8),
    /// The salt of the commitment, or another transfer than that which waits; of a Commit, no more
    /// work than any name costs.
    Salt,
}

impl Twist {
    pub fn is_none(self) -> bool {
        matches!(self, Twist::None)
    }
}

/// How long after its parent a block comes.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Seconds(u64),
    /// To a time at which something becomes due, or a second from it.
    Edge(Index, i8),
}

/// A block of one of the two miners.
#[derive(Clone, Debug)]
pub struct BlockPlan {
    pub step: Step,
    /// How many blocks come before it, empty and unseen: only where there is no chain.
    pub gap: u32,
    pub attempts: Vec<Attempt>,
    /// Whether the block is made of what the mempool has alone, in its order; else what has been
    /// tried comes first.
    pub is_from_mempool: bool,
    /// Something to be recorded whatever the rules say.
    pub spoil: Option<Attempt>,
}

/// Both miners work apart, then they meet.
#[derive(Clone, Debug)]
pub struct Round {
    pub blocks: [Vec<BlockPlan>; 2],
    /// Who starts again from what is stored, before they meet.
    pub restarts: [bool; 2],
}

#[derive(Clone, Debug)]
pub struct RandomHistory {
    /// Whether signatures are made, stamps worked, and both checked. It takes ten times longer.
    pub is_worked: bool,
    pub rounds: Vec<Round>,
}

pub fn histories() -> impl Strategy<Value = RandomHistory> {
    let rounds = vec(rounds(), 1..4);
    (proptest::bool::weighted(0.005), rounds)
        .prop_map(|(is_worked, rounds)| RandomHistory { is_worked, rounds })
}

fn rounds() -> impl Strategy<Value = Round> {
    // A round without a rival is the more frequent one: else few operations last.
    let rival = prop_oneof![2 => Just(0..1), 1 => Just(0..4)];
    let blocks = (vec(blocks(), 1..5), rival.prop_flat_map(|count| vec(blocks(), count)));
    let sides = (blocks, any::<bool>()).prop_map(
        |((long, short), swap)| {
            if swap { [short, long] } else { [long, short] }
        },
    );
    let restarts = [proptest::bool::weighted(0.1), proptest::bool::weighted(0.1)];
    (sides, restarts).prop_map(|(blocks, restarts)| Round { blocks, restarts })
}

pub fn blocks() -> impl Strategy<Value = BlockPlan> {
    let gap = prop_oneof![4 => Just(0u32), 2 => 1u32..12, 1 => 28u32..32, 1 => 700u32..722];
    let spoil = weighted(0.1, attempts());
    (steps(), gap, vec(attempts(), 0..6), any::<bool>(), spoil).prop_map(
        |(step, gap, attempts, is_from_mempool, spoil)| BlockPlan {
            step,
            gap,
            attempts,
            is_from_mempool,
            spoil,
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u64..4).prop_map(Step::Seconds),
        2 => Just(Step::Seconds(0)),
        1 => (4u64..4_000).prop_map(Step::Seconds),
        3 => (any::<Index>(), -1i8..2).prop_map(|(which, off)| Step::Edge(which, off)),
    ]
}

fn keys() -> impl Strategy<Value = u8> {
    0..KEYS
}

fn attempts() -> impl Strategy<Value = Attempt> {
    let name = prop_oneof![4 => Just(0usize), 1 => Just(1), 2 => 2usize..6];
    let who = prop_oneof![
        10 => Just(Who::Right),
        1 => keys().prop_map(Who::Wrong),
        1 => keys().prop_map(Who::Key),
    ];
    (name, who, acts(), twists()).prop_map(|(name, who, act, twist)| Attempt {
        name,
        who,
        act,
        twist,
    })
}

fn acts() -> impl Strategy<Value = Act> {
    let commit = weighted(0.95, prop_oneof![Just(0u16), any::<u16>()]);
    let register = (commit, weighted(0.8, keys()))
        .prop_map(|(commit, recovery)| Act::Register { commit, recovery });
    prop_oneof![
        5 => keys().prop_map(Act::Commit),
        8 => register,
        3 => sizes().prop_map(Act::Update),
        3 => Just(Act::Renew),
        3 => keys().prop_map(Act::Transfer),
        3 => weighted(0.5, keys()).prop_map(Act::Accept),
        2 => Just(Act::Cancel),
        2 => (keys(), weighted(0.7, keys())).prop_map(|(owner, key)| Act::Recover(owner, key)),
        1 => Just(Act::Revoke),
        1 => Just(Act::Withdraw),
        6 => drafts().prop_map(Act::Publish),
    ]
}

fn sizes() -> impl Strategy<Value = Size> {
    prop_oneof![
        1 => Just(Size::None),
        6 => any::<u8>().prop_map(Size::One),
        1 => prop::sample::select(vec![511, 512, 513, 1_024, 1_025, 4_095, 4_096])
            .prop_map(Size::Bytes),
    ]
}

fn drafts() -> impl Strategy<Value = Draft> {
    let identity = weighted(0.5, keys());
    let next = weighted(0.7, keys());
    let link = prop_oneof![
        3 => Just(Link::None),
        4 => Just(Link::Standing),
        1 => keys().prop_map(Link::Key),
    ];
    let sequence = prop_oneof![14 => Just(0i8), 1 => Just(-1), 1 => Just(1)];
    let previous = proptest::bool::weighted(0.93);
    (identity, next, link, sequence, previous).prop_map(
        |(identity, next, link, sequence, is_previous_right)| Draft {
            identity,
            next,
            link,
            sequence,
            is_previous_right,
        },
    )
}

fn twists() -> impl Strategy<Value = Twist> {
    let day = 86_400;
    prop_oneof![
        20 => Just(Twist::None),
        2 => (0u8..2).prop_map(Twist::Nonce),
        1 => Just(Twist::StaleTitle),
        2 => prop::sample::select(vec![-1, 0, day, day + 1]).prop_map(Twist::ValidTo),
        2 => Just(Twist::AnchorBack(1)),
        2 => (1u32..5).prop_map(Twist::AnchorBack),
        1 => Just(Twist::AnchorElsewhere),
        2 => prop::sample::select(vec![-1i64, 1, 40]).prop_map(Twist::Work),
        2 => prop::sample::select(vec![-1i8, 1]).prop_map(Twist::Sequence),
        1 => Just(Twist::Salt),
    ]
}
