//! The machine's clock, compared with signatures in use and the chain's tip.

use namechain_core::params::MAX_FUTURE_TIME;

use super::Finding;

/// The validity period of a signature, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureTimes {
    pub from: u64,
    pub until: u64,
}

/// Compares `now` with the validity periods of signatures in use, and with the time of the chain's
/// tip.
pub fn assess(now: u64, signed: &[SignatureTimes], tip: Option<u64>) -> Finding {
    let about = "clock";
    let remedy = "set the clock (timedatectl set-ntp true): signatures and blocks depend on it";
    if let Some(signed) = signed.iter().find(|signed| now < signed.from) {
        let behind = shown(signed.from - now);
        return Finding::bad(
            about,
            format!("it is at least {behind} behind: signatures in use are not valid yet"),
            remedy,
        );
    }
    if let Some(tip) = tip.filter(|tip| *tip > now + MAX_FUTURE_TIME) {
        let behind = shown(tip - now - MAX_FUTURE_TIME);
        return Finding::bad(
            about,
            format!("it is at least {behind} behind: the chain's tip is newer"),
            remedy,
        );
    }
    // One server may have let its signatures expire; the clock is wrong if all have.
    if !signed.is_empty() && signed.iter().all(|signed| now > signed.until) {
        let last = signed.iter().map(|signed| signed.until).max().unwrap_or_default();
        let ahead = shown(now - last);
        return Finding::bad(
            about,
            format!("it is at least {ahead} ahead: all signatures in use have expired"),
            remedy,
        );
    }
    match (signed.is_empty(), tip) {
        (true, None) => {
            Finding::warn(about, "there is nothing to compare it with", "check it with date -u")
        }
        (true, Some(_)) => Finding::ok(about, "it is not behind the chain's tip"),
        (false, _) => Finding::ok(about, "signatures in use are valid at this time"),
    }
}

fn shown(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} minutes", seconds / 60),
        7_200..=172_799 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn what_the_clock_is_judged_by() {
        let signed = [
            SignatureTimes { from: 1_000, until: 2_000 },
            SignatureTimes { from: 900, until: 1_500 },
        ];
        for (now, signed, tip, severity, says) in [
            (1_200, &signed[..], None, Severity::Ok, "valid at this time"),
            (1_800, &signed, Some(1_700), Severity::Ok, "valid"),
            (950, &signed, None, Severity::Bad, "50 s behind"),
            (90_000, &signed, None, Severity::Bad, "24 hours ahead"),
            (1_200, &signed, Some(9_000), Severity::Bad, "2 hours behind: the chain"),
            (1_200, &[], Some(1_200 + MAX_FUTURE_TIME), Severity::Ok, "not behind"),
            (1_200, &[], Some(1_201 + MAX_FUTURE_TIME), Severity::Bad, "1 s behind: the chain"),
            (1_200, &[], None, Severity::Warn, "nothing to compare"),
        ] {
            let finding = assess(now, signed, tip);
            assert!(
                finding.severity == severity && finding.found.contains(says),
                "{now}: {finding}"
            );
        }
    }
}
