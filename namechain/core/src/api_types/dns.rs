//! What the API says of the DNS server that is in the same process.

use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// `POST /v1/cache/flush`: which answers of DNS to forget. With neither field: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Flush {
    /// Those to questions for this name, of any type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "www.example.com"))]
    pub name: Option<String>,
    /// Those to questions for this name and every name below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// What [`Flush`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Flushed {
    /// How many answers went.
    pub flushed: u64,
}

/// `POST /v1/trace`: a question that is to be answered, and how that comes about told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TraceAsked {
    /// The name.
    #[cfg_attr(feature = "openapi", schema(example = "www.example.com"))]
    pub name: String,
    /// The type, such as `AAAA` or `TYPE65280`; `A` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "A"))]
    pub rtype: Option<String>,
    /// Whether answers that are kept for the name are forgotten first.
    #[serde(default)]
    pub fresh: bool,
    /// Whether to ask for signatures (DO).
    #[serde(default)]
    pub dnssec: bool,
    /// Whether to ask for what is not validated too (CD).
    #[serde(default)]
    pub checking_disabled: bool,
}

/// How a question was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Trace {
    /// The question: name, class, type.
    pub question: String,
    /// What happened, in the order in which it did.
    pub steps: Vec<TraceStep>,
    /// Whether more happened than is told.
    pub cut: bool,
    /// What came of it.
    pub answer: TraceAnswer,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TraceStep {
    /// How long after the question, in microseconds.
    pub after_us: u64,
    /// Who did it: `route`, `chain`, `cache`, `upstream`, ...
    pub who: String,
    /// What happened, in words.
    pub what: String,
}

/// The answer to a traced question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TraceAnswer {
    /// The response code, as in `NXDOMAIN`.
    pub rcode: String,
    /// The flags that are set, as in `aa` and `ad`.
    pub flags: Vec<String>,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// The answer section, a record a line.
    pub answers: Vec<String>,
    /// The authority section, a record a line.
    pub authorities: Vec<String>,
    /// The additional section without OPT, a record a line.
    pub additionals: Vec<String>,
    /// Extended errors (RFC 8914), as in `15 (Blocked): why`.
    pub extended_errors: Vec<String>,
}
