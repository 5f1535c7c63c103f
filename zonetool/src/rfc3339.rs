//! Unix times as RFC 3339 writes them.

/// The first second that RFC 3339 can't write.
pub const YEAR_10000: u64 = 253_402_300_800;

/// A time of Unix time as `YYYY-MM-DDTHH:MM:SSZ` (RFC 3339); as it is, if it is after the year
/// 9999.
pub fn utc(seconds: u64) -> String {
    if seconds >= YEAR_10000 {
        return format!("second {seconds}");
    }
    // Days in years that begin on 1 March, so that the leap day is the last; eras of 400 years have
    // 146,097 days.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carried) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carried;
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with `date -u`.
    #[test]
    fn times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_046_400, "2026-11-19T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (u64::MAX, "second 18446744073709551615"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
