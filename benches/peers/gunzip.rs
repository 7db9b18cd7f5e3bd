//! The bare decompressor, with nothing behind it: what `transform` of a gzip dump is measured against.

use std::fs::File;
use std::io::{self, BufReader};

fn main() -> io::Result<()> {
    let path = std::env::args_os().nth(1).ok_or(io::Error::other("usage: gunzip FILE.gz"))?;
    let file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut decoder = mongosplit::gzip::decoder_buffered(file);
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match io::Read::read(&mut decoder, &mut buffer)? {
            0 => break,
            read => bytes += read,
        }
    }
    eprintln!("{bytes} bytes");
    Ok(())
}
