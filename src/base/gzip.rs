//! gzip without names and times. Several members form one stream, and anything else after a member
//! is an error.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};

/// Uncompressed bytes of each member that is written. Members are compressed in parallel, and are
/// small so that all threads stay busy to the end of a round. Their bounds depend only on this
/// number.
pub const MEMBER_BYTES: usize = 256 * 1024;
/// The first two bytes of a gzip stream (RFC 1952, section 2.3.1).
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Decompresses all members of a stream. Damage, and bytes after the last member, are read errors.
pub fn decoder<R: Read>(stream: R) -> impl Read {
    decoder_buffered(BufReader::with_capacity(256 * 1024, stream))
}

/// Like [`decoder`], for a stream that is buffered already.
pub fn decoder_buffered<R: BufRead>(stream: R) -> impl Read {
    Strict { member: Some(GzDecoder::new(stream)) }
}

struct Strict<R> {
    /// The current member; `None` at the end of the stream.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Strict<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let read = member.read(buffer).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    io::Error::new(error.kind(), "the gzip stream ends early; the file was cut off")
                }
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                    io::Error::new(error.kind(), format!("the gzip stream is damaged ({error})"))
                }
                _ => error,
            })?;
            if read > 0 {
                return Ok(read);
            }
            // The member has been read to its end, so its checksum and length are right. Only
            // another member may follow.
            let Some(member) = self.member.take() else { break };
            let mut stream = member.into_inner();
            let next = loop {
                match stream.fill_buf() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?.first().copied(),
                }
            };
            match next {
                None => {}
                Some(first) if first == MAGIC[0] => self.member = Some(GzDecoder::new(stream)),
                Some(first) => {
                    let what = format!(
                        "something else follows the gzip stream, beginning with byte 0x{first:02x}; mongorestore would stop there"
                    );
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
            }
        }
        Ok(0)
    }
}

/// Compresses bytes into one member, whose bytes depend only on the input and the level.
pub fn compress(bytes: &[u8], level: u32) -> Vec<u8> {
    let out = Vec::with_capacity(bytes.len() / 3 + 64);
    let mut encoder =
        GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::new(level));
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}
