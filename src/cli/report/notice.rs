//! The messages of a migration's communication plan, filled with the figures of a run. What only
//! people know is in `[BRACKETS]`.

use mongosplit::{check, explain, findings, inspect, reverse, sample, show, transform};

use super::super::page::escaped_markdown as plain;
use super::super::text::{count, duration, size, thousands};
use super::figures::{ReverseResult, VerifyResult};
use super::{About, Failure};

/// A report that people outside of the operators' room are told of.
pub trait Notice {
    /// The message, as Markdown; none if nobody else needs one.
    fn notice(&self, _about: &About) -> Option<String> {
        None
    }
}

impl Notice for () {}
impl Notice for show::Report {}
impl Notice for explain::Report {}
impl Notice for findings::Report {}
impl Notice for check::Report {}
impl Notice for sample::Report {}

/// A message and the page that it is made from.
pub fn with_details(notice: &str, details: &str) -> String {
    format!(
        "{notice}\n---\n\n# Details\n\n*For the operators. Leave out what follows where the message goes further.*\n\n{details}"
    )
}

/// A message: its title, whom it goes to, and its lines.
fn message(title: &str, to: &str, paragraphs: &[String], items: &[(&str, String)]) -> String {
    let mut text = format!("# {title}\n\n**To:** {to}\n");
    for paragraph in paragraphs {
        text += &format!("\n{paragraph}\n");
    }
    if !items.is_empty() {
        text.push('\n');
    }
    for (name, what) in items {
        text += &format!("- **{name}:** {what}\n");
    }
    text
}

const EVERYONE: &str = "all users, development, operations";
const TEAMS: &str = "development, operations";
const WITH_MANAGEMENT: &str = "all users, management";
const QUESTIONS: &str = "\nQuestions: [CONTACT]\n";

/// The notice 72 hours before.
impl Notice for inspect::Report {
    fn notice(&self, _about: &About) -> Option<String> {
        let (documents, bytes) = self.source_counts();
        let amount = format!("{}, {}", count(documents, "document"), size(bytes));
        let budget = &self.needs.migration;
        let takes = format!("{} to {}", duration(budget.least()), duration(budget.most()));
        let problem = (!self.go).then_some("the assessment says NO-GO; see the details");
        Some(scheduled(&amount, Some(&takes), problem))
    }
}

/// The notice 72 hours before: how much there is to migrate, how long that takes, and what stands
/// against sending the notice.
pub fn scheduled(amount: &str, takes: Option<&str>, problem: Option<&str>) -> String {
    let mut paragraphs = Vec::new();
    paragraphs.extend(problem.map(|problem| format!("**Do not send this yet:** {problem}.")));
    paragraphs.push(
        "We will move data to a new database structure. During this window you can see what is there, but not upload data or start an analysis. [IMPACT IF OTHER]".to_owned(),
    );
    let items = [
        ("Date", "[DATE]".to_owned()),
        ("Time", "[START] to [END] (UTC)".to_owned()),
        ("Duration", takes.map_or("[DURATION]".to_owned(), |takes| format!("about {takes}"))),
        ("Amount", amount.to_owned()),
        ("Updates", "[STATUS PAGE OR CHANNEL]".to_owned()),
    ];
    let title = "Scheduled maintenance: database migration";
    message(title, &format!("{EVERYONE}; 72 hours before"), &paragraphs, &items) + QUESTIONS
}

/// A status update, and the draft of what to send at the end.
impl Notice for transform::Report {
    fn notice(&self, about: &About) -> Option<String> {
        let sum = |of: fn(&mongosplit::manifest::Source) -> u64| {
            self.manifest.sources.iter().map(of).sum::<u64>()
        };
        let (documents, rejected) = (sum(|source| source.documents), sum(|source| source.rejected));
        let findings: u64 = self.sources.iter().map(|source| source.finding_documents).sum();
        let mut issues = Vec::new();
        if rejected > 0 {
            issues.push(format!(
                "{} left out, as a server would refuse them",
                count(rejected, "document")
            ));
        }
        if findings > 0 {
            issues.push(format!(
                "{} that the application may not accept",
                count(findings, "document")
            ));
        }
        let warnings = self.warnings.len() as u64;
        if warnings > 0 {
            issues.push(count(warnings, "warning"));
        }
        let is_trial = self.dry_run;
        let done =
            if is_trial { "tried without writing" } else { "split, and proven to come back" };
        let share = match documents {
            0 => 100.0,
            all => (all - rejected) as f64 * 100.0 / all as f64,
        };
        let mut items = vec![
            (
                "Progress",
                format!(
                    "{}/{} documents {done} ({share:.0}%)",
                    thousands(documents - rejected),
                    thousands(documents)
                ),
            ),
            (
                "Speed",
                format!(
                    "{} documents a second, {}",
                    thousands((documents as f64 / self.seconds.max(0.001)) as u64),
                    duration(self.seconds)
                ),
            ),
            ("Issues", if issues.is_empty() { "none".to_owned() } else { issues.join("; ") }),
        ];
        if !is_trial {
            let left = "restore the new collections, dump them again, `mongosplit verify --restored`, start the application";
            items.push(("Still to do", left.to_owned()));
        }
        items.push(("Expected end", "[TIME] (UTC)".to_owned()));
        let title =
            if is_trial { "Migration status: dry run" } else { "Migration status: data is split" };
        let status = message(title, TEAMS, &[updated(about)], &items);
        if is_trial {
            return Some(status);
        }
        let draft = completion(
            documents - rejected,
            "[INTEGRITY: 100% once `mongosplit verify --restored` ends with exit code 0]",
        );
        Some(format!(
            "{status}\n---\n\n*Draft. Send it once `mongosplit verify --restored` ends with exit code 0.*\n\n{draft}"
        ))
    }
}

