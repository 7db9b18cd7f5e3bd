//! The assessment of `inspect`.

use mongosplit::base::stream::is_standard_input;
use mongosplit::inspect::{
    Assessment, Collection, Distribution, Lengths, Needs, Owners, Place, Report, TimeBudget,
    Values, time_text,
};
use mongosplit::plain::PlainPath;

use super::super::args;
use super::super::page::{Align, Bar, Chart, Command, Content, Figure, Line, Page, Step, Table};
use super::super::text::{count, duration, path_argument, size, thousands};
use super::finding_line;

/// How many collections are listed without `--verbose`.
const COLLECTIONS: usize = 8;

/// The assessment of `inspect`.
pub fn inspect(report: &Report, arguments: &args::Inspect) -> Page {
    let mut page = Page { verdicts: verdicts(report), parts: Vec::new() };
    push_collections(&mut page, report);
    for source in &report.sources {
        page.push_titled(&source.namespace, Content::Figures(figures(source)));
        page.push_titled(
            "Documents by size",
            Content::Chart(chart("documents", &source.sizes, size)),
        );
        for lengths in &source.lengths {
            let title = format!("Documents by items of {}", lengths.field);
            page.push_titled(&title, Content::Chart(length_chart(lengths)));
        }
        for values in &source.values {
            let title = format!("Documents by {}", values.field);
            page.push_titled(&title, Content::Chart(value_chart(values)));
        }
        for owners in &source.owners {
            let title = format!("{} by documents", owners.field);
            page.push_detail(&title, Content::Chart(chart("owners", &owners.documents, thousands)));
        }
        page.push_detail("Fields", Content::Table(places(&source.places)));
        page.push_detail("Fields that some documents lack", Content::Lines(lacking(source)));
        page.push_detail("Mixed types", Content::Lines(mixtures(source)));
        page.push_detail("Findings", Content::Lines(findings(source)));
        page.push_detail("A server would refuse", Content::Lines(refused(source)));
    }
    if !report.sources.is_empty() {
        page.push_titled("Needs", Content::Figures(needs(&report.needs)));
        page.push_detail("Time of the migration", Content::Table(times(&report.needs.migration)));
        page.push_detail("Time of a rollback", Content::Table(times(&report.needs.rollback)));
    }
    let remarks = report.remarks.iter().map(Line::attention).collect();
    page.push(Content::Notes(remarks));
    if report.go {
        page.push_titled("Next", Content::Steps(next_steps(report, arguments)));
    }
    page
}

/// What `--quiet` prints: why it is no go. The first damage is on stderr already.
pub fn no_go(report: &Report) -> Page {
    let mut verdicts = verdicts(report);
    if !report.damages.is_empty() {
        verdicts.remove(1);
    }
    Page { verdicts, parts: Vec::new() }
}

fn verdicts(report: &Report) -> Vec<Line> {
    let dump = report.dump.plain();
    if report.go {
        let sources: Vec<&str> =
            report.sources.iter().map(|source| source.namespace.as_str()).collect();
        return vec![Line::holds(format!("GO: {} in '{dump}' can be split", sources.join(", ")))];
    }
    let mut verdicts = vec![Line::fails(match report.damages.is_empty() {
        true => format!("NO-GO: '{dump}' cannot be migrated as it is"),
        false => format!("NO-GO: '{dump}' cannot be read; the figures are of what was read"),
    })];
    verdicts.extend(report.damages.iter().map(|damage| Line::fails(&damage.message)));
    verdicts.extend(report.reasons.iter().map(Line::fails));
    verdicts
}

fn push_collections(page: &mut Page, report: &Report) {
    let title = format!(
        "Collections, server version {}",
        report.server_version.as_deref().unwrap_or("unknown").escape_debug()
    );
    let all = &report.collections;
    if all.len() <= COLLECTIONS {
        return page.push_titled(&title, Content::Table(collections(all.iter())));
    }
    // Those that are split, and the largest of the others.
    let mut first: Vec<&Collection> = all.iter().collect();
    let is_source = |collection: &Collection| {
        report.sources.iter().any(|source| source.namespace == collection.namespace)
    };
    first.sort_by_key(|collection| (!is_source(collection), std::cmp::Reverse(collection.bytes)));
    page.push_titled(&title, Content::Table(collections(first[..COLLECTIONS].iter().copied())));
    let more = (all.len() - COLLECTIONS) as u64;
    let what = format!("and {}, smaller (-v)", count(more, "collection"));
    page.push(Content::Lines(vec![Line::plain(what)]));
    page.push_detail("All collections", Content::Table(collections(all.iter())));
}

