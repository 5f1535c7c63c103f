//! DNS cookies (RFC 7873) in the interoperable form (RFC 9018): a client that returns the server
//! cookie it was given has proven its address.
//!
//! ```text
//! option 10: client cookie (8) | server cookie: version 1 (1), reserved (3), time stamp (4), SipHash-2-4 (8)
//! the hash is over: client cookie, version, reserved, time stamp, the client's address (4 or 16)
//! ```
//!
//! The timestamp counts seconds from a point that each start picks at random: only this process
//! reads it.

use std::{
    io,
    net::IpAddr,
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use siphasher::sip::SipHasher24;

/// The EDNS option's number (RFC 7873 §4).
pub const OPTION: u16 = 10;
/// The length of the option for a client: its client cookie and our server cookie.
pub const COOKIE_BYTES: usize = CLIENT_BYTES + SERVER_BYTES;
const CLIENT_BYTES: usize = 8;
const SERVER_BYTES: usize = 16;
/// The length of a server cookie of any server, 8 to 32 bytes (RFC 7873 §4.2).
const ANY_SERVER: std::ops::RangeInclusive<usize> = 8..=32;
const VERSION: [u8; 4] = [1, 0, 0, 0];
/// A cookie is valid for this many seconds, and renewed after half of them (RFC 9018 §4.3).
const LIFETIME_SECS: u32 = 3_600;
/// A secret makes cookies for this many seconds; its cookies stay valid until they expire.
const SECRET_LIFETIME_SECS: u32 = 86_400;

/// The option data that a client gets: both cookies.
pub type Given = [u8; COOKIE_BYTES];

/// Whether cookies are used, and whether clients have to send one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Off; the COOKIE option is ignored.
    Off,
    /// A client that sends a cookie gets one. Under load, UDP clients on other machines have to
    /// send a valid one.
    #[default]
    On,
    /// As `On`, and UDP clients on other machines always have to send a valid one.
    Require,
}

impl FromStr for Policy {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "off" => Ok(Policy::Off),
            "on" => Ok(Policy::On),
            "require" => Ok(Policy::Require),
            _ => Err(()),
        }
    }
}

/// The cookie that a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent<'a> {
    client: [u8; CLIENT_BYTES],
    server: &'a [u8],
}

impl<'a> Sent<'a> {
    /// Parses the option; `None` if the length is invalid (RFC 7873 §5.2.2).
    pub fn read(data: &'a [u8]) -> Option<Self> {
        let (client, server) = data.split_first_chunk()?;
        (server.is_empty() || ANY_SERVER.contains(&server.len()))
            .then_some(Sent { client: *client, server })
    }
}

/// The secrets at one time.
#[derive(Clone, Copy, Debug)]
pub struct Secrets {
    current: [u8; 16],
    /// When it began to make cookies.
    since: u32,
    before: Option<[u8; 16]>,
}

impl Secrets {
    /// The cookie for the client at `address` at the time `now`, and whether the one that it sent
    /// was valid.
    pub fn answer(&self, sent: &Sent<'_>, address: IpAddr, now: u32) -> (Given, bool) {
        let mut given = [0; COOKIE_BYTES];
        given[..CLIENT_BYTES].copy_from_slice(&sent.client);
        let known = self.knows(sent, address, now);
        match known {
            // A fresh cookie is returned unchanged, so that the client need not store another one.
            Some(age) if age <= LIFETIME_SECS / 2 => {
                given[CLIENT_BYTES..].copy_from_slice(sent.server)
            }
            _ => given[CLIENT_BYTES..].copy_from_slice(&made(
                &self.current,
                sent.client,
                now,
                address,
            )),
        }
        (given, known.is_some())
    }

    /// The age of a cookie, if it was made here.
    fn knows(&self, sent: &Sent<'_>, address: IpAddr, now: u32) -> Option<u32> {
        let shown = <[u8; SERVER_BYTES]>::try_from(sent.server).ok()?;
        let &[v0, v1, v2, v3, t0, t1, t2, t3, ..] = &shown;
        let stamp = u32::from_be_bytes([t0, t1, t2, t3]);
        // Serial number arithmetic (RFC 1982): a time in the future counts as very old.
        let age = now.wrapping_sub(stamp);
        if [v0, v1, v2, v3] != VERSION || age > LIFETIME_SECS {
            return None;
        }
        let is = |secret: &[u8; 16]| {
            let made = made(secret, sent.client, stamp, address);
            made.iter().zip(shown).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
        };
        let before = self.before.filter(|_| now.wrapping_sub(self.since) <= LIFETIME_SECS);
        (is(&self.current) || before.is_some_and(|secret| is(&secret))).then_some(age)
    }
}

fn made(
    secret: &[u8; 16],
    client: [u8; CLIENT_BYTES],
    stamp: u32,
    address: IpAddr,
) -> [u8; SERVER_BYTES] {
    let mut input = [0; CLIENT_BYTES + 8 + 16];
    input[..8].copy_from_slice(&client);
    input[8..12].copy_from_slice(&VERSION);
    input[12..16].copy_from_slice(&stamp.to_be_bytes());
    let length = match address {
        IpAddr::V4(ip) => {
            input[16..20].copy_from_slice(&ip.octets());
            20
        }
        IpAddr::V6(ip) => {
            input[16..].copy_from_slice(&ip.octets());
            32
        }
    };
    let hash = SipHasher24::new_with_key(secret).hash(&input[..length]);
    let mut cookie = [0; SERVER_BYTES];
    cookie[..8].copy_from_slice(&input[8..16]);
    cookie[8..].copy_from_slice(&hash.to_le_bytes());
    cookie
}

