//! Prints the largest documents of a collection in a dump:
//! `cargo run --example largest -- fixtures/dump user_data`

use std::cmp::Reverse;

use mongosplit::{Dump, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "fixtures/dump".to_owned());
    let collection = arguments.next().unwrap_or_else(|| "user_data".to_owned());

    let collection = Dump::open(&path)?.collection(&collection)?;
    let namespace = collection.namespace();
    let mut sizes = Vec::new();
    for document in collection.documents()? {
        let document = document?;
        sizes.push((document.bytes().len(), document.id().unwrap_or("none").to_owned()));
    }
    sizes.sort_by_key(|(size, _)| Reverse(*size));
    println!("{namespace}: {} documents", sizes.len());
    for (size, id) in sizes.iter().take(5) {
        println!("{size:>12} bytes  _id {id}");
    }
    Ok(())
}
