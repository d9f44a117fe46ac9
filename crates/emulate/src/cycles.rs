//! Estimated cycles from instruction counts: classes of opcodes and the public timing tables of Arm's technical reference
//! manuals.
//!
//! | class | M0 | M0+ | M3 | M4 |
//! |---|---|---|---|---|
//! | load or store of one register | 2 | 2 | load 2, behind another 1; store 1 | as M3 |
//! | of N registers | 1 + N | 1 + N | 1 + N | 1 + N |
//! | the same, to the program counter | 4 + N | 3 + N | 3 + N | 3 + N |
//! | branch taken, not taken | 3, 1 | 2, 1 | 3, 1 | 3, 1 |
//! | call; branch to a register | 4; 3 | 3; 2 | 3; 3 | 3; 3 |
//! | multiply; with accumulation | 1; - | 1; - | 1; 2 | 1; 2, DSP 1 |
//! | long multiply; with accumulation | - | - | 4; 6 | 1; 1 |
//! | divide | - | - | 12 | 12 |
//!
//! Where the manuals give a range, the table above is one value of it: refilling the pipeline takes 1 to 3 cycles on M3 and
//! M4 (here 2), a long multiplication 3 to 5 on the M3 (here 4), with accumulation 4 to 7 (here 6), a division 2 to 12. Stores
//! with a register as offset take a cycle more on M3 and M4 than those with a number; here both take one.
//!
//! What is not modelled is said by [`CycleModel::LIMITS`]. Cortex-M7 and M55 have no public table that instruction
//! counts could be used with: the M7 issues two instructions at once, the M55 overlaps the beats of vector instructions.

use crate::{Core, OpcodeCount};

/// A core with a public timing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycleModel {
    /// Cortex-M0 with the single-cycle multiplier.
    M0,
    /// Cortex-M0+ with the single-cycle multiplier.
    M0Plus,
    /// Cortex-M3.
    M3,
    /// Cortex-M4.
    M4,
}

impl CycleModel {
    /// What every estimate leaves out.
    pub const LIMITS: &str = "estimated from Arm's public timing tables for memory without wait states; not modelled: flash wait states and prefetch, bus contention, alignment of branch targets, folded IT instructions; divisions count their longest time";

    /// The model of an emulated core, where there is one.
    pub const fn of(core: Core) -> Option<Self> {
        match core {
            Core::M0 => Some(CycleModel::M0),
            Core::M3 => Some(CycleModel::M3),
            Core::M4 => Some(CycleModel::M4),
            Core::M7 | Core::M55 => None,
        }
    }

    /// Estimated cycles of what ran.
    pub fn cycles(self, opcodes: &[OpcodeCount]) -> u64 {
        let mut total = 0;
        // The address behind the last single load or store.
        let mut pipelined_at = None;
        for o in opcodes {
            let class = Class::of(o.opcode, o.wide);
            let single = matches!(class, Class::Load | Class::Store);
            let follows = single && pipelined_at == Some(o.pc);
            total += o.executed * self.cost(class, follows) + o.taken.min(o.executed) * self.taken(class);
            pipelined_at = single.then_some(o.pc + if o.wide { 4 } else { 2 });
        }
        total
    }

    const fn is_v6(self) -> bool {
        matches!(self, CycleModel::M0 | CycleModel::M0Plus)
    }

    /// Cycles of one execution, a taken branch's extra time left out.
    fn cost(self, class: Class, follows: bool) -> u64 {
        let v6 = self.is_v6();
        match class {
            Class::Load | Class::Store if v6 => 2,
            Class::Load => 1 + u64::from(!follows),
            Class::Multiple(n) => 1 + u64::from(n),
            Class::MultipleToPc(n) if self == CycleModel::M0 => 4 + u64::from(n),
            Class::MultipleToPc(n) => 3 + u64::from(n),
            Class::Call => {
                if self == CycleModel::M0 {
                    4
                } else {
                    3
                }
            }
            Class::Indirect => {
                if self == CycleModel::M0Plus {
                    2
                } else {
                    3
                }
            }
            Class::MultiplyAdd => 2,
            Class::LongMultiply => {
                if self == CycleModel::M3 {
                    4
                } else {
                    1
                }
            }
            Class::LongMultiplyAdd => {
                if self == CycleModel::M3 {
                    6
                } else {
                    1
                }
            }
            Class::Divide => 12,
            Class::Table => 4,
            Class::Barrier => match self {
                CycleModel::M0 => 4,
                CycleModel::M0Plus => 3,
                CycleModel::M3 | CycleModel::M4 => 1,
            },
            Class::Store | Class::Branch | Class::Single => 1,
        }
    }

