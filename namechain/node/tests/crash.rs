//! A node that is killed at random moments, and one whose files are damaged.
//!
//! A story of blocks with registrations and reorganisations is made once. A process takes them up
//! one after the other and says so after each; it is killed (SIGKILL) at a moment drawn from a
//! seed, again and again, until the story is over, and then from the beginning. What it said that
//! it had taken must be there afterwards.
//!
//! `NAMECHAIN_KILLS` sets how often (default 200), `NAMECHAIN_SEED` the seed, which is printed.

#[path = "../../core/tests/common/mod.rs"]
mod common;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use common::{LATE, Miner, NETWORK, Random, key, name, number_from_env};
use namechain_core::{
    chain::{BlockLocation, Chain, ChainError, MemoryStorage},
    codec::Encode,
    types::{Block, Hash, Operation, SecretKey},
};
use namechain_node::{
    api::Backend,
    node::{MineMode, Node, NodeConfig},
    store::Store,
};

/// The blocks in the order in which they arrive, with the tip after each.
struct Story {
    blocks: Vec<Vec<u8>>,
    tips: Vec<Hash>,
}

/// One of two miners, each on a chain of its own until it hears of the other's longer one.
struct Player {
    miner: Miner,
    key: SecretKey,
    registered: u32,
}

impl Player {
    fn new(number: u8) -> Self {
        Player { miner: Miner::new(), key: key(number), registered: 0 }
    }

    /// The next block: a commitment to a name, or its registration if it can be opened.
    fn mine(&mut self) -> Block {
        let name = name(&format!("{}-{}", &self.key.public().to_string()[..8], self.registered));
        let register = self.miner.register(&name, &self.key, 1);
        let commit = self.miner.commit(&name, &self.key);
        let block = self.miner.try_mine(&[register, commit]);
        if block.operations.iter().any(|operation| matches!(operation, Operation::Named(_))) {
            self.registered += 1;
        }
        block
    }
}

impl Story {
    /// Rounds in which two miners each find some blocks alone, which then arrive in turn: most
    /// rounds end with a reorganisation.
    fn tell(random: &mut Random, rounds: u32) -> Story {
        let mut players = [Player::new(1), Player::new(2)];
        let mut story = Story { blocks: Vec::new(), tips: Vec::new() };
        let mut witness = Chain::open(NETWORK, Arc::new(MemoryStorage::default())).unwrap();
        for _ in 0..rounds {
            // The second finds more, so that the tip moves to its branch while the first's is
            // undone.
            let first = 1 + random.below(4);
            let second = first + 1 + random.below(2);
            let alone: Vec<Vec<Block>> = players
                .iter_mut()
                .zip([first, second])
                .map(|(player, count)| (0..count).map(|_| player.mine()).collect())
                .collect();
            for block in alone.iter().flatten() {
                witness.accept(block, LATE, true).unwrap();
                story.blocks.push(block.to_bytes());
                story.tips.push(witness.tip_id());
            }
            for (player, theirs) in players.iter_mut().zip(alone.iter().rev()) {
                player.miner.take(theirs);
                assert_eq!(player.miner.chain.tip_id(), witness.tip_id());
            }
        }
        story
    }

    fn write(&self, path: &Path) {
        let mut bytes = Vec::new();
        for block in &self.blocks {
            bytes.extend_from_slice(&(block.len() as u32).to_be_bytes());
            bytes.extend_from_slice(block);
        }
        fs::write(path, bytes).unwrap();
    }

    fn read(path: &Path) -> Vec<Block> {
        let mut file = BufReader::new(fs::File::open(path).unwrap());
        let mut blocks = Vec::new();
        let mut len = [0; 4];
        while file.read_exact(&mut len).is_ok() {
            let mut bytes = vec![0; u32::from_be_bytes(len) as usize];
            file.read_exact(&mut bytes).unwrap();
            blocks.push(Block::parse(&bytes).unwrap());
        }
        blocks
    }
}

/// Opens a chain as a node does: the store, then what its index has missed.
fn open(dir: &Path) -> (Arc<Store>, Chain) {
    let store = Arc::new(Store::open(dir, NETWORK).unwrap().store);
    let mut chain = Chain::open(NETWORK, store.clone()).unwrap();
    store
        .replay(&mut |at: BlockLocation, bytes: &[u8]| match chain.accept_logged(
            &Block::parse(bytes).unwrap(),
            Some(at),
            u64::MAX,
            true,
        ) {
            Err(ChainError::Storage(error)) => Err(error),
            _ => Ok(()),
        })
        .unwrap();
    (store, chain)
}

/// The process that is killed: not a test by itself.
#[test]
fn child() {
    let Some(dir) = std::env::var_os("NAMECHAIN_CRASH_DIR").map(PathBuf::from) else { return };
    let (_store, mut chain) = open(&dir.join("data"));
    for (index, block) in Story::read(&dir.join("story")).iter().enumerate() {
        chain.accept(block, LATE, true).unwrap();
        println!("taken {index}");
    }
}

