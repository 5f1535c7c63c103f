//! What the node is to do: flags over environment over file.

use std::{
    fmt::Display,
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    str::FromStr,
};

use namechain_core::types::Network;
use namechain_node::node::{
    DEFAULT_INBOUND, MULTIADDR, MineMode, Multiaddr, NodeConfig, P2P_PORT, P2p, admin_socket,
    default_data_dir, prune_bytes,
};
use serde::Deserialize;

use crate::cli::Cli;

/// Where the API listens unless it is said otherwise.
const DEFAULT_API: &str = "127.0.0.1:7380";
/// The longest configuration file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What the file can say. All keys are optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    network: Option<String>,
    api: Option<String>,
    allow_host: Option<Vec<String>>,
    listen: Option<Vec<String>>,
    peer: Option<Vec<String>>,
    mdns: Option<bool>,
    max_peers: Option<u16>,
    data_dir: Option<PathBuf>,
    admin_socket: Option<PathBuf>,
    mine: Option<String>,
    mine_threads: Option<u16>,
    prune: Option<u32>,
}

/// The node's configuration. The error is one line: where, what, and what is expected.
pub fn load(cli: Cli) -> Result<NodeConfig, String> {
    let file = cli.config.as_deref().map_or_else(|| Ok(File::default()), read_file)?;
    let network = match (cli.network, &file.network) {
        (Some(network), _) => network,
        (None, Some(text)) => read("network", text, "is not a network: use main, test or dev")?,
        (None, None) => Network::Main,
    };
    let api = match (cli.api, &file.api) {
        (Some(api), _) => api,
        (None, given) => {
            let text = given.as_deref().unwrap_or(DEFAULT_API);
            read("api", text, "is not IP:PORT, as in 127.0.0.1:7380")?
        }
    };
    let mine = match (cli.mine, &file.mine) {
        (Some(mine), _) => mine.into(),
        (None, Some(text)) => read("mine", text, "is neither off nor on-demand nor always")?,
        (None, None) => MineMode::default_of(network),
    };
    let mine_threads = cli.mine_threads.or(file.mine_threads).unwrap_or(1);
    in_range("mine-threads", mine_threads, 1)?;
    let p2p = p2p(&cli, &file, network)?;
    let prune = cli.prune.or(file.prune).unwrap_or(0);
    let prune_bytes = prune_bytes(prune).map_err(|why| format!("prune: '{prune}' {why}"))?;
    let data_dir = cli.data_dir.or(file.data_dir).or_else(|| default_data_dir(network)).ok_or(
        "neither XDG_DATA_HOME nor HOME is set: say where the chain is kept with --data-dir DIR",
    )?;
    let admin = cli.admin_socket.or(file.admin_socket).unwrap_or_else(|| admin_socket(&data_dir));
    let allow_hosts = match cli.allow_host.is_empty() {
        false => cli.allow_host,
        true => file.allow_host.unwrap_or_default(),
    };
    Ok(NodeConfig {
        network,
        data_dir,
        api: Some(api),
        admin: Some(admin),
        allow_hosts,
        p2p,
        mine,
        mine_threads: usize::from(mine_threads),
        prune_bytes,
        reindex: cli.reindex,
    })
}

/// How to take part in the network: on dev only if it was said how.
fn p2p(cli: &Cli, file: &File, network: Network) -> Result<Option<P2p>, String> {
    let listen = addresses("listen", &cli.listen, &file.listen)?;
    let peers = addresses("peer", &cli.peer, &file.peer)?;
    let max_inbound = cli.max_peers.or(file.max_peers).map_or(DEFAULT_INBOUND, usize::from);
    in_range("max-peers", max_inbound.try_into().unwrap_or(u16::MAX), 0)?;
    let is_dev = network == Network::Dev;
    if is_dev && listen.is_empty() && peers.is_empty() {
        return Ok(None);
    }
    let listen = if listen.is_empty() && !is_dev { listen_everywhere() } else { listen };
    let mdns = !is_dev && (cli.mdns || file.mdns.unwrap_or(false));
    Ok(Some(P2p { listen, peers, mdns, max_inbound }))
}

fn addresses(
    key: &str,
    flags: &[Multiaddr],
    file: &Option<Vec<String>>,
) -> Result<Vec<Multiaddr>, String> {
    if !flags.is_empty() {
        return Ok(flags.to_vec());
    }
    file.iter().flatten().map(|text| read(key, text, MULTIADDR)).collect()
}

