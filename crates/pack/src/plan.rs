//! The memory plan: which bytes of the arena each tensor and each layer's scratch take, and when.

use dtmm_graph::Graph;
use dtmm_kernels::{Shape, Window, scratch};
use serde::{Deserialize, Serialize};

use crate::PackError;
use crate::pack::choose;
use crate::place::{Buffer, Placement, live_bytes, place};
use crate::program::{Kind, Program, SlotPlace, Step};
use crate::size::int8_form;

/// Arena use while one layer runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerMemory {
    /// Node name.
    pub name: String,
    /// Operator name.
    pub op: String,
    /// Bytes of all tensors that are alive, the layer's inputs, output and scratch among them.
    pub live_bytes: usize,
    /// Bytes of scratch memory.
    pub scratch_bytes: usize,
    /// True when the output takes the place of an input.
    pub in_place: bool,
}

/// Where one tensor lies, and from which layer to which it is alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorPlace {
    /// Tensor name.
    pub name: String,
    /// Arena offset.
    pub offset: usize,
    /// Bytes.
    pub bytes: usize,
    /// First layer.
    pub first: usize,
    /// Last layer.
    pub last: usize,
}

/// The arena of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPlan {
    /// Bytes of the arena, scratch included.
    pub arena_bytes: usize,
    /// No order of placement can need less.
    pub lower_bound: usize,
    /// The layer at which most bytes are alive.
    pub peak_layer: usize,
    /// One entry per layer: the RAM timeline.
    pub layers: Vec<LayerMemory>,
    /// One entry per tensor in the arena.
    pub tensors: Vec<TensorPlace>,
}

/// The memory plan of the package that [`crate::pack`] makes of `graph`. A float graph is planned as its int8 form:
/// batch norms folded, activations fused.
///
/// # Errors
/// As [`crate::pack`].
pub fn plan(graph: &Graph) -> Result<MemoryPlan, PackError> {
    let graph = int8_form(graph)?;
    let program = crate::lower::lower(&graph)?;
    let groups: Vec<usize> = program.steps.iter().map(|s| choose(s).map_or(0, |c| c.group)).collect();
    Ok(place_program(&program, &groups).plan)
}

/// Addresses of a program.
pub(crate) struct Addresses {
    /// Arena offset of each slot; 0 for constants.
    pub slots: Vec<usize>,
    /// Arena offset and bytes of each step's scratch.
    pub scratch: Vec<(usize, usize)>,
    pub plan: MemoryPlan,
}

/// Plans with and without taking the place of dying inputs, and keeps the smaller arena.
pub(crate) fn place_program(program: &Program, groups: &[usize]) -> Addresses {
    let [with, without] = [true, false].map(|in_place| Liveness::of(program, groups, in_place));
    let (a, b) = (place(&with.buffers), place(&without.buffers));
    if b.arena < a.arena { addresses(program, &without, &b) } else { addresses(program, &with, &a) }
}

/// Buffers with their lifetimes: first those of the arena slots, then one scratch buffer per step.
struct Liveness {
    buffers: Vec<Buffer>,
    /// For each of the program's buffer numbers, the index in `buffers` that holds it.
    root: Vec<usize>,
    in_place: Vec<bool>,
}

impl Liveness {
    fn of(program: &Program, groups: &[usize], allow_in_place: bool) -> Self {
        let mut buffers = lifetimes(program);
        let mut root: Vec<usize> = (0..program.buffers).collect();
        let mut in_place = vec![false; program.steps.len()];
        for (i, step) in program.steps.iter().enumerate().filter(|_| allow_in_place) {
            let Some(output) = arena(program, step.output) else { continue };
            if let Some(input) = dying_input(program, step, i, &root, &buffers) {
                buffers[input].last = buffers[output].last;
                // The output lives in the input's bytes now.
                buffers[output] = Buffer { size: 0, first: i, last: i };
                root[output] = input;
                in_place[i] = true;
            }
        }
        for (i, step) in program.steps.iter().enumerate() {
            buffers.push(Buffer { size: scratch_len(program, step, groups[i]), first: i, last: i });
        }
        Liveness { buffers, root, in_place }
    }
}

fn arena(program: &Program, slot: usize) -> Option<usize> {
    match program.slots[slot].place {
        SlotPlace::Arena(buffer) => Some(buffer),
        SlotPlace::Constant(_) => None,
    }
}

