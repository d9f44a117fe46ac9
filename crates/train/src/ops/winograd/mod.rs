//! Winograd's minimal filtering F(2×2, 3×3): a 3×3 convolution of stride 1 with 16 products instead of 36 for four
//! outputs, forward and backward.
//!
//! A tile of 4×4 inputs becomes `v = Bᵀ x B`, the weights become `u = G w Gᵀ`; for each of the 16 positions `m = v · u`
//! is a product of matrices over the channels; four outputs are `Aᵀ m A`. Backward runs the transposed maps:
//! `gm = A gy Aᵀ`, `gu = vᵀ · gm`, `gw = Gᵀ gu G`, `gv = gm · uᵀ`, `gx = B gv Bᵀ`.
//! Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.

mod tiles;
mod weights;

use std::ops::Range;

use super::{conv::Group, slide::Slide};
use crate::gemm::{Mat, matmul};
use dtmm_graph::{Padding, Window};
use tiles::{AddInputGradients, Block, ReadGradients, ReadInputs, WriteOutputs};

/// Positions of a transformed tile.
const POSITIONS: usize = 16;

/// Channels come in multiples of the widest vector.
const LANES: usize = 16;

/// Values of a block of transformed inputs at one position: all positions stay in a second-level cache.
const BLOCK: usize = 2 * 1024;

/// Tiles from which on a product makes up for going over the weights.
const TILES: usize = 64;

/// Values between positions: keeps them from falling into the same lines of a cache.
const GAP: usize = 48;

pub(super) struct Winograd {
    slide: Slide,
    /// Rows and columns of tiles that cover one sample's output.
    tiles: [usize; 2],
    /// An input or output row in the padding.
    zeros: Vec<f32>,
    /// The transformed weights, `[16, c, o]`.
    weights: Vec<f32>,
}

impl Winograd {
    /// `None` where patches are faster: other kernels, uneven channels, outputs that fill their tiles badly.
    pub fn new(slide: Slide) -> Option<Self> {
        let window = Window { padding: Padding::default(), ..slide.window };
        let [height, width, o] = slide.y;
        let tiles = [height.div_ceil(2), width.div_ceil(2)];
        let filled = 4 * tiles[0] * tiles[1] * 3 <= height * width * 5;
        let whole = [slide.x[2], o].iter().all(|c| c.is_multiple_of(LANES));
        let fits = window == Window::new([3, 3]) && whole && filled;
        let zeros = vec![0.0; (slide.x[1] * slide.x[2]).max(width * o)];
        fits.then(|| Winograd { slide, tiles, zeros, weights: vec![] })
    }

    fn channels(&self) -> [usize; 2] {
        [self.slide.x[2], self.slide.y[2]]
    }

    /// Transforms the weights `[9, c, o]` for the calls that follow.
    pub fn set_weights(&mut self, weights: &[f32]) {
        self.weights.resize(weights.len() / 9 * POSITIONS, 0.0);
        weights::transform(weights, &mut self.weights);
    }

    /// The group's outputs, without bias or activation; `done` is called for each piece that is complete.
    pub fn forward_group(
        &self,
        x: &[f32],
        y: &mut [f32],
        buffer: &mut Vec<f32>,
        done: impl Fn(&mut [f32]) + Copy,
    ) {
        let [c, o] = self.channels();
        for block in self.blocks(x.len() / self.slide.x_len()) {
            let tiles = block.len() * self.tiles[1];
            let s = self.space(tiles, buffer);
            simd(ReadInputs { block: self.block(&block, c), x, v: s.v, rows: s.rows });
            for p in 0..POSITIONS {
                let v = Mat::new(position(s.v, p, tiles, c), tiles, c);
                matmul(position_mut(s.m, p, tiles, o), false, v, self.weights_at(p));
            }
            simd(WriteOutputs { block: self.block(&block, o), m: s.m, y, rows: s.rows, done });
        }
    }

