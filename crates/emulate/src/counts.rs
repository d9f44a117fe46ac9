//! Reads what the plugin counted.

use serde::{Deserialize, Serialize};

use crate::EmulateError;

/// How often one instruction of the firmware ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpcodeCount {
    /// Its address.
    pub pc: u32,
    /// Its code: 16 bits, or 32 with the first half-word above the second.
    pub opcode: u32,
    /// True for a code of 32 bits.
    pub wide: bool,
    /// How often it ran.
    pub executed: u64,
    /// How often control went elsewhere than to the next address.
    pub taken: u64,
}

/// One region between two markers: all instructions, and each when the plugin was asked for details.
pub(crate) type Region = (u64, Vec<OpcodeCount>);

/// The regions of the plugin's file.
pub(crate) fn regions(text: &str) -> Result<Vec<Region>, EmulateError> {
    let damaged = || EmulateError::Report("a line of the counts cannot be read");
    let mut regions = vec![];
    let mut opcodes = vec![];
    for line in text.lines() {
        match line.strip_prefix("region ") {
            Some(total) => {
                regions.push((total.parse().map_err(|_| damaged())?, std::mem::take(&mut opcodes)));
            }
            None => opcodes.push(opcode(line).ok_or_else(damaged)?),
        }
    }
    Ok(regions)
}

fn opcode(line: &str) -> Option<OpcodeCount> {
    let mut fields = line.split(' ');
    let pc = u32::from_str_radix(fields.next()?, 16).ok()?;
    let code = fields.next()?;
    let opcode = u32::from_str_radix(code, 16).ok()?;
    let mut number = || fields.next()?.parse().ok();
    Some(OpcodeCount { pc, opcode, wide: code.len() == 8, executed: number()?, taken: number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let text = "1a2 b510 7 0\n1a4 f7ff0001 7 3\nregion 14\nregion 0\n";
        let regions = regions(text).unwrap();
        assert_eq!((regions[0].0, regions[0].1.len(), regions[1].0), (14, 2, 0));
        let wide = OpcodeCount { pc: 0x1a4, opcode: 0xf7ff_0001, wide: true, executed: 7, taken: 3 };
        assert_eq!(regions[0].1[1], wide);
        assert!(super::regions("region x").is_err() && super::regions("12 34 5").is_err());
    }
}
