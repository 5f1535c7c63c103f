//! Zone file lines that publish keys.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::args::NameArgs;

/// The subcommands of `peer dane`.
#[derive(Debug, Subcommand)]
pub enum DaneCommand {
    /// The TLSA record of a server, from its certificate: tlsa CERT --host www >> alice.zone
    Tlsa(Tlsa),
    /// The OPENPGPKEY record of a mail address (RFC 7929): openpgpkey hugh KEY
    Openpgpkey(MailAddressArgs),
    /// The SMIMEA record of a mail address (RFC 8162): smimea hugh CERT
    Smimea(MailAddressArgs),
    /// SVCB and TXT records with the identity key and locators of a name
    Endpoint(NameArgs),
}

/// Arguments of `peer dane tlsa`.
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
    /// Its label in an owner name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

/// Arguments of `peer dane openpgpkey` and `smimea`.
#[derive(Debug, Args)]
pub struct MailAddressArgs {
    /// The part of the address before the @, case-sensitive
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
