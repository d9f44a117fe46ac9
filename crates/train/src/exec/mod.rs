//! Runs a float graph on batches, forward and backward.

mod compile;
mod fake;
mod kernel;
mod params;

use std::sync::Arc;

use dtmm_graph::{Graph, TensorId};

use compile::Plan;
pub(crate) use compile::Role;
pub(crate) use kernel::{Backward, Dims, Forward, Grads, Kernel, Scratch};
pub(crate) use params::Param;

use crate::{FakeQuant, TrainError, groups::Groups, simd};

/// Whether batch normalisation uses the batch's statistics or the stored ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Stored statistics: what a deployed model computes.
    Inference,
    /// The batch's statistics, which also move the stored ones.
    Training,
}

/// How an [`Executor`] is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// Threads; 0 takes all cores. Results do not depend on it.
    pub threads: usize,
    /// Keeps every activation for [`Executor::value`]; otherwise a ReLU or Clip may run inside the node before it,
    /// whose own result is then not to be had.
    pub keep_all: bool,
}

/// A float graph ready to run on batches.
pub struct Executor {
    plan: Plan,
    values: Vec<Vec<f32>>,
    grads: Grads,
    scratch: Scratch,
    pool: Arc<rayon::ThreadPool>,
    batch: usize,
    fake: fake::Fake,
}