/// All addresses of the machine, of the families that it has.
fn listen_everywhere() -> Vec<Multiaddr> {
    let families = [("/ip4/0.0.0.0", "0.0.0.0:0"), ("/ip6/::", "[::]:0")];
    let available = families.iter().filter(|(_, any)| UdpSocket::bind(any).is_ok());
    let of = |(ip, _): &(&str, &str)| {
        [format!("{ip}/tcp/{P2P_PORT}"), format!("{ip}/udp/{P2P_PORT}/quic-v1")]
            .map(|text| text.parse().ok())
    };
    available.flat_map(of).flatten().collect()
}

fn read<T: FromStr>(key: &str, text: &str, hint: impl Display) -> Result<T, String> {
    text.trim().parse().map_err(|_| format!("{key}: '{text}' {hint}"))
}

fn in_range(key: &str, number: u16, least: u16) -> Result<(), String> {
    if (least..=1_024).contains(&number) {
        return Ok(());
    }
    Err(format!("{key}: '{number}' is not a number from {least} to 1024"))
}

fn read_file(path: &Path) -> Result<File, String> {
    let unreadable =
        |why: String| format!("the configuration file {} can't be read: {why}", path.display());
    let length = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(unreadable(format!("it has more than {MAX_FILE_BYTES} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        let what = error.message().replace("unknown field", "unknown key").replace('\n', " ");
        format!("{}: line {line}: {what}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operate/");

    /// The configuration of a command line and a file, as text.
    fn config(flags: &str, file: Option<&str>) -> Result<String, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let mut cli = Cli::try_parse_from(
            ["namechaind", "--data-dir", "/data"].into_iter().chain(flags.split_whitespace()),
        )
        .map_err(|error| error.to_string())?;
        if let Some(text) = file {
            let path = dir.path().join("namechaind.toml");
            fs::write(&path, text).expect("a file");
            cli.config = Some(path);
        }
        load(cli).map(|config| format!("{config:#?}"))
    }

    fn example() -> String {
        fs::read_to_string(format!("{DOCS}namechaind.example.toml")).expect("the example")
    }

    #[test]
    fn the_example_is_the_default() {
        assert_eq!(config("", Some(&example())), config("", None));
    }

    #[test]
    fn every_key_is_in_the_example_and_in_the_reference() {
        let error = config("", Some("something-else-altogether = 1")).expect_err("not known");
        let (_, list) = error.split_once("expected").expect("the keys");
        let known: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
        assert_eq!(known.len(), 12, "{error}");
        let (example, page) = (example(), format!("{DOCS}configuration.md"));
        let page = fs::read_to_string(page).expect("the reference");
        let (_, page) = page.split_once("\n## namechaind\n").expect("a section");
        for key in known {
            let there = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key} ="));
            assert!(example.lines().any(there), "{key} in namechaind.example.toml");
            assert!(page.contains(&format!("| `{key}` |")), "{key} in configuration.md");
        }
    }

    #[test]
    fn a_flag_counts_more_than_the_file() {
        let file = "network = \"dev\"\nmine = \"always\"\nmine-threads = 3\nmax-peers = 7\nprune = 600\n\
                    peer = [\"/ip4/192.0.2.1/tcp/7379\"]\nmdns = true\nallow-host = [\"a\"]";
        let from_file = config("", Some(file)).unwrap();
        for part in [
            "629145600",
            "Dev",
            "Always",
            "mine_threads: 3",
            "max_inbound: 7",
            "192.0.2.1",
            "\"a\"",
        ] {
            assert!(from_file.contains(part), "{part}: {from_file}");
        }
        assert!(from_file.contains("mdns: false"), "never on dev: {from_file}");
        let flags = "--network test --mine off --mine-threads 2 --max-peers 8 --allow-host b \
                     --peer /ip4/192.0.2.2/tcp/7379";
        let both = config(flags, Some(file)).unwrap();
        for part in ["Test", "Off", "mine_threads: 2", "max_inbound: 8", "192.0.2.2", "\"b\""] {
            assert!(both.contains(part), "{part}: {both}");
        }
        assert!(both.contains("mdns: true"), "{both}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_in_a_line() {
        for (file, said) in [
            ("netwrok = \"dev\"", "line 1: unknown key `netwrok`"),
            ("\nmine = 1", "line 2: invalid type"),
            ("network = \"moon\"", "network: 'moon' is not a network"),
            ("api = \"here\"", "api: 'here' is not IP:PORT"),
            ("mine-threads = 0", "mine-threads: '0' is not a number from 1 to 1024"),
            ("prune = 549", "prune: '549' is neither 0"),
            ("max-peers = 2000", "max-peers: '2000' is not a number from 0 to 1024"),
            ("peer = [\"192.0.2.1\"]", "peer: '192.0.2.1' is not a multiaddr"),
        ] {
            let error = config("", Some(file)).expect_err(file);
            assert!(error.contains(said) && !error.contains('\n'), "{file}: {error}");
        }
    }
}
