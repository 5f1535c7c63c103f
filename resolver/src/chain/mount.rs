//! Mounts: where names of the chain appear in DNS.

/// `namechain.alt.`, below which all names of the chain are mounted (RFC 9476: `alt.` is for names
/// outside DNS).
pub const ALT_LABELS: [&str; 2] = ["namechain", "alt"];

/// Which mounts are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mounts {
    /// At the root: `alice.`.
    pub root: bool,
    /// Below `namechain.alt.`: `alice.namechain.alt.`.
    pub alt: bool,
}

/// The mount of a question's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// `alice.`: an unregistered label may be a legacy name.
    Root,
    /// `alice.namechain.alt.`: all names are the chain's.
    Alt,
}

impl Mount {
    /// The number of labels behind a name of the chain.
    pub fn labels(self) -> usize {
        match self {
            Mount::Root => 0,
            Mount::Alt => ALT_LABELS.len(),
        }
    }
}