fn collections<'c>(collections: impl Iterator<Item = &'c Collection>) -> Table {
    let mut table = Table::new(&[
        ("namespace", Align::Left),
        ("documents", Align::Right),
        ("size", Align::Right),
        ("indexes", Align::Right),
        ("", Align::Left),
    ]);
    table.rows = collections
        .map(|collection| {
            let what = match collection.checksum_holds {
                _ if collection.lacks_documents => "✗ its documents are missing",
                Some(true) => "checksum holds",
                Some(false) => "✗ checksum does not hold",
                None if collection.kind != "collection" => collection.kind.as_str(),
                None => "",
            };
            vec![
                collection.namespace.escape_debug().to_string(),
                thousands(collection.documents),
                size(collection.bytes),
                thousands(collection.indexes.len() as u64),
                what.escape_debug().to_string(),
            ]
        })
        .collect();
    table
}

fn figures(source: &Assessment) -> Vec<Figure> {
    let mut figures = vec![Figure::new(
        "documents",
        format!(
            "{}, {}, {} on average",
            thousands(source.documents),
            size(source.bytes),
            size(source.average_bytes())
        ),
    )];
    if let Some(largest) = &source.largest {
        let id = largest.id.as_deref().unwrap_or("none");
        figures.push(Figure::new("largest", format!("{}, _id {id}", size(largest.value))));
    }
    for lengths in &source.lengths {
        let longest = lengths.longest.as_ref().map_or(0, |longest| longest.value);
        let items = count(lengths.items, "item");
        let value = format!("{items}, at most {} in one document", thousands(longest));
        figures.push(Figure::new(&lengths.field, value));
    }
    for dates in &source.dates {
        let value = match (dates.first, dates.last) {
            (Some(first), Some(last)) => format!("{} to {}", time_text(first), time_text(last)),
            _ => "no dates".to_owned(),
        };
        let without = match dates.without {
            0 => String::new(),
            without => format!("; no date in {}", count(without, "document")),
        };
        figures.push(Figure::new(&dates.field, value + &without));
    }
    for Owners { field, owners, is_exact, most, .. } in &source.owners {
        let at_least = if *is_exact { "" } else { "more than " };
        let value =
            format!("{at_least}{}, at most {} each", thousands(*owners), count(*most, "document"));
        figures.push(Figure::new(field, value));
    }
    let top: Vec<&Place> = source.places.iter().filter(|place| place.is_top()).collect();
    let uneven = top.iter().filter(|place| !place.is_uniform()).count() as u64;
    figures.push(Figure::new(
        "fields",
        format!(
            "{}; {} not in all documents, or of several types (-v)",
            thousands(top.len() as u64),
            thousands(uneven)
        ),
    ));
    if source.with_further_fields > 0 {
        let more = count(source.with_further_fields, "document");
        figures.push(Figure::new("further fields", format!("in {more}, not told apart")));
    }
    if source.with_long_names > 0 {
        let more = count(source.with_long_names, "document");
        figures.push(Figure::new("long names", format!("in {more}, not told apart")));
    }
    figures.push(Figure::new(
        "findings",
        match source.findings.len() as u64 {
            0 => "none".to_owned(),
            rules => format!(
                "{} by {} (-v)",
                count(source.finding_documents, "document"),
                count(rules, "rule")
            ),
        },
    ));
    figures
}

fn chart(unit: &str, distribution: &Distribution, shown: fn(u64) -> String) -> Chart {
    let bar = |range: mongosplit::inspect::Range| Bar {
        name: match (range.from, range.to) {
            (from, Some(to)) if from == to => shown(to),
            (_, Some(to)) => format!("up to {}", shown(to)),
            (from, None) => format!("over {}", shown(from - 1)),
        },
        value: range.documents,
    };
    let mut bars: Vec<Bar> = distribution.ranges().map(bar).collect();
    let last = bars.iter().rposition(|bar| bar.value > 0);
    bars.truncate(last.map_or(0, |last| last + 1));
    Chart { unit: unit.to_owned(), bars }
}

fn length_chart(lengths: &Lengths) -> Chart {
    let mut chart = chart("documents", &lengths.lengths, thousands);
    push_bar(&mut chart, "missing or no array", lengths.without);
    chart
}

