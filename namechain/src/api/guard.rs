//! Who may ask: nobody's web page. And for how long.
//!
//! A page that a browser loads from anywhere can send requests to loopback. Those that are scripted carry the page's
//! Origin and are refused; those of a page whose own name was made to point here (DNS rebinding) carry that name as
//! Host and are refused too. There is no CORS.

use std::{net::IpAddr, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header, uri::Authority},
    middleware::Next,
    response::Response,
};

use super::refuse::Refused;

/// How long a request may take, from its headers to its answer.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(20);

/// What is checked before a handler sees a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    ip: IpAddr,
}

impl Guard {
    /// For a server that listens on `ip`.
    pub(super) fn new(ip: IpAddr) -> Self {
        Guard { ip }
    }

    fn check(self, headers: &HeaderMap) -> Result<(), Refused> {
        let hint = "address the API by the IP address that it listens on, or as localhost";
        let host = single(headers, header::HOST)?
            .ok_or_else(|| Refused::bad_request("the request has no Host header", hint))?;
        if !self.is_us(host) {
            let message = "the Host header is not an address of this API";
            return Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", message, hint));
        }
        match single(headers, header::ORIGIN)? {
            Some(origin) if origin.strip_prefix("http://") != Some(host) => {
                let message = "the request comes from a web page of another origin";
                Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", message, ""))
            }
            _ => Ok(()),
        }
    }

    /// Whether a Host header is one of those of this server: `localhost`, a loopback address, or the address that it
    /// listens on. If it listens on all, any address: only names can be made to point elsewhere.
    fn is_us(self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let name = authority.host();
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        literal
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback() || ip == self.ip || self.ip.is_unspecified())
    }
}

/// The value of a header that may be there once.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Refused> {
    let mut values = headers.get_all(&name).iter();
    let value = values.next().map(|value| value.to_str());
    match (value, values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(Refused::bad_request(format!("the header {name} is not one plain text"), "")),
    }
}

/// Refuses what the [`Guard`] refuses, and what takes too long.
pub(super) async fn guard(
    State(guard): State<Guard>,
    request: Request,
    next: Next,
) -> Result<Response, Refused> {
    guard.check(request.headers())?;
    tokio::time::timeout(REQUEST_TIME, next.run(request)).await.map_err(|_| {
        let message = format!("the request took longer than {} seconds", REQUEST_TIME.as_secs());
        Refused::unavailable(message, "send the body at once; the node may be busy: try again later")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_us() {
        let listening = |ip: &str| Guard::new(ip.parse().unwrap());
        for (ip, host, us) in [
            ("127.0.0.1", "localhost", true),
            ("127.0.0.1", "LocalHost:7380", true),
            ("127.0.0.1", "127.0.0.1:7380", true),
            ("127.0.0.1", "[::1]:7380", true),
            ("127.0.0.1", "192.0.2.1:7380", false),
            ("127.0.0.1", "attacker.example", false),
            ("127.0.0.1", "localhost.attacker.example", false),
            ("127.0.0.1", "attacker.example@127.0.0.1", false),
            ("127.0.0.1", "127.0.0.1.attacker.example:7380", false),
            ("127.0.0.1", "", false),
            ("192.0.2.1", "192.0.2.1:7380", true),
            ("192.0.2.1", "192.0.2.2:7380", false),
            ("2001:db8::1", "[2001:db8::1]:7380", true),
            ("0.0.0.0", "192.0.2.7:7380", true),
            ("0.0.0.0", "attacker.example", false),
        ] {
            assert_eq!(listening(ip).is_us(host), us, "{host} at {ip}");
        }
    }
}