impl Executor {
    /// Prepares `graph`.
    ///
    /// # Errors
    /// The graph is invalid, quantised, or has a node without a float kernel.
    pub fn new(graph: &Graph, options: ExecOptions) -> Result<Self, TrainError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads)
            .build()
            .map_err(|e| TrainError::Threads { threads: options.threads, what: e.to_string() })?;
        Self::in_pool(graph, options.keep_all, Arc::new(pool))
    }

    /// As [`Executor::new`], with the threads of another executor.
    pub(crate) fn in_pool(
        graph: &Graph,
        keep_all: bool,
        pool: Arc<rayon::ThreadPool>,
    ) -> Result<Self, TrainError> {
        graph.verify().map_err(|source| TrainError::Graph { graph: graph.name.clone(), source })?;
        let plan = Plan::new(graph, keep_all)?;
        let values = params::load(graph, &plan.params);
        let grads = Grads::new(plan.lens.clone(), plan.needs_grad.clone());
        let (scratch, fake) = (Scratch::default(), fake::Fake::default());
        Ok(Executor { plan, values, grads, scratch, pool, batch: 0, fake })
    }

    /// The threads, to run other work on.
    pub(crate) fn pool(&self) -> Arc<rayon::ThreadPool> {
        self.pool.clone()
    }

    /// Runs one batch: `inputs` are the graph's inputs in order, each `[batch, H, W, C]`.
    /// Gives the first output, `[batch, H, W, C]`.
    ///
    /// # Errors
    /// The number of inputs or the length of one is wrong.
    pub fn forward(&mut self, batch: usize, inputs: &[&[f32]], mode: Mode) -> Result<&[f32], TrainError> {
        self.set_inputs(batch, inputs)?;
        let groups = Groups::new(batch);
        let pool = self.pool.clone();
        self.fake.round_weights(&self.plan.params, &mut self.values, &self.plan.channels);
        pool.install(|| self.run_forward(groups, mode));
        if mode == Mode::Inference {
            self.fake.restore_weights(&mut self.values);
        }
        Ok(self.output(0).unwrap_or_default())
    }

    /// Output `index` of the last batch, `[batch, H, W, C]`.
    pub fn output(&self, index: usize) -> Option<&[f32]> {
        self.plan.outputs.get(index).map(|&t| self.values[t].as_slice())
    }

    /// The value of `tensor` in the last batch: an activation `[batch, H, W, C]`. `None` when it was not kept (see
    /// [`ExecOptions::keep_all`]) or is not an activation of this graph.
    pub fn value(&self, tensor: TensorId) -> Option<&[f32]> {
        let kept = self.plan.is_activation.get(tensor.index()).copied().unwrap_or(false);
        kept.then(|| self.values[tensor.index()].as_slice())
    }

    /// The tensor before a final softmax or log-softmax, or else the first output: what a classification loss sees.
    pub fn logits_tensor(&self) -> TensorId {
        TensorId(self.plan.logits as u32)
    }

    /// The value of [`Executor::logits_tensor`] in the last batch.
    pub fn logits(&self) -> &[f32] {
        &self.values[self.plan.logits]
    }

    /// Gradients of a loss whose gradient with respect to `tensor` is `gradient`, for the batch run last.
    ///
    /// # Errors
    /// `tensor` is no activation of this graph or `gradient` has another length than its value.
    pub fn backward(&mut self, tensor: TensorId, gradient: &[f32]) -> Result<(), TrainError> {
        let found = gradient.len();
        let expected = self.value(tensor).map_or(0, <[f32]>::len);
        if found != expected || found == 0 {
            let what = format!("gradient of tensor {}", tensor.0);
            return Err(TrainError::Size { what, expected: expected.to_string(), found: found.to_string() });
        }
        let groups = Groups::new(self.batch);
        self.grads.start(self.batch, &self.plan.is_activation);
        self.grads.seed(tensor.index(), gradient);
        let pool = self.pool.clone();
        pool.install(|| self.run_backward(groups));
        self.fake.restore_weights(&mut self.values);
        Ok(())
    }

    /// The gradient of a parameter or activation after [`Executor::backward`]; a parameter's has the layout and shape
    /// of the graph's tensor. `None` when it does not influence the loss or was not computed.
    pub fn gradient(&self, tensor: TensorId) -> Option<Vec<f32>> {
        let gradient = self.grads.get(tensor.index())?;
        let param = self.plan.params.iter().find(|p| p.tensor == tensor.index());
        Some(param.map_or_else(|| gradient.to_vec(), |p| p.to_graph(gradient)))
    }

    /// The tensors that training changes: weights, biases, batch-norm scales and shifts, channel factors and offsets.
    pub fn parameters(&self) -> Vec<TensorId> {
        let trained = self.plan.params.iter().filter(|p| p.role.is_trained());
        trained.map(|p| TensorId(p.tensor as u32)).collect()
    }

    /// Writes parameters and running statistics back into `graph`, which must be the one this executor was made from.
    pub fn store(&self, graph: &mut Graph) {
        params::store(graph, &self.plan.params, &self.values);
    }

    /// Values of `tensor` in one sample.
    pub(crate) fn sample_len(&self, tensor: TensorId) -> usize {
        self.plan.lens[tensor.index()]
    }

    /// From now on rounds weights and activations as int8 does; gradients pass straight through the rounding.
    ///
    /// # Errors
    /// An activation is none of this graph, or its scale is not positive.
    pub fn set_fake_quant(&mut self, options: FakeQuant) -> Result<(), TrainError> {
        for (t, (scale, zero_point)) in &options.activations {
            let fits = scale.is_finite() && *scale > 0.0 && (-128..=127).contains(zero_point);
            if !fits || !self.plan.is_activation.get(t.index()).copied().unwrap_or(false) {
                let what = format!(
                    "tensor {} with scale {scale} and zero point {zero_point}: it must be an activation that is \
                     computed (fuse activations before calibrating), the scale positive, the zero point an int8",
                    t.0
                );
                return Err(TrainError::Option { option: "fake_quant", what });
            }
        }
        self.fake = fake::Fake::new(options);
        Ok(())
    }

    pub(crate) fn params(&self) -> &[Param] {
        &self.plan.params
    }

    pub(crate) fn values_mut(&mut self) -> &mut [Vec<f32>] {
        &mut self.values
    }

    pub(crate) fn values(&self) -> &[Vec<f32>] {
        &self.values
    }

    /// Values to change and gradients to read, for the optimiser.
    pub(crate) fn step_parts(&mut self) -> (&mut [Vec<f32>], &Grads, &[Param]) {
        (&mut self.values, &self.grads, &self.plan.params)
    }

    fn set_inputs(&mut self, batch: usize, inputs: &[&[f32]]) -> Result<(), TrainError> {
        let size = |what: String, expected: usize, found: usize| TrainError::Size {
            what,
            expected: expected.to_string(),
            found: found.to_string(),
        };
        if inputs.len() != self.plan.inputs.len() || batch == 0 {
            return Err(size("inputs of a batch".into(), self.plan.inputs.len(), inputs.len()));
        }
        for (i, (&t, &x)) in self.plan.inputs.iter().zip(inputs).enumerate() {
            let expected = batch * self.plan.lens[t];
            if x.len() != expected {
                return Err(size(format!("values of input {i}"), expected, x.len()));
            }
            self.values[t].clear();
            self.values[t].extend_from_slice(x);
        }
        self.batch = batch;
        Ok(())
    }

    fn run_forward(&mut self, groups: Groups, mode: Mode) {
        for &t in &self.plan.inputs {
            self.fake.round_activation(t, &mut self.values[t]);
        }
        for step in &mut self.plan.steps {
            let mut out = std::mem::take(&mut self.values[step.output]);
            out.resize(groups.batch * self.plan.lens[step.output], 0.0);
            step.kernel.forward(Forward {
                values: &mut self.values,
                inputs: &step.inputs,
                out: &mut out,
                groups,
                mode,
                clamp: step.clamp,
                scratch: &mut self.scratch,
            });
            if step.clamp != NO_CLAMP && !step.kernel.clamps_forward() {
                simd::clamp(&mut out, step.clamp);
            }
            self.fake.round_activation(step.output, &mut out);
            self.values[step.output] = out;
        }
    }

    fn run_backward(&mut self, groups: Groups) {
        for step in self.plan.steps.iter_mut().rev() {
            let Some(mut gy) = self.grads.take_written(step.output) else { continue };
            let y = self.fake.before_rounding(step.output).unwrap_or(&self.values[step.output]);
            if let Some(range) = self.fake.range(step.output) {
                simd::mask_outside(&mut gy, y, range);
            }
            if step.clamp != NO_CLAMP && !step.kernel.clamps_backward() {
                simd::mask_clamped(&mut gy, y, step.clamp);
            }
            step.kernel.backward(Backward {
                values: &self.values,
                grads: &mut self.grads,
                inputs: &step.inputs,
                y,
                gy: &mut gy,
                groups,
                clamp: step.clamp,
                scratch: &mut self.scratch,
            });
            self.grads.give_back(step.output, gy);
        }
    }
}

/// The interval of a step without activation.
pub(crate) const NO_CLAMP: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);
