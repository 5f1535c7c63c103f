//! How many requests a client may make over TCP. Clients of this machine and of private networks
//! are not limited: a proxy is one of them, and limits by itself.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use namechain_core::token_bucket::TokenBucket;

use super::{
    connections::{CLIENTS_OF_A_SITE, Client},
    metrics,
    refuse::Refused,
};

/// Requests of a client at once, and then in a second: as many as a resolver needs that asks a node
/// of another network for each name, or a tool that reads a block a request.
const REQUESTS_AT_ONCE: u32 = 2_000;
const REQUESTS_PER_SECOND: u32 = 500;
/// Clients and sites that are remembered: those that have made requests within the last seconds.
const MAX_CLIENTS: usize = 4_096;

/// Who makes a request: told with it by the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientAddress(pub Option<IpAddr>);

/// What each client has left.
#[derive(Clone, Default)]
pub(super) struct RateLimit {
    buckets: Arc<Mutex<HashMap<Client, TokenBucket>>>,
    /// Seconds since the start, as it is told.
    seconds: Arc<AtomicU64>,
}

impl RateLimit {
    /// A second has passed.
    pub fn tick(&self) {
        self.seconds.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.retain(|_, bucket| !bucket.is_full(now));
    }

    fn now(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }

    /// Whether a client may make a request now.
    fn take(&self, address: IpAddr) -> bool {
        if is_near(address) {
            return true;
        }
        let (now, client) = (self.now(), Client::new(Some(address)));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut take = |client: Client, times: u32| {
            if buckets.len() >= MAX_CLIENTS && !buckets.contains_key(&client) {
                // Somebody is forgotten, and nobody shut out.
                let any = buckets.keys().next().copied();
                any.map(|any| buckets.remove(&any));
            }
            let (at_once, per_second) = (REQUESTS_AT_ONCE * times, REQUESTS_PER_SECOND * times);
            let full = || TokenBucket::new(at_once, per_second, now);
            buckets.entry(client).or_insert_with(full).take(1, now)
        };
        let site = client.site();
        take(client, 1) && (site == client || take(site, CLIENTS_OF_A_SITE))
    }
}

/// Whether an address is of this machine or of a private network.
pub(super) fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Refuses the requests of a client that makes too many.
pub(super) async fn limit(
    State(limit): State<RateLimit>,
    request: Request,
    next: Next,
) -> Response {
    let client = request.extensions().get::<ClientAddress>().and_then(|client| client.0);
    if client.is_none_or(|client| limit.take(client)) {
        return next.run(request).await;
    }
    let message =
        format!("more than {REQUESTS_PER_SECOND} requests a second come from this address");
    let status = StatusCode::TOO_MANY_REQUESTS;
    let refused = Refused::new(status, "rate-limited", message, "ask again in a second");
    metrics::count_response("none", status);
    let mut response = refused.into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware::from_fn_with_state, routing::get};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    #[test]
    fn a_client_has_so_many_requests_at_once_and_then_in_a_second() {
        let limit = RateLimit::default();
        let ask = |address: &str| limit.take(address.parse().unwrap());
        let granted = |address: &str| (0..10_000).filter(|_| ask(address)).count();
        assert_eq!(granted("192.0.2.1"), 2_000);
        assert_eq!(granted("2001:db8::1"), 2_000);
        assert!(!ask("2001:db8::2"), "one network is one client");
        let of_site: usize = (1..9).map(|at| granted(&format!("2001:db8:0:{at}::1"))).sum();
        assert_eq!(of_site, 6_000, "with the first 2,000: a site has four times as much");
        assert!(ask("192.0.2.2") && ask("2001:db8:1::1"));
        limit.tick();
        assert_eq!(granted("192.0.2.1"), 500);
        for near in ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "::ffff:172.16.0.1", "fd00::1"]
        {
            assert_eq!(granted(near), 10_000, "{near}");
        }
        (0..4).for_each(|_| limit.tick());
        assert_eq!(limit.buckets.lock().unwrap().len(), 0, "whoever has all of it is forgotten");
    }

    #[tokio::test]
    async fn too_many_requests_are_refused_with_when_to_ask_again() {
        let layer = from_fn_with_state(RateLimit::default(), limit);
        let router = Router::new().route("/", get(async || "ok")).layer(layer);
        let service = TowerToHyperService::new(router);
        let ask = async |address: &str| {
            let mut request = Request::new(Body::empty());
            request.extensions_mut().insert(ClientAddress(Some(address.parse().unwrap())));
            service.call(request).await.unwrap()
        };
        for _ in 0..REQUESTS_AT_ONCE {
            assert_eq!(ask("192.0.2.1").await.status(), StatusCode::OK);
        }
        let refused = ask("192.0.2.1").await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
        assert_eq!(ask("192.0.2.2").await.status(), StatusCode::OK);
        assert_eq!(ask("127.0.0.1").await.status(), StatusCode::OK);
    }

    #[test]
    fn the_number_of_clients_is_bounded() {
        let limit = RateLimit::default();
        for number in 0..5_000u32 {
            assert!(limit.take(IpAddr::V4((0x0100_0000 + number).into())));
        }
        assert_eq!(limit.buckets.lock().unwrap().len(), MAX_CLIENTS);
    }
}
