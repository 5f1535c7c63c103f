//! A client of the node's HTTP API, over TCP or on a Unix socket. Each request is bounded in time
//! and in bytes.

mod dns_probe;

use std::{fmt::Display, time::Duration};

use namechain_core::{
    api_types::{
        BanInfo, Bans, BlockInfo, BundleInfo, CommitmentInfo, Flush, Flushed, History, LiftBans,
        Lifted, MinedBlock, MinedHeader, MiningTemplate, NameInfo, NewBan, Peers, PlaceInfo,
        PrekeyInfo, Price, ProofInfo, PutBundle, Refusal, Status, Submit, Submitted, Trace,
        TraceAsked, TrustAnchor,
    },
    codec::Encode,
    types::{Hash, Header, Name, Network, Operation},
};
use reqwest::{StatusCode, Url, redirect};
use serde::de::DeserializeOwned;
use thiserror::Error;

/// How long connecting to the node may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one request may take in all.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The most bytes of an answer that are read. The largest answers are a block in hexadecimal with
/// its operations listed beside, about 1.5 MB, and a page of a history: 100 operations with 4,096
/// bytes of records each are 1 MB.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// What `--node` begins with if it names a Unix socket.
pub const UNIX_SCHEME: &str = "unix:";

/// A node's API.
#[derive(Debug)]
pub struct Client {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    base: Url,
    /// As it was given.
    node: String,
}

/// Why a request failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// `--node` is not a URL.
    #[error("'{0}' is not the URL of a node: {1}")]
    BadUrl(String, String),
    /// The client can't be set up on this machine.
    #[error("can't set up a connection: {0}")]
    Setup(String),
    /// Nothing answers in time.
    #[error("no node answers at {node}: {why}")]
    Unreachable {
        /// The node's URL.
        node: String,
        /// What went wrong.
        why: String,
    },
    /// The answer is not that of a node of this version.
    #[error("the answer from {node} is not that of a node of this version: {why}")]
    NotANode {
        /// The node's URL.
        node: String,
        /// What was wrong with the answer.
        why: String,
    },
    /// The node is on another network than `--network` says.
    #[error("the node is on the network {found}, and --network says {wanted}")]
    OtherNetwork {
        /// The node's.
        found: Network,
        /// The one that was asked for.
        wanted: Network,
    },
    /// A command for the admin socket, and `--node` names another address.
    #[error("this needs the admin socket of a node on this machine, and --node names an HTTP API")]
    NeedsSocket,
    /// Nobody listens on any admin socket.
    #[error("this needs the admin socket of a node on this machine: nobody listens on {0}")]
    NoSocket(String),
    /// The admin socket is another user's.
    #[error("this needs the admin socket of a node on this machine: {0} belongs to another user")]
    SocketDenied(String),
    /// There are several.
    #[error("several programs on this machine have an admin socket: {0}")]
    ManySockets(String),
    /// The node refuses.
    #[error("the node refuses: {}{}", .0.message, .0.rule.as_ref().map(|rule| format!(" [rule {rule}]")).unwrap_or_default())]
    Refused(Refusal),
}

impl ClientError {
    /// Whether the same request may be answered a moment later.
    pub fn is_temporary(&self) -> bool {
        match self {
            ClientError::Unreachable { .. } => true,
            ClientError::Refused(refusal) => refusal.is_temporary(),
            _ => false,
        }
    }
}

