//! Every route and every refusal, over real HTTP.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    router::{admin_routes, public_routes},
    *,
};
use bench::{Bench, NETWORK, commitment_of, name, owner, records};
use namechain_core::{
    api_types,
    chain::{Snapshot, StorageError, StoredHeader},
    codec::{Decode, Encode},
    consensus::{HistoryProof, work::PowHasher},
    miner::search_nonce,
    tree::Proof,
    types::{Block, Entry, Hash, Header, Name, Operation},
};

mod access;
mod bench;
mod extension;
mod refusals;

#[tokio::test]
async fn status_and_price() {
    let bench = Bench::start().await;
    let answer = bench.get("/v1/status").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json::<api_types::Status>(), bench.node.status());
    assert_eq!(bench.get("/v1/price").await.json::<api_types::Price>(), bench.node.price());
    let peers = bench.admin("GET", "/v1/peers", &[], b"").await;
    assert_eq!(peers.json::<api_types::Peers>(), bench.node.peers());
}

#[tokio::test]
async fn a_name_is_told_whatever_its_standing() {
    let bench = Bench::start().await;
    let alice: api_types::NameInfo = bench.get("/v1/names/alice").await.json();
    assert_eq!(
        (alice.standing, alice.height, alice.next_sequence),
        (api_types::Standing::Active, 3, 1)
    );
    let entry = alice.entry.unwrap();
    assert_eq!((entry.owner, entry.registered_height), (owner().public(), 2));
    let young: api_types::NameInfo = bench.get("/v1/names/alice?height=2").await.json();
    assert_eq!(young.standing, api_types::Standing::Settling);
    assert_eq!((entry.settles_height, entry.settles_time), (3, young.time + 1));
    assert_eq!(
        entry.records,
        records().records().iter().map(api_types::RecordInfo::from).collect::<Vec<_>>()
    );
    assert!(!alice.pending);

    let before: api_types::NameInfo = bench.get("/v1/names/alice?height=1").await.json();
    assert_eq!(
        (before.standing, before.height, before.entry),
        (api_types::Standing::Available, 1, None)
    );

    let waiting: api_types::NameInfo = bench.get("/v1/names/waiting").await.json();
    assert_eq!((waiting.standing, waiting.next_sequence), (api_types::Standing::Available, 1));
    assert!(waiting.pending);

    let reserved: api_types::NameInfo = bench.get("/v1/names/localhost").await.json();
    assert_eq!(reserved.standing, api_types::Standing::Reserved);
    assert_eq!(reserved.reserved, name("localhost").reserved());
}

#[tokio::test]
async fn a_proof_leads_to_the_state_root_of_its_header() {
    let bench = Bench::start().await;
    // By default at the depth that names are served from, here one block below the tip.
    for (query, height, present) in
        [("", 2, true), ("?height=1", 1, false), ("?height=0", 0, false)]
    {
        let info: api_types::ProofInfo =
            bench.get(&format!("/v1/names/alice/proof{query}")).await.json();
        let header = Header::from_bytes(&hex::decode(&info.header).unwrap()).unwrap();
        assert_eq!((info.height, header.height, header.id(NETWORK)), (height, height, info.block));
        let proof = Proof::from_bytes(&hex::decode(&info.proof).unwrap()).unwrap();
        let entry = info.entry.map(|entry| hex::decode(entry).unwrap());
        let value = entry.as_ref().map(|bytes| Entry::value_hash(NETWORK, bytes));
        let key = name("alice").key(NETWORK);
        assert_eq!(
            proof.verify(NETWORK, &header.state_root, &key, value.as_ref()),
            Ok(()),
            "at {height}"
        );
        assert_eq!(entry.is_some(), present);
    }
}

#[tokio::test]
async fn a_history_has_every_operation_on_the_name() {
    let bench = Bench::start().await;
    let history: api_types::History = bench.get("/v1/names/alice/history").await.json();
    let [register] = &history.operations[..] else { panic!("{history:?}") };
    assert_eq!(
        (register.height, register.kind.as_str(), register.signer),
        (2, "register", owner().public())
    );
    let operation = Operation::from_bytes(&hex::decode(&register.operation).unwrap()).unwrap();
    assert_eq!(operation.id(NETWORK), register.id);
    assert_eq!(
        bench.get("/v1/names/alice/history?from=3").await.json::<api_types::History>().operations,
        []
    );
    assert_eq!(
        bench.get("/v1/names/nobody/history").await.json::<api_types::History>().operations,
        []
    );
    bench.get("/v1/names/-/history").await.refuses(400, "bad-request");
}

