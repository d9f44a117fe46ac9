//! Scratch memory, in bytes at a multiple of 4, without which the kernels of [`crate::active`] refuse to run. Planners
//! grant what [`crate::scratch`] says, which is enough for every core.

pub use this::{conv2d, depthwise_conv2d};

/// What the addresses of packages and arenas must be multiples of.
pub const ALIGNMENT: usize = if cfg!(dtmm_isa = "portable") { 1 } else { 4 };

#[cfg(any(dtmm_isa = "v6m", dtmm_isa = "v7m", dtmm_isa = "dsp"))]
mod this {
    use crate::Conv2d;
    use crate::cortex_m::depthwise_scratch_len;
    #[cfg(dtmm_isa = "dsp")]
    use crate::cortex_m::dsp::Dsp as Fast;
    #[cfg(not(dtmm_isa = "dsp"))]
    use crate::cortex_m::pairs::Pairs as Fast;
    use crate::tiled::{Geometry, scratch_len};

    /// For a convolution or a fully connected layer.
    pub fn conv2d(p: &Conv2d<'_>, fully_connected: bool) -> usize {
        scratch_len::<Fast>(&Geometry::of(p, fully_connected), p.linear.weights.group())
    }

    /// For a depthwise convolution; 0 where the reference kernel runs.
    pub fn depthwise_conv2d(p: &Conv2d<'_>) -> usize {
        if p.input.c == p.output.c { depthwise_scratch_len(p.input.c, &p.window) } else { 0 }
    }
}

#[cfg(dtmm_isa = "mve")]
mod this {
    use crate::Conv2d;
    use crate::mve::geometry;

    /// For a convolution or a fully connected layer.
    pub fn conv2d(p: &Conv2d<'_>, fully_connected: bool) -> usize {
        if fully_connected {
            return 0;
        }
        geometry::conv2d_scratch(&p.input, &p.output, &p.window, p.linear.weights.group())
    }

    /// For a depthwise convolution; 0 where the reference kernel runs.
    pub fn depthwise_conv2d(p: &Conv2d<'_>) -> usize {
        if geometry::takes_depthwise(&p.input, &p.output) {
            geometry::depthwise_scratch(&p.output, &p.window)
        } else {
            0
        }
    }
}

/// On hosts the reference kernels run where scratch memory is missing.
#[cfg(dtmm_isa = "portable")]
mod this {
    use crate::Conv2d;

    /// For a convolution or a fully connected layer.
    pub fn conv2d(_: &Conv2d<'_>, _: bool) -> usize {
        0
    }

    /// For a depthwise convolution.
    pub fn depthwise_conv2d(_: &Conv2d<'_>) -> usize {
        0
    }
}