impl Client {
    /// A client of the node at `node`, an `http` or `https` URL, or `unix:` and the path of a
    /// socket.
    pub fn new(node: &str) -> Result<Self, ClientError> {
        let bad = |why: String| ClientError::BadUrl(node.to_owned(), why);
        let socket = node.strip_prefix(UNIX_SCHEME);
        // The node expects its own name from whoever has opened its socket.
        let url = if socket.is_some() { "http://localhost/" } else { node };
        let mut base = Url::parse(url).map_err(|error| bad(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(bad("it must begin with http://, https:// or unix:".into()));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        base.set_query(None);
        base.set_fragment(None);
        // An error says that there is a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let setup = |error: String| ClientError::Setup(error);
        let mut http = reqwest::Client::builder();
        if let Some(path) = socket {
            http = http.unix_socket(path);
        }
        let http = http
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(redirect::Policy::none())
            // Between two requests the user types a passphrase, or a stamp is worked: the node has
            // closed an idle connection by then.
            .pool_max_idle_per_host(0)
            // No proxy: it would see every name.
            .no_proxy()
            .build()
            .map_err(|error| setup(chain_of(&error)))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| setup(error.to_string()))?;
        let node = node.trim_end_matches('/').to_owned();
        Ok(Client { runtime, http, base, node })
    }

    /// `GET /v1/status`.
    pub fn status(&self) -> Result<Status, ClientError> {
        self.get("v1/status")
    }

    /// `GET /v1/peers`.
    pub fn peers(&self) -> Result<Peers, ClientError> {
        self.get("v1/peers")
    }

    /// `GET /v1/bans`.
    pub fn bans(&self) -> Result<Bans, ClientError> {
        self.get("v1/bans")
    }

    /// `POST /v1/bans`.
    pub fn ban(&self, ban: &NewBan) -> Result<BanInfo, ClientError> {
        self.ask(self.http.post(self.url("v1/bans")?).json(ban))
    }

    /// `POST /v1/bans/lift`.
    pub fn lift_bans(&self, what: &LiftBans) -> Result<Lifted, ClientError> {
        self.ask(self.http.post(self.url("v1/bans/lift")?).json(what))
    }

    /// `GET /v1/price`.
    pub fn price(&self) -> Result<Price, ClientError> {
        self.get("v1/price")
    }

    /// `GET /v1/mining/template`.
    pub fn mining_template(&self) -> Result<MiningTemplate, ClientError> {
        self.get("v1/mining/template")
    }

    /// `POST /v1/mining/blocks`.
    pub fn mined_header(&self, header: &Header) -> Result<MinedBlock, ClientError> {
        let body = MinedHeader { header: hex::encode(header.to_bytes()) };
        self.ask(self.http.post(self.url("v1/mining/blocks")?).json(&body))
    }

    /// `GET /v1/names/{name}`.
    pub fn name(&self, name: &Name) -> Result<NameInfo, ClientError> {
        self.get(&format!("v1/names/{name}"))
    }

    /// `GET /v1/names/{name}?height=`: the name at a height.
    pub fn name_at(&self, name: &Name, height: u32) -> Result<NameInfo, ClientError> {
        self.get(&format!("v1/names/{name}?height={height}"))
    }

    /// `GET /v1/commitments/{commitment}`.
    pub fn commitment(&self, commitment: &Hash) -> Result<CommitmentInfo, ClientError> {
        self.get(&format!("v1/commitments/{commitment}"))
    }

    /// `GET /v1/names/{name}/history`: one page.
    pub fn history(&self, name: &Name, from: u32) -> Result<History, ClientError> {
        self.get(&format!("v1/names/{name}/history?from={from}"))
    }

    /// `GET /v1/names/{name}/proof`: at `height`, or at the one that names are served from.
    pub fn proof(&self, name: &Name, height: Option<u32>) -> Result<ProofInfo, ClientError> {
        let query = height.map(|height| format!("?height={height}")).unwrap_or_default();
        self.get(&format!("v1/names/{name}/proof{query}"))
    }

    /// `GET /v1/blocks/{block}`: by height or id.
    pub fn block(&self, block: impl Display) -> Result<BlockInfo, ClientError> {
        self.get(&format!("v1/blocks/{block}"))
    }

    /// `GET /v1/blocks/{block}/proof`: that the block at `against` was built on this one.
    pub fn place(&self, block: &Hash, against: u32) -> Result<PlaceInfo, ClientError> {
        self.get(&format!("v1/blocks/{block}/proof?against={against}"))
    }

    /// `GET /v1/bundles/{name}`: none if the node has none.
    pub fn bundle(&self, name: &Name) -> Result<Option<BundleInfo>, ClientError> {
        match self.get(&format!("v1/bundles/{name}")) {
            Err(ClientError::Refused(Refusal { code, .. })) if code == "not-found" => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// `PUT /v1/bundles/{name}`: the encoded bundle, and whether the node hands out its one-time
    /// prekeys.
    pub fn put_bundle(
        &self,
        name: &Name,
        bundle: &[u8],
        gives_one_time: bool,
    ) -> Result<BundleInfo, ClientError> {
        let body = PutBundle { bundle: hex::encode(bundle), gives_one_time };
        self.ask(self.http.put(self.url(&format!("v1/bundles/{name}"))?).json(&body))
    }

    /// `POST /v1/bundles/{name}/prekey`.
    pub fn take_prekey(&self, name: &Name) -> Result<PrekeyInfo, ClientError> {
        self.ask(self.http.post(self.url(&format!("v1/bundles/{name}/prekey"))?))
    }

    /// Another client of the same node.
    pub fn reconnect(&self) -> Result<Self, ClientError> {
        Client::new(&self.node)
    }

    /// The error for an answer that can't be right.
    pub fn bad_answer(&self, why: impl Into<String>) -> ClientError {
        ClientError::NotANode { node: self.node(), why: why.into() }
    }

    /// `POST /v1/ops`.
    pub fn submit(&self, operation: &Operation) -> Result<Submitted, ClientError> {
        let body = Submit { operation: hex::encode(operation.to_bytes()) };
        self.ask(self.http.post(self.url("v1/ops")?).json(&body))
    }

    /// `GET /v1/dnssec/anchor`.
    pub fn trust_anchor(&self) -> Result<TrustAnchor, ClientError> {
        self.get("v1/dnssec/anchor")
    }

    /// `POST /v1/cache/flush`.
    pub fn flush(&self, what: &Flush) -> Result<Flushed, ClientError> {
        self.ask(self.http.post(self.url("v1/cache/flush")?).json(what))
    }

    /// `POST /v1/trace`.
    pub fn trace(&self, asked: &TraceAsked) -> Result<Trace, ClientError> {
        self.ask(self.http.post(self.url("v1/trace")?).json(asked))
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(self.http.get(self.url(path)?))
    }

    fn url(&self, path: &str) -> Result<Url, ClientError> {
        self.base
            .join(path)
            .map_err(|error| ClientError::BadUrl(self.base.to_string(), error.to_string()))
    }

    fn ask<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, ClientError> {
        let (status, body) = self.runtime.block_on(self.exchange(request))?;
        let not_a_node = |why: String| ClientError::NotANode { node: self.node(), why };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| not_a_node(error.to_string()));
        }
        match serde_json::from_slice(&body) {
            Ok(refusal) => Err(ClientError::Refused(refusal)),
            Err(_) => Err(not_a_node(format!("HTTP status {status}"))),
        }
    }

    async fn exchange(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<(StatusCode, Vec<u8>), ClientError> {
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            node: self.node(),
            why: chain_of(&error),
        };
        let mut sending = std::pin::pin!(request.send());
        let response = tokio::select! {
            response = &mut sending => response,
            () = tokio::time::sleep(dns_probe::SILENCE) => {
                if dns_probe::is_dns_server(&self.base).await {
                    let why = "a DNS server answers there, and its HTTP API has another port".into();
                    return Err(ClientError::NotANode { node: self.node(), why });
                }
                sending.await
            }
        };
        let mut response = response.map_err(unreachable)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let why = format!("its answer is over {MAX_ANSWER_BYTES} bytes");
                return Err(ClientError::NotANode { node: self.node(), why });
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), body))
    }

    /// The node's URL, for messages.
    fn node(&self) -> String {
        self.node.clone()
    }
}