/// Runs the child until it has said `taken` so many times, then kills it in the midst of the next.
/// Returns the last block that it said it had taken, and whether it came to the end of the story.
fn run_and_kill(dir: &Path, after: u64, spin: u64) -> (Option<usize>, bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env("NAMECHAIN_CRASH_DIR", dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let taken =
        |line: &str| line.split_once("taken ").map(|(_, index)| index.parse::<usize>().unwrap());
    let mut last = None;
    let mut said = 0;
    while said < after {
        let Some(line) = lines.next() else {
            assert!(child.wait().unwrap().success(), "the process failed by itself");
            return (last, true);
        };
        if let Some(index) = taken(&line.unwrap()) {
            last = Some(index);
            said += 1;
        }
    }
    // Some microseconds into whatever it does next.
    for _ in 0..spin {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died counts.
    for line in lines.map_while(Result::ok) {
        last = taken(&line).or(last);
    }
    (last, false)
}

#[test]
fn what_was_taken_survives_being_killed() {
    if std::env::var_os("NAMECHAIN_CRASH_DIR").is_some() {
        return;
    }
    let kills = number_from_env("NAMECHAIN_KILLS", 200);
    let seed = number_from_env("NAMECHAIN_SEED", 1);
    println!("seed {seed}, {kills} kills");
    let random = &mut Random(seed);
    let story = Story::tell(random, 40);
    let reorganisations = story.tips.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(reorganisations > 20, "the story is worth telling");
    let dir = tempfile::tempdir().unwrap();
    story.write(&dir.path().join("story"));
    let (mut killed, mut unsaid) = (0, 0);
    let mut progress = 0;
    while killed < kills {
        let steps = random.below(12);
        let (last, over) = run_and_kill(dir.path(), progress + steps, random.below(400_000));
        killed += u64::from(!over);
        let (_store, chain) = open(&dir.path().join("data"));
        // The tip must be that after the last block it spoke of, or after a later one that it had
        // no time to speak of.
        let spoken = last.map_or(0, |last| last + 1);
        let genesis = namechain_core::consensus::header::genesis(NETWORK).header.id(NETWORK);
        let tip_after = |taken: usize| if taken == 0 { genesis } else { story.tips[taken - 1] };
        let taken = (spoken..=story.tips.len())
            .find(|taken| tip_after(*taken) == chain.tip_id())
            .unwrap_or_else(|| {
                panic!(
                    "seed {seed}, kill {killed}: block {spoken} was taken, and the tip is another"
                )
            });
        unsaid += u64::from(taken > spoken);
        progress = spoken as u64;
        if over || taken == story.tips.len() {
            fs::remove_dir_all(dir.path().join("data")).unwrap();
            progress = 0;
        }
    }
    println!("{killed} kills, {unsaid} of them after a block was written and before it was said");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Flips bits in, and truncates, every kind of file. The node then starts with a chain that holds
/// together, or says why not; what it serves is never wrong.
#[test]
fn damaged_files_are_noticed() {
    if std::env::var_os("NAMECHAIN_CRASH_DIR").is_some() {
        return;
    }
    let seed = number_from_env("NAMECHAIN_SEED", 1);
    println!("seed {seed}");
    let random = &mut Random(seed);
    let story = Story::tell(random, 6);
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("sound");
    {
        let (_store, mut chain) = open(&sound);
        for block in &story.blocks {
            chain.accept(&Block::parse(block).unwrap(), LATE, true).unwrap();
        }
    }
    let runtime = runtime();
    let (mut whole, mut shorter, mut refused) = (0, 0, 0);
    for round in 0..60 {
        let damaged = dir.path().join(format!("damaged-{round}"));
        let what = damage(&sound, &damaged, random);
        let config = NodeConfig {
            network: NETWORK,
            data_dir: damaged.clone(),
            api: None,
            admin: None,
            allow_hosts: Vec::new(),
            p2p: None,
            mine: MineMode::Off,
            mine_threads: 1,
            prune_bytes: None,
            reindex: false,
        };
        match runtime.block_on(Node::start(config)) {
            Err(error) => {
                assert!(error.to_string().len() > 20, "{what}: {error}");
                refused += 1;
            }
            Ok(node) => {
                let handle = node.handle();
                let tip = handle.snapshot();
                // Opening has compared the state's root with the header's; every block that is
                // served must be sound too.
                let known = story.tips.contains(&tip.id) || tip.height() == 0;
                assert!(known, "{what}: a tip that never was");
                for height in 0..=tip.height() {
                    if let Ok(Some((stored, block, _))) = handle.block_at(height) {
                        assert_eq!(
                            block.header.id(NETWORK),
                            stored.id,
                            "{what}: a wrong block at {height}"
                        );
                    }
                }
                if tip.id == *story.tips.last().unwrap() {
                    whole += 1
                } else {
                    shorter += 1
                }
                drop((tip, handle));
                runtime.block_on(node.stop());
            }
        }
        fs::remove_dir_all(&damaged).unwrap();
    }
    println!("{whole} whole, {shorter} with a shorter chain, {refused} refused");
    assert!(whole > 0 && shorter + refused > 0, "the damage was worth doing");
}

/// Copies a store and damages one of its files. Says what was done.
fn damage(sound: &Path, damaged: &Path, random: &mut Random) -> String {
    let mut files = Vec::new();
    copy(sound, damaged, &mut files);
    files.retain(|path| fs::metadata(path).unwrap().len() > 0);
    files.sort();
    // Every other time the log: there are many files in the index.
    let logs: Vec<_> = files
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .cloned()
        .collect();
    let pick = if random.below(2) == 0 { &logs } else { &files };
    let path = &pick[random.below(pick.len() as u64) as usize];
    let mut bytes = fs::read(path).unwrap();
    let at = random.below(bytes.len() as u64) as usize;
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let what = if random.below(3) == 0 {
        bytes.truncate(at);
        format!("{name} truncated at {at}")
    } else {
        bytes[at] ^= 1 << random.below(8);
        format!("a bit of {name} flipped at {at}")
    };
    fs::write(path, bytes).unwrap();
    what
}

fn copy(from: &Path, to: &Path, files: &mut Vec<PathBuf>) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target, files);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            files.push(target);
        }
    }
}
