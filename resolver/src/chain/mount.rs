//! The places in DNS where the names of the chain stand.

/// Below this name, `namechain.alt.`, all names of the chain stand (RFC 9476: `alt.` is for names
/// outside DNS).
pub const ALT_LABELS: [&str; 2] = ["namechain", "alt"];

/// Where names of the chain stand in DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mounts {
    /// At the root: `alice.`.
    pub root: bool,
    /// Below `namechain.alt.`: `alice.namechain.alt.`.
    pub alt: bool,
}

/// The place under which a question came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// `alice.`: a label that nobody has registered may be a legacy name.
    Root,
    /// `alice.namechain.alt.`: all of it is the chain's.
    Alt,
}

impl Mount {
    /// How many labels stand behind a name of the chain.
    pub fn labels(self) -> usize {
        match self {
            Mount::Root => 0,
            Mount::Alt => ALT_LABELS.len(),
        }
    }
}
