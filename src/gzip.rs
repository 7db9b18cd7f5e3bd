//! gzip, with nothing in it but the data: several members are one stream, and anything behind it is an error.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::{Compression, GzBuilder};

/// Uncompressed bytes of each member that is written. Members are compressed in parallel; their bounds depend on
/// nothing but this.
pub const MEMBER_BYTES: usize = 1024 * 1024;
/// The two bytes that a gzip stream begins with (RFC 1952, section 2.3.1).
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Decompresses all members of a stream.
pub fn decoder<R: Read>(stream: R) -> impl Read {
    Strict { inner: MultiGzDecoder::new(BufReader::with_capacity(256 * 1024, stream)) }
}

/// Decompresses what a buffered reader holds.
pub fn decoder_buffered<R: BufRead>(stream: R) -> impl Read {
    Strict { inner: MultiGzDecoder::new(stream) }
}

struct Strict<R> {
    inner: MultiGzDecoder<R>,
}

impl<R: BufRead> Read for Strict<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the gzip stream ends early; the file is cut off"),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                io::Error::new(error.kind(), format!("the gzip stream is damaged, or has something else behind it ({error})"))
            }
            _ => error,
        })
    }
}

/// Compresses one member.
pub fn compress(bytes: &[u8], level: u32) -> Vec<u8> {
    let out = Vec::with_capacity(bytes.len() / 3 + 64);
    let mut encoder = GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::new(level));
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}
