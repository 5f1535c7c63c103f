//! The rehearsal of an upgrade: a branch that dev gets from a date on (docs/protocol.md, section
//! 12).

use namechain_core::params::{Branch, rehearse_branch};

use crate::genesis::parse_time;

/// Reads `NUMBER@TIME` or `NUMBER@TIME/LABEL,LABEL`: a branch with the names that it reserves.
///
/// # Errors
/// What is expected.
pub fn parse_branch(text: &str) -> Result<Branch, String> {
    let (number, rest) =
        text.split_once('@').ok_or("use NUMBER@TIME or NUMBER@TIME/LABEL,LABEL")?;
    let number = number.parse().map_err(|_| format!("'{number}' is not the number of a branch"))?;
    let (time, labels) = rest.split_once('/').unwrap_or((rest, ""));
    // Once in a process, for as long as it runs.
    let reserved: Vec<&'static str> = labels
        .split(',')
        .filter(|label| !label.is_empty())
        .map(|label| &*label.to_ascii_lowercase().leak())
        .collect();
    Ok(Branch { number, from: parse_time(time)?, reserved: reserved.leak() })
}

/// Adds the branch to dev, before anything else asks for its rules.
///
/// # Errors
/// Why it can't be added.
pub fn begin(branch: Branch) -> Result<(), String> {
    rehearse_branch(branch).map_err(|error| format!("--rehearse-upgrade: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_read() {
        let branch = parse_branch("3@1795046500/Newtld,other").unwrap();
        assert_eq!((branch.number, branch.from), (3, 1_795_046_500));
        assert_eq!(branch.reserved, ["newtld", "other"]);
        assert_eq!(parse_branch("4@2027-01-31T12:00:00Z").unwrap().reserved, [""; 0]);
        for wrong in ["", "3", "x@1", "3@tomorrow", "3@/a"] {
            assert!(parse_branch(wrong).is_err(), "{wrong}");
        }
        assert!(
            begin(parse_branch("2@1795046500").unwrap())
                .unwrap_err()
                .contains("the number after the last")
        );
    }
}
