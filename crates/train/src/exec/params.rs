//! Constants on their way between the graph's layout and the kernels'.

use dtmm_graph::Graph;

use super::Role;

/// A constant that a kernel reads in its own layout.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Param {
    pub tensor: usize,
    pub name: String,
    pub role: Role,
    /// `[o, k]` when the graph stores `[o, k]` and the kernel wants `[k, o]`.
    pub transposed: Option<[usize; 2]>,
    /// Belongs to a fully connected layer.
    pub fully_connected: bool,
}

impl Param {
    /// Kernel layout to graph layout.
    pub fn to_graph<T: Copy>(&self, v: &[T]) -> Vec<T> {
        self.transposed.map_or_else(|| v.to_vec(), |[o, k]| transpose(v, k, o))
    }

    /// Graph layout to kernel layout.
    pub fn to_kernel<T: Copy>(&self, v: &[T]) -> Vec<T> {
        self.transposed.map_or_else(|| v.to_vec(), |[o, k]| transpose(v, o, k))
    }
}

/// `[rows, cols]` to `[cols, rows]`.
fn transpose<T: Copy>(v: &[T], rows: usize, cols: usize) -> Vec<T> {
    (0..rows * cols).map(|i| v[i % rows * cols + i / rows]).collect()
}

/// All values by tensor: constants in the kernels' layout, activations empty.
pub(crate) fn load(graph: &Graph, params: &[Param]) -> Vec<Vec<f32>> {
    let data = graph.tensors.iter().map(|t| t.f32_data().map(<[f32]>::to_vec).unwrap_or_default());
    let mut values: Vec<Vec<f32>> = data.collect();
    for p in params {
        values[p.tensor] = p.to_kernel(&values[p.tensor]);
    }
    values
}

pub(crate) fn store(graph: &mut Graph, params: &[Param], values: &[Vec<f32>]) {
    for p in params {
        if let Some(data) = graph.tensors[p.tensor].f32_data_mut() {
            *data = p.to_graph(&values[p.tensor]);
        }
    }
}
