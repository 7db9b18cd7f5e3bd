//! The reports of every command, on success and on failure: JSON in one envelope, pages of HTML, notices in Markdown,
//! metrics. Whole texts are in `tests/golden/reports`, without their times.

mod harness;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use harness::shop::world;
use harness::{DATABASE, Run, World, copy, dump, fixture, golden, steady};
use serde_json::Value;

const FORMS: [&str; 4] = ["json", "html", "md", "prom"];

/// Runs a command with all its reports, in the directory.
fn reported(world: &World, line: &str) -> Run {
    let options = "--report r.json --report r.html --report r.md --metrics r.prom";
    world.run_inside(line.split(' ').chain(options.split(' ')))
}

fn text(world: &World, name: &str) -> String {
    fs::read_to_string(world.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(world: &World) -> Value {
    serde_json::from_str(&text(world, "r.json")).expect("JSON")
}

/// A text without what each run has anew.
fn without_times(text: &str) -> String {
    let replaced = |text: &str, pattern: &str, with: &str| {
        regex::Regex::new(pattern).expect("a pattern").replace_all(text, with).into_owned()
    };
    let text = replaced(text, r"\d{4}-\d\d-\d\d[ T][\d:.]+ ?[+-]\d\d:\d\d", "TIME");
    let text = replaced(&text, r"[\d.]+ seconds", "# seconds");
    let text = replaced(&text, r"[\d,]+ docs/s, [\d.]+ .?B/s", "#");
    let text = replaced(&text, r"[\d,]+ documents a second", "# documents a second");
    let text = replaced(&text, r"[\d.]+ .?B free in", "# free in");
    let text = replaced(&text, r"(?m)^(mongosplit_disk_free_bytes\{.*\}) \d+$", "$1 #");
    let text =
        replaced(&text, r"(?m)^(mongosplit_\w*(?:seconds|per_second)\{.*\}) [\d.]+$", "$1 #");
    text.lines().map(|line| steady(line) + "\n").collect()
}

/// What is in the directory for the tables below.
fn prepared() -> World {
    let world = world();
    world
        .run_inside("transform dump out --mapping shop.toml --skip-unrestorable".split(' '))
        .exits(0);
    copy(&world.path("out"), &world.path("damaged"));
    fs::remove_file(world.path("damaged/SHA256SUMS")).expect("a file");
    copy(&fixture("odd/truncated-document"), &world.path("cut"));
    world.write("bad.toml", "format = 7\n");
    world
}

/// Commands, good and bad: how they end, and with which word for the error.
const RUNS: [(&str, i32, &str, Option<&str>); 21] = [
    ("transform dump new --mapping shop.toml --skip-unrestorable", 0, "holds", None),
    ("transform dump none --mapping shop.toml --skip-unrestorable --dry-run", 0, "holds", None),
    ("transform dump none --mapping shop.toml --expect-docs 5", 1, "failed", Some("check")),
    ("transform dump none --mapping bad.toml", 2, "failed", Some("usage")),
    ("transform dump out --mapping shop.toml", 4, "failed", Some("output")),
    ("transform cut none", 3, "failed", Some("document")),
    ("verify out", 0, "holds", None),
    ("verify damaged", 1, "does-not-hold", None),
    ("verify out --source dump", 0, "holds", None),
    ("verify out --restored dump", 3, "failed", Some("input")),
    ("reverse out back", 0, "holds", None),
    ("reverse damaged none", 1, "failed", Some("check")),
    ("inspect dump --mapping shop.toml", 0, "holds", None),
    ("inspect dump", 1, "does-not-hold", None),
    ("inspect cut", 3, "failed", Some("document")),
    ("inspect none", 3, "failed", Some("read")),
    ("show out --id 3", 0, "holds", None),
    ("findings out", 0, "holds", None),
    ("findings damaged", 1, "failed", Some("check")),
    ("mapping check shop.toml dump", 0, "holds", None),
    ("mapping explain shop.toml dump --id 3", 0, "holds", None),
];

#[test]
fn every_command_reports_how_it_ended() {
    let world = prepared();
    for (line, code, outcome, error) in RUNS {
        let run = reported(&world, line).exits(code);
        let command = match line.split(' ').collect::<Vec<_>>()[..] {
            ["mapping", second, ..] => format!("mapping {second}"),
            [first, ..] => first.to_owned(),
            [] => unreachable!("a command"),
        };
        let report = json(&world);
        let names: Vec<_> = report.as_object().expect("an object").keys().collect();
        let all = "schema tool command outcome exit_code started finished error result";
        assert_eq!(names, all.split(' ').collect::<Vec<_>>(), "{line}");
        assert_eq!(report["schema"], "mongosplit-report/1");
        assert_eq!(report["tool"], format!("mongosplit {}", env!("CARGO_PKG_VERSION")));
        assert_eq!(report["command"], command, "{line}");
        assert_eq!(report["outcome"], outcome, "{line}");
        assert_eq!(report["exit_code"], code, "{line}");
        assert_eq!(report["error"]["code"].as_str(), error, "{line}\n{run}");
        // An assessment has a result although something could not be read.
        let has_result = error.is_none() || line == "inspect cut";
        assert_eq!(report["result"].is_object(), has_result, "{line}");
        let time = |name: &str| {
            let time = report[name].as_str().expect("a time");
            assert_eq!(time.len(), "2026-01-31T09:30:00.000+01:00".len(), "{time}");
            time.parse::<jiff::Timestamp>().expect("RFC 3339")
        };
        assert!(time("started") <= time("finished"));
        // The same in the other forms.
        let html = text(&world, "r.html");
        assert!(html.contains(&format!("<h1>mongosplit {command}</h1>")), "{html}");
        assert!(html.contains(&format!("<dt>Exit code</dt><dd>{code}</dd>")), "{html}");
        let markdown = text(&world, "r.md");
        assert!(markdown.contains(&format!("- **Exit code:** {code}\n")), "{markdown}");
        let metrics = text(&world, "r.prom");
        let is_success = u8::from(code == 0);
        for line in [
            format!("mongosplit_success{{command=\"{command}\"}} {is_success}\n"),
            format!("mongosplit_exit_code{{command=\"{command}\"}} {code}\n"),
        ] {
            assert!(metrics.contains(&line), "{metrics}");
        }
        check_metrics(&metrics);
    }
    // `mapping check` of a mapping with errors is a check that does not hold.
    reported(&world, "mapping check bad.toml").exits(1);
    assert_eq!(json(&world)["outcome"], "does-not-hold");
}

/// Each metric has its help and type once, above all of its series; no series is there twice.
fn check_metrics(text: &str) {
    let mut seen = std::collections::HashSet::new();
    let mut name = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            name = rest.split(' ').nth(1).expect("a name");
            let kind = &rest[..4];
            assert!(seen.insert(format!("{kind} {name}")), "twice: {line}\n{text}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert_eq!(series.split('{').next(), Some(name), "{text}");
        assert!(name.starts_with("mongosplit_") && series.contains("{command=\""), "{line}");
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        assert!(seen.insert(series.to_owned()), "twice: {line}\n{text}");
    }
}

#[test]
fn reports_say_what_there_is_to_tell() {
    let world = prepared();
    copy(&dump(), &world.path("real"));
    world.run_inside(["transform", "real", "split"]).exits(0);
    copy(&world.path("split"), &world.path("later"));
    fs::remove_file(world.path(&format!("later/{DATABASE}/model_configs.bson"))).expect("a file");
    world.write(&format!("later/{DATABASE}/model_configs.bson"), "");
    for (name, line) in [
        ("transform", "transform real real-out"),
        ("verify", "verify damaged"),
        ("restored", "verify split --restored split"),
        ("different", "verify split --restored later"),
        ("reverse", "reverse split back"),
        ("current", "reverse split today --current split"),
        ("inspect", "inspect real --threads 2"),
        ("unreadable", "inspect cut --threads 2"),
        ("failed", "transform cut none"),
    ] {
        reported(&world, line);
        for form in &FORMS[1..] {
            let found = without_times(&world.plain(&text(&world, &format!("r.{form}"))));
            // The style is in one of them.
            let found = match found.split_once("<style>\n") {
                Some((head, rest)) if name != "failed" => {
                    let rest = rest.split_once("</style>").expect("the end of the style").1;
                    format!("{head}<style>…</style>{rest}")
                }
                _ => found,
            };
            golden(&format!("reports/{name}.{form}"), &found);
        }
    }
}

/// What a page holds comes from dumps and command lines, and steers no browser.
#[test]
fn a_page_is_alone_and_names_in_it_are_text() {
    let world = World::new();
    let hostile = "<img src=x onerror=alert(1)>&\"'`|\u{202e}";
    let source = dump().join(DATABASE);
    for (from, to) in [("user_data.bson", "bson"), ("user_data.metadata.json", "metadata.json")] {
        let bytes = fs::read(source.join(from)).expect("the fixture");
        world.write(&format!("dump/{DATABASE}/user_data.{to}"), &bytes);
        let bytes = if to == "bson" { bytes } else { b"{}".to_vec() };
        let name: String = hostile.chars().filter(|letter| *letter != '/').collect();
        world.write(&format!("dump/{DATABASE}/{name}.{to}"), bytes);
    }
    for line in [["inspect", "dump"], ["inspect", hostile]] {
        let options = ["--report", "r.html", "--report", "r.md", "--metrics", "r.prom"];
        world.run_inside(line.into_iter().chain(options));
        let html = text(&world, "r.html");
        assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"), "{html}");
        for form in ["r.html", "r.md"] {
            let text = text(&world, form);
            let code = text.split("```").step_by(2).collect::<String>();
            assert!(!code.contains("<img") && !text.contains('\u{202e}'), "{form}: {text}");
        }
        for word in ["<script", "http://", "https://", "src=\"", "@import", "url("] {
            assert!(!html.contains(word), "{word} in {html}");
        }
        check_metrics(&text(&world, "r.prom"));
    }
}

/// A file for the collector appears whole, with the mode of any new file; an old one is replaced, by a failed run too.
#[test]
fn reports_replace_older_ones_whole() {
    let world = prepared();
    let options = "--report r.html --report r.md --metrics r.prom";
    world.shell(&format!("cd $DIR && umask 027 && $MONGOSPLIT verify out {options}")).exits(0);
    for form in &FORMS[1..] {
        let path = world.path(&format!("r.{form}"));
        assert_eq!(fs::metadata(&path).expect("a report").permissions().mode() & 0o777, 0o640);
    }
    let mut held = fs::File::open(world.path("r.prom")).expect("the metrics");
    let complete = text(&world, "r.prom");
    world.shell(&format!("cd $DIR && $MONGOSPLIT verify none {options}")).exits(3);
    let mut old = String::new();
    std::io::Read::read_to_string(&mut held, &mut old).expect("the old metrics");
    assert_eq!(old, complete, "the old file was written over");
    assert!(text(&world, "r.prom").contains("mongosplit_success{command=\"verify\"} 0\n"));
    assert!(text(&world, "r.html").contains("cannot open"));
    // A report that cannot be written fails the run, and the metrics say so.
    let run = world.run_inside("verify out -q --report /dev/full --metrics r.prom".split(' '));
    run.exits(4);
    assert!(text(&world, "r.prom").contains("mongosplit_exit_code{command=\"verify\"} 4\n"));
    let hidden: Vec<_> = fs::read_dir(world.path(""))
        .expect("the directory")
        .filter(|entry| {
            let name = entry.as_ref().expect("an entry").file_name();
            name.to_string_lossy().ends_with("mongosplit-tmp")
        })
        .collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

/// A run that wrong usage ends before it begins has no report.
#[test]
fn wrong_usage_writes_no_report() {
    let world = prepared();
    reported(&world, "verify out --report out/x.json").exits(2);
    reported(&world, "verify out --no-such-option").exits(2);
    for form in FORMS {
        assert!(!world.path(&format!("r.{form}")).exists());
    }
}

/// A run that a signal stops says so.
#[test]
fn an_interrupted_run_says_so() {
    let world = World::new();
    let (report, log) = (world.path("r.json"), world.path("log"));
    let mut command = harness::binary();
    command.args(["inspect", "-", "--report"]).arg(&report).arg("--log-file").arg(&log);
    let mut run = world.start(&mut command);
    run.feed(&fs::read(fixture("all.archive")).expect("an archive")[..2000]);
    run.wait_for(&log);
    run.signal("TERM");
    // The archive's end would be another reason to stop.
    let stdin = run.stdin();
    run.finish().exits(143);
    drop(stdin);
    let report: Value = serde_json::from_slice(&fs::read(report).expect("a report")).expect("JSON");
    assert_eq!((&report["outcome"], &report["exit_code"]), (&"interrupted".into(), &143.into()));
    assert_eq!(report["error"]["code"], "interrupted");
}
