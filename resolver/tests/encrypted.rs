//! Encrypted upstreams of another implementation: hickory's server over TLS, HTTPS and QUIC.

mod common;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{Names, ede};
use hickory_proto::{
    op::{Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, TXT},
    },
};
use hickory_server::{
    net::runtime::Time,
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server},
    zone_handler::MessageResponseBuilder,
};
use resolver::{
    dns::query::Question,
    upstream::{ReplySource, Upstreams, UpstreamsConfig},
};
use rustls::{
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::ResolvesServerCert,
    sign::{CertifiedKey, SingleCertAndKey},
};

const NAME: &str = "dns.example";
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers with a long text about the queried type.
struct Handler;

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let query = request.queries.queries()[0].original().clone();
        let mut metadata = Metadata::new(request.metadata.id, MessageType::Response, OpCode::Query);
        metadata.recursion_available = true;
        metadata.recursion_desired = request.metadata.recursion_desired;
        let name = query.name().clone();
        let record = |data: RData| Record::from_rdata(name.clone(), 300, data);
        let answers: Vec<Record> = match query.query_type() {
            RecordType::A => vec![record(RData::A(A::new(192, 0, 2, 1)))],
            RecordType::TXT => {
                (0..60).map(|n| record(RData::TXT(TXT::new(vec![format!("{n:0>200}")])))).collect()
            }
            _ => {
                metadata.response_code = ResponseCode::Refused;
                Vec::new()
            }
        };
        let builder = MessageResponseBuilder::from_message_request(request);
        let sent = response.send_response(builder.build(metadata, &answers, [], [], [])).await;
        sent.unwrap_or_else(|_| Header { metadata, counts: HeaderCounts::default() }.into())
    }
}

struct Certificate {
    dir: tempfile::TempDir,
    resolver: Arc<dyn ResolvesServerCert>,
}

impl Certificate {
    fn new() -> Self {
        let signed = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), signed.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signed.key_pair.serialize_der()));
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        let certified = CertifiedKey::new(vec![signed.cert.der().clone()], key);
        Self { dir, resolver: Arc::new(SingleCertAndKey::from(certified)) }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }
}

/// One server with all three transports, and its upstream settings.
async fn start(certificate: &Certificate) -> (Server<Handler>, [String; 3]) {
    let mut server = Server::new(Handler);
    let listener = || async { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap() };
    let (tls, https) = (listener().await, listener().await);
    let quic = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ports = [&tls, &https].map(|listener| listener.local_addr().unwrap().port());
    let quic_port = quic.local_addr().unwrap().port();
    let resolver = || certificate.resolver.clone();
    server.register_tls_listener(tls, PATIENCE, resolver()).unwrap();
    server
        .register_https_listener(
            https,
            PATIENCE,
            resolver(),
            Some(NAME.into()),
            "/dns-query".into(),
        )
        .unwrap();
    server.register_quic_listener(quic, PATIENCE, resolver()).unwrap();
    let ca = certificate.file();
    let settings = [
        format!("tls://127.0.0.1:{}?ca={}#{NAME}", ports[0], ca.display()),
        format!("https://{NAME}:{}/dns-query?bootstrap=127.0.0.1&ca={}", ports[1], ca.display()),
        format!("quic://{NAME}:{quic_port}?bootstrap=127.0.0.1&ca={}", ca.display()),
    ];
    (server, settings)
}

fn question(name: &str, qtype: RecordType) -> Question {
    Question::new(Name::from_ascii(name).unwrap(), qtype)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_all_lengths_come_over_each_of_them() {
    let certificate = Certificate::new();
    let (mut server, settings) = start(&certificate).await;
    for setting in &settings {
        let config = UpstreamsConfig {
            upstreams: vec![setting.parse().unwrap()],
            ..UpstreamsConfig::default()
        };
        let legacy = Arc::new(Upstreams::standalone(config).unwrap());
        let asked = (0..50).map(|n| {
            let legacy = legacy.clone();
            tokio::spawn(async move {
                let qtype = if n % 2 == 0 { RecordType::A } else { RecordType::TXT };
                let reply =
                    legacy.resolve(&question(&format!("n{n}.example."), qtype)).await.unwrap();
                assert!(matches!(reply.source, ReplySource::Server(_)));
                assert_eq!(reply.message.answers.len(), if n % 2 == 0 { 1 } else { 60 });
                assert_eq!(reply.message.answers[0].name.to_string(), format!("n{n}.example."));
            })
        });
        for task in asked.collect::<Vec<_>>() {
            task.await.unwrap_or_else(|error| panic!("{setting}: {error}"));
        }
    }
    server.shutdown_gracefully().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_goes_the_others_answer_and_when_all_are_gone_the_client_hears_why() {
    let certificate = Certificate::new();
    let (mut server, settings) = start(&certificate).await;
    let upstreams = settings.iter().map(|setting| setting.parse().unwrap()).collect();
    let bound = resolver::server::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = bound.address();
    let config = UpstreamsConfig {
        upstreams,
        timeout: Duration::from_secs(3),
        ..UpstreamsConfig::default()
    };
    let (cache, clock) =
        (Arc::new(config.new_cache()), Arc::new(resolver::os::clock::Clock::start()));
    let pipeline = resolver::resolve::Pipeline {
        mounts: resolver::chain::mount::Mounts::BOTH,
        root_policy: Default::default(),
        chain: Arc::new(Names::default()),
        legacy: Upstreams::new(config, cache.clone(), clock.clone()).unwrap(),
        designated: Default::default(),
        delegation: resolver::resolve::Delegation { port: 53, loopback: true },
        signer: None,
    };
    let responder = resolver::server::responder::Responder::new(
        pipeline,
        cache,
        clock,
        resolver::server::responder::Clients::default(),
    );
    let running = common::Resolver {
        address,
        server: resolver::server::Server::start(vec![bound], responder),
    };
    for n in 0..9 {
        assert_eq!(running.ask(&format!("n{n}.example."), 1).answers.len(), 1);
    }
    server.shutdown_gracefully().await.unwrap();
    drop(server);
    let answer = running.ask("late.example.", 1);
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let (code, text) = ede(&answer).unwrap();
    assert!([22, 23].contains(&code) && text.contains("tls://127.0.0.1"), "{code} {text}");
    assert_eq!(running.ask("n0.example.", 1).answers.len(), 1, "what is kept is still given");
    running.server.stop().await;
}
