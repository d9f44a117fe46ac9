//! Add, Sub, Mul and Requantize: four elements at a time.

use core::arch::asm;

use crate::{Clamp, Elementwise, KernelError, Operand, Rescale, Shape, reference};

/// `(x * 2^left - offset) * multiplier / 2^31 / 2^right` as the vector loop takes it.
#[derive(Clone, Copy)]
#[repr(C)]
struct Stage {
    /// Added to the shifted element.
    offset: i32,
    multiplier: i32,
    /// Not positive: to the right.
    shift: i32,
    /// 1 when there is a right shift: negative values are then lowered by one, so that ties round away from zero.
    lower: i32,
}

impl Stage {
    /// The stage and the factor for the left shift.
    fn new(zero_point: i8, left: u8, multiplier: i32, shift: i8) -> (Self, i32) {
        let left = u32::from(left).wrapping_add(u32::from(shift.max(0).unsigned_abs()));
        let factor = 1i32.checked_shl(left).unwrap_or(0);
        let offset = i32::from(zero_point).wrapping_neg().wrapping_mul(factor);
        let lower = i32::from(shift < 0);
        (Stage { offset, multiplier, shift: i32::from(shift.min(0)), lower }, factor)
    }
}

/// Everything the loops read besides the elements.
#[repr(C)]
struct Scaling {
    /// Of both inputs and the output; [`Elementwise`] without scales on the inputs uses the offsets only.
    stages: [Stage; 3],
    factors: [i32; 3],
    zero_point: i32,
    min: i32,
    max: i32,
}

impl Scaling {
    fn new(p: &Elementwise) -> Self {
        let [m0, m1, m2] = p.multiplier;
        let [s0, s1, s2] = p.shift;
        let [z0, z1] = p.input_zero_points;
        let stages = [
            Stage::new(z0, p.left_shift, m0, s0),
            Stage::new(z1, p.left_shift, m1, s1),
            Stage::new(0, 0, m2, s2),
        ];
        Scaling::of(stages, p.output_zero_point, p.clamp)
    }

    fn of(stages: [(Stage, i32); 3], zero_point: i8, clamp: Clamp) -> Self {
        Scaling {
            stages: stages.map(|(stage, _)| stage),
            factors: stages.map(|(_, factor)| factor),
            zero_point: i32::from(zero_point),
            min: i32::from(clamp.min),
            max: i32::from(clamp.max),
        }
    }
}

/// Scales `$q` by the next stage at `r4`; its left shift is in `$factor`. Uses r5, r8–r10 and q2.
macro_rules! stage {
    ($q:literal, $factor:literal) => {
        concat!(
            "ldm r4!, {{r5, r8-r10}}\n vmlas.s32 ",
            $q,
            ", ",
            $factor,
            ", r5\n vqrdmulh.s32 ",
            $q,
            ", ",
            $q,
            ", r8\n vshr.s32 q2, ",
            $q,
            ", #31\n vmla.s32 ",
            $q,
            ", q2, r10\n vrshl.s32 ",
            $q,
            ", r9\n"
        )
    };
}

macro_rules! element_loop {
    ($name:ident, $body:expr, $back:literal) => {
        /// # Safety
        /// `len` elements can be read at `a` and `b` and written at `y`; `y` may equal either.
        unsafe fn $name(scaling: &Scaling, a: *const i8, b: *const i8, y: *mut i8, len: usize) {
            // SAFETY: the predicated loop touches `len` elements of each; registers not named below are restored.
            unsafe {
                asm!(
                    "push {{r4, r5, r8-r10, lr}}
                     vpush {{d8-d15}}
                     mov r4, r0
                     ldrd r5, r8, [r4, #48]
                     ldrd r9, r10, [r4, #56]
                     vdup.32 q3, r5
                     vdup.32 q4, r8
                     ldrd r5, r8, [r4, #64]
                     vdup.32 q5, r9
                     vdup.32 q6, r5
                     vdup.32 q7, r8
                     mov r0, r10",
                    "wlstp.32 lr, r12, 3f",
                    "2:",
                    $body,
                    "vadd.i32 q0, q0, r0
                     vmax.s32 q0, q0, q6
                     vmin.s32 q0, q0, q7",
                    concat!("sub r4, #", $back),
                    "vstrb.32 q0, [r3], #4
                     letp lr, 2b",
                    "3:
                     vpop {{d8-d15}}
                     pop {{r4, r5, r8-r10, lr}}",
                    inout("r0") scaling => _,
                    inout("r1") a => _,
                    inout("r2") b => _,
                    inout("r3") y => _,
                    inout("r12") len => _,
                    out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                    out("d4") _, out("d5") _, out("d6") _, out("d7") _,
                )
            }
        }
    };
}

element_loop!(
    add_loop,
    concat!(
        "vldrb.s32 q0, [r1], #4\n",
        stage!("q0", "q3"),
        "vldrb.s32 q1, [r2], #4\n",
        stage!("q1", "q4"),
        "vadd.i32 q0, q0, q1\n",
        stage!("q0", "q5")
    ),
    "48"
);
element_loop!(
    sub_loop,
    concat!(
        "vldrb.s32 q0, [r1], #4\n",
        stage!("q0", "q3"),
        "vldrb.s32 q1, [r2], #4\n",
        stage!("q1", "q4"),
        "vsub.i32 q0, q0, q1\n",
        stage!("q0", "q5")
    ),
    "48"
);
element_loop!(
    mul_loop,
    concat!(
        "vldrb.s32 q0, [r1], #4\n vldrb.s32 q1, [r2], #4\n ldr r5, [r4]\n ldr r8, [r4, #16]\n",
        "vadd.i32 q0, q0, r5\n vadd.i32 q1, q1, r8\n vmul.i32 q0, q0, q1\n add r4, #32\n",
        stage!("q0", "q5")
    ),
    "48"
);
element_loop!(requantize_loop, concat!("vldrb.s32 q0, [r1], #4\n", stage!("q0", "q3")), "16");

/// A loop over elements.
type Loop = unsafe fn(&Scaling, *const i8, *const i8, *mut i8, usize);

/// As [`reference::add_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn add_s8(p: &Elementwise, a: Operand<'_>, b: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    match layout(p, a, b, y) {
        Some(layout) => layout.run(&Scaling::new(p), add_loop),
        None => reference::add_s8(p, a, b, y),
    }
}

/// As [`reference::sub_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn sub_s8(p: &Elementwise, a: Operand<'_>, b: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    match layout(p, a, b, y) {
        Some(layout) => layout.run(&Scaling::new(p), sub_loop),
        None => reference::sub_s8(p, a, b, y),
    }
}

