//! What every exporter says of its process, by the names that Prometheus gives: what it uses and
//! when it began.

use std::{fmt::Write, fs};

use nix::sys::{
    resource::{Resource, UsageWho, getrlimit, getrusage},
    time::TimeVal,
};

/// Ticks in a second of what the kernel counts in ticks (`USER_HZ`, the same on every machine).
const TICKS_PER_SECOND: f64 = 100.0;

/// The metrics of this process in the text format. What the operating system does not tell is left
/// out.
pub(super) fn render() -> String {
    let mut text = String::new();
    let mut line = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        }
    };
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let used = getrusage(UsageWho::RUSAGE_SELF).ok();
    let used = used.map(|used| seconds(used.user_time()) + seconds(used.system_time()));
    let help = "Processor time used, in seconds.";
    line("process_cpu_seconds_total", "counter", help, used);
    let help = "Resident memory, in bytes.";
    line("process_resident_memory_bytes", "gauge", help, resident_bytes());
    let help = "Open file descriptors.";
    line("process_open_fds", "gauge", help, open_descriptors());
    let most = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft as f64);
    line("process_max_fds", "gauge", "The most file descriptors that may be open.", most);
    let help = "When the process began, in seconds of Unix time.";
    line("process_start_time_seconds", "gauge", help, start_time_seconds());
    text
}

/// `VmRSS` of proc(5), which only Linux has.
fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024.0)
}

/// When the machine began and how much later the process did: `btime` of /proc/stat and field 22 of
/// /proc/self/stat (proc(5)).
fn start_time_seconds() -> Option<f64> {
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let booted = machine.lines().find_map(|line| line.strip_prefix("btime "))?;
    let process = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a file's name in parentheses, with any characters.
    let (_, rest) = process.rsplit_once(')')?;
    let ticks: f64 = rest.split_whitespace().nth(19)?.parse().ok()?;
    Some(booted.trim().parse::<f64>().ok()? + ticks / TICKS_PER_SECOND)
}

fn open_descriptors() -> Option<f64> {
    // One of them is that of this directory.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_described() {
        let text = render();
        let value = |name: &str| -> f64 {
            let prefix = format!("{name} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
            line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
        };
        assert!(value("process_cpu_seconds_total") > 0.0);
        assert!(value("process_max_fds") > value("process_open_fds"));
        if cfg!(target_os = "linux") {
            assert!(value("process_resident_memory_bytes") > 1e6);
            assert!(value("process_open_fds") > 2.0);
            // After this test was written, and before the machine's clock ends.
            assert!((1.7e9..1e10).contains(&value("process_start_time_seconds")));
        }
    }
}
