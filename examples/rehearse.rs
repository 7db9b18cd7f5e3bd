//! Rehearses a migration and its rollback without a server:
//! `cargo run --example rehearse -- fixtures/dump /tmp/rehearsal`

use std::path::PathBuf;

use mongosplit::progress::Progress;
use mongosplit::{Error, Plan, Result, reverse, transform, verify};

/// Prints each stage as it begins.
struct Stages;

impl Progress for Stages {
    fn start(&self, stage: &str, bytes: Option<u64>) {
        println!("{stage}: {} bytes", bytes.unwrap_or_default());
    }
    fn warn(&self, message: &str) {
        eprintln!("warning: {message}");
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(dump), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err(Error::Usage("name a dump, and a directory for the rehearsal".to_owned()));
    };
    let (out, back) = (directory.join("out"), directory.join("back"));
    std::fs::create_dir_all(&directory).map_err(|source| Error::Write {
        action: "create",
        path: directory,
        source,
    })?;

    let plan = Plan::built_in()?;
    let split = transform::transform(&transform::Options::new(&dump, &out), &plan, &Stages)?;
    for target in split.manifest.sources.iter().flat_map(|source| &source.targets) {
        println!("  {}: {} documents", target.namespace, target.documents);
    }
    let check = verify::verify(&verify::Options::new(&out), &Stages)?;
    for difference in &check.differences {
        println!("  {difference}");
    }
    let restored = reverse::reverse(&reverse::Options::new(&out, &back), &Stages)?;
    for source in &restored.manifest.sources {
        println!(
            "  {}: {} documents, SHA-256 {}",
            source.namespace, source.documents, source.sha256
        );
    }
    Ok(())
}
