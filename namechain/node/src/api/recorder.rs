//! What this process counts with the crate `metrics`, kept and written in Prometheus' text format.
//!
//! All histograms are of seconds, and have the same buckets.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    sync::{Arc, PoisonError, RwLock, atomic::Ordering},
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit,
    atomics::AtomicU64,
};

/// The most counters, and the most gauges. The labels in the code make some hundred.
const MAX_SERIES: usize = 4_096;

/// The upper bounds of the buckets of a histogram, in seconds: from the check of one operation to
/// some intervals between blocks.
const BUCKETS_S: [f64; 10] = [0.000_5, 0.002, 0.01, 0.05, 0.2, 1.0, 5.0, 20.0, 120.0, 600.0];

type Series<T = AtomicU64> = RwLock<HashMap<Key, Arc<T>>>;

/// What a histogram has counted.
#[derive(Default)]
struct Distribution {
    /// By bucket, those below it not counted again; the last is above all bounds.
    counts: [AtomicU64; BUCKETS_S.len() + 1],
    sum_us: AtomicU64,
}

impl HistogramFn for Distribution {
    fn record(&self, seconds: f64) {
        let bucket = BUCKETS_S.partition_point(|bound| seconds > *bound);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        // A negative one counts as none: `as` saturates.
        self.sum_us.fetch_add((seconds * 1e6) as u64, Ordering::Relaxed);
    }
}

/// The process' counters, gauges and histograms.
#[derive(Default)]
pub(super) struct Recorder {
    counters: Series,
    gauges: Series,
    histograms: Series<Distribution>,
    help: RwLock<BTreeMap<String, SharedString>>,
}

impl Recorder {
    /// Writes everything in Prometheus' text format, sorted by name and labels.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        let counter = |name: &str, labels: &str, value: &AtomicU64, text: &mut String| {
            let value = value.load(Ordering::Relaxed);
            push_line(text, format_args!("{name}{} {value}", in_braces(labels)));
        };
        self.render_series(&self.counters, "counter", counter, &mut text);
        let gauge = |name: &str, labels: &str, value: &AtomicU64, text: &mut String| {
            let value = f64::from_bits(value.load(Ordering::Relaxed));
            push_line(text, format_args!("{name}{} {value}", in_braces(labels)));
        };
        self.render_series(&self.gauges, "gauge", gauge, &mut text);
        self.render_series(&self.histograms, "histogram", render_distribution, &mut text);
        text
    }

    fn render_series<T>(
        &self,
        series: &Series<T>,
        kind: &str,
        render: impl Fn(&str, &str, &T, &mut String),
        text: &mut String,
    ) {
        let help = self.help.read().unwrap_or_else(PoisonError::into_inner);
        let series = series.read().unwrap_or_else(PoisonError::into_inner);
        // A key is ordered by its hash: not what a reader wants.
        let mut lines: Vec<(&str, String, &T)> = series
            .iter()
            .map(|(key, value)| (key.name(), render_labels(key), value.as_ref()))
            .collect();
        lines.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let mut last_name = "";
        for (name, labels, value) in lines {
            if name != last_name {
                if let Some(help) = help.get(name) {
                    push_line(text, format_args!("# HELP {name} {}", escape(help, false)));
                }
                push_line(text, format_args!("# TYPE {name} {kind}"));
                last_name = name;
            }
            render(name, &labels, value, text);
        }
    }

    fn describe(&self, name: KeyName, help: SharedString) {
        let mut all = self.help.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MAX_SERIES {
            all.insert(name.as_str().to_owned(), help);
        }
    }
}

/// The value of a series, made at its first use; `None` if there are [`MAX_SERIES`] others.
fn register<T: Default>(series: &Series<T>, key: &Key) -> Option<Arc<T>> {
    if let Some(value) = series.read().unwrap_or_else(PoisonError::into_inner).get(key) {
        return Some(value.clone());
    }
    let mut all = series.write().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MAX_SERIES && !all.contains_key(key) {
        return None;
    }
    Some(all.entry(key.to_retained()).or_default().clone())
}

