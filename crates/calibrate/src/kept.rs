//! Measurements kept in a file, so that a calibration that was cut off goes on where it was, and the numbers can be fitted
//! again to what was measured without measuring again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use dtmm_emulate::{Case, Core};

/// What one layer took: instructions, and cycles by each of the core's timing tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub instructions: u64,
    pub cycles: Vec<u64>,
}

/// The core, the firmware's image, and the package with its input; the latter two as hashes. What another firmware took is
/// never looked at.
type Key = (String, u64, u64);

/// Measurements of earlier calibrations, and where those of this one are added. Every line of the file is a layer: core,
/// image, case, instructions, cycles.
#[derive(Debug, Default)]
pub struct Kept {
    known: BTreeMap<Key, Taken>,
    file: Option<File>,
}

impl Kept {
    /// Nothing is known, and nothing kept.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Those of a file, which is made when there is none. A last line that was cut off is passed over.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let text = io::read_to_string(&file)?;
        if !text.is_empty() && !text.ends_with('\n') {
            writeln!(file)?;
        }
        Ok(Kept { known: text.lines().filter_map(entry).collect(), file: Some(file) })
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Taken> {
        self.known.get(key)
    }

    /// Adds layers, and writes them at once.
    pub(crate) fn add(&mut self, layers: Vec<(Key, Taken)>) -> io::Result<()> {
        let lines: String = layers.iter().map(line).collect();
        if let Some(file) = &mut self.file {
            file.write_all(lines.as_bytes())?;
        }
        self.known.extend(layers);
        Ok(())
    }
}

pub(crate) fn key(core: Core, image: u64, case: &Case<'_>) -> Key {
    let input = case.input.iter().map(|&v| v as u8);
    (core.name().into(), image, hash(case.package.iter().copied().chain(input)))
}

/// FNV-1a, 64 bits: the same in every version of the tool.
pub(crate) fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    bytes.into_iter().fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

fn line(((core, image, case), taken): &(Key, Taken)) -> String {
    let cycles: String = taken.cycles.iter().map(|n| format!(" {n}")).collect();
    format!("{core} {image:016x} {case:016x} {}{cycles} .\n", taken.instructions)
}

/// A line; `None` unless it is whole.
fn entry(line: &str) -> Option<(Key, Taken)> {
    let mut words = line.strip_suffix(" .")?.split(' ');
    let core = words.next()?.to_owned();
    let mut hash = || u64::from_str_radix(words.next()?, 16).ok();
    let (image, case) = (hash()?, hash()?);
    let numbers: Option<Vec<u64>> = words.map(|w| w.parse().ok()).collect();
    let (&instructions, cycles) = numbers.as_ref()?.split_first()?;
    Some(((core, image, case), Taken { instructions, cycles: cycles.to_vec() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(case: u8) -> (Key, Taken) {
        let case = Case { package: &[case], input: &[-1] };
        (key(Core::M0, 7, &case), Taken { instructions: 12, cycles: vec![15, 14] })
    }

    #[test]
    fn what_was_measured_is_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let mut kept = Kept::open(&path).unwrap();
        assert_eq!(kept.get(&some(1).0), None);
        kept.add(vec![some(1)]).unwrap();
        kept.add(vec![some(2)]).unwrap();
        let again = Kept::open(&path).unwrap();
        assert_eq!(
            [1, 2, 3].map(|c| again.get(&some(c).0).cloned()),
            [Some(some(1).1), Some(some(2).1), None]
        );
        let (core, _, case) = some(1).0;
        assert_eq!(again.get(&(core, 8, case)), None, "another firmware");
    }

    #[test]
    fn a_line_that_was_cut_off_is_measured_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        Kept::open(&path).unwrap().add(vec![some(1), some(2)]).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        for cut in 1..whole.lines().next_back().unwrap().len() {
            std::fs::write(&path, &whole[..whole.len() - 1 - cut]).unwrap();
            let mut kept = Kept::open(&path).unwrap();
            assert_eq!((kept.get(&some(1).0), kept.get(&some(2).0)), (Some(&some(1).1), None), "{cut}");
            kept.add(vec![some(3)]).unwrap();
            assert_eq!(Kept::open(&path).unwrap().known.len(), 2);
        }
    }
}
