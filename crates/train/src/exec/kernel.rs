//! What an operator's kernel sees of the executor.

use super::Mode;
use crate::groups::Groups;

/// Height, width, channels of one sample.
pub(crate) type Dims = [usize; 3];

/// One operator with everything that it keeps between forward and backward.
pub(crate) trait Kernel: Send {
    /// Computes `out` from the inputs.
    fn forward(&mut self, io: Forward<'_>);
    /// Gives the inputs' gradients from the output's.
    fn backward(&mut self, io: Backward<'_>);
    /// True when `forward` applies the fused activation itself.
    fn clamps_forward(&self) -> bool {
        false
    }
    /// True when `backward` applies the fused activation's mask itself.
    fn clamps_backward(&self) -> bool {
        false
    }
}

/// Arguments of a forward pass.
pub(crate) struct Forward<'a> {
    /// All values by tensor; the output's is taken out.
    pub values: &'a mut [Vec<f32>],
    pub inputs: &'a [usize],
    pub out: &'a mut [f32],
    pub groups: Groups,
    pub mode: Mode,
    pub clamp: (f32, f32),
    pub scratch: &'a mut Scratch,
}

/// Arguments of a backward pass.
pub(crate) struct Backward<'a> {
    pub values: &'a [Vec<f32>],
    pub grads: &'a mut Grads,
    pub inputs: &'a [usize],
    pub y: &'a [f32],
    /// The output's gradient; a kernel may use it up.
    pub gy: &'a mut Vec<f32>,
    pub groups: Groups,
    pub clamp: (f32, f32),
    pub scratch: &'a mut Scratch,
}

/// Memory that kernels share.
#[derive(Default)]
pub(crate) struct Scratch {
    /// For each group a matrix of image patches.
    pub columns: Vec<Vec<f32>>,
    /// The groups' sums.
    pub partial: Vec<f32>,
}

impl Scratch {
    /// One patch buffer per group and `len` sums per group.
    pub fn parts(&mut self, groups: usize, len: usize) -> (&mut [Vec<f32>], &mut [f32]) {
        if self.columns.len() < groups {
            self.columns.resize(groups, Vec::new());
        }
        if self.partial.len() < groups * len {
            self.partial.resize(groups * len, 0.0);
        }
        (&mut self.columns[..groups], &mut self.partial[..groups * len])
    }
}

/// Gradients by tensor.
pub(crate) struct Grads {
    buffers: Vec<Vec<f32>>,
    written: Vec<bool>,
    needed: Vec<bool>,
    /// Values per sample, or in all for a constant.
    lens: Vec<usize>,
    sizes: Vec<usize>,
}

impl Grads {
    pub fn new(lens: Vec<usize>, needed: Vec<bool>) -> Self {
        let n = lens.len();
        Grads { buffers: vec![Vec::new(); n], written: vec![false; n], needed, sizes: lens.clone(), lens }
    }

    /// Forgets all gradients.
    pub fn start(&mut self, batch: usize, is_activation: &[bool]) {
        self.written.fill(false);
        for ((size, len), act) in self.sizes.iter_mut().zip(&self.lens).zip(is_activation) {
            *size = if *act { len * batch } else { *len };
        }
    }

    pub fn seed(&mut self, tensor: usize, gradient: &[f32]) {
        self.buffers[tensor].clear();
        self.buffers[tensor].extend_from_slice(gradient);
        self.written[tensor] = true;
    }

    /// The gradient, when anything was written.
    pub fn get(&self, tensor: usize) -> Option<&[f32]> {
        let written = self.written.get(tensor).copied().unwrap_or(false);
        written.then(|| self.buffers[tensor].as_slice())
    }

    pub fn needs(&self, tensor: usize) -> bool {
        self.needed[tensor]
    }

    /// The buffer of a tensor whose gradient is needed, and whether to add to it; if not, its content is old.
    pub fn take(&mut self, tensor: usize) -> Option<(Vec<f32>, bool)> {
        if !self.needed[tensor] {
            return None;
        }
        let mut buffer = std::mem::take(&mut self.buffers[tensor]);
        buffer.resize(self.sizes[tensor], 0.0);
        Some((buffer, self.written[tensor]))
    }

    /// Returns what [`Grads::take`] gave, now written.
    pub fn put(&mut self, tensor: usize, buffer: Vec<f32>) {
        self.buffers[tensor] = buffer;
        self.written[tensor] = true;
    }

    /// Gives `gy`, whole, to `tensor`: moved where it is the first contribution, added otherwise.
    pub fn pass(&mut self, tensor: usize, gy: &mut Vec<f32>) {
        if let Some((mut buffer, add)) = self.take(tensor) {
            if add {
                crate::simd::store_or_add(&mut buffer, gy, true);
            } else {
                std::mem::swap(&mut buffer, gy);
            }
            self.put(tensor, buffer);
        }
    }

    pub fn take_written(&mut self, tensor: usize) -> Option<Vec<f32>> {
        self.written[tensor].then(|| std::mem::take(&mut self.buffers[tensor]))
    }

    /// Returns memory; a gradient of the right size stays readable.
    pub fn give_back(&mut self, tensor: usize, buffer: Vec<f32>) {
        self.written[tensor] = false;
        self.buffers[tensor] = buffer;
    }
}
