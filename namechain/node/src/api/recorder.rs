//! What this process counts with the crate `metrics`, kept and written in Prometheus' text format.
//!
//! Counters and gauges only: nothing here records a histogram.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    sync::{Arc, PoisonError, RwLock, atomic::Ordering},
};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit, atomics::AtomicU64,
};

/// The most counters, and the most gauges. The labels in the code make some hundred.
const MAX_SERIES: usize = 4_096;

type Series = RwLock<HashMap<Key, Arc<AtomicU64>>>;

/// The process' counters and gauges.
#[derive(Default)]
pub(super) struct Recorder {
    counters: Series,
    gauges: Series,
    help: RwLock<BTreeMap<String, SharedString>>,
}

impl Recorder {
    /// Writes everything in Prometheus' text format, sorted by name and labels.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        self.render_series(&self.counters, "counter", |bits| bits.to_string(), &mut text);
        let number = |bits| f64::from_bits(bits).to_string();
        self.render_series(&self.gauges, "gauge", number, &mut text);
        text
    }

    fn render_series(
        &self,
        series: &Series,
        kind: &str,
        number: impl Fn(u64) -> String,
        text: &mut String,
    ) {
        let help = self.help.read().unwrap_or_else(PoisonError::into_inner);
        let series = series.read().unwrap_or_else(PoisonError::into_inner);
        // A key is ordered by its hash: not what a reader wants.
        let mut lines: Vec<(&str, String, &AtomicU64)> = series
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
            let number = number(value.load(Ordering::Relaxed));
            push_line(text, format_args!("{name}{labels} {number}"));
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
fn register(series: &Series, key: &Key) -> Option<Arc<AtomicU64>> {
    if let Some(value) = series.read().unwrap_or_else(PoisonError::into_inner).get(key) {
        return Some(value.clone());
    }
    let mut all = series.write().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MAX_SERIES && !all.contains_key(key) {
        return None;
    }
    Some(all.entry(key.to_retained()).or_default().clone())
}

fn render_labels(key: &Key) -> String {
    let labels: Vec<String> = key
        .labels()
        .map(|label| format!("{}=\"{}\"", label.key(), escape(label.value(), true)))
        .collect();
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
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

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        register(&self.counters, key).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        register(&self.gauges, key).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, describe_counter, describe_gauge, gauge, with_local_recorder};

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
