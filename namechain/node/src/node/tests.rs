//! A node without its API: what is acknowledged is recorded, and still there after a restart.

use std::{path::Path, sync::Arc};

use super::*;
use crate::api::Backend;
use namechain_core::{
    codec::Encode,
    consensus::{header::signing_context, price, work::PowHasher},
    params::{FIRST_BRANCH, MAX_VALIDITY_S},
    types::{
        Action, Hash, Name, Operation, RecordSet, SecretKey, SignedOperation, Stamp, commitment,
    },
};

const NETWORK: Network = Network::Dev;

fn config(dir: &Path, mine: MineMode, reindex: bool) -> NodeConfig {
    NodeConfig {
        network: NETWORK,
        data_dir: dir.to_owned(),
        api: None,
        admin: None,
        allow_hosts: Vec::new(),
        p2p: None,
        mine,
        mine_threads: 1,
        prune_bytes: None,
        reindex,
    }
}

async fn start(dir: &Path, mine: MineMode, reindex: bool) -> Node {
    Node::start(config(dir, mine, reindex)).await.unwrap()
}

/// As from a thread that may wait.
fn submit(
    handle: &NodeHandle,
    operation: Operation,
) -> Result<namechain_core::api_types::Submitted, namechain_core::api_types::Refusal> {
    tokio::task::block_in_place(|| handle.submit(operation))
}

fn stamped(handle: &NodeHandle, mut operation: Operation) -> Operation {
    let work = price::registration(NETWORK.params(), &name(), handle.price().name_multiplier);
    let stamp = Stamp { anchor: handle.snapshot().id, work, nonce: 0 };
    let subject = operation.stamp_subject(NETWORK);
    *operation.stamp_mut() =
        PowHasher::new(NETWORK).search_stamp(&subject, stamp, u64::MAX).unwrap();
    operation
}

fn name() -> Name {
    Name::parse("alice").unwrap()
}

fn blank() -> Stamp {
    Stamp { anchor: namechain_core::types::Hash::ZERO, work: 1, nonce: 0 }
}

fn commit(handle: &NodeHandle, key: &SecretKey) -> Operation {
    let commitment = commitment(NETWORK, &name(), &key.public(), &key.salt(NETWORK, &name()));
    stamped(handle, Operation::Commit { commitment, stamp: blank() })
}

fn register(handle: &NodeHandle, key: &SecretKey, commit: Hash) -> Operation {
    let action = Action::Register {
        recovery: None,
        salt: key.salt(NETWORK, &name()),
        records: RecordSet::default(),
    };
    signed(handle, key, commit, action)
}

fn signed(handle: &NodeHandle, key: &SecretKey, reference: Hash, action: Action) -> Operation {
    let context = signing_context(NETWORK.params(), FIRST_BRANCH.number);
    let until = clock::now() + MAX_VALIDITY_S / 2;
    let named = SignedOperation::sign(&context, name(), reference, until, action, key, blank());
    stamped(handle, Operation::Named(named))
}

/// Registers the name as soon as a second has passed since the Commit's block.
async fn register_once_open(handle: &NodeHandle, key: &SecretKey, commit: Hash) {
    let opened = async {
        while let Err(refused) = submit(handle, register(handle, key, commit)) {
            assert_eq!(refused.rule.as_deref(), Some("commitment-young"));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), opened).await.expect("it opens");
}

/// Waits for the tip to reach a height.
async fn reach(handle: &NodeHandle, height: u32) {
    let mut published = handle.published();
    let waited = published.wait_for(|now| now.tip.height() >= height);
    tokio::time::timeout(std::time::Duration::from_secs(60), waited)
        .await
        .expect("a block is mined")
        .unwrap();
}

