use std::{
    collections::HashMap, ffi::OsString, fs, net::SocketAddr, path::PathBuf, time::Duration,
};

use clap::Parser;
use namechain_core::types::Network;
use namechain_node::node::MineMode;

use super::*;
use crate::{
    chain::mount::Mounts,
    dns::cookie::Policy,
    dnssec::sign::Algorithm,
    server::Udp,
    upstream::{Rebind, RebindPolicy, Upstream},
};

/// The configuration of a command line, environment and file.
fn load(flags: &str, env: &[(&str, &str)], file: Option<&str>) -> Result<Config, String> {
    let mut flags: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
    let dir = tempfile::tempdir().unwrap();
    if let Some(text) = file {
        let path = dir.path().join("resolver.toml");
        fs::write(&path, text).unwrap();
        flags.extend(["--config".to_owned(), path.to_str().unwrap().to_owned()]);
    }
    let cli = Cli::try_parse_from(std::iter::once("resolver".to_owned()).chain(flags))
        .map_err(|error| error.to_string())?;
    let map: HashMap<&str, &str> = env.iter().copied().collect();
    super::load(cli, |key| map.get(key).map(OsString::from)).map_err(|error| error.to_string())
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn the_defaults() {
    let config = load("--dev", &[], None).unwrap();
    assert_eq!(config.listen, [address("127.0.0.1:5300")]);
    assert_eq!(config.upstreams, None, "the machine's own");
    assert_eq!(config.validate.mode, crate::upstream::ValidateMode::Auto);
    assert_eq!(config.mounts, Mounts::BOTH);
    let ChainConfig::Embedded { network, api, .. } = config.chain else {
        panic!("a node of its own")
    };
    assert_eq!((network, api), (Network::Dev, address("127.0.0.1:7380")));
    let main = load("--data-dir /data", &[], None).unwrap();
    let ChainConfig::Embedded { network, api, data_dir, admin, node } = main.chain else {
        panic!("a node of its own")
    };
    assert_eq!((network, api), (Network::Main, address("127.0.0.1:7380")));
    assert_eq!((data_dir, node.mine), (PathBuf::from("/data"), MineMode::Off));
    assert_eq!(admin, PathBuf::from("/data/admin.sock"));
    let p2p = node.p2p.unwrap();
    assert!(p2p.listen.is_empty() && p2p.peers.is_empty() && !p2p.mdns, "{p2p:?}");
    assert!(config.delegation.loopback && !main.delegation.loopback);
}

#[test]
fn the_chains_names_are_signed_unless_somebody_says_no() {
    let sign = |file: &str| load("--data-dir /data", &[], Some(file)).map(|config| config.sign);
    let usual = SignConfig { algorithm: None, key: "/data/dnssec.key".into(), requested: false };
    assert_eq!(sign(""), Ok(Some(usual)));
    assert_eq!(sign("[sign]\nenabled = false\nalgorithm = 15"), Ok(None));
    let all =
        SignConfig { algorithm: Some(Algorithm::Ed25519), key: "/key".into(), requested: true };
    assert_eq!(sign("[sign]\nenabled = true\nalgorithm = 15\nkey = '/key'"), Ok(Some(all)));
    assert!(sign("[sign]\nalgorithm = 14").unwrap_err().contains("neither 13"));
    assert!(sign("[sign]\nalgorthm = 13").unwrap_err().contains("did you mean `algorithm`"));
}

#[test]
fn what_clients_are_given_and_what_is_kept_from_them() {
    let config = load("--dev", &[], None).unwrap();
    assert_eq!((config.cookies, config.encrypted), (Policy::On, None));
    assert_eq!(config.rebind, Rebind::default());
    let file = "cookies = 'require'\nrebind-protection = 'all'\nrebind-allow = ['Fritz.Box', 'alice']\n[encrypted]\n\
                listen-tls = ['127.0.0.1:853']\nlisten-quic = ['[::1]:853']\nraw-key = '/etc/resolver/tls.key'\n";
    let config = load("--dev", &[], Some(file)).unwrap();
    assert_eq!(config.cookies, Policy::Require);
    let shown: Vec<String> = config.rebind.allow.iter().map(ToString::to_string).collect();
    assert_eq!(
        (config.rebind.policy, shown),
        (RebindPolicy::All, vec!["fritz.box.".into(), "alice.".into()])
    );
    let encrypted = config.encrypted.unwrap();
    assert_eq!((encrypted.tls, encrypted.https), (vec![address("127.0.0.1:853")], vec![]));
    assert_eq!(encrypted.quic, [address("[::1]:853")]);
    for (wrong, why) in [
        ("cookies = 'yes'", "neither off nor on nor require"),
        ("rebind-protection = 'on'", "neither off nor legacy nor all"),
        ("rebind-allow = ['.']", "is not the name of a zone"),
        ("[encrypted]\nlisten-tls = ['127.0.0.1:853']", "set certificate and key, or raw-key"),
        ("[encrypted]\nraw-key = '/k'", "set listen-tls"),
        ("[encrypted]\ncertificate = '/c'", "have to be set together"),
        ("[encrypted]\ncertificate = '/c'\nkey = '/k'\nraw-key = '/r'", "exclude each other"),
        ("[encrypted]\nlisten-tls = ['853']", "listen-tls"),
    ] {
        let error = load("--dev", &[], Some(wrong)).unwrap_err();
        assert!(error.contains(why), "{wrong}: {error}");
    }
}

fn node(flags: &str, env: &[(&str, &str)], file: Option<&str>) -> NodeOptions {
    match load(flags, env, file).unwrap().chain {
        ChainConfig::Embedded { node, .. } => node,
        ChainConfig::Remote { .. } => panic!("a node of its own"),
    }
}

#[test]
fn a_node_on_dev_is_alone_unless_it_is_told() {
    assert_eq!(node("--dev", &[], None).p2p, None);
    assert_eq!(node("--dev", &[], None).mine, MineMode::OnDemand);
    let file = "peer = ['/ip4/192.0.2.1/tcp/7379']\nmine = 'always'\nmine-threads = 3\nmdns = true\n\
                allow-host = ['file']\n";
    let told = node("--dev", &[("NAMECHAIN_ALLOW_HOST", "node-1,node-2")], Some(file));
    let p2p = told.p2p.unwrap();
    assert_eq!(p2p.peers, ["/ip4/192.0.2.1/tcp/7379".parse().unwrap()]);
    assert!(!p2p.mdns, "other people's dev networks are none of ours");
    assert_eq!((told.mine, told.mine_threads), (MineMode::Always, 3));
    assert_eq!(told.allow_hosts, ["node-1", "node-2"]);
    let env = [
        ("NAMECHAIN_PEER", "/ip4/192.0.2.2/tcp/1, /dns/a.example/udp/1/quic-v1"),
        ("NAMECHAIN_MINE", "off"),
    ];
    let told = node("--mine-threads 2 --p2p-listen /ip4/127.0.0.1/tcp/0", &env, Some(file));
    let p2p = told.p2p.unwrap();
    assert_eq!(
        (p2p.listen.len(), p2p.peers.len(), told.mine, told.mine_threads),
        (1, 2, MineMode::Off, 2)
    );
}

#[test]
fn flags_over_environment_over_file() {
    let file =
        "listen = ['127.0.0.1:1']\nupstream = ['192.0.2.1']\nmount-root = false\ncache-bytes = 5\n";
    let env = [("NAMECHAIN_LISTEN", "127.0.0.1:2, 127.0.0.1:3"), ("NAMECHAIN_MOUNT_ROOT", "on")];
    let all = load("--dev --listen 127.0.0.1:4 --listen [::1]:4", &env, Some(file)).unwrap();
    assert_eq!(all.listen, [address("127.0.0.1:4"), address("[::1]:4")]);
    assert_eq!(all.upstreams, Some(vec![Upstream::Plain(address("192.0.2.1:53"))]));
    assert!(all.mounts.root);
    assert_eq!(all.cache_bytes, 5);
    assert_eq!(all.udp, Udp::default());
    assert_eq!(load("", &[], Some("workers = 3")).unwrap().udp, Udp::Fast(3));
    assert_eq!(load("", &[], Some("fast-path = false")).unwrap().udp, Udp::Plain);
    let env_and_file = load("", &env, Some(file)).unwrap();
    assert_eq!(env_and_file.listen, [address("127.0.0.1:2"), address("127.0.0.1:3")]);
    let only_file = load("", &[], Some(file)).unwrap();
    assert_eq!(only_file.listen, [address("127.0.0.1:1")]);
    assert!(!only_file.mounts.root);
    assert_eq!(
        load("", &[], Some("upstream = []")).unwrap().upstreams,
        Some(vec![]),
        "none at all"
    );
}

#[test]
fn upstreams_of_every_kind() {
    let file = "upstream = ['9.9.9.9', 'tls://1.1.1.1#one.one.one.one', 'recursive']\n\
                serve-stale-seconds = 0\nhedge-ms = 100\nmin-ttl-seconds = 5\n\
                [[upstreams]]\nurl = 'https://dns.example/q'\nbootstrap = ['192.0.2.1', '2001:db8::1']\nca = '/ca.pem'\n\
                [[forward]]\nzone = 'Corp.Example'\nupstream = ['192.0.2.53']\n\
                [[forward]]\nzone = '10.in-addr.arpa.'\nupstream = 'tcp://192.0.2.53'\n\
                [recursive]\nroot-hints = '/hints'\nvalidate = false\nport = 5353\n";
    let config = load("--dev", &[], Some(file)).unwrap();
    let shown: Vec<String> =
        config.upstreams.clone().unwrap().iter().map(ToString::to_string).collect();
    let expected = [
        "9.9.9.9:53",
        "tls://1.1.1.1:853#one.one.one.one",
        "recursive",
        "https://192.0.2.1:443/q#dns.example",
    ];
    assert_eq!(shown, expected);
    let legacy = config.legacy(Vec::new());
    let zones: Vec<String> = legacy.zones.iter().map(|zone| zone.zone.to_string()).collect();
    assert_eq!(zones, ["corp.example.", "10.in-addr.arpa."]);
    assert_eq!(legacy.zones[1].upstreams[0].to_string(), "tcp://192.0.2.53:53");
    assert_eq!((legacy.serve_stale, legacy.min_ttl), (Duration::ZERO, Duration::from_secs(5)));
    assert_eq!(legacy.first_retry, Duration::from_millis(100));
    assert!(!legacy.recursive.validate && legacy.recursive.port == 5353);
    let one = load("--dev --upstream recursive", &[], Some(file)).unwrap();
    assert_eq!(one.upstreams, Some(vec![Upstream::Recursive]), "a flag counts more");
}

#[test]
fn where_the_admin_socket_is() {
    let remote = |flags: &str, env: &[(&str, &str)]| {
        let flags = format!("--node http://127.0.0.1:1 {flags}");
        let ChainConfig::Remote { admin, .. } = load(&flags, env, None).unwrap().chain else {
            panic!("a remote node")
        };
        admin.map(|admin| (admin.path.to_str().unwrap().to_owned(), admin.requested))
    };
    let state = ("STATE_DIRECTORY", "/var/lib/namechain");
    let elsewhere = ("NAMECHAIN_ADMIN_SOCKET", "/run/a");
    assert_eq!(remote("", &[]), None);
    assert_eq!(remote("", &[state]), Some(("/var/lib/namechain/admin.sock".into(), false)));
    assert_eq!(remote("", &[state, elsewhere]), Some(("/run/a".into(), true)));
    assert_eq!(remote("--admin-socket /b", &[elsewhere]), Some(("/b".into(), true)));
    let embedded = load("--dev --data-dir /data", &[], Some("admin-socket = '/c'")).unwrap();
    let ChainConfig::Embedded { admin, .. } = embedded.chain else { panic!("a node of its own") };
    assert_eq!(admin, PathBuf::from("/c"));
}

#[test]
fn a_flag_counts_more_than_the_environment() {
    let config = load("--dev", &[("NAMECHAIN_NETWORK", "main")], None).unwrap();
    assert!(matches!(config.chain, ChainConfig::Embedded { network: Network::Dev, .. }));
    let config =
        load("--node http://127.0.0.1:1", &[("NAMECHAIN_API", "127.0.0.1:2")], None).unwrap();
    let aside = Some(address("127.0.0.1:2"));
    assert!(matches!(config.chain, ChainConfig::Remote { api, .. } if api == aside));
    let config =
        load("--data-dir /data", &[("NAMECHAIN_NODE", "http://127.0.0.1:1")], None).unwrap();
    assert!(matches!(config.chain, ChainConfig::Embedded { .. }));
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    for (flags, env, file, expected) in [
        ("--listen localhost", vec![], None, "is not IP:PORT, as in 127.0.0.1:5300"),
        ("--upstream dns.example", vec![], None, "as in 9.9.9.9"),
        ("--network live", vec![], None, "use main, test or dev"),
        ("--dev --network main", vec![], None, "cannot be used with"),
        ("--node http://x --data-dir /data", vec![], None, "cannot be used with"),
        ("", vec![("NAMECHAIN_LISTEN", "5300")], None, "NAMECHAIN_LISTEN: '5300' is not IP:PORT"),
        (
            "",
            vec![("NAMECHAIN_NETWORK", "live")],
            None,
            "NAMECHAIN_NETWORK: 'live' is not a network",
        ),
        (
            "",
            vec![],
            Some("\nupstrem = []"),
            "line 2: unknown key `upstrem`, did you mean `upstream`?",
        ),
        (
            "",
            vec![],
            Some("[delegation]\nfoo = 1"),
            "line 2: unknown key `foo`, expected `port` or `loopback`",
        ),
        ("", vec![], Some("upstream = 5"), "line 1:"),
        (
            "",
            vec![],
            Some("upstream = 'dns.example'"),
            "upstream: 'dns.example' is not an upstream: write IP",
        ),
        ("", vec![], Some("upstream = ['tls://dns.example']"), "write ?bootstrap=IP after it"),
        (
            "",
            vec![("NAMECHAIN_UPSTREAM", "here")],
            None,
            "NAMECHAIN_UPSTREAM: 'here' is not an upstream",
        ),
        (
            "",
            vec![],
            Some("[[upstreams]]\nurl = 'tls://a.example'\nboot = []"),
            "line 3: unknown key `boot`",
        ),
        (
            "",
            vec![],
            Some("[[forward]]\nzone = 'a..b'\nupstream = '9.9.9.9'"),
            "is not a zone's name",
        ),
        (
            "",
            vec![],
            Some("[[forward]]\nzone = '.'\nupstream = '9.9.9.9'"),
            "write its upstreams as upstream",
        ),
        ("", vec![], Some("[[forward]]\nzone = 'alt'\nupstream = '9.9.9.9'"), "names of the chain"),
        (
            "",
            vec![],
            Some("suffixes = 'n.internal'\n[[forward]]\nzone = 'internal'\nupstream = '9.9.9.9'"),
            "names of the chain",
        ),
        (
            "",
            vec![],
            Some("suffixes = ['chain.example']"),
            "'chain.example' is a name that DNS delegates",
        ),
        (
            "",
            vec![],
            Some("suffixes = ['namechain.alt', 'NAMECHAIN.alt.']"),
            "is at or below another suffix",
        ),
        (
            "",
            vec![],
            Some("[[forward]]\nzone = 'a.namechain.alt'\nupstream = '9.9.9.9'"),
            "of the chain",
        ),
        ("", vec![], Some("[[forward]]\nzone = 'corp'\nupstream = []"), "has no upstream"),
        ("", vec![], Some("[[forward]]\nzone = 'corp'"), "missing field `upstream`"),
        (
            "",
            vec![],
            Some("min-ttl-seconds = 9\nmax-ttl-seconds = 8"),
            "is greater than max-ttl-seconds",
        ),
        (
            "",
            vec![],
            Some("[validate]\nmode = 'yes'"),
            "validate.mode: 'yes' is neither auto nor on nor off",
        ),
        (
            "",
            vec![],
            Some("[validate]\ntrust-anchors = '. IN DS 1 8 2 xy'"),
            "is not a DS or DNSKEY record",
        ),
        (
            "",
            vec![],
            Some("[validate]\ntrust-anchors = '/nothing/here'"),
            "/nothing/here can't be read",
        ),
        (
            "",
            vec![],
            Some("[validate]\ninsecure = 'a..b'"),
            "validate.insecure: 'a..b' is not a domain name",
        ),
        ("", vec![], Some("[validate]\nanchors = 1"), "line 2: unknown key `anchors`"),
        ("", vec![], Some("[delegation]\nports = 1"), "line 2: unknown key `ports`"),
        ("", vec![], Some("listen = ['x']"), "listen: 'x' is not IP:PORT"),
        ("", vec![], Some("listen = []"), "the list is empty"),
        ("", vec![], Some("listen = 5"), "line 1:"),
        ("", vec![], Some("network = 'live'"), "use main, test or dev"),
        ("", vec![], Some("workers = 0"), "use a number from 1 to 256"),
        ("", vec![], Some("allow = ['home']"), "as in 192.168.0.0/16"),
        ("", vec![], Some("deny = '192.0.2.1'"), "deny: '192.0.2.1' is not a network"),
        (
            "",
            vec![],
            Some("allow = '192.0.2.0/24'\nrefuse = ['192.0.2.9/24']"),
            "refuse: '192.0.2.9/24' is in another of the lists",
        ),
        (
            "",
            vec![],
            Some("node = 'http://127.0.0.1'\ndata-dir = '/data'"),
            "node and data-dir exclude",
        ),
        (
            "--peer 192.0.2.1:7379",
            vec![],
            None,
            "is not a multiaddr, as in /ip4/192.0.2.1/tcp/7379",
        ),
        ("--p2p-listen /ip4/192.0.2.1/tcp/x", vec![], None, "is not a multiaddr"),
        ("--mine now", vec![], None, "neither off nor on-demand nor always"),
        ("--mine-threads 0", vec![], None, "0 is not in 1..=1024"),
        ("--node http://x --peer /ip4/192.0.2.1/tcp/1", vec![], None, "cannot be used with"),
        ("", vec![("NAMECHAIN_PEER", "x")], None, "NAMECHAIN_PEER: 'x' is not a multiaddr"),
        (
            "",
            vec![("NAMECHAIN_MINE_THREADS", "0")],
            None,
            "NAMECHAIN_MINE_THREADS: '0' is not a number from 1",
        ),
        ("", vec![], Some("peer = ['x']"), "peer: 'x' is not a multiaddr"),
        ("", vec![], Some("mine = 'now'"), "mine: 'now' is neither off"),
        (
            "",
            vec![],
            Some("mine-threads = 2000"),
            "mine-threads: '2000' is not a number from 1 to 1024",
        ),
        ("", vec![], Some("node = 'http://127.0.0.1'\npeer = []"), "node excludes p2p-listen"),
        ("--config /does/not/exist", vec![], None, "/does/not/exist can't be read"),
    ] {
        let error = load(flags, &env, file).unwrap_err();
        assert!(error.contains(expected), "{flags} {file:?}: {error}");
        let first = error.lines().next().unwrap();
        assert!(first.len() < 400 && (file.is_none() || error.lines().count() == 1), "{error}");
    }
}