/// The holder of the secrets: made at the start, and renewed each day.
#[derive(Debug)]
pub struct Jar {
    secrets: Mutex<Secrets>,
    start: u32,
}

impl Jar {
    /// With a random secret.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn new() -> io::Result<Self> {
        let mut start = [0; 4];
        getrandom::fill(&mut start).map_err(io::Error::other)?;
        let start = u32::from_be_bytes(start);
        Ok(Jar {
            secrets: Mutex::new(Secrets { current: secret()?, since: start, before: None }),
            start,
        })
    }

    /// The timestamp of a moment, which is given as the time since the start.
    pub fn stamp(&self, now: Duration) -> u32 {
        // Modulo 2^32, as serial numbers are.
        self.start.wrapping_add(now.as_secs() as u32)
    }

    /// The secrets at a time. After a day there is a new one; if there are no random bytes, the old
    /// one stays in use.
    pub fn secrets(&self, stamp: u32) -> Secrets {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp.wrapping_sub(secrets.since) > SECRET_LIFETIME_SECS
            && let Ok(current) = secret()
        {
            *secrets = Secrets { current, since: stamp, before: Some(secrets.current) };
        }
        *secrets
    }
}

fn secret() -> io::Result<[u8; 16]> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(hex: &str) -> Secrets {
        Secrets { current: hex::decode(hex).unwrap().try_into().unwrap(), since: 0, before: None }
    }

    fn check(secret: &str, client: &str, stamp: u32, address: &str, expected: &str) {
        let client = hex::decode(client).unwrap();
        let (given, known) =
            secrets(secret).answer(&Sent::read(&client).unwrap(), address.parse().unwrap(), stamp);
        assert_eq!(hex::encode(&given[CLIENT_BYTES..]), expected);
        assert_eq!((&given[..CLIENT_BYTES], known), (&client[..], false));
    }

    /// RFC 9018, Appendix A.1 to A.4.
    #[test]
    fn the_vectors_of_rfc_9018() {
        let secret = "e5e973e5a6b2a43f48e7dc849e37bfcf";
        for (client, stamp, address, cookie) in [
            (
                "2464c4abcf10c957",
                1_559_731_985,
                "198.51.100.100",
                "010000005cf79f111f8130c3eee29480",
            ),
            (
                "2464c4abcf10c957",
                1_559_734_385,
                "198.51.100.100",
                "010000005cf7a871d4a564a1442aca77",
            ),
            (
                "fc93fc62807ddb86",
                1_559_734_700,
                "203.0.113.203",
                "010000005cf7a9acf73a7810aca2381e",
            ),
        ] {
            check(secret, client, stamp, address, cookie);
        }
        let address = "2001:db8:220:1:59de:d0f4:8769:82b8";
        let (secret, cookie) =
            ("445536bcd2513298075a5d379663c962", "010000005cf7c609a6bb79d16625507a");
        check(secret, "22681ab97d52c298", 1_559_741_961, address, cookie);
    }

    #[test]
    fn lengths() {
        for length in 0..64 {
            let right = length == 8 || (16..=40).contains(&length);
            assert_eq!(Sent::read(&vec![0; length]).is_some(), right, "{length}");
        }
    }

    #[test]
    fn a_cookie_is_known_at_its_address_for_an_hour() {
        let secrets = secrets("e5e973e5a6b2a43f48e7dc849e37bfcf");
        let here = IpAddr::from([192, 0, 2, 1]);
        let (given, _) = secrets.answer(&Sent::read(&[7; 8]).unwrap(), here, u32::MAX - 10);
        let again = |cookie: &[u8], address, after: u32| {
            secrets.answer(
                &Sent::read(cookie).unwrap(),
                address,
                (u32::MAX - 10).wrapping_add(after),
            )
        };
        assert_eq!(
            again(&given, here, 1_800),
            (given, true),
            "as it was, also past the end of the numbers"
        );
        let (renewed, known) = again(&given, here, 1_801);
        assert!(known && renewed != given, "half of its time is over");
        assert!(again(&given, here, 3_600).1 && !again(&given, here, 3_601).1);
        assert!(!again(&given, here, u32::MAX).1, "from the future");
        assert!(!again(&given, [192, 0, 2, 2].into(), 0).1);
        for at in 0..COOKIE_BYTES {
            let mut changed = given;
            changed[at] ^= 1;
            assert!(!again(&changed, here, 0).1, "byte {at}");
        }
        assert!(!again(&[&given[..], &[0]].concat(), here, 0).1, "another length");
    }

    #[test]
    fn a_secret_is_replaced_each_day_and_its_cookies_are_taken_for_an_hour_more() {
        let jar = Jar::new().unwrap();
        let at = |seconds| jar.stamp(Duration::from_secs(seconds));
        let here = IpAddr::from([192, 0, 2, 1]);
        let (given, _) =
            jar.secrets(at(86_400)).answer(&Sent::read(&[7; 8]).unwrap(), here, at(86_400));
        let sent = Sent::read(&given).unwrap();
        let next = jar.secrets(at(86_401));
        assert_ne!(next.current, jar.secrets(at(86_401)).before.unwrap());
        assert!(next.answer(&sent, here, at(86_402)).1);
        assert!(!Secrets { before: None, ..next }.answer(&sent, here, at(86_402)).1);
        assert_ne!(Jar::new().unwrap().secrets(0).current, Jar::new().unwrap().secrets(0).current);
    }
}
