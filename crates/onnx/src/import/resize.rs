//! Resize and Upsample, nearest neighbour.

use dtmm_graph::Op;

use super::context::{MAX_ELEMENTS, NodeImport, Value, one};
use crate::error::{Fault, bad, unsupported};
use crate::view::View;

/// Larger images are refused before the source pixels are listed.
const MAX_SIDE: usize = 1 << 16;

pub(crate) fn resize(n: &mut NodeImport) -> Result<Vec<Value>, Fault> {
    let act = n.act(0)?;
    let dims = act.view.dims();
    let mode = n.attributes.string("mode", "nearest")?;
    if mode != "nearest" {
        return unsupported(format!("mode '{mode}', only 'nearest' is supported"));
    }
    let (out, scales) = output_dims(n, &dims)?;
    let rank = dims.len();
    if out[..rank.min(2)] != dims[..rank.min(2)] || rank < 3 {
        return unsupported(format!("it resizes {dims:?} to {out:?}, only spatial axes can be resized"));
    }
    if out.iter().any(|&d| d > MAX_SIDE) {
        return bad(format!("its output shape {out:?} is too large"));
    }
    let groups = n.channels_first(&act)?;
    let x = n.arrange(&act, &groups)?;
    let [_, h, w, _] = n.shape(x);
    let last = |v: &[f32]| if rank == 3 { [1.0, v[2]] } else { [v[2], v[3]] };
    let size = if rank == 3 { [1, out[2]] } else { [out[2], out[3]] };
    let scale = last(&scales);
    let rule = Rule::of(n)?;
    let wanted: Vec<Vec<usize>> = [(h, 0), (w, 1)]
        .iter()
        .map(|&(len, i)| rule.map(len, size[i], scale[i]))
        .collect::<Result<_, _>>()?;
    let fits = |&(align, half): &(bool, bool)| {
        wanted[0] == tflite_map(h, size[0], align, half) && wanted[1] == tflite_map(w, size[1], align, half)
    };
    let Some((align_corners, half_pixel_centers)) =
        [(false, false), (false, true), (true, false)].into_iter().find(fits)
    else {
        return unsupported("its choice of source pixels has no counterpart");
    };
    let y = n.emit(Op::ResizeNearest { size, align_corners, half_pixel_centers }, &[x])?;
    one(y, View::from_groups(&out, &groups))
}

/// Output dimensions and scales, from whichever of the two is given.
fn output_dims(n: &NodeImport, dims: &[usize]) -> Result<(Vec<usize>, Vec<f32>), Fault> {
    let (scales_at, sizes_at) = match (n.op(), n.opset()) {
        ("Upsample", _) | (_, ..11) => (1, usize::MAX),
        _ => (2, 3),
    };
    if n.attributes.has("axes") {
        return unsupported("the attribute 'axes'");
    }
    let scales = match n.constant(scales_at)? {
        Some(c) => c.as_floats()?.to_vec(),
        None => n.attributes.floats("scales").unwrap_or_default().to_vec(),
    };
    let sizes = n.constant(sizes_at)?;
    let (out, scales): (Vec<usize>, Vec<f32>) = match sizes.filter(|s| s.values.len() > 0) {
        Some(sizes) if sizes.values.len() == dims.len() => {
            let mut out = vec![];
            for (i, &s) in sizes.as_ints()?.iter().enumerate() {
                // The batch is 1 here, whatever it was when the sizes were computed.
                out.push(if i == 0 { dims[0] } else { crate::attributes::size(s, "sizes")? });
            }
            let scales = out.iter().zip(dims).map(|(&o, &d)| o as f32 / d as f32).collect();
            (out, scales)
        }
        None if scales.len() == dims.len() => {
            let scaled = |(&d, &s): (&usize, &f32)| (d as f64 * f64::from(s)).floor() as usize;
            (dims.iter().zip(&scales).map(scaled).collect(), scales)
        }
        _ => return bad(format!("scales or sizes do not fit the shape {dims:?}")),
    };
    match crate::constant::element_count(&out) {
        Some(1..=MAX_ELEMENTS) => Ok((out, scales)),
        _ => bad(format!("its output shape {out:?} is empty or too large")),
    }
}

/// How ONNX chooses the source pixel.
struct Rule<'a> {
    coordinate: &'a str,
    nearest: &'a str,
}

impl<'a> Rule<'a> {
    fn of(n: &NodeImport<'a>) -> Result<Self, Fault> {
        if n.op() == "Upsample" || n.opset() < 11 {
            return Ok(Rule { coordinate: "asymmetric", nearest: "floor" });
        }
        Ok(Rule {
            coordinate: n.attributes.string("coordinate_transformation_mode", "half_pixel")?,
            nearest: n.attributes.string("nearest_mode", "round_prefer_floor")?,
        })
    }

    /// For each output index the input index.
    fn map(&self, len: usize, out: usize, scale: f32) -> Result<Vec<usize>, Fault> {
        (0..out).map(|i| self.source(i, len, out, f64::from(scale))).collect()
    }

    fn source(&self, i: usize, len: usize, out: usize, scale: f64) -> Result<usize, Fault> {
        let at = i as f64;
        let x = match self.coordinate {
            "asymmetric" => at / scale,
            "half_pixel" => (at + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if out > 1 => (at + 0.5) / scale - 0.5,
            "pytorch_half_pixel" => 0.0,
            "tf_half_pixel_for_nn" => (at + 0.5) / scale,
            "align_corners" if out > 1 => at * (len - 1) as f64 / (out - 1) as f64,
            "align_corners" => 0.0,
            other => return unsupported(format!("coordinate_transformation_mode '{other}'")),
        };
        let nearest = match self.nearest {
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            "round_prefer_floor" => (x - 0.5).ceil(),
            "round_prefer_ceil" => (x + 0.5).floor(),
            other => return bad(format!("nearest_mode '{other}' is not known")),
        };
        Ok((nearest.max(0.0) as usize).min(len - 1))
    }
}

/// The choice of TFLite's ResizeNearestNeighbor, which the graph's operator follows.
fn tflite_map(len: usize, out: usize, align_corners: bool, half_pixel: bool) -> Vec<usize> {
    let scale =
        if align_corners && out > 1 { (len - 1) as f32 / (out - 1) as f32 } else { len as f32 / out as f32 };
    let offset = if half_pixel { 0.5 } else { 0.0 };
    let source = |i: usize| {
        let x = (i as f32 + offset) * scale;
        let x = if align_corners { x.round() } else { x.floor() };
        (x as usize).min(len - 1)
    };
    (0..out).map(source).collect()
}
