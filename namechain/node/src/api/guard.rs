//! Who may ask: nobody's web page. And for how long.
//!
//! A page that a browser loads from anywhere can send requests to loopback. Those that are scripted
//! carry the page's Origin and are refused; those of a page whose own name was made to point here
//! (DNS rebinding) carry that name as Host and are refused too. There is no CORS.

use std::{net::IpAddr, sync::Arc, time::Duration};

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
#[derive(Clone, Debug)]
pub(super) struct Guard {
    ip: IpAddr,
    names: Arc<[String]>,
}

impl Guard {
    /// For a server that listens on `ip`, and that its operator has given `names` too: those by
    /// which a container is known to others, say.
    pub(super) fn new(ip: IpAddr, names: &[String]) -> Self {
        Guard { ip, names: names.into() }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let hint = "address the API by the IP address that it listens on, or as localhost; its operator can allow a name with \
                    --allow-host NAME";
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

    /// Whether a Host header is one of those of this server: `localhost`, a loopback address, the
    /// address that it listens on, or a name that its operator has given it. If it listens on all,
    /// any address: only names can be made to point elsewhere.
    fn is_us(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let name = authority.host();
        if name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|ours| ours.eq_ignore_ascii_case(name))
        {
            return true;
        }
        let literal =
            name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
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
        Refused::unavailable(
            message,
            "send the body at once; the node may be busy: try again later",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_us() {
        let listening = |ip: &str| Guard::new(ip.parse().unwrap(), &["node-1".to_owned()]);
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
            ("0.0.0.0", "Node-1:7380", true),
            ("0.0.0.0", "node-1.attacker.example", false),
            ("0.0.0.0", "node-2", false),
        ] {
            assert_eq!(listening(ip).is_us(host), us, "{host} at {ip}");
        }
    }
}
