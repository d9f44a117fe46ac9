//! The inner kernels of depthwise convolutions.

use core::arch::asm;

use super::geometry::POSITIONS;
use crate::Linear;

/// Positions in `source`: rows and columns, and the bytes from one to the next.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub rows: usize,
    pub columns: usize,
    pub down: usize,
    pub right: usize,
}

/// Writes channel `c` of position `i` to `to[16 * c + i]`, row by row. `None` when that is not inside both.
pub(super) fn positions(to: &mut [i8], source: &[i8], grid: Grid, channels: usize) -> Option<()> {
    let Grid { rows, columns, down, right } = grid;
    let last =
        rows.checked_sub(1)?.checked_mul(down)?.checked_add(columns.checked_sub(1)?.checked_mul(right)?)?;
    let positions = rows.checked_mul(columns)?;
    let written = channels.checked_sub(1)?.checked_mul(POSITIONS)?.checked_add(positions)?;
    if last.checked_add(channels)? > source.len() || written > to.len() {
        return None;
    }
    // SAFETY: the loops read `channels` bytes at each position and write where the check above allows.
    unsafe {
        asm!(
            "movs r0, #0
             vidup.u8 q1, r0, #8
             vshl.i8 q1, q1, #1",
            "5: mov {count}, {columns}",
            "2: mov r0, {source}
             mov {place}, {to}",
            "wlstp.8 lr, {channels}, 4f",
            "3: vldrb.8 q0, [r0], #16
             vstrb.8 q0, [{place}, q1]
             add {place}, {place}, #256
             letp lr, 3b",
            "4: add {source}, {source}, {right}
             adds {to}, {to}, #1
             subs {count}, {count}, #1
             bne 2b",
            "add {source}, {source}, {next}
             subs {rows}, {rows}, #1
             bne 5b",
            count = out(reg) _,
            place = out(reg) _,
            source = inout(reg) source.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            rows = inout(reg) rows => _,
            columns = in(reg) columns,
            right = in(reg) right,
            next = in(reg) down.wrapping_sub(columns.wrapping_mul(right)),
            channels = in(reg) channels,
            out("r0") _, out("lr") _, out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
    Some(())
}

/// Groups of four filters at one output pixel.
#[repr(C)]
pub(super) struct Group {
    window: *const i8,
    weights: *const i8,
    scales: *const [i32; 16],
    out: *mut i8,
    groups: usize,
    /// Bytes from the end of four filters in one plane to their start in the next.
    skip: usize,
    planes: usize,
    /// Bytes from behind the last plane back to the next four filters.
    back: usize,
    zero_point: i32,
    min: i32,
    max: i32,
    /// As `skip` and `back` for the window.
    window_skip: usize,
    window_back: usize,
    /// Bytes of a plane.
    plane: usize,
    /// Each filter has its own input channel.
    own: bool,
}

macro_rules! groups {
    ($name:ident, $advance:literal, $planes:ident) => {
        /// # Safety
        /// The groups lie inside the window, the weights, the scales and the output.
        unsafe fn $name(group: &Group) {
            // SAFETY: the caller's promise; every register that is not named below is saved and restored.
            unsafe {
                asm!(
                    "push {{r4-r11, lr}}
                     vpush {{d8-d15}}
                     ldrd r1, r3, [r0]
                     ldrd r5, r10, [r0, #8]
                     ldrd r9, r7, [r0, #16]
                     ldrd r8, r12, [r0, #24]
                     ldrd r2, r4, [r0, #32]
                     ldr r6, [r0, #40]
                     ldrd r11, r0, [r0, #44]
                     vdup.32 q7, r2
                     vdup.32 q5, r4
                     vdup.32 q6, r6
                     vmov q3[2], q3[0], r11, r0
                     movs r2, #0
                     vidup.u32 q4, r2, #1",
                    "2: movs r0, #0
                     movs r2, #0
                     movs r4, #0
                     movs r6, #0",
                    groups!(@first $planes),
                    concat!("vldrb.8 q0, [r1]", $advance),
                    "vldrb.8 q1, [r3], #16",
                    concat!("vldrb.8 q2, [r1]", $advance),
                    "vmladava.s8 r0, q0, q1
                     vldrb.8 q1, [r3], #16",
                    concat!("vldrb.8 q0, [r1]", $advance),
                    "vmladava.s8 r2, q2, q1
                     vldrb.8 q1, [r3], #16",
                    concat!("vldrb.8 q2, [r1]", $advance),
                    "vmladava.s8 r4, q0, q1
                     vldrb.8 q1, [r3], #16
                     vmladava.s8 r6, q2, q1",
                    groups!(@next $planes),
                    "vmov q0[2], q0[0], r0, r4
                     vmov q0[3], q0[1], r2, r6
                     vldrw.32 q1, [r5], #16
                     vadd.i32 q0, q0, q1
                     vldrw.32 q1, [r5], #16
                     vshl.s32 q0, q0, q1
                     vldrw.32 q1, [r5], #16
                     vqrdmulh.s32 q0, q0, q1
                     vldrw.32 q1, [r5], #16
                     vand q2, q0, q1
                     vshr.s32 q2, q2, #31
                     vadd.i32 q0, q0, q2
                     vrshl.s32 q0, q0, q1
                     vqadd.s32 q0, q0, q7
                     vmax.s32 q0, q0, q5
                     vmin.s32 q0, q0, q6
                     vstrb.32 q0, [r10, q4]
                     add r10, #4
                     subs r9, #1
                     bne 2b
                     vpop {{d8-d15}}
                     pop {{r4-r11, lr}}",
                    inout("r0") group => _, out("r1") _, out("r2") _, out("r3") _, out("r12") _,
                    out("d0") _, out("d1") _, out("d2") _, out("d3") _,
                    out("d4") _, out("d5") _, out("d6") _, out("d7") _,
                )
            }
        }
    };
    (@first one) => { "" };
    (@first any) => { "dls lr, r8\n 3:" };
    (@next one) => { "" };
    (@next any) => {
        "add r1, r11
         add r3, r7
         le lr, 3b
         vmov lr, s14
         sub r3, r12
         sub r1, lr"
    };
}
groups!(own_channels, ", #16", any);
groups!(own_channels_one_plane, ", #16", one);
groups!(shared_channel, "", any);
groups!(shared_channel_one_plane, "", one);

impl Group {
    /// Empty, for `planes` planes of `plane` bytes.
    pub fn new(linear: &Linear<'_>, planes: usize, plane: usize, own: bool) -> Self {
        let quad = POSITIONS.wrapping_mul(4);
        let all = planes.wrapping_mul(plane);
        let skip = plane.wrapping_sub(quad);
        let back = all.wrapping_sub(quad);
        Group {
            window: core::ptr::null(),
            weights: core::ptr::null(),
            scales: core::ptr::null(),
            out: core::ptr::null_mut(),
            groups: 0,
            skip,
            planes,
            back,
            zero_point: i32::from(linear.output_zero_point),
            min: i32::from(linear.clamp.min),
            max: i32::from(linear.clamp.max),
            window_skip: if own { skip } else { plane },
            window_back: if own { back } else { all },
            plane,
            own,
        }
    }

    /// Computes `groups` times four outputs; `None` when a slice is too short for that.
    pub fn run(
        &mut self,
        window: &[i8],
        weights: &[i8],
        scales: &[[i32; 16]],
        groups: usize,
        out: &mut [i8],
    ) -> Option<()> {
        let before = self.planes.checked_sub(1)?.checked_mul(self.plane)?;
        let quads = groups.checked_mul(4)?;
        let bytes = quads.checked_mul(POSITIONS)?.checked_add(before)?;
        let read = if self.own { bytes } else { before.checked_add(POSITIONS)? };
        let fits =
            window.len() >= read && weights.len() >= bytes && scales.len() >= groups && out.len() >= quads;
        if groups == 0 || !fits {
            return if groups == 0 { Some(()) } else { None };
        }
        (self.window, self.weights) = (window.as_ptr(), weights.as_ptr());
        (self.scales, self.out, self.groups) = (scales.as_ptr(), out.as_mut_ptr(), groups);
        // SAFETY: checked above; a shared channel has `POSITIONS` bytes in each plane of the window.
        unsafe {
            match (self.own, self.planes) {
                (true, 1) => own_channels_one_plane(self),
                (true, _) => own_channels(self),
                (false, 1) => shared_channel_one_plane(self),
                (false, _) => shared_channel(self),
            }
        }
        Some(())
    }
}
