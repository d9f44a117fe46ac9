//! How often each translation block ran in the current region.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};

/// An instruction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instruction {
    /// Its address.
    pub pc: u64,
    /// Its code: 16 bits, or 32 with the first half-word above the second.
    pub opcode: u32,
    /// Its bytes: 2 or 4.
    pub len: u64,
}

/// A translation block with its counts.
#[derive(Default)]
pub struct Block {
    start: Option<u64>,
    end: u64,
    counted: Vec<Instruction>,
    /// The region that the counts belong to.
    region: u64,
    executed: u64,
    /// How often another block than the one behind it came next.
    taken: u64,
}

impl Block {
    /// The block has this instruction, counted or not.
    pub fn reach(&mut self, instruction: &Instruction) {
        self.start.get_or_insert(instruction.pc);
        self.end = instruction.pc + instruction.len;
    }

    /// The instruction counts.
    pub fn push(&mut self, instruction: Instruction) {
        self.counted.push(instruction);
    }
}

/// All blocks, and where the counts go.
pub struct Counter {
    out: BufWriter<File>,
    detail: bool,
    on: bool,
    /// Number of the current region, from 1.
    region: u64,
    /// Blocks that ran in the current region.
    active: Vec<*mut Block>,
    last: *mut Block,
}

impl Counter {
    /// Counts go to `out`.
    pub fn new(out: BufWriter<File>, detail: bool) -> Self {
        Counter { out, detail, on: false, region: 0, active: vec![], last: std::ptr::null_mut() }
    }

    /// Keeps a block for good: QEMU holds its address in the translated code.
    pub fn keep(&mut self, block: Block) -> *mut Block {
        Box::into_raw(Box::new(block))
    }

    /// The block begins to run.
    ///
    /// # Safety
    /// `pointer` comes from [`Counter::keep`].
    pub unsafe fn executed(&mut self, pointer: *mut Block) {
        if !self.on {
            return;
        }
        // SAFETY: kept blocks are never freed, and no reference to one outlives a call.
        let block = unsafe { &mut *pointer };
        let start = block.start;
        if block.region != self.region {
            (block.region, block.executed, block.taken) = (self.region, 0, 0);
            self.active.push(pointer);
        }
        block.executed += 1;
        // SAFETY: as above; `block` is not used any more.
        if let Some(last) = unsafe { self.last.as_mut() }
            && Some(last.end) != start
        {
            last.taken += 1;
        }
        self.last = pointer;
    }

    /// A region begins.
    pub fn start(&mut self) {
        self.region += 1;
        self.active.clear();
        self.last = std::ptr::null_mut();
        self.on = true;
    }

    /// The region ends and is written.
    pub fn stop(&mut self) {
        if !std::mem::take(&mut self.on) {
            return;
        }
        // SAFETY: kept blocks are never freed.
        let blocks: Vec<&Block> = self.active.iter().map(|&p| unsafe { &*p }).collect();
        if self.detail {
            for (i, (executed, taken)) in by_instruction(&blocks) {
                let width = 2 * i.len as usize;
                let _ = writeln!(self.out, "{:x} {:0width$x} {executed} {taken}", i.pc, i.opcode);
            }
        }
        let total: u64 = blocks.iter().map(|b| b.executed * b.counted.len() as u64).sum();
        let _ = writeln!(self.out, "region {total}");
    }

    /// The emulator ends.
    pub fn flush(&mut self) {
        let _ = self.out.flush();
    }
}

/// Executed and taken of each instruction; blocks may share instructions.
fn by_instruction(blocks: &[&Block]) -> BTreeMap<Instruction, (u64, u64)> {
    let mut counts: BTreeMap<Instruction, (u64, u64)> = BTreeMap::new();
    for block in blocks {
        for (i, instruction) in block.counted.iter().enumerate() {
            let entry = counts.entry(*instruction).or_default();
            entry.0 += block.executed;
            if i + 1 == block.counted.len() {
                entry.1 += block.taken;
            }
        }
    }
    counts
}