/// Waits for the name to be registered; the height.
async fn registered(handle: &NodeHandle) -> u32 {
    let mut published = handle.published();
    let waited = published.wait_for(|now| now.tip.entry(&name()).is_ok_and(|it| it.is_some()));
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), waited).await;
    let now = waited.expect("it is recorded").unwrap();
    now.tip.entry(&name()).unwrap().unwrap().registered.height
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_recorded_and_survives() {
    let dir = tempfile::tempdir().unwrap();
    let key = SecretKey::from_seed(&[1; 32]);

    // Nobody mines: the commit waits, over a restart too.
    let node = start(dir.path(), MineMode::Off, false).await;
    let waiting = commit(&node.handle(), &key);
    let submitted = submit(&node.handle(), waiting.clone()).unwrap();
    assert_eq!(submitted.id, waiting.id(NETWORK));
    node.stop().await;

    let node = start(dir.path(), MineMode::OnDemand, false).await;
    let handle = node.handle();
    reach(&handle, 1).await;
    let commit = waiting.id(NETWORK);
    register_once_open(&handle, &key, commit).await;
    let recorded = registered(&handle).await;
    // And the name settles.
    reach(&handle, recorded + 1).await;
    let entry = handle.served().entry(&name()).unwrap().unwrap();
    assert_eq!(entry.owner, key.public());
    let spent = submit(&handle, register(&handle, &key, commit)).unwrap_err();
    assert_eq!(
        (spent.code.as_str(), spent.rule.as_deref()),
        ("conflict", Some("commitment-spent"))
    );
    assert_eq!(handle.status().mempool_operations, 0);
    let (tip, root) = (handle.snapshot().id, handle.snapshot().state_root());
    drop(handle);
    node.stop().await;

    for reindex in [false, true] {
        let node = start(dir.path(), MineMode::OnDemand, reindex).await;
        let snapshot: Arc<_> = node.handle().snapshot();
        assert_eq!((snapshot.id, snapshot.state_root()), (tip, root));
        assert_eq!(snapshot.entry(&name()).unwrap().unwrap().owner, key.public());
        assert_eq!(node.handle().block_at(recorded).unwrap().unwrap().1.operations.len(), 1);
        drop(snapshot);
        node.stop().await;
    }
}

/// What was replaced does not wait any more, on the disk either.
#[tokio::test(flavor = "multi_thread")]
async fn the_row_of_a_replaced_operation_goes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let key = SecretKey::from_seed(&[1; 32]);
    let node = start(dir.path(), MineMode::OnDemand, false).await;
    let handle = node.handle();
    let committed = commit(&handle, &key);
    submit(&handle, committed.clone()).unwrap();
    reach(&handle, 1).await;
    register_once_open(&handle, &key, committed.id(NETWORK)).await;
    let recorded = registered(&handle).await;
    reach(&handle, recorded + 1).await;
    drop(handle);
    node.stop().await;

    let node = start(dir.path(), MineMode::Off, false).await;
    let handle = node.handle();
    let title = handle.snapshot().entry(&name()).unwrap().unwrap().title;
    let first = signed(&handle, &key, title, Action::Revoke);
    submit(&handle, first.clone()).unwrap();
    let mut second = first.clone();
    let stamp = Stamp { work: first.stamp().work * 5 / 4 + 1, nonce: 0, ..*first.stamp() };
    let subject = second.stamp_subject(NETWORK);
    *second.stamp_mut() = PowHasher::new(NETWORK).search_stamp(&subject, stamp, u64::MAX).unwrap();
    submit(&handle, second.clone()).unwrap();
    assert_eq!(handle.pending_rows().unwrap(), [second.to_bytes()]);
    drop(handle);
    node.stop().await;
}

/// A chain thread that is at one thing for too long is told of, until it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_chain_thread_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path(), MineMode::Off, false).await;
    let handle = node.handle();
    // Time passes for it every tenth of a second.
    let within = Duration::from_secs(2);
    let wait = async |stuck: bool| loop {
        let health = handle.check_health(within);
        if health.is_err() == stuck {
            return health;
        }
        tokio::time::sleep(TICK).await;
    };
    wait(false).await.unwrap();
    let (release, until) = std::sync::mpsc::channel();
    handle.block_chain_thread(until).await;
    let why = wait(true).await.unwrap_err();
    assert!(why.starts_with("the chain thread is stuck: it has been at one thing for "), "{why}");
    assert_eq!(handle.health(), Ok(()), "30 s are not over yet");
    drop(release);
    wait(false).await.unwrap();
    node.stop().await;
    assert!(handle.check_health(within).unwrap_err().starts_with("the chain thread has ended"));
}

/// The user who runs a node has all of its API on a socket, until it stops.
#[tokio::test(flavor = "multi_thread")]
async fn the_admin_socket_comes_and_goes_with_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let config = |path: &Path| NodeConfig {
        admin: Some(path.to_owned()),
        ..config(&data, MineMode::Off, false)
    };
    let socket = admin_socket(&data);
    let node = Node::start(config(&socket)).await.unwrap();
    assert_eq!(node.admin_path(), Some(socket.as_path()));
    assert!(socket.exists());
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&data).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "what is made is for its owner only");
    node.stop().await;
    assert!(!socket.exists());
    let long = data.join("x".repeat(200));
    let Err(error) = Node::start(config(&long)).await else { panic!("it can't be bound") };
    assert!(error.to_string().contains("bytes"), "{error}");
}
