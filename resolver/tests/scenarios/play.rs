//! Plays a scenario: clients query our responder, our responder queries the servers of the
//! scenario, and the steps define what is expected.
//!
//! As in `testbound`, a query that a range answers is answered at once, unless the next step checks
//! it; a query that nothing answers is held until a step refers to it. Before a step that does
//! something else, everything has to come to rest. Time passes by advancing clocks.

use std::{cell::RefCell, sync::Arc, time::Duration};

use hickory_proto::rr::Name;
use resolver::{
    chain::mount::Mounts,
    dns::{
        names,
        query::{Client, Transport},
    },
    dnssec::validate::Anchors,
    os::clock::Clock,
    resolve::{Delegation, Pipeline},
    server::responder::{Clients, Responder},
    upstream::{
        ForwardZone, Rebind, RebindPolicy, Upstream, Upstreams, UpstreamsConfig, ValidateConfig,
        ValidateMode,
    },
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    check::compare,
    common::{Names, PATIENCE},
    message::{self, Edns, Message},
    rpl::{Entry, Scenario, What},
    servers::{Kind, Servers, adjusted, is_asked, is_below},
    settings::Settings,
    upstream::{ReceivedQuery, open},
};

/// How long a server is waited for, where some do not reply.
const SHORT: Duration = Duration::from_millis(900);
/// How long a server is waited for, where all reply.
const LONG: Duration = Duration::from_secs(8);
/// The greatest TTL.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Plays it; describes the first difference.
pub fn play(scenario: &Scenario, kind: Kind) -> Result<(), String> {
    let settings = Settings::read(&scenario.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (sender, asked) = mpsc::unbounded_channel();
        let responder = responder(scenario, &settings, kind, &sender).await?;
        let servers =
            Servers { scenario, settings: &settings, kind, step: 0, cuts: RefCell::default() };
        let player = Player {
            responder: Arc::new(responder),
            servers,
            asked,
            held: Vec::new(),
            clients: Vec::new(),
            at: 0,
        };
        player.play().await
    })
}

async fn responder(
    scenario: &Scenario,
    settings: &Settings,
    kind: Kind,
    asked: &mpsc::UnboundedSender<ReceivedQuery>,
) -> Result<Responder, String> {
    let open = async |address: Option<String>| {
        open(address, asked.clone()).await.map_err(|error| error.to_string())
    };
    let (mut upstreams, mut zones): (Vec<Upstream>, Vec<ForwardZone>) = (Vec::new(), Vec::new());
    let forwards = kind == Kind::Unbound && settings.stubs.is_empty();
    for zone in settings.forward.iter().filter(|_| forwards) {
        let mut servers = Vec::new();
        for server in &zone.servers {
            servers.push(open(Some(server.clone())).await?.into());
        }
        match names::to_name(&zone.name) {
            Some(name) if !name.is_root() => {
                zones.push(ForwardZone { zone: name, upstreams: servers, validate: None })
            }
            _ => upstreams.extend(servers),
        }
    }
    if upstreams.is_empty() {
        upstreams.push(open(None).await?.into());
    }
    // Special-use names are not sent upstream unless their zone has upstreams of its own.
    let test = Name::from_ascii("test.").map_err(|error| error.to_string())?;
    if asks_below(scenario, b"\x04test\0") {
        zones.push(ForwardZone { zone: test, upstreams: upstreams.clone(), validate: Some(true) });
    }
    let lost = scenario.steps.iter().any(|step| matches!(step.what, What::Lost));
    let timeout = if lost { SHORT } else { LONG };
    let defaults = UpstreamsConfig::default();
    let stale = settings.serve_expired_ttl.map_or(defaults.serve_stale, Duration::from_secs);
    let anchors = Anchors::from_text(&settings.trust_anchors.join("\n"))
        .map_err(|error| error.to_string())?;
    let mode = if settings.trust_anchors.is_empty() { ValidateMode::Off } else { ValidateMode::On };
    let legacy = UpstreamsConfig {
        validate: ValidateConfig { mode, anchors },
        upstreams,
        zones,
        timeout,
        first_retry: timeout / 3,
        serve_stale: if settings.serve_expired { stale } else { Duration::ZERO },
        min_ttl: settings.min_ttl.map_or(defaults.min_ttl, Duration::from_secs),
        // unbound's default is ours; `domain` hands on TTLs of up to a week.
        max_ttl: settings.max_ttl.map_or(
            if kind == Kind::Unbound { defaults.max_ttl } else { WEEK },
            Duration::from_secs,
        ),
        // Their addresses are private.
        rebind: Rebind { policy: RebindPolicy::Off, ..Rebind::default() },
        ..defaults
    };
    let cache = Arc::new(legacy.new_cache());
    let clock = Arc::new(settings.now.map_or_else(Clock::start, Clock::at));
    let pipeline = Pipeline {
        mounts: Mounts::BOTH,
        root_policy: Default::default(),
        chain: Arc::new(Names::default()),
        legacy: Upstreams::new(legacy, cache.clone(), clock.clone())
            .map_err(|error| error.to_string())?,
        designated: Default::default(),
        delegation: Delegation { port: 53, loopback: false },
        signer: None,
    };
    Ok(Responder::new(pipeline, cache, clock, Clients::default()))
}