/// A histogram's lines. What is recorded meanwhile may be in the sum and not in a bucket, or the
/// other way round.
fn render_distribution(name: &str, labels: &str, value: &Distribution, text: &mut String) {
    let comma = if labels.is_empty() { "" } else { "," };
    let bounds = BUCKETS_S.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
    let mut count = 0;
    for (bound, below) in bounds.zip(&value.counts) {
        count += below.load(Ordering::Relaxed);
        push_line(text, format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}"));
    }
    let (sum, labels) = (value.sum_us.load(Ordering::Relaxed) as f64 / 1e6, in_braces(labels));
    push_line(text, format_args!("{name}_sum{labels} {sum}"));
    push_line(text, format_args!("{name}_count{labels} {count}"));
}

fn in_braces(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

/// The labels, without braces.
fn render_labels(key: &Key) -> String {
    let labels: Vec<String> = key
        .labels()
        .map(|label| format!("{}=\"{}\"", label.key(), escape(label.value(), true)))
        .collect();
    labels.join(",")
}

/// The text format escapes backslashes and line feeds, and in the values of labels quotes too.
fn escape(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', r"\\").replace('\n', r"\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(name, help);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(name, help);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(name, help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        register(&self.counters, key).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        register(&self.gauges, key).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        register(&self.histograms, key).map_or_else(Histogram::noop, Histogram::from_arc)
    }
}

#[cfg(test)]
mod tests {
    use metrics::{
        counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
        with_local_recorder,
    };

    use super::*;

    #[test]
    fn series_are_written_in_the_text_format() {
        let recorder = Recorder::default();
        with_local_recorder(&recorder, || {
            describe_counter!("b_total", "Two\nlines, and a \\.");
            describe_gauge!("level", "A level.");
            counter!("b_total", "kind" => "x\"y\\z\n").increment(2);
            counter!("b_total", "kind" => "a", "way" => "in").increment(1);
            counter!("b_total", "kind" => "a", "way" => "in").increment(1);
            counter!("a_total").absolute(7);
            gauge!("level").set(-1.5);
            gauge!("whole").set(3.0);
        });
        let expected = r#"# TYPE a_total counter
a_total 7
# HELP b_total Two\nlines, and a \\.
# TYPE b_total counter
b_total{kind="a",way="in"} 2
b_total{kind="x\"y\\z\n"} 2
# HELP level A level.
# TYPE level gauge
level -1.5
# TYPE whole gauge
whole 3
"#;
        assert_eq!(recorder.render(), expected);
    }

    #[test]
    fn a_histogram_has_its_buckets_sum_and_count() {
        let recorder = Recorder::default();
        with_local_recorder(&recorder, || {
            describe_histogram!("took_seconds", "How long it took.");
            for seconds in [0.000_1, 0.05, 0.06, 7.5, 1_000.0, -1.0] {
                histogram!("took_seconds", "what" => "x").record(seconds);
            }
        });
        let expected = r#"# HELP took_seconds How long it took.
# TYPE took_seconds histogram
took_seconds_bucket{what="x",le="0.0005"} 2
took_seconds_bucket{what="x",le="0.002"} 2
took_seconds_bucket{what="x",le="0.01"} 2
took_seconds_bucket{what="x",le="0.05"} 3
took_seconds_bucket{what="x",le="0.2"} 4
took_seconds_bucket{what="x",le="1"} 4
took_seconds_bucket{what="x",le="5"} 4
took_seconds_bucket{what="x",le="20"} 5
took_seconds_bucket{what="x",le="120"} 5
took_seconds_bucket{what="x",le="600"} 5
took_seconds_bucket{what="x",le="+Inf"} 6
took_seconds_sum{what="x"} 1007.6101
took_seconds_count{what="x"} 6
"#;
        assert_eq!(recorder.render(), expected);
    }

    #[test]
    fn the_number_of_series_is_bounded() {
        let recorder = Recorder::default();
        with_local_recorder(&recorder, || {
            for number in 0..MAX_SERIES + 10 {
                counter!("c_total", "number" => number.to_string()).increment(1);
            }
            counter!("c_total", "number" => "0").increment(1);
        });
        let text = recorder.render();
        assert_eq!(text.lines().count(), MAX_SERIES + 1);
        assert!(text.contains("c_total{number=\"0\"} 2\n"), "what is there still counts");
    }
}
