//! Lines for a zone file.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::NameArgs;

/// `peer dane`.
#[derive(Debug, Subcommand)]
pub enum DaneCommand {
    /// The TLSA of a server, from its certificate, self-signed or not: tlsa CERT --host www >>
    /// alice.zone
    Tlsa(Tlsa),
    /// The OPENPGPKEY of an address at the name: openpgpkey hugh KEY (RFC 7929)
    Openpgpkey(MailAddressArgs),
    /// The SMIMEA of an address at the name: smimea hugh CERT (RFC 8162)
    Smimea(MailAddressArgs),
    /// Where a name's identity key is reached, as SVCB and TXT, from the locators in its record
    Endpoint(NameArgs),
}

/// `peer dane tlsa`.
#[derive(Debug, Args)]
pub struct Tlsa {
    /// The certificate, in PEM or DER
    pub file: PathBuf,
    /// The server's name below yours [default: your name itself]
    #[arg(long, default_value = "", hide_default_value = true, value_parser = host)]
    pub host: String,
    /// The port
    #[arg(long, default_value_t = 443)]
    pub port: u16,
    /// The protocol
    #[arg(long, value_enum, default_value_t = Protocol::Tcp)]
    pub protocol: Protocol,
}

/// A transport of DANE (RFC 6698 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

impl Protocol {
    /// As it stands in an owner's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

/// `peer dane openpgpkey` and `smimea`.
#[derive(Debug, Args)]
pub struct MailAddressArgs {
    /// What stands before the @ of the address; its case counts
    pub local: String,
    /// The key, or the certificate
    pub file: PathBuf,
}

fn host(text: &str) -> Result<String, &'static str> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    match text.is_empty() || text.split('.').all(is_label) {
        true => Ok(text.to_owned()),
        false => Err("expected labels of letters, digits and hyphens, such as www"),
    }
}