fn asks_below(scenario: &Scenario, zone: &[u8]) -> bool {
    scenario.steps.iter().any(|step| match &step.what {
        What::Query(entry, _) => {
            entry.message.question.as_ref().is_some_and(|asked| is_below(&asked.name, zone))
        }
        _ => false,
    })
}

struct Player<'a> {
    responder: Arc<Responder>,
    servers: Servers<'a>,
    asked: mpsc::UnboundedReceiver<ReceivedQuery>,
    /// Queries that nothing answers yet.
    held: Vec<ReceivedQuery>,
    clients: Vec<JoinHandle<Option<Vec<u8>>>>,
    /// The next step.
    at: usize,
}

impl Player<'_> {
    async fn play(mut self) -> Result<(), String> {
        let scenario = self.servers.scenario;
        for (at, step) in scenario.steps.iter().enumerate() {
            (self.at, self.servers.step) = (at, step.number);
            for asked in std::mem::take(&mut self.held) {
                self.take(asked).await;
            }
            if let Err(why) = self.step(&step.what).await {
                return Err(format!("step {}: {why}{}", step.number, self.unanswered()));
            }
        }
        Ok(())
    }

    async fn step(&mut self, what: &What) -> Result<(), String> {
        match what {
            What::Query(entry, address) => {
                self.rest().await?;
                self.ask(entry, address.as_deref())?;
            }
            What::CheckAnswer(entry) => self.check(entry).await?,
            What::CheckOutQuery(entry) => {
                self.wait_for(|player| player.holds(entry).is_some() || player.is_over()).await?;
                self.holds(entry).ok_or("nobody was asked that")?;
            }
            What::Reply(entry) => {
                self.wait_for(|player| player.holds(entry).is_some() || player.is_over()).await?;
                let at = self.holds(entry).ok_or("nobody waits for that reply")?;
                let asked = self.held.swap_remove(at);
                let said = Message { id: asked.query.id, ..adjusted(entry, &asked.query) };
                asked.answer(&said).await;
            }
            What::Lost => {
                self.wait_for(|player| !player.held.is_empty() || player.is_over()).await?;
                // We may have given up before unbound would have.
                if !self.held.is_empty() {
                    self.held.remove(0);
                }
            }
            What::TimePasses(seconds) => {
                self.rest().await?;
                self.responder.clock().put_forward(Duration::from_secs_f64(*seconds));
            }
            What::Flush(name) => {
                self.rest().await?;
                let name = message::name(name)?.to_ascii_lowercase();
                self.responder.cache().flush_name(&name);
            }
            What::Nothing | What::Traffic => self.rest().await?,
        }
        Ok(())
    }

    fn ask(&mut self, entry: &Entry, address: Option<&str>) -> Result<(), String> {
        let mut query = entry.message.clone();
        query.id = 0x1234;
        if entry.matches("EDNS") {
            query.edns.get_or_insert_with(Edns::default);
        }
        let address = address
            .unwrap_or("127.0.0.1")
            .parse()
            .map_err(|_| format!("a client at {address:?}"))?;
        let transport = if entry.matches("UDP") { Transport::Udp } else { Transport::Tcp };
        let (responder, bytes) = (self.responder.clone(), query.write());
        let client = Client { address, transport };
        self.clients
            .push(tokio::spawn(async move { responder.respond_to_bytes(&bytes, client).await }));
        Ok(())
    }

    /// Waits for the expected response.
    async fn check(&mut self, entry: &Entry) -> Result<(), String> {
        let mut why = "nobody has asked".to_owned();
        let mut seen: Vec<(Message, String)> = Vec::new();
        while !self.clients.is_empty() {
            self.wait_for(|player| player.clients.iter().any(JoinHandle::is_finished)).await?;
            let at = self.clients.iter().position(JoinHandle::is_finished).unwrap_or_default();
            let answer = self.clients.remove(at).await.map_err(|error| error.to_string())?;
            let got = Message::read(&answer.ok_or("no answer at all")?)?;
            match compare(entry, &got, self.servers.settings, self.servers.kind) {
                Ok(()) => {
                    // The others are for other steps.
                    for (got, _) in seen {
                        self.clients.push(tokio::spawn(async move { Some(got.write()) }));
                    }
                    return Ok(());
                }
                Err(different) => {
                    why.clone_from(&different);
                    seen.push((got, different));
                }
            }
        }
        Err(seen.into_iter().next().map_or(why, |(_, first)| first))
    }

    /// Queries that nothing in the scenario answers.
    fn unanswered(&self) -> String {
        let questions = self.held.iter().filter_map(|asked| asked.query.question.as_ref());
        let shown = questions
            .map(|question| format!(" {}/{}", message::shown(&question.name), question.qtype));
        let all: Vec<String> = shown.collect();
        if all.is_empty() { String::new() } else { format!("; not answered:{}", all.concat()) }
    }

    /// The index of a held query that matches an entry.
    fn holds(&self, entry: &Entry) -> Option<usize> {
        self.held.iter().position(|asked| is_asked(entry, &asked.query))
    }

    fn is_over(&self) -> bool {
        self.clients.iter().all(JoinHandle::is_finished)
            && self.responder.pipeline().legacy.in_flight() == 0
    }

    /// Whether everything has ended, or waits for what is held.
    fn is_at_rest(&self) -> bool {
        let mut held: Vec<_> = self.held.iter().map(|asked| &asked.query.question).collect();
        held.dedup();
        let in_flight = self.responder.pipeline().legacy.in_flight();
        self.is_over() || (!held.is_empty() && in_flight <= held.len())
    }

    async fn rest(&mut self) -> Result<(), String> {
        self.wait_for(|player| player.is_at_rest()).await
    }

    /// Serves the servers until a condition is true.
    async fn wait_for(&mut self, so: impl Fn(&Self) -> bool) -> Result<(), String> {
        let deadline = tokio::time::sleep(PATIENCE);
        tokio::pin!(deadline);
        loop {
            while let Ok(asked) = self.asked.try_recv() {
                self.take(asked).await;
            }
            if so(self) {
                return Ok(());
            }
            tokio::select! {
                Some(asked) = self.asked.recv() => self.take(asked).await,
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
                () = &mut deadline => return Err("nothing happens any more".into()),
            }
        }
    }

    /// Answers a query, or holds it.
    async fn take(&mut self, asked: ReceivedQuery) {
        let next = &self.servers.scenario.steps[self.at].what;
        let looked_at = matches!(next, What::CheckOutQuery(entry) | What::Reply(entry) if is_asked(entry, &asked.query));
        match self.servers.answer(&asked.query, asked.address.as_deref()).filter(|_| !looked_at) {
            Some(said) => asked.answer(&said).await,
            None => self.held.push(asked),
        }
    }
}
