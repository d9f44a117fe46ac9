//! The report: records of a tag and fields, all little-endian u32; what follows a length are so many bytes.
//!
//! | tag | record | fields |
//! |---|---|---|
//! | 1 | a layer ran | ticks, checksum of its output, length of its output, or 0 where it is not kept; the output |
//! | 2 | a model output | length; the output |
//! | 3 | memory behind the arena | 1 when nothing wrote there |
//! | 4 | the case is done | deepest stack in bytes |
//! | 5 | the case was refused | stable error code |

use crate::memory;
use crate::semihosting::File;

/// The open report file.
pub struct Report {
    file: File,
    complete: bool,
}

impl Report {
    /// Creates the file.
    pub fn create() -> Option<Self> {
        Some(Report { file: File::create(c"report.bin")?, complete: true })
    }

    /// A layer ran.
    pub fn layer(&mut self, ticks: u32, checksum: u32, output: &[i8]) {
        self.words(&[1, ticks, checksum, output.len() as u32]);
        self.bytes(memory::unsigned(output));
    }

    /// A model output.
    pub fn output(&mut self, output: &[i8]) {
        self.words(&[2, output.len() as u32]);
        self.bytes(memory::unsigned(output));
    }

    /// Whether the memory behind the arena is as it was.
    pub fn guard(&mut self, intact: bool) {
        self.words(&[3, u32::from(intact)]);
    }

    /// The case is done.
    pub fn end(&mut self, stack: u32) {
        self.words(&[4, stack]);
    }

    /// The case was refused.
    pub fn refused(&mut self, code: u8) {
        self.words(&[5, u32::from(code)]);
    }

    /// True when everything could be written.
    pub fn complete(&self) -> bool {
        self.complete
    }

    fn words(&mut self, words: &[u32]) {
        for word in words {
            self.bytes(&word.to_le_bytes());
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.complete &= self.file.write(bytes);
    }
}
