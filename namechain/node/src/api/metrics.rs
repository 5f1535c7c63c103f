//! Metrics in Prometheus' text format, of everything in this process that counts with the crate
//! `metrics`.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use metrics::{counter, describe_counter, describe_gauge, gauge};

use super::{app::App, backend::Traffic, process, recorder::Recorder, refuse::Refused};
use namechain_core::api_types;

const REQUESTS: &str = "namechain_api_requests_total";
const TIP_HEIGHT: &str = "namechain_tip_height";
const TIP_TIME: &str = "namechain_tip_time_seconds";
const SERVED_HEIGHT: &str = "namechain_served_height";
const SERVE_DEPTH: &str = "namechain_serve_depth";
const SYNCED: &str = "namechain_synced";
const FORK_PARKED: &str = "namechain_chain_parked";
const HOLD_LEFT: &str = "namechain_chain_hold_seconds";
const TIP_AGE: &str = "namechain_tip_age_seconds";
const SECOND_BEST: &str = "namechain_second_best_height";
const TARGET_HEIGHT: &str = "namechain_target_height";
const PEERS: &str = "namechain_peers";
const RECEIVED: &str = "namechain_p2p_received_bytes_total";
const SENT: &str = "namechain_p2p_sent_bytes_total";
const HASHES: &str = "namechain_mining_hashes_total";
const HASH_RATE: &str = "namechain_mining_hashes_per_second";
const MEMPOOL_OPERATIONS: &str = "namechain_mempool_operations";
const MEMPOOL_BYTES: &str = "namechain_mempool_bytes";
const BUILD_INFO: &str = "namechain_build_info";

/// The content type of the text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

static RECORDER: OnceLock<Option<Arc<Recorder>>> = OnceLock::new();
/// Setting the gauges and rendering them is one step: several nodes in one process don't mix
/// theirs.
static RENDERING: Mutex<()> = Mutex::new(());

/// Makes this process' metrics go to `/metrics`, once; [`super::serve`] does it too. What was
/// counted before is lost, so a program that counts from its start calls it first. False if
/// something else records the process' metrics.
pub fn install() -> bool {
    recorder().is_some()
}

fn recorder() -> Option<&'static Arc<Recorder>> {
    let recorder = RECORDER.get_or_init(|| {
        let recorder = Arc::new(Recorder::default());
        metrics::set_global_recorder(recorder.clone()).ok()?;
        describe_gauge!(BUILD_INFO, "1, with the version of the program.");
        gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        describe_counter!(REQUESTS, "Requests to the API, by route and status.");
        describe_gauge!(TIP_HEIGHT, "The height of the tip.");
        describe_gauge!(
            TIP_TIME,
            "The time that the tip's header states, in seconds of Unix time."
        );
        describe_gauge!(SERVED_HEIGHT, "The height that names are served from.");
        describe_gauge!(SERVE_DEPTH, "How many blocks below the tip names are served from.");
        describe_gauge!(SYNCED, "Whether names are served.");
        describe_gauge!(
            FORK_PARKED,
            "Whether a chain of more work departs too deep to be followed."
        );
        describe_gauge!(
            HOLD_LEFT,
            "How long a chain of more work is still held back, in seconds; 0 if none is."
        );
        describe_gauge!(
            TIP_AGE,
            "How long ago the time is that the tip's header states, in seconds."
        );
        describe_gauge!(
            SECOND_BEST,
            "The height of the chain of most work beside the best; 0 if there is none."
        );
        describe_gauge!(
            TARGET_HEIGHT,
            "The height that the node goes for; that of the tip once it is there."
        );
        describe_gauge!(PEERS, "Peers that are connected, by who dialled: direction in or out.");
        describe_counter!(RECEIVED, "Bytes received from peers.");
        describe_counter!(SENT, "Bytes sent to peers.");
        describe_counter!(HASHES, "Hashes of the work function that the miner has tried.");
        describe_gauge!(
            HASH_RATE,
            "Hashes of the work function that the miner tries in a second, as of late."
        );
        describe_gauge!(MEMPOOL_OPERATIONS, "Operations that wait to be recorded.");
        describe_gauge!(MEMPOOL_BYTES, "The bytes of the operations that wait to be recorded.");
        Some(recorder)
    });
    recorder.as_ref()
}

/// Counts requests by the route that matched, not by path: the number of counters is bounded.
pub(super) async fn count(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    count_response(route.as_ref().map_or("none", MatchedPath::as_str), response.status());
    response
}

/// Counts an answer; `none` is the route of what no route has answered.
pub(super) fn count_response(route: &str, status: StatusCode) {
    let status = status.as_u16().to_string();
    counter!(REQUESTS, "route" => route.to_owned(), "status" => status).increment(1);
}

/// The node's metrics.
#[cfg_attr(test, utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain"),
    (status = 503, description = "something else records the process' metrics", body = api_types::Refusal),
)))]
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, Refused> {
    let node = app.ask(|backend| (backend.status(), backend.traffic())).await?;
    render(Some(node), &app.extension.counted())
}

/// What has been counted, with the node's state if there is a node, and what the program around it
/// counts by itself.
pub(super) fn render(
    node: Option<(api_types::Status, Traffic)>,
    counts: &str,
) -> Result<Response, Refused> {
    let recorder = recorder().ok_or_else(|| {
        Refused::unavailable("something else records the metrics of this process", "")
    })?;
    // Reads files: not under the lock.
    let process = process::render();
    let _rendering = RENDERING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((status, traffic)) = node {
        gauge!(TIP_HEIGHT).set(status.height);
        gauge!(TIP_TIME).set(status.tip_time as f64);
        gauge!(SERVED_HEIGHT).set(status.served_height);
        gauge!(SERVE_DEPTH).set(status.serve_depth);
        gauge!(SYNCED).set(if status.synced { 1.0 } else { 0.0 });
        gauge!(FORK_PARKED).set(if status.parked_tip.is_some() { 1.0 } else { 0.0 });
        gauge!(HOLD_LEFT).set(status.hold.map_or(0, |hold| hold.seconds_left) as f64);
        gauge!(TIP_AGE).set(status.tip_age as f64);
        gauge!(SECOND_BEST).set(status.second_best.as_ref().map_or(0, |other| other.height));
        gauge!(TARGET_HEIGHT).set(status.sync.target);
        gauge!(PEERS, "direction" => "in").set(status.peers.inbound as f64);
        gauge!(PEERS, "direction" => "out").set(status.peers.outbound as f64);
        counter!(RECEIVED).absolute(traffic.received);
        counter!(SENT).absolute(traffic.sent);
        counter!(HASHES).absolute(status.mining_hashes);
        gauge!(HASH_RATE).set(status.mining_rate as f64);
        gauge!(MEMPOOL_OPERATIONS).set(status.mempool_operations as f64);
        gauge!(MEMPOOL_BYTES).set(status.mempool_bytes as f64);
    }
    let text = recorder.render() + &process + counts;
    Ok(([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response())
}