    /// Additional cycles of a taken branch.
    fn taken(self, class: Class) -> u64 {
        match class {
            Class::Branch if self == CycleModel::M0Plus => 1,
            Class::Branch => 2,
            _ => 0,
        }
    }
}

/// Instructions that take the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Single,
    Load,
    Store,
    /// Loads or stores of so many registers.
    Multiple(u32),
    /// As `Multiple`, the program counter among them.
    MultipleToPc(u32),
    /// Branch to a fixed address, conditional or not.
    Branch,
    /// Branch with link to a fixed address.
    Call,
    /// Branch to an address in a register.
    Indirect,
    /// Branch by a table of offsets.
    Table,
    MultiplyAdd,
    LongMultiply,
    LongMultiplyAdd,
    Divide,
    Barrier,
}

impl Class {
    fn of(opcode: u32, wide: bool) -> Self {
        if wide { Class::wide(opcode >> 16, opcode & 0xffff) } else { Class::narrow(opcode) }
    }

    /// The 16-bit encodings, by their leading bits.
    fn narrow(op: u32) -> Self {
        let list = (op & 0xff).count_ones();
        match op >> 12 {
            0b0100 if op >> 11 == 0b01001 => Class::Load,
            0b0100 if op >> 8 == 0b0100_0111 => Class::Indirect,
            // MOV or ADD to the program counter.
            0b0100 if op & 0xfd87 == 0x4487 => Class::Indirect,
            0b0101 => {
                if op >> 9 & 7 < 3 {
                    Class::Store
                } else {
                    Class::Load
                }
            }
            0b0110..=0b1001 => {
                if op >> 11 & 1 == 1 {
                    Class::Load
                } else {
                    Class::Store
                }
            }
            0b1011 if op >> 9 == 0b101_1010 => Class::Multiple(list + (op >> 8 & 1)),
            0b1011 if op >> 9 == 0b101_1110 && op >> 8 & 1 == 1 => Class::MultipleToPc(list + 1),
            0b1011 if op >> 9 == 0b101_1110 => Class::Multiple(list),
            // CBZ and CBNZ.
            0b1011 if op & 0xf500 == 0xb100 => Class::Branch,
            0b1100 => Class::Multiple(list),
            0b1101 if op >> 8 & 15 < 14 => Class::Branch,
            0b1110 => Class::Branch,
            _ => Class::Single,
        }
    }

    /// The 32-bit encodings by both half-words.
    fn wide(high: u32, low: u32) -> Self {
        match high >> 9 {
            0b111_0100 if high & 0x40 == 0 => {
                let to_pc = high & 0x10 != 0 && low >> 15 == 1;
                let n = low.count_ones();
                if to_pc { Class::MultipleToPc(n) } else { Class::Multiple(n) }
            }
            0b111_0100 if high & 0xfff0 == 0xe8d0 && low & 0xffe0 == 0xf000 => Class::Table,
            // LDRD and STRD; the exclusive ones are not used.
            0b111_0100 => Class::Multiple(2),
            // Branches and system instructions.
            0b111_1000..=0b111_1011 if low >> 15 == 1 => Class::control(high, low),
            0b111_1100 => {
                if high & 0x10 != 0 {
                    Class::Load
                } else {
                    Class::Store
                }
            }
            0b111_1101 if high & 0x180 == 0x100 => Class::multiply(high, low),
            0b111_1101 if high & 0x180 == 0x180 => Class::long_multiply(high),
            // Floating-point loads and stores of one register; several count as one more each.
            0b111_0110 if high & 0x0f00 == 0x0d00 => {
                if high & 0x10 != 0 {
                    Class::Load
                } else {
                    Class::Store
                }
            }
            0b111_0110 if high & 0x0e00 == 0x0c00 => Class::Multiple(low & 0xff),
            _ => Class::Single,
        }
    }

    fn control(high: u32, low: u32) -> Self {
        match low >> 12 {
            0b1101 | 0b1111 => Class::Call,
            0b1001 | 0b1011 => Class::Branch,
            // A condition of 14 or 15 stands for barriers, hints and moves from and to special registers.
            _ if high >> 6 & 15 >= 14 => Class::Barrier,
            _ => Class::Branch,
        }
    }

    fn multiply(high: u32, low: u32) -> Self {
        let accumulates = low >> 12 != 15;
        // MLA and MLS; the DSP extension's take one cycle.
        if high >> 4 & 7 == 0 && accumulates { Class::MultiplyAdd } else { Class::Single }
    }

