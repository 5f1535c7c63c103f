//! The environment variables.

use std::{ffi::OsString, num::NonZeroU16, path::PathBuf};

use namechain_node::node::{MULTIADDR, PRUNE};

use super::{
    cli::{Cli, Switch},
    error::ConfigError,
    value::{ADDRESS, MINE, NETWORK, THREADS, read_value},
};
use crate::upstream::UpstreamError;

/// Fills in from the environment what the flags leave open.
pub fn with_environment(
    mut cli: Cli,
    env: &impl Fn(&str) -> Option<OsString>,
) -> Result<Cli, ConfigError> {
    let text = |key: &str| -> Result<Option<String>, ConfigError> {
        let Some(value) = env(key).filter(|value| !value.is_empty()) else { return Ok(None) };
        let why = "is not UTF-8".to_owned();
        let lossy = value.to_string_lossy().into_owned();
        value.into_string().map(Some).map_err(|_| ConfigError::Value {
            place: key.into(),
            value: lossy,
            why,
        })
    };
    let list = |key: &str| -> Result<Vec<String>, ConfigError> {
        Ok(text(key)?.map(|all| all.split(',').map(str::to_owned).collect()).unwrap_or_default())
    };
    if !cli.dev && cli.network.is_none() {
        let key = "NAMECHAIN_NETWORK";
        cli.network = text(key)?.map(|value| read_value(key, &value, NETWORK)).transpose()?;
    }
    if cli.listen.is_empty() {
        let key = "NAMECHAIN_LISTEN";
        cli.listen = list(key)?
            .iter()
            .map(|value| read_value(key, value, ADDRESS))
            .collect::<Result<_, _>>()?;
    }
    if cli.upstream.is_empty() {
        let key = "NAMECHAIN_UPSTREAM";
        let read = |text: &String| {
            text.parse().map_err(|error: UpstreamError| ConfigError::Value {
                place: key.into(),
                value: text.clone(),
                why: error.to_string(),
            })
        };
        cli.upstream = list(key)?.iter().map(read).collect::<Result<_, _>>()?;
    }
    // Settings of one kind of node are not used for the other.
    if cli.node.is_none() && cli.data_dir.is_none() {
        cli.node = text("NAMECHAIN_NODE")?;
    }
    if cli.api.is_none() {
        let key = "NAMECHAIN_API";
        cli.api = text(key)?.map(|value| read_value(key, &value, ADDRESS)).transpose()?;
    }
    let path = |key: &str| env(key).filter(|path| !path.is_empty()).map(PathBuf::from);
    cli.admin_socket = cli.admin_socket.or_else(|| path("NAMECHAIN_ADMIN_SOCKET"));
    if cli.node.is_none() {
        cli.data_dir = cli.data_dir.or_else(|| path("NAMECHAIN_DATA_DIR"));
        if cli.p2p_listen.is_empty() {
            let key = "NAMECHAIN_P2P_LISTEN";
            cli.p2p_listen = list(key)?
                .iter()
                .map(|value| read_value(key, value, MULTIADDR))
                .collect::<Result<_, _>>()?;
        }
        if cli.peer.is_empty() {
            let key = "NAMECHAIN_PEER";
            cli.peer = list(key)?
                .iter()
                .map(|value| read_value(key, value, MULTIADDR))
                .collect::<Result<_, _>>()?;
        }
        if cli.mine.is_none() {
            let key = "NAMECHAIN_MINE";
            cli.mine = text(key)?.map(|value| read_value(key, &value, MINE)).transpose()?;
        }
        if cli.mine_threads.is_none() {
            let key = "NAMECHAIN_MINE_THREADS";
            let given: Option<NonZeroU16> =
                text(key)?.map(|value| read_value(key, &value, THREADS)).transpose()?;
            cli.mine_threads = given.map(NonZeroU16::get);
        }
        if cli.prune.is_none() {
            let key = "NAMECHAIN_PRUNE";
            cli.prune = text(key)?.map(|value| read_value(key, &value, PRUNE)).transpose()?;
        }
        if cli.allow_host.is_empty() {
            cli.allow_host = list("NAMECHAIN_ALLOW_HOST")?;
        }
        cli.mdns = cli.mdns || text("NAMECHAIN_MDNS")?.is_some_and(|value| value != "false");
    }
    cli.config = cli
        .config
        .or_else(|| env("NAMECHAIN_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
    if cli.mount_root.is_none() {
        let key = "NAMECHAIN_MOUNT_ROOT";
        cli.mount_root = text(key)?.map(|value| read_switch(key, &value)).transpose()?;
    }
    Ok(cli)
}

fn read_switch(place: &str, value: &str) -> Result<Switch, ConfigError> {
    match value {
        "on" => Ok(Switch::On),
        "off" => Ok(Switch::Off),
        _ => {
            let why = "is neither on nor off".into();
            Err(ConfigError::Value { place: place.into(), value: value.into(), why })
        }
    }
}
