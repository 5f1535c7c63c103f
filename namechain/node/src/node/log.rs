//! What programs with a node in them log.

use std::io::{self, IsTerminal};

use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use super::progress_line::LogOutput;
use crate::net::ENGINE_LOG_FILTER;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is logged, from the value of `NAMECHAIN_LOG`: a level, and levels of modules, as in
/// `info,resolver=debug`.
///
/// # Errors
/// The part that is neither, and what to write instead.
pub fn log_filter(asked: &str) -> Result<Targets, String> {
    for part in asked.split(',') {
        let (module, level) = part.split_once('=').unwrap_or(("any", part));
        let is_module = !module.is_empty()
            && module.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':'));
        if !is_module || !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            return Err(format!(
                "'{part}' is not a log level: use {}, or MODULE=LEVEL, separated by commas",
                LEVELS.join(", ")
            ));
        }
    }
    format!("{ENGINE_LOG_FILTER},{asked}").parse().map_err(|error| format!("'{asked}': {error}"))
}

/// Starts logging to standard error, in colour on a terminal. To be called once in a process.
pub fn init_log(filter: Targets) {
    let lines = fmt::layer()
        .with_writer(LogOutput::default)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_level_and_levels_of_modules() {
        let filter = log_filter("info,resolver=debug").unwrap();
        for (target, level, shown) in [
            ("namechain_node", Level::INFO, true),
            ("namechain_node::net", Level::DEBUG, false),
            ("resolver::server", Level::DEBUG, true),
            ("resolver", Level::TRACE, false),
            ("yamux", Level::WARN, false),
            ("yamux", Level::ERROR, true),
        ] {
            assert_eq!(filter.would_enable(target, &level), shown, "{target} {level}");
        }
        assert!(log_filter("yamux=debug").unwrap().would_enable("yamux", &Level::DEBUG));
        assert!(log_filter("TRACE").unwrap().would_enable("any", &Level::TRACE));
    }

    #[test]
    fn a_mistyped_level_is_an_error() {
        for wrong in
            ["", "inof", "info,", "resolver=loud", "info resolver=debug", "resolver[span]=info"]
        {
            let error = log_filter(wrong).unwrap_err();
            assert!(error.contains("off, error, warn, info, debug, trace"), "{wrong}: {error}");
        }
    }
}