fn updated(about: &About) -> String {
    format!("Update [NUMBER], {}", About::readable(&about.finished))
}

fn completion(documents: u64, integrity: &str) -> String {
    let items = [
        ("Documents migrated", thousands(documents)),
        ("Duration", "[FROM THE STOP OF WRITES UNTIL NOW]".to_owned()),
        ("Data integrity", integrity.to_owned()),
        ("Performance", "[AS MEASURED]".to_owned()),
    ];
    let what = "The migration of the database is complete, and everything can be used again. Thank you for your patience.";
    message("Migration complete", EVERYONE, &[what.to_owned()], &items) + QUESTIONS
}

/// The completion, or what stands against it.
impl Notice for VerifyResult<'_> {
    fn notice(&self, about: &About) -> Option<String> {
        const STATE: &str = "The new collections must not be used yet.";
        let broken = self.outputs.iter().filter(|output| !output.holds()).count() as u64;
        let contradictions = self.together.as_ref().map_or(0, |together| together.contradictions);
        if broken > 0 || contradictions > 0 {
            let issue = match contradictions {
                0 => format!(
                    "differences from the manifest, or findings, in {}",
                    count(broken, "output")
                ),
                _ => format!(
                    "{} between outputs for one database",
                    count(contradictions, "contradiction")
                ),
            };
            return Some(stopped(about, &issue, STATE));
        }
        if self.source.as_ref().is_some_and(|source| !source.differences.is_empty()) {
            let issue = "the output is not what its source becomes";
            return Some(stopped(about, issue, STATE));
        }
        let restored = self.restored.as_ref()?;
        if !restored.is_same() {
            let issue = format!(
                "the database differs from what was migrated: {} missing, {} extra, {} changed, {}",
                thousands(restored.missing),
                thousands(restored.extra),
                thousands(restored.changed),
                count(restored.index_differences.len() as u64, "index difference"),
            );
            return Some(stopped(about, &issue, STATE));
        }
        let sources = self.outputs.iter().flat_map(|output| &output.manifest.sources);
        let migrated: u64 = sources.map(|source| source.documents - source.rejected).sum();
        let integrity = format!(
            "100%: {} of the new collections compared with what was migrated, none missing, extra or changed ({})",
            count(restored.documents, "document"),
            duration(restored.seconds)
        );
        Some(completion(migrated, &integrity))
    }
}

/// The rollback.
impl Notice for ReverseResult<'_> {
    fn notice(&self, about: &About) -> Option<String> {
        let reverse::Report { manifest, dry_run, seconds, .. } = self.reversal;
        let documents: u64 = manifest.sources.iter().map(|source| source.documents).sum();
        let what = "We met [ISSUE] during the migration of the database and go back to the state before it. Your data is safe. We will try the migration again once the cause is removed.";
        let done = match dry_run {
            true => "can be brought back (dry run)",
            false => "brought back, to be restored next",
        };
        let mut items = vec![
            (
                "Status",
                format!("{} {done}, after {}", count(documents, "document"), duration(*seconds)),
            ),
            ("Impact", "the service cannot be used for about [MINUTES] minutes".to_owned()),
            ("Expected end", "[TIME] (UTC)".to_owned()),
        ];
        let kept = match &self.current {
            None => "as it was at the migration; what was written since is not in it".to_owned(),
            Some(current) if current.counts.is_unchanged() => {
                "nothing has changed since the migration".to_owned()
            }
            Some(current) => {
                let counts = current.counts;
                let mut kept = format!(
                    "with what was written since the migration: {} changed, {} created, {} deleted",
                    thousands(counts.drifted),
                    thousands(counts.added),
                    thousands(counts.deleted)
                );
                if counts.not_carried_back > 0 {
                    kept += &format!(
                        "; {} have changes that the old structure cannot hold",
                        thousands(counts.not_carried_back)
                    );
                }
                kept
            }
        };
        items.push(("Data", kept));
        Some(
            message(
                "Rollback in progress",
                WITH_MANAGEMENT,
                &[what.to_owned(), updated(about)],
                &items,
            ) + QUESTIONS,
        )
    }
}

/// A status that says what is wrong.
fn stopped(about: &About, issue: &str, state: &str) -> String {
    let items = [
        ("Issue", plain(issue)),
        ("State", state.to_owned()),
        ("Next", "[WHO DOES WHAT; GO ON OR ROLL BACK]".to_owned()),
        ("Next update", "[TIME] (UTC)".to_owned()),
    ];
    message("Migration status: an issue", TEAMS, &[updated(about)], &items)
}

/// The status after a step of a migration that failed.
pub fn of_failure(about: &About, failure: &Failure) -> Option<String> {
    let state = match about.command {
        "inspect" => "The dump was not read to its end. Nothing was changed.",
        "transform" | "reverse" => "The step did not finish.",
        "verify" => "Nothing is proven. Nothing was changed.",
        _ => return None,
    };
    Some(stopped(about, &failure.error.message, state))
}
