//! What clients are given, and what is kept from them.

use super::{ConfigError, read};
use crate::cookie::Policy;

/// Whether clients are given cookies.
pub fn cookies(given: Option<&str>) -> Result<Policy, ConfigError> {
    let read = |text| read("cookies", text, "is neither off nor on nor require");
    given.map_or(Ok(Policy::default()), read)
}