/// A pruned node says what it does not have, and proves what it proved before.
#[tokio::test]
async fn what_is_pruned_is_said() {
    let bench = Bench::start().await;
    let proof = bench.get("/v1/blocks/1/proof?against=2").await.json::<api_types::PlaceInfo>();
    bench.node.first_block.store(3, std::sync::atomic::Ordering::Relaxed);
    let status: api_types::Status = bench.get("/v1/status").await.json();
    assert_eq!((status.pruned, status.first_block), (true, 3));
    for path in ["/v1/blocks/2".to_owned(), format!("/v1/blocks/{}", status.tip)] {
        let answer = bench.get(&path).await;
        if path.ends_with("/2") {
            answer.refuses(410, "pruned");
        } else {
            assert_eq!(answer.json::<api_types::BlockInfo>().height, 3);
        }
    }
    let again = bench.get("/v1/blocks/1/proof?against=2").await.json::<api_types::PlaceInfo>();
    assert_eq!(again, proof);
    let history: api_types::History = bench.get("/v1/names/alice/history").await.json();
    assert_eq!((history.operations, history.pruned_below), (vec![], Some(3)));
    let history: api_types::History = bench.get("/v1/names/alice/history?from=3").await.json();
    assert_eq!(history.pruned_below, None, "nothing from there on is missing");
}

#[tokio::test]
async fn a_later_block_proves_that_it_was_built_on_an_earlier_one() {
    let bench = Bench::start().await;
    for height in 0..2u32 {
        let info: api_types::PlaceInfo =
            bench.get(&format!("/v1/blocks/{height}/proof?against=2")).await.json();
        let header = |bytes: &str| Header::from_bytes(&hex::decode(bytes).unwrap()).unwrap();
        let (below, above) = (header(&info.header), header(&info.against));
        let proof = HistoryProof::from_bytes(&hex::decode(&info.proof).unwrap()).unwrap();
        let params = NETWORK.params();
        assert_eq!(proof.verify(params, &above.history_root, &below.id(NETWORK), &below), Ok(()));
    }
    bench.get("/v1/blocks/3/proof").await.refuses(404, "not-found");
    bench.get("/v1/blocks/0/proof?against=9").await.refuses(404, "not-found");
}

#[tokio::test]
async fn a_commitment_is_told_while_it_is_open() {
    let bench = Bench::start().await;
    let bob = name("bobby");
    let path = format!("/v1/commitments/{}", commitment_of(&bob));
    let unknown: api_types::CommitmentInfo = bench.get(&path).await.json();
    assert_eq!(unknown.recorded, None);

    let commit = bench.node.commit(&bob);
    bench.node.record(commit.clone());
    let open: api_types::CommitmentInfo = bench.get(&path).await.json();
    assert_eq!((open.commitment, open.height, open.pending), (commitment_of(&bob), 4, false));
    let found = open.recorded.expect("it is recorded");
    assert_eq!((found.id, found.height, found.index), (commit.id(NETWORK), 4, 0));
    assert_eq!((found.opens_height, found.opens_time), (5, open.time + 1));
    assert_eq!((found.lapses, found.spent), (open.time + 86_400, false));
    assert_eq!(found.work, commit.stamp().work);

    // A younger one of the same commitment: the older one is told, and both are listed.
    let younger = bench.node.commit(&bob);
    bench.node.record(younger.clone());
    let open: api_types::CommitmentInfo = bench.get(&path).await.json();
    assert_eq!((open.height, open.recorded.expect("two are").id), (5, commit.id(NETWORK)));
    let all: Vec<Hash> = open.all.iter().map(|commit| commit.id).collect();
    assert_eq!(all, [commit.id(NETWORK), younger.id(NETWORK)]);

    let path = format!("/v1/commitments/{}", commitment_of(&name("waiting")));
    assert!(bench.get(&path).await.json::<api_types::CommitmentInfo>().pending);
}

#[tokio::test]
async fn a_block_by_height_and_by_id() {
    let bench = Bench::start().await;
    let block: api_types::BlockInfo = bench.get("/v1/blocks/2").await.json();
    let snapshot = bench.node.snapshot_at(2).unwrap();
    assert_eq!((block.height, block.active, block.id), (2, true, snapshot.id));
    let bytes = hex::decode(&block.bytes).unwrap();
    let decoded = Block::from_bytes(&bytes).unwrap();
    assert_eq!(decoded.header.id(NETWORK), block.id);
    assert_eq!(block.state_root, snapshot.state_root());
    let [register] = &block.operations[..] else { panic!("{block:?}") };
    assert_eq!((register.kind.as_str(), &register.name), ("register", &Some(name("alice"))));
    assert_eq!((register.id, register.sequence), (decoded.operations[0].id(NETWORK), None));

    let same: api_types::BlockInfo = bench.get(&format!("/v1/blocks/{}", block.id)).await.json();
    assert_eq!(same, block);
    let commit: api_types::BlockInfo =
        bench.get(&format!("/v1/blocks/{}", block.previous)).await.json();
    assert_eq!(commit.operations[0].commitment, Some(commitment_of(&name("alice"))));
    assert_eq!(bench.get("/v1/blocks/0").await.json::<api_types::BlockInfo>().operations, []);
}

