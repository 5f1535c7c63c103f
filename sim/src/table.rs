//! Tables in Markdown, as docs/simulations.md has them, and what goes into their cells.

/// A table that is printed when it is complete.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[&str]) -> Self {
        Table { rows: vec![columns.iter().map(|&column| column.to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[String]) {
        assert_eq!(cells.len(), self.rows[0].len(), "a cell for each column");
        self.rows.push(cells.to_vec());
    }

    /// Prints the table and an empty line.
    pub fn print(&self) {
        for (number, row) in self.rows.iter().enumerate() {
            println!("| {} |", row.join(" | "));
            if number == 0 {
                println!("|{}", "---|".repeat(row.len()));
            }
        }
        println!();
    }
}

/// What stands over each table: what it shows, the seed, and the number of runs or of blocks.
pub fn heading(what: &str, seed: u64, runs: u64) {
    println!("**{what}** (seed {seed}, n = {})\n", number(runs as f64));
}

/// Three significant digits, with the thousands parted.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "never".to_owned();
    }
    let size = value.abs();
    let text = match size {
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.1e}"),
    };
    let (whole, fraction) =
        text.split_once('.').map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    if size < 1000.0 {
        return text;
    }
    let mut parted = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && digit != '-' && (whole.len() - index) % 3 == 0 && !parted.ends_with('-') {
            parted.push(',');
        }
        parted.push(digit);
    }
    fraction.map_or(parted.clone(), |fraction| format!("{parted}.{fraction}"))
}

/// A share as a percentage.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A span in seconds, in the unit that a person would take.
pub fn span(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "never".to_owned(),
        s if s < 120.0 => format!("{} s", number(s)),
        s if s < 7_200.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

/// The value below which `share` of `values` lie; 0 of none.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 - 1.0) * share).round() as usize;
    values.get(at).copied().unwrap_or(0.0)
}

/// Mean and standard deviation.
pub fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    (mean, square.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_read_well() {
        let cells = [0.0, 0.012, 1.234, 45.67, 90.0, 999.4, 1_234.0, 1_234_567.0].map(number);
        assert_eq!(cells, ["0", "1.2e-2", "1.23", "45.7", "90", "999", "1,234", "1,234,567"]);
        assert_eq!([span(90.0), span(7_000.0), span(1e5)], ["90 s", "116.7 min", "27.8 h"]);
    }

    #[test]
    fn quantiles_of_a_hundred() {
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!([quantile(&mut values, 0.5), quantile(&mut values, 0.99)], [50.0, 99.0]);
        assert_eq!(moments(&[1.0, 3.0]), (2.0, 1.0));
    }
}
