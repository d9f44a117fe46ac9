//! Weights follow their gradients.

use dtmm_graph::Masks;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    FitOptions, Optimizer, TrainError,
    exec::{Executor, Role},
    simd::simd,
};

/// Values handled by one task.
const CHUNK: usize = 16 * 1024;

/// What an optimiser remembers of each trained parameter, in the kernels' layout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moments {
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
    steps: u64,
}

/// An update rule with its state and the masks.
pub(crate) struct Updater {
    rule: Optimizer,
    weight_decay: f32,
    pub moments: Moments,
    /// For each parameter of the executor 0.0 or 1.0 per weight; empty where nothing is masked.
    keep: Vec<Vec<f32>>,
}

impl Updater {
    pub fn new(options: &FitOptions, executor: &Executor) -> Result<Self, TrainError> {
        let lens: Vec<usize> = executor.params().iter().map(|p| executor.values()[p.tensor].len()).collect();
        let zeros = |used: bool| lens.iter().map(|&n| vec![0.0; if used { n } else { 0 }]).collect();
        let adam = matches!(options.optimizer, Optimizer::AdamW { .. });
        Ok(Updater {
            rule: options.optimizer,
            weight_decay: options.weight_decay,
            moments: Moments { first: zeros(true), second: zeros(adam), steps: 0 },
            keep: masks_in_kernel_layout(&options.masks, executor)?,
        })
    }

    /// Zeroes masked weights.
    pub fn apply_masks(&self, executor: &mut Executor) {
        let tensors: Vec<usize> = executor.params().iter().map(|p| p.tensor).collect();
        for (t, keep) in tensors.into_iter().zip(&self.keep).filter(|(_, k)| !k.is_empty()) {
            for (w, k) in executor.values_mut()[t].iter_mut().zip(keep) {
                *w = if *k == 0.0 { 0.0 } else { *w };
            }
        }
    }

    /// One step along the gradients of the last backward pass.
    pub fn step(&mut self, executor: &mut Executor, lr: f32) {
        self.moments.steps += 1;
        let pool = executor.pool();
        let (values, grads, params) = executor.step_parts();
        pool.install(|| {
            for (i, param) in params.iter().enumerate().filter(|(_, p)| p.role.is_trained()) {
                let Some(g) = grads.get(param.tensor) else { continue };
                let decay = if param.role == Role::Weights { self.weight_decay } else { 0.0 };
                self.update(i, &mut values[param.tensor], g, lr, decay);
            }
        });
    }

    fn update(&mut self, i: usize, w: &mut [f32], g: &[f32], lr: f32, decay: f32) {
        let (first, second) = (&mut self.moments.first[i], &mut self.moments.second[i]);
        match self.rule {
            Optimizer::Sgd { momentum, nesterov } => {
                let chunks =
                    w.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).zip(first.par_chunks_mut(CHUNK));
                chunks.for_each(|((w, g), m)| sgd(w, g, m, Sgd { lr, decay, momentum, nesterov }));
            }
            Optimizer::AdamW { beta1, beta2, epsilon } => {
                let correct = |beta: f32| 1.0 - f64::from(beta).powf(self.moments.steps as f64);
                let rate = f64::from(lr) / correct(beta1);
                let root = correct(beta2).sqrt();
                let k = Adam {
                    rate: rate as f32,
                    root: root as f32,
                    shrink: 1.0 - lr * decay,
                    beta1,
                    beta2,
                    epsilon,
                };
                let moments = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK));
                let chunks = w.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).zip(moments);
                chunks.for_each(|((w, g), (m, v))| adam(w, g, m, v, k));
            }
        }
        let keep = &self.keep[i];
        if !keep.is_empty() {
            w.par_chunks_mut(CHUNK).zip(keep.par_chunks(CHUNK)).for_each(|(w, k)| {
                w.iter_mut().zip(k).for_each(|(w, k)| *w = if *k == 0.0 { 0.0 } else { *w });
            });
        }
    }
}

#[derive(Clone, Copy)]
struct Sgd {
    lr: f32,
    decay: f32,
    momentum: f32,
    nesterov: bool,
}

fn sgd(w: &mut [f32], g: &[f32], m: &mut [f32], k: Sgd) {
    let ahead = if k.nesterov { (1.0, k.momentum) } else { (0.0, 1.0) };
    simd(
        #[inline(always)]
        || {
            for ((w, g), m) in w.iter_mut().zip(g).zip(m) {
                let g = g + k.decay * *w;
                *m = k.momentum * *m + g;
                *w -= k.lr * (ahead.0 * g + ahead.1 * *m);
            }
        },
    );
}

#[derive(Clone, Copy)]
struct Adam {
    rate: f32,
    root: f32,
    shrink: f32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
}

fn adam(w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], k: Adam) {
    simd(
        #[inline(always)]
        || {
            for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                *m = k.beta1 * *m + (1.0 - k.beta1) * g;
                *v = k.beta2 * *v + (1.0 - k.beta2) * g * g;
                *w = k.shrink * *w - k.rate * *m / (v.sqrt() / k.root + k.epsilon);
            }
        },
    );
}

fn masks_in_kernel_layout(masks: &Masks, executor: &Executor) -> Result<Vec<Vec<f32>>, TrainError> {
    let params = executor.params();
    for (id, mask) in masks {
        let param = params.iter().find(|p| p.tensor == id.index() && p.role == Role::Weights);
        let Some(param) = param else {
            let what = format!("tensor {} is masked but is no weight tensor of this graph", id.0);
            return Err(TrainError::Option { option: "masks", what });
        };
        let expected = executor.values()[param.tensor].len();
        if mask.len() != expected {
            let what = format!("mask of tensor '{}'", param.name);
            let found = mask.len().to_string();
            return Err(TrainError::Size { what, expected: expected.to_string(), found });
        }
    }
    let keep = params.iter().map(|p| {
        let mask = masks.get(&dtmm_graph::TensorId(p.tensor as u32));
        mask.map(|m| p.to_kernel(m).into_iter().map(f32::from).collect()).unwrap_or_default()
    });
    Ok(keep.collect())
}