/// The innermost cause of an error: reqwest says what happened there, and repeats the URL before.
fn chain_of(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// A server that gives one fixed answer to one connection and ends; returns its URL.
    fn serving(answer: Vec<u8>) -> (String, thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4_096];
            let len = stream.read(&mut request).unwrap();
            // The client may hang up on an answer that it does not want.
            let _ = stream.write_all(&answer);
            request.truncate(len);
            request
        });
        (url, server)
    }

    fn http(status: &str, body: &str) -> Vec<u8> {
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn asked(answer: Vec<u8>) -> Result<Status, ClientError> {
        let (url, server) = serving(answer);
        let result = Client::new(&url).unwrap().status();
        let request = String::from_utf8(server.join().unwrap()).unwrap();
        assert!(request.starts_with("GET /v1/status HTTP/1.1\r\n"), "{request}");
        result
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let body = r#"{"version":"0.1.0","network":"dev","height":3,"tip":"0000000000000000000000000000000000000000000000000000000000000000","tip_time":1,"work":"9","serve_depth":0,"served_height":3,"synced":true,"mempool_operations":0,"mempool_bytes":0,"mining":"on-demand","mining_hashes":0,"a_field_of_tomorrow":1}"#;
        assert_eq!(asked(http("200 OK", body)).unwrap().height, 3);
    }

    #[test]
    fn refusals_keep_their_rule_and_hint() {
        let body = r#"{"code":"rule","rule":"name-taken","message":"alice is taken","hint":"choose another name"}"#;
        let error = asked(http("409 Conflict", body)).unwrap_err();
        assert_eq!(error.to_string(), "the node refuses: alice is taken [rule name-taken]");
        assert!(
            matches!(error, ClientError::Refused(Refusal { hint: Some(hint), .. }) if hint == "choose another name")
        );
    }

    #[test]
    fn what_is_not_a_node_is_told() {
        let not_a_node = |answer| matches!(asked(answer), Err(ClientError::NotANode { .. }));
        assert!(not_a_node(http("200 OK", "<html>hello</html>")));
        assert!(not_a_node(http("404 Not Found", "nothing here")));
        assert!(not_a_node(http("302 Found\r\nlocation: http://127.0.0.1:1/", "")));
        assert!(not_a_node(http("200 OK", &" ".repeat(MAX_ANSWER_BYTES + 1))));
        assert!(matches!(asked(b"SSH-2.0-x\r\n".to_vec()), Err(ClientError::Unreachable { .. })));
        assert!(matches!(asked(Vec::new()), Err(ClientError::Unreachable { .. })));
    }

    /// It takes the request for the length of a message, and waits for the rest of that.
    #[test]
    fn a_dns_server_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (_http, _) = listener.accept().unwrap();
            let (mut dns, _) = listener.accept().unwrap();
            let mut query = [0; 19];
            dns.read_exact(&mut query).unwrap();
            query[4] |= 0x80;
            dns.write_all(&query).unwrap();
        });
        let error = Client::new(&url).unwrap().status().unwrap_err();
        assert!(error.to_string().contains("a DNS server answers there"), "{error}");
        server.join().unwrap();
    }

    #[test]
    fn nothing_there_and_bad_urls() {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}", listener.local_addr().unwrap())
        };
        let error = Client::new(&closed).unwrap().status().unwrap_err();
        assert!(
            matches!(&error, ClientError::Unreachable { node, .. } if *node == closed),
            "{error}"
        );
        for bad in ["", "127.0.0.1:7380", "ftp://127.0.0.1", "http://", "/v1"] {
            assert!(matches!(Client::new(bad), Err(ClientError::BadUrl(..))), "{bad}");
        }
    }

    /// The node hangs up on whoever is silent for 15 seconds: what was open before is not used
    /// again.
    #[test]
    fn every_question_has_a_connection_of_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let server = thread::spawn(move || {
            let answered = |_| {
                let (mut stream, _) = listener.accept().unwrap();
                assert!(stream.read(&mut [0; 4_096]).unwrap() > 0);
                stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}").unwrap();
                stream
            };
            // Both stay open until the end.
            (0..2).map(answered).collect::<Vec<_>>()
        });
        for _ in 0..2 {
            assert!(matches!(client.status(), Err(ClientError::NotANode { .. })));
        }
        assert_eq!(server.join().unwrap().len(), 2);
    }

    #[test]
    fn a_path_before_the_api_is_kept() {
        let (url, server) = serving(http("200 OK", "{}"));
        let _ = Client::new(&format!("{url}/nodes/a?x=1")).unwrap().status();
        assert!(server.join().unwrap().starts_with(b"GET /nodes/a/v1/status HTTP/1.1\r\n"));
    }
}
