//! Reads the firmware's report, as `firmware/image/src/report.rs` describes it.

use serde::{Deserialize, Serialize};

use crate::{EmulateError, OpcodeCount};

/// How a case went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseReport {
    /// The stable code of the error with which package or arena were refused; `None` when the package ran.
    pub refused: Option<u8>,
    /// Layers in execution order.
    pub layers: Vec<LayerRun>,
    /// The model's outputs, NHWC int8.
    pub outputs: Vec<Vec<i8>>,
    /// Deepest stack of the runtime in bytes.
    pub stack_bytes: usize,
    /// False when something was written behind the arena.
    pub arena_kept: bool,
}

/// How a layer went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRun {
    /// Instructions executed, from the plugin.
    pub instructions: u64,
    /// SysTick ticks modulo 2^24; they follow the host's time unless the emulator counts instructions as time.
    pub ticks: u32,
    /// [`checksum`] of the output.
    pub checksum: u32,
    /// The output, NHWC int8; empty unless asked for.
    pub output: Vec<i8>,
    /// Each instruction of the firmware that ran; empty unless asked for.
    pub opcodes: Vec<OpcodeCount>,
}

/// FNV-1a, 32 bits.
pub fn checksum(values: &[i8]) -> u32 {
    values.iter().fold(0x811c_9dc5, |hash, &v| (hash ^ u32::from(v as u8)).wrapping_mul(0x0100_0193))
}

/// The cases of a report; of the last one only what was written before the firmware stopped, with `false`.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<(CaseReport, bool)>, EmulateError> {
    let mut reader = Reader { bytes };
    let mut cases = vec![];
    let mut case = CaseReport::default();
    while let Some(tag) = reader.word() {
        match record(tag, &mut reader, &mut case) {
            None => return Err(EmulateError::Report("a record is cut off")),
            Some(true) => cases.push((std::mem::take(&mut case), true)),
            Some(false) => {}
        }
    }
    if case != CaseReport::default() {
        cases.push((case, false));
    }
    Ok(cases)
}

/// True when the record ends the case.
fn record(tag: u32, reader: &mut Reader<'_>, case: &mut CaseReport) -> Option<bool> {
    match tag {
        1 => {
            let (ticks, checksum) = (reader.word()?, reader.word()?);
            let output = reader.values()?;
            case.layers.push(LayerRun { ticks, checksum, output, ..LayerRun::default() });
        }
        2 => case.outputs.push(reader.values()?),
        3 => case.arena_kept = reader.word()? == 1,
        4 => case.stack_bytes = reader.word()? as usize,
        5 => case.refused = Some(u8::try_from(reader.word()?).ok()?),
        _ => return None,
    }
    Some(tag >= 4)
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(u32::from_le_bytes(*word))
    }

    fn values(&mut self) -> Option<Vec<i8>> {
        let len = self.word()? as usize;
        let (values, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(values.iter().map(|&b| b as i8).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    #[test]
    fn records_become_cases() {
        let mut bytes = words(&[1, 9, 77, 2]);
        bytes.extend([255, 1]);
        bytes.extend(words(&[1, 8, 78, 0, 2, 0, 3, 1, 4, 320, 5, 64, 1, 7, 79, 0]));
        let cases = parse(&bytes).unwrap();
        assert_eq!(cases.len(), 3);
        let first = &cases[0].0;
        assert_eq!(first.layers[0].output, [-1, 1]);
        assert_eq!((first.layers[1].checksum, first.stack_bytes, first.arena_kept), (78, 320, true));
        assert_eq!((cases[1].0.refused, cases[2].1), (Some(64), false));
        assert!(parse(&words(&[1, 9])).is_err() && parse(&words(&[6])).is_err());
    }
}
