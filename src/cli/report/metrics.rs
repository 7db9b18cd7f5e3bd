//! Metrics in Prometheus' text format, for the textfile collector of node_exporter.

use std::collections::BTreeMap;
use std::fmt::Write;

use mongosplit::plain::plain_lines;

use super::About;

/// A report with figures for monitoring.
pub trait Metrics {
    /// Adds them. No `_id` and no path is among them.
    fn metrics(&self, _into: &mut Registry) {}
}

impl Metrics for () {}

/// A metric: its name and what it says.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
}

/// A label and its value.
pub type Label<'l> = (&'static str, &'l str);

/// The series of a run. Each has the label `command`, so that files of several commands go together.
#[derive(Debug)]
pub struct Registry {
    command: &'static str,
    families: Vec<Family>,
}

/// The series of one metric.
#[derive(Debug)]
struct Family {
    metric: Metric,
    /// By their labels, as they are written in braces.
    series: BTreeMap<String, f64>,
}

impl Registry {
    fn new(command: &'static str) -> Registry {
        Registry { command, families: Vec::new() }
    }
    /// Sets a series.
    pub fn set(&mut self, metric: Metric, labels: &[Label<'_>], value: f64) {
        *self.value(metric, labels) = value;
    }
    /// Adds to a series: several sources may have one namespace.
    pub fn add(&mut self, metric: Metric, labels: &[Label<'_>], count: u64) {
        *self.value(metric, labels) += count as f64;
    }
    fn value(&mut self, metric: Metric, labels: &[Label<'_>]) -> &mut f64 {
        let labels = labels_of(self.command, labels);
        let families = &mut self.families;
        let at = families.iter().position(|family| family.metric.name == metric.name);
        let at = at.unwrap_or_else(|| {
            families.push(Family { metric, series: BTreeMap::new() });
            families.len() - 1
        });
        families[at].series.entry(labels).or_default()
    }
    fn into_text(self) -> String {
        let mut text = String::new();
        for Family { metric: Metric { name, help }, series } in self.families {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            for (labels, value) in series {
                let _ = writeln!(text, "{name}{{{labels}}} {value}");
            }
        }
        text
    }
}

fn labels_of(command: &str, labels: &[Label<'_>]) -> String {
    let all = [("command", command)].into_iter().chain(labels.iter().copied());
    let one = |(name, value)| format!("{name}=\"{}\"", escaped(value));
    all.map(one).collect::<Vec<_>>().join(",")
}

/// A label's value. The format knows three escapes, and takes all other characters as they are.
fn escaped(value: &str) -> String {
    plain_lines(value).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

const SUCCESS: Metric =
    Metric { name: "mongosplit_success", help: "Whether the last run ended with exit code 0." };
const EXIT_CODE: Metric =
    Metric { name: "mongosplit_exit_code", help: "The exit code of the last run." };
const LAST_RUN: Metric = Metric {
    name: "mongosplit_last_run_timestamp_seconds",
    help: "When the last run ended, in seconds since 1970.",
};
const DURATION: Metric =
    Metric { name: "mongosplit_duration_seconds", help: "How long the last run took." };
const BUILD: Metric =
    Metric { name: "mongosplit_build_info", help: "The version that the last run was of." };

/// The metrics of a run.
pub fn text(about: &About, report: Option<&impl Metrics>) -> String {
    let mut registry = Registry::new(about.command);
    registry.set(SUCCESS, &[], f64::from(u8::from(about.exit_code == 0)));
    registry.set(EXIT_CODE, &[], f64::from(about.exit_code));
    let finished = about.finished.timestamp().as_millisecond();
    registry.set(LAST_RUN, &[], finished as f64 / 1000.0);
    registry.set(DURATION, &[], (about.seconds * 1000.0).round() / 1000.0);
    registry.set(BUILD, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    if let Some(report) = report {
        report.metrics(&mut registry);
    }
    registry.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_is_written_once_below_its_metric() {
        let one = Metric { name: "one", help: "One." };
        let two = Metric { name: "two", help: "Two." };
        let mut registry = Registry::new("verify");
        registry.add(one, &[("namespace", "a.b")], 3);
        registry.set(two, &[], 0.25);
        registry.add(one, &[("namespace", "a\"\\\n.é")], 1);
        registry.add(one, &[("namespace", "a.b")], 4);
        assert_eq!(
            registry.into_text(),
            r#"# HELP one One.
# TYPE one gauge
one{command="verify",namespace="a.b"} 7
one{command="verify",namespace="a\"\\\n.é"} 1
# HELP two Two.
# TYPE two gauge
two{command="verify"} 0.25
"#
        );
    }
}