fn value_chart(values: &Values) -> Chart {
    let bar = |one: &mongosplit::inspect::ValueCount| Bar {
        name: one.value.trim_matches('\'').to_owned(),
        value: one.documents,
    };
    let bars = values.listed.iter().map(bar).collect();
    let mut chart = Chart { unit: "documents".to_owned(), bars };
    push_bar(&mut chart, "other values", values.other);
    push_bar(&mut chart, "null", values.null);
    push_bar(&mut chart, "missing", values.missing);
    chart
}

/// Adds a bar unless it would be empty.
fn push_bar(chart: &mut Chart, name: &str, value: u64) {
    if value > 0 {
        chart.bars.push(Bar { name: name.to_owned(), value });
    }
}

fn places(places: &[Place]) -> Table {
    let columns = [
        ("field", Align::Left),
        ("in", Align::Right),
        ("of", Align::Right),
        ("types", Align::Left),
    ];
    let mut table = Table::new(&columns);
    table.rows = places
        .iter()
        .map(|place| {
            vec![
                place.path.clone(),
                thousands(place.documents),
                thousands(place.of),
                place.types.iter().map(|one| one.name).collect::<Vec<_>>().join(", "),
            ]
        })
        .collect();
    table
}

fn lacking(source: &Assessment) -> Vec<Line> {
    let line = |place: &Place| {
        let id = place.lacking.as_ref()?;
        let lack = count(place.of - place.documents, "document");
        Some(Line::plain(format!("{}: {lack}, first _id {id}", place.path)))
    };
    source.places.iter().filter_map(line).collect()
}

fn mixtures(source: &Assessment) -> Vec<Line> {
    let mixed = source.places.iter().filter(|place| place.types.len() > 1);
    let line = |place: &Place| {
        let types: Vec<String> = place
            .types
            .iter()
            .map(|one| format!("{} {}, first _id {}", thousands(one.values), one.name, one.first))
            .collect();
        Line::plain(format!("{}: {}", place.path, types.join("; ")))
    };
    mixed.map(line).collect()
}

fn findings(source: &Assessment) -> Vec<Line> {
    let line = |finding: &mongosplit::check::Finding| {
        finding_line(&finding.rule, &finding.text, finding.documents, &finding.first_ids)
    };
    source.findings.iter().map(line).collect()
}

fn refused(source: &Assessment) -> Vec<Line> {
    source.refused.first.iter().map(Line::fails).collect()
}

fn needs(needs: &Needs) -> Vec<Figure> {
    let disk = &needs.disk;
    let free = match disk.free {
        Some(free) => format!("{} free in '{}'", size(free), disk.directory.plain()),
        None => format!("what is free in '{}' is not known", disk.directory.plain()),
    };
    vec![
        Figure::new(
            "disk",
            format!(
                "{} for OUT; {} with a re-dump and a rehearsal; {free}",
                size(disk.output),
                size(disk.all())
            ),
        ),
        Figure::new("memory", format!("at most {}", size(needs.memory_bytes))),
        Figure::new("migration", range(&needs.migration)),
        Figure::new("rollback", range(&needs.rollback)),
    ]
}

fn range(budget: &TimeBudget) -> String {
    let (least, most) = (duration(budget.least()), duration(budget.most()));
    let steps: Vec<&str> = budget.steps.iter().map(|step| step.step).collect();
    format!("{least} to {most}: {}", steps.join(", "))
}

fn times(budget: &TimeBudget) -> Table {
    let columns = [("step", Align::Left), ("least", Align::Right), ("most", Align::Right)];
    let mut table = Table::new(&columns);
    let row = |step: &mongosplit::inspect::TimeOfStep| {
        vec![step.step.to_owned(), duration(step.least), duration(step.most)]
    };
    table.rows = budget.steps.iter().map(row).collect();
    table
}

fn next_steps(report: &Report, arguments: &args::Inspect) -> Vec<Step> {
    let mut command = Command::shell("mongosplit").word("transform");
    command = command.raw(match is_standard_input(&arguments.dump) {
        true => "DUMP".to_owned(),
        false => path_argument(&arguments.dump),
    });
    command = command.word("OUT");
    if let Some(mapping) = &arguments.mapping {
        command = command.raw(format!("--mapping {}", path_argument(mapping)));
    }
    for database in &arguments.databases {
        command = command.option("--db", database);
    }
    match report.sources.as_slice() {
        [source] => command = command.raw(format!("--expect-docs {}", source.documents)),
        _ if arguments.databases.is_empty() => command = command.word("--all-dbs"),
        _ => {}
    }
    vec![Step {
        what: "Split it, if the number of documents is the database's own (countDocuments):"
            .to_owned(),
        commands: vec![command],
        expects: None,
    }]
}