    /// One group's part of the weights' gradient, and its inputs' gradient.
    pub fn backward_group(&self, mut g: Group<'_>, dw: &mut [f32], buffer: &mut Vec<f32>) {
        let [c, o] = self.channels();
        let len = c * o;
        for (i, block) in self.blocks(g.x.len() / self.slide.x_len()).into_iter().enumerate() {
            let tiles = block.len() * self.tiles[1];
            let s = self.space(tiles, buffer);
            simd(ReadInputs { block: self.block(&block, c), x: g.x, v: s.v, rows: s.rows });
            simd(ReadGradients { block: self.block(&block, o), gy: g.gy, m: s.m, rows: s.rows });
            for p in 0..POSITIONS {
                let v = position_mut(s.v, p, tiles, c);
                let m = Mat::new(position(s.m, p, tiles, o), tiles, o);
                matmul(&mut s.gu[p * len..(p + 1) * len], i > 0, Mat::new(v, tiles, c).t(), m);
                if g.gx.is_some() {
                    matmul(v, false, m, self.weights_at(p).t());
                }
            }
            if let Some((gx, add)) = &mut g.gx {
                let block = self.block(&block, c);
                simd(AddInputGradients { block, v: s.v, gx, add: *add, rows: s.rows });
            }
        }
        let gu = &self.space(0, buffer).gu[..POSITIONS * len];
        weights::restore(gu, dw);
    }

    fn weights_at(&self, p: usize) -> Mat<'_> {
        let [c, o] = self.channels();
        Mat::new(&self.weights[p * c * o..(p + 1) * c * o], c, o)
    }

    /// Rows of tiles of `samples` samples, cut into what is computed together.
    fn blocks(&self, samples: usize) -> Vec<Range<usize>> {
        let [c, o] = self.channels();
        let rows = (BLOCK / c.max(o)).max(TILES).div_ceil(self.tiles[1]);
        let end = samples * self.tiles[0];
        (0..end).step_by(rows).map(|r| r..end.min(r + rows)).collect()
    }

    /// The memory of a block.
    fn space<'a>(&self, tiles: usize, buffer: &'a mut Vec<f32>) -> Space<'a> {
        let [c, o] = self.channels();
        let rows = 4 * (2 * self.tiles[1] + 2) * c.max(o);
        let [v, m] = [c, o].map(|c| POSITIONS * stride(tiles, c));
        let total = POSITIONS * c * o + rows + v + m;
        if buffer.len() < total + LANES {
            buffer.resize(total + LANES, 0.0);
        }
        // Vectors that begin with a cache line are loaded at once.
        let aligned = buffer.as_ptr().align_offset(64).min(LANES);
        let (gu, rest) = buffer[aligned..].split_at_mut(POSITIONS * c * o);
        let (rows, rest) = rest.split_at_mut(rows);
        let (v, rest) = rest.split_at_mut(v);
        Space { gu, rows, v, m: &mut rest[..m] }
    }

    /// How `tiles` lie in a block's memory, with `c` channels.
    fn block<'a>(&'a self, tiles: &Range<usize>, c: usize) -> Block<'a> {
        Block {
            tiles: tiles.clone(),
            rows: self.tiles[0],
            columns: self.tiles[1],
            x: self.slide.x,
            y: self.slide.y,
            padding: [self.slide.window.padding.top, self.slide.window.padding.left],
            c,
            step: stride(tiles.len() * self.tiles[1], c),
            zeros: &self.zeros,
        }
    }
}

/// A block's memory: the weights' gradient, four rows, transformed inputs, products.
struct Space<'a> {
    gu: &'a mut [f32],
    rows: &'a mut [f32],
    v: &'a mut [f32],
    m: &'a mut [f32],
}

fn simd(pass: impl pulp::WithSimd<Output = ()>) {
    pulp::Arch::new().dispatch(pass);
}

/// Values from one position to the next.
fn stride(tiles: usize, c: usize) -> usize {
    tiles * c + GAP
}

/// The matrix `[tiles, c]` of one position.
fn position(v: &[f32], p: usize, tiles: usize, c: usize) -> &[f32] {
    &v[p * stride(tiles, c)..][..tiles * c]
}

/// As [`position`], mutable.
fn position_mut(v: &mut [f32], p: usize, tiles: usize, c: usize) -> &mut [f32] {
    &mut v[p * stride(tiles, c)..][..tiles * c]
}