/// From the step that writes a buffer (the first for model inputs) to the last that reads it; outputs are read after the
/// last step.
fn lifetimes(program: &Program) -> Vec<Buffer> {
    let end = program.steps.len();
    let mut buffers = vec![Buffer { size: 0, first: usize::MAX, last: 0 }; program.buffers];
    let mut touch = |slot: usize, step: usize| {
        if let Some(buffer) = arena(program, slot) {
            let b = &mut buffers[buffer];
            b.size = b.size.max(program.slots[slot].elements());
            (b.first, b.last) = (b.first.min(step), b.last.max(step));
        }
    };
    program.inputs.iter().for_each(|&s| touch(s, 0));
    for (i, step) in program.steps.iter().enumerate() {
        step.inputs.iter().chain([&step.output]).for_each(|&s| touch(s, i));
    }
    program.outputs.iter().for_each(|&s| touch(s, end));
    buffers.iter_mut().filter(|b| b.first == usize::MAX).for_each(|b| b.first = 0);
    buffers
}

/// The input whose bytes the output of step `i` may take: read here for the last time, of the same shape, and read only
/// once.
fn dying_input(
    program: &Program,
    step: &Step,
    i: usize,
    root: &[usize],
    buffers: &[Buffer],
) -> Option<usize> {
    if !step.kind.works_in_place() {
        return None;
    }
    let roots: Vec<Option<usize>> =
        step.inputs.iter().map(|&s| arena(program, s).map(|buffer| find(root, buffer))).collect();
    let shape = program.slots[step.output].shape;
    let fits = |k: usize| {
        let once = roots.iter().filter(|r| **r == roots[k]).count() == 1;
        roots[k].filter(|&r| once && program.slots[step.inputs[k]].shape == shape && buffers[r].last == i)
    };
    (0..roots.len()).find_map(fits)
}

fn find(root: &[usize], mut buffer: usize) -> usize {
    while root[buffer] != buffer {
        buffer = root[buffer];
    }
    buffer
}

/// Scratch bytes of the kernel that will run the step; `group` is 0 for dense weights.
fn scratch_len(program: &Program, step: &Step, group: usize) -> usize {
    let Some(&first) = step.inputs.first() else { return 0 };
    let shape = |slot: usize| {
        let [h, w, c] = program.slots[slot].shape.dims();
        Shape { h, w, c }
    };
    let (x, y) = (shape(first), shape(step.output));
    let window = |w: &dtmm_format::Window| Window {
        kernel: w.kernel.map(usize::from),
        stride: w.stride.map(usize::from),
        dilation: w.dilation.map(usize::from),
        padding: [usize::from(w.padding[0]), usize::from(w.padding[2])],
    };
    use dtmm_format::Params;
    match &step.kind {
        Kind::Conv2d(w, _) => scratch::conv2d(&x, &y, &window(w), group),
        Kind::Depthwise(w, _) => scratch::depthwise_conv2d(&x, &y, &window(w)),
        Kind::FullyConnected(_) => scratch::fully_connected(&x, group),
        Kind::Plain(Params::MaxPool { window: w, .. } | Params::AveragePool { window: w, .. }) => {
            scratch::pool(&x, &y, &window(w))
        }
        Kind::Plain(Params::Softmax { .. } | Params::LogSoftmax { .. }) => scratch::softmax(x.c),
        _ => 0,
    }
}

fn addresses(program: &Program, liveness: &Liveness, placement: &Placement) -> Addresses {
    let offset = |slot: usize| arena(program, slot).map_or(0, |b| placement.offsets[find(&liveness.root, b)]);
    let scratch_at = |i: usize| {
        let at = program.buffers + i;
        (placement.offsets[at], liveness.buffers[at].size)
    };
    let live = live_bytes(&liveness.buffers, program.steps.len());
    let layer = |(i, step): (usize, &Step)| LayerMemory {
        name: step.name.clone(),
        op: step.op.to_owned(),
        live_bytes: live[i],
        scratch_bytes: scratch_at(i).1,
        in_place: liveness.in_place[i],
    };
    let own = lifetimes(program);
    let tensor = |(s, buffer): (usize, usize)| TensorPlace {
        name: program.slots[s].name.clone(),
        offset: offset(s),
        bytes: program.slots[s].elements(),
        first: own[buffer].first,
        last: own[buffer].last.min(program.steps.len().saturating_sub(1)),
    };
    let in_arena = (0..program.slots.len()).filter_map(|s| arena(program, s).map(|b| (s, b)));
    let peak = live.iter().copied().max().unwrap_or(0);
    let plan = MemoryPlan {
        arena_bytes: placement.arena,
        lower_bound: placement.lower_bound,
        peak_layer: live.iter().position(|&l| l == peak).unwrap_or(0),
        layers: program.steps.iter().enumerate().map(layer).collect(),
        tensors: in_arena.map(tensor).collect(),
    };
    Addresses {
        slots: (0..program.slots.len()).map(offset).collect(),
        scratch: (0..program.steps.len()).map(scratch_at).collect(),
        plan,
    }
}
