//! The genesis block of a public network (docs/protocol.md, section 11).

use namechain_core::{
    consensus::header::genesis_of,
    params::Params,
    types::{Entry, Hash, Network},
};

/// A value that was announced, as its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(Vec<u8>);

/// Reads an announced value.
///
/// # Errors
/// What is wrong with it.
pub fn parse_value(text: &str) -> Result<Value, String> {
    match hex::decode(text) {
        Ok(bytes) if bytes.is_empty() => Err("it is empty".into()),
        Ok(bytes) => Ok(Value(bytes)),
        Err(error) => Err(format!("it is not hexadecimal: {error}")),
    }
}

/// Reads a time: seconds of Unix time, or a date and time in UTC as RFC 3339 has it.
///
/// # Errors
/// What is expected.
pub fn parse_time(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    read_utc(text)
        .ok_or_else(|| "use seconds of Unix time, or UTC as in 2027-01-31T12:00:00Z".into())
}

fn read_utc(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if year < 1970 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let days_in = |month: u64| match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=days_in(month)).contains(&day) {
        return None;
    }
    let years: u64 = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum();
    let days = years + (1..month).map(days_in).sum::<u64>() + day - 1;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Three numbers of so many digits each.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let parts: Vec<&str> = text.split(between).collect();
    let mut read = [0; 3];
    if parts.len() != read.len() {
        return None;
    }
    for ((part, digits), number) in parts.into_iter().zip(digits).zip(&mut read) {
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    Some(read)
}

/// A genesis block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// Its id.
    pub id: Hash,
    /// Its time, in seconds of Unix time.
    pub time: u64,
    /// The hash of the announced values.
    pub entropy: Hash,
}

/// The genesis block of `network` with this time and these values.
pub fn make(network: Network, time: u64, values: &[Value]) -> Genesis {
    let all: Vec<u8> = values.iter().flat_map(|value| value.0.iter().copied()).collect();
    let entropy = Entry::value_hash(network, &all);
    let params = Params { genesis_time: time, entropy, ..network.params().clone() };
    Genesis { id: genesis_of(&params).header.id(network), time, entropy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use namechain_core::consensus::header::genesis;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T23:59:59Z", Some(951_868_799)),
            ("2027-01-31T12:00:00Z", Some(1_801_396_800)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("2100-02-29T00:00:00Z", None),
            ("2027-13-01T00:00:00Z", None),
            ("2027-01-31T24:00:00Z", None),
            ("2027-01-31 12:00:00Z", None),
            ("2027-1-31T12:00:00Z", None),
            ("2027-01-31T12:00:00+01:00", None),
            ("-1", None),
        ] {
            assert_eq!(parse_time(text).ok(), seconds, "{text}");
        }
    }

    #[test]
    fn every_announced_value_and_the_time_make_another_block() {
        let value = |text| parse_value(text).expect("hexadecimal");
        let values = [value("0011"), value("22")];
        let made = make(Network::Main, 1_801_396_800, &values);
        assert_eq!(made, make(Network::Main, 1_801_396_800, &[value("001122")]), "in their order");
        for other in [
            make(Network::Test, 1_801_396_800, &values),
            make(Network::Main, 1_801_396_801, &values),
            make(Network::Main, 1_801_396_800, &[value("22"), value("0011")]),
        ] {
            assert_ne!(made.id, other.id);
        }
        assert_ne!(made.id, genesis(Network::Main).header.id(Network::Main));
        assert!(parse_value("").is_err() && parse_value("0g").is_err());
    }
}