#[tokio::test]
async fn an_operation_is_handed_on() {
    let bench = Bench::start().await;
    let operation = bench.node.commit(&name("bobby"));
    let answer = bench.submit(&operation).await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.json::<api_types::Submitted>(),
        api_types::Submitted { id: operation.id(NETWORK), height: bench.node.snapshot().height() }
    );
}

#[tokio::test]
async fn health_is_about_the_process_and_readiness_about_the_chain() {
    let bench = Bench::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = bench.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    }
    bench.node.synced.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(bench.get("/healthz").await.status, 200);
    bench.get("/readyz").await.refuses(503, "unavailable");
    bench.node.synced.store(true, std::sync::atomic::Ordering::Relaxed);
    bench.node.stuck.store(true, std::sync::atomic::Ordering::Relaxed);
    for path in ["/healthz", "/readyz"] {
        let refusal = bench.get(path).await.refuses(503, "unavailable");
        assert_eq!(refusal.message, "the chain thread is stuck");
    }
}

#[tokio::test]
async fn metrics_tell_the_node_and_count_requests_by_route() {
    let bench = Bench::start().await;
    bench.get("/v1/names/no-such-name-1").await;
    bench.get("/v1/names/UPPER").await;
    bench.get("/no/such/path").await;
    let answer = bench.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{answer:?}");
    let has = |line: &str| {
        assert!(answer.body.lines().any(|found| found.starts_with(line)), "{line}: {answer:?}")
    };
    has("namechain_tip_height 3");
    has("namechain_tip_time_seconds 1");
    has("namechain_synced 1");
    has("namechain_mempool_operations 3");
    has("namechain_p2p_received_bytes_total 700");
    has("namechain_p2p_sent_bytes_total 70");
    has(r#"namechain_peers{direction="in"} 0"#);
    has(r#"namechain_peers{direction="out"} 0"#);
    has("namechain_mempool_bytes 456");
    has(&format!("namechain_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")));
    has("process_cpu_seconds_total ");
    // Other tests count too: the number is theirs as well.
    has(r#"namechain_api_requests_total{route="/v1/names/{name}",status="200"} "#);
    has(r#"namechain_api_requests_total{route="/v1/names/{name}",status="400"} "#);
    has(r#"namechain_api_requests_total{route="none",status="404"} "#);
    assert!(!answer.body.contains("UPPER"), "what is asked for is no label");
}

/// What anybody may mine: only the nonce is changed, and the block is the next one.
#[tokio::test]
async fn a_template_is_mined_from_outside() {
    let bench = Bench::start().await;
    let template: api_types::MiningTemplate = bench.get("/v1/mining/template").await.json();
    let header = Header::from_bytes(&hex::decode(&template.header).unwrap()).unwrap();
    assert_eq!((header.height, header.nonce, template.height), (4, 0, 4));
    let post = async |header: &str| {
        let body = format!(r#"{{"header": "{header}"}}"#);
        bench.request("POST", "/v1/mining/blocks", extension::JSON, body.as_bytes()).await
    };
    let mut worker = PowHasher::new(NETWORK);
    let mut tries = (0..).map(|nonce| Header { nonce, ..header.clone() });
    let bad = tries.find(|header| !worker.has_header_work(header)).unwrap();
    post(&hex::encode(bad.to_bytes())).await.refuses(422, "rule");
    for wrong in ["", "zz", "00"] {
        post(wrong).await.refuses(400, "bad-request");
    }
    let mined = search_nonce(&mut worker, header, |_| true).unwrap();
    let answer = post(&hex::encode(mined.to_bytes())).await;
    let block: api_types::MinedBlock = answer.json();
    assert_eq!(
        (answer.status, block.id, block.height, block.tip),
        (200, mined.id(NETWORK), 4, true)
    );
    // There is another one at once.
    let after = format!("/v1/mining/template?after={}", template.template);
    let next: api_types::MiningTemplate = bench.get(&after).await.json();
    assert_eq!(next.height, 5);
    bench.get("/v1/mining/template?after=x").await.refuses(400, "bad-request");
}
