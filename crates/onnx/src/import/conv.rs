//! Conv: standard, depthwise and grouped, 1-D and 2-D.

use dtmm_graph::{Activation, Op, TensorId, Window};

use super::context::{NodeImport, Value, one};
use super::window::spatial;
use crate::constant::Const;
use crate::error::{Fault, bad};
use crate::view::{Groups, View};

pub(crate) fn conv(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let filter = n.weights(1)?;
    let rank = act.view.rank();
    let groups = n.channels_first(&act)?;
    if filter.dims.len() != rank || rank < 3 {
        return bad(format!("a filter of shape {:?} does not fit an input of rank {rank}", filter.dims));
    }
    let kernel = filter.dims[2..].to_vec();
    if n.attributes.ints("kernel_shape").is_some_and(|k| !k.iter().map(|&k| k as usize).eq(kernel.clone())) {
        return bad(format!("kernel_shape differs from the filter's shape {:?}", filter.dims));
    }
    let x = n.arrange(&act, &groups)?;
    let [_, h, w, channels] = n.shape(x);
    let window = n.window(&kernel, [h, w])?;
    let group = usize::try_from(n.attributes.int("group", 1)).unwrap_or(0);
    let parts = Parts { x, filter: &filter, window, channels, group };
    parts.check()?;
    let y = if group == 1 {
        parts.standard(n)?
    } else if group == channels {
        parts.depthwise(n)?
    } else {
        parts.grouped(n)?
    };
    one(y, output_view(n, y, &groups, rank))
}

fn output_view(n: &NodeImport, y: TensorId, groups: &Groups, rank: usize) -> View {
    let [_, h, w, c] = n.shape(y);
    let dims: Vec<usize> = if rank == 3 { vec![1, c, w] } else { vec![1, c, h, w] };
    View::from_groups(&dims, groups)
}

struct Parts<'a> {
    x: TensorId,
    filter: &'a Const,
    window: Window,
    channels: usize,
    group: usize,
}

impl Parts<'_> {
    fn check(&self) -> Result<(), Fault> {
        let (out, inner) = (self.filter.dims[0], self.filter.dims[1]);
        let fits = self.group > 0
            && inner.checked_mul(self.group) == Some(self.channels)
            && out > 0
            && out % self.group == 0;
        if fits {
            return Ok(());
        }
        let (dims, group, channels) = (&self.filter.dims, self.group, self.channels);
        bad(format!("a filter of shape {dims:?} in {group} groups does not fit {channels} input channels"))
    }

    fn standard(&self, n: &mut NodeImport) -> Result<TensorId, Fault> {
        let values = self.ohwi(0, self.filter.dims[0]);
        let filter = self.add_filter(n, &self.filter.name, self.filter.dims[0], values)?;
        let bias = self.bias(n)?;
        let op = Op::Conv2d { window: self.window, activation: Activation::None };
        match bias {
            Some((name, values)) => {
                let bias = n.add_weights(&name, vec![values.len()], values)?;
                n.emit(op, &[self.x, filter, bias])
            }
            None => n.emit(op, &[self.x, filter]),
        }
    }

    fn depthwise(&self, n: &mut NodeImport) -> Result<TensorId, Fault> {
        let (out, [kh, kw]) = (self.filter.dims[0], spatial(&self.filter.dims[2..], 1));
        let source = self.filter.as_floats()?;
        let area = kh * kw;
        let values = (0..area).flat_map(|p| (0..out).map(move |o| source[o * area + p])).collect();
        let filter = n.add_weights(&self.filter.name, vec![1, kh, kw, out], values)?;
        let op = Op::DepthwiseConv2d { window: self.window, activation: Activation::None };
        match self.bias(n)? {
            Some((name, values)) => {
                let bias = n.add_weights(&name, vec![values.len()], values)?;
                n.emit(op, &[self.x, filter, bias])
            }
            None => n.emit(op, &[self.x, filter]),
        }
    }

    /// One Slice and Conv for each group, joined by Concat.
    fn grouped(&self, n: &mut NodeImport) -> Result<TensorId, Fault> {
        let (out, inner) = (self.filter.dims[0] / self.group, self.filter.dims[1]);
        let bias = self.bias(n)?;
        let [_, h, w, _] = n.shape(self.x);
        let mut parts = Vec::with_capacity(self.group);
        for g in 0..self.group {
            let op = Op::Slice {
                begin: [0, 0, 0, g * inner],
                end: [1, h, w, (g + 1) * inner],
                stride: [1, 1, 1, 1],
            };
            let x = n.emit_part(&format!("slice{g}"), op, &[self.x])?;
            let values = self.ohwi(g * out, out);
            let mut inputs = vec![x, self.add_filter(n, &format!("{}/{g}", self.filter.name), out, values)?];
            if let Some((name, values)) = &bias {
                let values = values[g * out..(g + 1) * out].to_vec();
                inputs.push(n.add_weights(&format!("{name}/{g}"), vec![out], values)?);
            }
            let op = Op::Conv2d { window: self.window, activation: Activation::None };
            parts.push(n.emit_part(&format!("group{g}"), op, &inputs)?);
        }
        n.emit(Op::Concat { axis: 3 }, &parts)
    }

    /// The filters `first..first + count` from OIHW to OHWI.
    fn ohwi(&self, first: usize, count: usize) -> Result<Vec<f32>, Fault> {
        let source = self.filter.as_floats()?;
        let (inner, area) = (self.filter.dims[1], self.filter.dims[2..].iter().product::<usize>());
        let filter = |o: usize| &source[o * inner * area..(o + 1) * inner * area];
        let reorder = |f: &'_ [f32]| -> Vec<f32> {
            (0..area).flat_map(|p| (0..inner).map(move |i| (p, i))).map(|(p, i)| f[i * area + p]).collect()
        };
        Ok((first..first + count).flat_map(|o| reorder(filter(o))).collect())
    }

    fn add_filter(
        &self,
        n: &mut NodeImport,
        name: &str,
        out: usize,
        values: Result<Vec<f32>, Fault>,
    ) -> Result<TensorId, Fault> {
        let [kh, kw] = spatial(&self.filter.dims[2..], 1);
        n.add_weights(name, vec![out, kh, kw, self.filter.dims[1]], values?)
    }

    /// Name and values of the bias.
    fn bias(&self, n: &NodeImport) -> Result<Option<(String, Vec<f32>)>, Fault> {
        let Some(bias) = n.constant(2)? else { return Ok(None) };
        let out = self.filter.dims[0];
        if bias.dims != [out] {
            return bad(format!("the bias has shape {:?}, expected [{out}]", bias.dims));
        }
        Ok(Some((bias.name.clone(), bias.as_floats()?.to_vec())))
    }
}