    fn long_multiply(high: u32) -> Self {
        match high >> 4 & 7 {
            1 | 3 => Class::Divide,
            0 | 2 => Class::LongMultiply,
            _ => Class::LongMultiplyAdd,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(opcode: u32) -> Class {
        Class::of(opcode, opcode > 0xffff)
    }

    #[test]
    fn opcodes_are_classified() {
        let expected = [
            (0x6808, Class::Load),                 // ldr r0, [r1]
            (0x5640, Class::Load),                 // ldrsb r0, [r0, r1]
            (0x5440, Class::Store),                // strb r0, [r0, r1]
            (0x4801, Class::Load),                 // ldr r0, [pc, #4]
            (0x9000, Class::Store),                // str r0, [sp]
            (0xb5f0, Class::Multiple(5)),          // push {r4-r7, lr}
            (0xbdf0, Class::MultipleToPc(5)),      // pop {r4-r7, pc}
            (0xbc30, Class::Multiple(2)),          // pop {r4, r5}
            (0xc903, Class::Multiple(2)),          // ldm r1!, {r0, r1}
            (0xd1fe, Class::Branch),               // bne .
            (0xe7fe, Class::Branch),               // b .
            (0xb108, Class::Branch),               // cbz r0
            (0x4770, Class::Indirect),             // bx lr
            (0x46a7, Class::Indirect),             // mov pc, r4
            (0x4603, Class::Single),               // mov r3, r0
            (0x4348, Class::Single),               // muls r0, r1
            (0x1840, Class::Single),               // adds r0, r0, r1
            (0xbf08, Class::Single),               // it eq
            (0xb2c0, Class::Single),               // uxtb r0, r0
            (0xf7ff_fffe, Class::Call),            // bl
            (0xf000_b800, Class::Branch),          // b.w
            (0xf43f_af00, Class::Branch),          // beq.w
            (0xf3bf_8f6f, Class::Barrier),         // isb
            (0xe8bd_81f0, Class::MultipleToPc(6)), // pop.w {r4-r8, pc}
            (0xe92d_41f0, Class::Multiple(6)),     // push.w {r4-r8, lr}
            (0xe9d0_1200, Class::Multiple(2)),     // ldrd r1, r2, [r0]
            (0xe8df_f001, Class::Table),           // tbb [pc, r1]
            (0xf8d0_1004, Class::Load),            // ldr.w r1, [r0, #4]
            (0xf8c0_1004, Class::Store),           // str.w r1, [r0, #4]
            (0xf910_1b01, Class::Load),            // ldrsb r1, [r0], #1
            (0xfb00_1203, Class::MultiplyAdd),     // mla r2, r0, r3, r1
            (0xfb00_f203, Class::Single),          // mul r2, r0, r3
            (0xfb20_1203, Class::Single),          // smlad r2, r0, r3, r1
            (0xfb80_1203, Class::LongMultiply),    // smull r1, r2, r0, r3
            (0xfbc0_1203, Class::LongMultiplyAdd), // smlal r1, r2, r0, r3
            (0xfb90_f1f2, Class::Divide),          // sdiv r1, r0, r2
            (0xfa2f_f180, Class::Single),          // sxtb16 r1, r0
            (0xf101_0004, Class::Single),          // add.w r0, r1, #4
            (0xeb00_0141, Class::Single),          // add.w r1, r0, r1, lsl #1
        ];
        for (opcode, expected) in expected {
            assert_eq!(class(opcode), expected, "{opcode:#x}");
        }
    }

    #[test]
    fn a_loop_takes_what_the_tables_say() {
        let run = |pc, opcode: u32, executed, taken| OpcodeCount {
            pc,
            opcode,
            wide: opcode > 0xffff,
            executed,
            taken,
        };
        // ldr; ldr; muls; adds; subs; bne, ten times round.
        let body = [0x6808, 0x680a, 0x4350, 0x1840, 0x3b01];
        let mut opcodes: Vec<OpcodeCount> = (0..).zip(body).map(|(i, op)| run(2 * i, op, 10, 0)).collect();
        opcodes.push(run(10, 0xd1f9, 10, 9));
        assert_eq!(CycleModel::M0.cycles(&opcodes), 10 * (2 + 2 + 1 + 1 + 1 + 1) + 9 * 2);
        assert_eq!(CycleModel::M0Plus.cycles(&opcodes), 10 * 8 + 9);
        // The second load's address phase overlaps the first one's data phase.
        assert_eq!(CycleModel::M4.cycles(&opcodes), 10 * (2 + 1 + 1 + 1 + 1 + 1) + 9 * 2);
        let call = [run(0, 0xf7ff_fffe, 1, 1), run(8, 0xbd10, 1, 1)];
        assert_eq!((CycleModel::M0.cycles(&call), CycleModel::M4.cycles(&call)), (4 + 6, 3 + 5));
    }
}