/// As [`reference::mul_s8`].
///
/// # Errors
/// When lengths and shapes disagree.
pub fn mul_s8(p: &Elementwise, a: Operand<'_>, b: Operand<'_>, y: &mut [i8]) -> Result<(), KernelError> {
    let plain =
        Elementwise { multiplier: [0, 0, p.multiplier[2]], shift: [0, 0, p.shift[2]], left_shift: 0, ..*p };
    match layout(p, a, b, y) {
        Some(layout) => layout.run(&Scaling::new(&plain), mul_loop),
        None => reference::mul_s8(p, a, b, y),
    }
}

/// As [`reference::requantize_s8`].
///
/// # Errors
/// When input and output differ in length.
pub fn requantize_s8(
    p: &Rescale,
    zero_points: [i8; 2],
    x: Operand<'_>,
    y: &mut [i8],
) -> Result<(), KernelError> {
    let [from, to] = zero_points;
    let x = match x {
        Operand::Output => y.as_ptr(),
        Operand::Slice(x) if x.len() == y.len() => x.as_ptr(),
        Operand::Slice(_) => return Err(KernelError::ActivationLength),
    };
    let stage = Stage::new(from, 0, p.multiplier, p.shift);
    let scaling = Scaling::of([stage; 3], to, p.clamp);
    // SAFETY: `x` has as many elements as `y`, or is `y`.
    unsafe { requantize_loop(&scaling, x, x, y.as_mut_ptr(), y.len()) };
    Ok(())
}

/// Where the elements lie: `rows` of `len`, of which an input may be repeated.
struct Layout {
    a: *const i8,
    b: *const i8,
    y: *mut i8,
    rows: usize,
    len: usize,
    /// Elements from row to row of the inputs.
    steps: [usize; 2],
}

impl Layout {
    fn run(&self, scaling: &Scaling, elements: Loop) -> Result<(), KernelError> {
        let (mut a, mut b, mut y) = (self.a, self.b, self.y);
        for _ in 0..self.rows {
            // SAFETY: `layout` made sure that each row lies inside inputs and output.
            unsafe { elements(scaling, a, b, y, self.len) };
            (a, b) = (a.wrapping_add(self.steps[0]), b.wrapping_add(self.steps[1]));
            y = y.wrapping_add(self.len);
        }
        Ok(())
    }
}

/// `None` unless both inputs have the output's shape, or one has a single pixel that is repeated.
fn layout(p: &Elementwise, a: Operand<'_>, b: Operand<'_>, y: &mut [i8]) -> Option<Layout> {
    let all = p.output.elements();
    if y.len() != all || all == 0 {
        return None;
    }
    let pixel = Shape { h: 1, w: 1, c: p.output.c };
    let whole = |shape: Shape| shape == p.output;
    let [sa, sb] = p.inputs;
    let (rows, len) = match (whole(sa), whole(sb)) {
        (true, true) => (1, all),
        (true, false) if sb == pixel => (p.output.h.wrapping_mul(p.output.w), p.output.c),
        (false, true) if sa == pixel => (p.output.h.wrapping_mul(p.output.w), p.output.c),
        _ => return None,
    };
    let steps = [if whole(sa) { len } else { 0 }, if whole(sb) { len } else { 0 }];
    let out = y.as_mut_ptr();
    let source = |x: Operand<'_>, shape: Shape| match x {
        Operand::Output => whole(shape).then_some(out.cast_const()),
        Operand::Slice(x) => (x.len() == shape.elements()).then_some(x.as_ptr()),
    };
    Some(Layout { a: source(a, sa)?, b: source(b, sb)?, y: out, rows, len, steps })
}
