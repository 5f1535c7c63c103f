//! Parses single values, and says what was expected.

use std::str::FromStr;

use super::error::ConfigError;

/// What is expected of a socket address.
pub const ADDRESS: &str = "is not IP:PORT, as in 127.0.0.1:5300";
/// What is expected of a mining mode.
pub const MINE: &str = "is neither off nor on-demand nor always";
/// What is expected of a number of threads.
pub const THREADS: &str = "is not a number from 1 to 1024";
/// What is expected of a query log mode.
pub const LOGGED: &str = "is neither off nor on nor with-clients";
/// What is expected of a network.
pub const NETWORK: &str = "is not a network: use main, test or dev";

/// Parses a value. The error says where it is from and what is expected.
pub fn read_value<T>(place: &str, value: &str, hint: &str) -> Result<T, ConfigError>
where
    T: FromStr,
{
    let value = value.trim();
    value.parse().map_err(|_| ConfigError::Value {
        place: place.into(),
        value: value.into(),
        why: hint.into(),
    })
}
