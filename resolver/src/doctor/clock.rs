//! Whether the machine's date can be right, by what others have signed and recorded.

use super::Finding;

/// How far a block may be ahead of the clocks of those who take it, in seconds (docs/protocol.md).
const AHEAD: u64 = 600;

/// From when and until when a signature is good, in seconds of Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    pub from: u64,
    pub until: u64,
}

/// Judges the time `now` by the times of signatures that are in use, and by the time of the chain's
/// tip.
pub fn judge(now: u64, signed: &[Signed], tip: Option<u64>) -> Finding {
    let about = "clock";
    let remedy = "set the clock (timedatectl set-ntp true): signatures and blocks are judged by it";
    if let Some(signed) = signed.iter().find(|signed| now < signed.from) {
        let behind = shown(signed.from - now);
        return Finding::bad(
            about,
            format!("it is at least {behind} behind: signatures in use begin later"),
            remedy,
        );
    }
    if let Some(tip) = tip.filter(|tip| *tip > now + AHEAD) {
        let behind = shown(tip - now - AHEAD);
        return Finding::bad(
            about,
            format!("it is at least {behind} behind: the chain's tip is from later"),
            remedy,
        );
    }
    // One server may have let its signatures expire; the clock is wrong if all have.
    if !signed.is_empty() && signed.iter().all(|signed| now > signed.until) {
        let last = signed.iter().map(|signed| signed.until).max().unwrap_or_default();
        let ahead = shown(now - last);
        return Finding::bad(
            about,
            format!("it is at least {ahead} ahead: the signatures in use are over"),
            remedy,
        );
    }
    match (signed.is_empty(), tip) {
        (true, None) => {
            Finding::warn(about, "there is nothing to compare it with", "look at it: date -u")
        }
        (true, Some(_)) => Finding::ok(about, "it is not behind the chain's tip"),
        (false, _) => Finding::ok(about, "signatures in use are good at this time"),
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
    use crate::doctor::Verdict;

    #[test]
    fn what_the_clock_is_judged_by() {
        let signed = [Signed { from: 1_000, until: 2_000 }, Signed { from: 900, until: 1_500 }];
        for (now, signed, tip, verdict, says) in [
            (1_200, &signed[..], None, Verdict::Ok, "good at this time"),
            (1_800, &signed, Some(1_700), Verdict::Ok, "good"),
            (950, &signed, None, Verdict::Bad, "50 s behind"),
            (90_000, &signed, None, Verdict::Bad, "24 hours ahead"),
            (1_200, &signed, Some(9_000), Verdict::Bad, "2 hours behind: the chain"),
            (1_200, &[], Some(1_700), Verdict::Ok, "not behind"),
            (1_200, &[], None, Verdict::Warn, "nothing to compare"),
        ] {
            let finding = judge(now, signed, tip);
            assert!(finding.verdict == verdict && finding.found.contains(says), "{now}: {finding}");
        }
    }
}
