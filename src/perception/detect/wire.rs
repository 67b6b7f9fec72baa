//! A reader of length-delimited records (the protobuf wire format) that can step over what it does
//! not want, so that gigabytes of weights cost a seek.

use std::io::{self, BufRead, BufReader, Read, Seek};

/// Largest record that is ever read into memory. Nodes and types are far smaller; weights are stepped
/// over.
const MAX_RECORD_BYTES: u64 = 256 << 20;

/// What follows a field's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Varint(u64),
    /// A record of this many bytes, next in the stream.
    Record(u64),
    /// Four or eight bytes, already stepped over.
    Fixed,
}

/// Reads fields from a file, never past its end.
pub struct Wire<R> {
    inner: BufReader<R>,
    position: u64,
    len: u64,
}

impl<R: Read + Seek> Wire<R> {
    /// Reads from the start of `inner`, which holds `len` bytes.
    pub fn new(inner: R, len: u64) -> Self {
        Self {
            inner: BufReader::with_capacity(1 << 16, inner),
            position: 0,
            len,
        }
    }

    /// Bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next field before `end`: its number and value; `None` at `end`.
    pub fn field(&mut self, end: u64) -> io::Result<Option<(u64, Value)>> {
        if self.position == end {
            return Ok(None);
        }
        let key = self.varint(end)?;
        let (field, kind) = (key >> 3, key & 7);
        if field == 0 {
            return Err(broken("field number 0"));
        }
        let value = match kind {
            0 => Value::Varint(self.varint(end)?),
            1 | 5 => {
                self.skip(if kind == 1 { 8 } else { 4 }, end)?;
                Value::Fixed
            }
            2 => {
                let bytes = self.varint(end)?;
                if bytes > end - self.position {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        format!(
                            "a record of {bytes} bytes begins at byte {}, but only {} follow",
                            self.position,
                            end - self.position
                        ),
                    ));
                }
                Value::Record(bytes)
            }
            _ => return Err(broken("a field of unknown kind")),
        };
        Ok(Some((field, value)))
    }

    /// The next `bytes` bytes.
    pub fn record(&mut self, bytes: u64) -> io::Result<Vec<u8>> {
        if bytes > MAX_RECORD_BYTES || bytes > self.len - self.position {
            return Err(broken("an oversized record"));
        }
        let mut record = vec![0; usize::try_from(bytes).unwrap_or(0)];
        self.inner.read_exact(&mut record)?;
        self.position += bytes;
        Ok(record)
    }

    /// Steps over `bytes` bytes, at most to `end`.
    pub fn skip(&mut self, bytes: u64, end: u64) -> io::Result<()> {
        if bytes > end - self.position {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it ends inside a field at byte {}", self.position),
            ));
        }
        let offset = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.inner.seek_relative(offset)?;
        self.position += bytes;
        Ok(())
    }

    fn varint(&mut self, end: u64) -> io::Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            if self.position >= end {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("it ends inside a number at byte {}", self.position),
                ));
            }
            let Some(&byte) = self.inner.fill_buf()?.first() else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            self.inner.consume(1);
            self.position += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(broken("a number longer than 64 bits"))
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}
