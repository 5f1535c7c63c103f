//! The range of ephemeral ports.

use std::ops::RangeInclusive;

/// The file that has it on Linux (ip(7)), for this process's network namespace.
const FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// The default.
const DEFAULT: RangeInclusive<u16> = 32_768..=60_999;

/// Whether the system may assign this port to a program that asks for any port.
pub fn is_given_to_anybody(port: u16) -> bool {
    let range = std::fs::read_to_string(FILE).ok().and_then(|text| parse(&text));
    range.unwrap_or(DEFAULT).contains(&port)
}

fn parse(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ends = text.split_whitespace().map(str::parse);
    match (ends.next()?, ends.next()?) {
        (Ok(first), Ok(last)) => Some(first..=last),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_range_is_read() {
        assert_eq!(parse("32768\t60999\n"), Some(DEFAULT));
        assert_eq!(parse("32768"), None);
        assert_eq!(parse("1 many"), None);
        assert!(!is_given_to_anybody(53), "a port of the system is nobody's by chance");
    }
}
