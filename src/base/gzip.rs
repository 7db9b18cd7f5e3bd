//! gzip, with nothing in it but the data: several members are one stream, and anything behind it is an error.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};

/// Uncompressed bytes of each member that is written. Small, so that all threads are busy to the end of a round.
/// Members are compressed in parallel; their bounds depend on
/// nothing but this.
pub const MEMBER_BYTES: usize = 256 * 1024;
/// The two bytes that a gzip stream begins with (RFC 1952, section 2.3.1).
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Decompresses all members of a stream.
pub fn decoder<R: Read>(stream: R) -> impl Read {
    decoder_buffered(BufReader::with_capacity(256 * 1024, stream))
}

/// Decompresses what a buffered reader holds.
pub fn decoder_buffered<R: BufRead>(stream: R) -> impl Read {
    Strict { member: Some(GzDecoder::new(stream)) }
}

struct Strict<R> {
    /// The member that is read; none at the stream's end.
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
                    io::Error::new(error.kind(), "the gzip stream ends early; the file is cut off")
                }
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                    io::Error::new(error.kind(), format!("the gzip stream is damaged ({error})"))
                }
                _ => error,
            })?;
            if read > 0 {
                return Ok(read);
            }
            // Read through, its checksum and length are right. What follows is another member, or does not belong there.
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
                        "something else follows behind the gzip stream, from byte 0x{first:02x} on; mongorestore would stop there"
                    );
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
            }
        }
        Ok(0)
    }
}

/// Compresses one member.
pub fn compress(bytes: &[u8], level: u32) -> Vec<u8> {
    let out = Vec::with_capacity(bytes.len() / 3 + 64);
    let mut encoder =
        GzBuilder::new().mtime(0).operating_system(255).write(out, Compression::new(level));
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}
