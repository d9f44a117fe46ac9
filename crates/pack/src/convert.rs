//! Between the source model's element types and layouts and the package's int8 NHWC.

use dtmm_graph::{Data, ElementType};
use dtmm_kernels::requantize;
use dtmm_quant::quantize_multiplier;

use crate::host::PortDescription;

/// One sample in the package's form; `None` when its type or length is not the port's.
pub(crate) fn from_source(port: &PortDescription, data: &Data) -> Option<Vec<i8>> {
    if data.element_type() != port.element_type || data.len() != port.elements() {
        return None;
    }
    let values: Vec<i8> = match data {
        Data::F32(v) => v.iter().map(|&v| port.quantize(v)).collect(),
        Data::I8(v) => {
            rescale(v.iter().map(|&v| i32::from(v)), source_quant(port), (port.scale, port.zero_point))
        }
        Data::U8(v) => {
            rescale(v.iter().map(|&v| i32::from(v)), source_quant(port), (port.scale, port.zero_point))
        }
        Data::I32(_) => return None,
    };
    Some(to_nhwc(port, &values))
}

/// One result in the source's form.
pub(crate) fn to_source(port: &PortDescription, values: &[i8]) -> Data {
    let values = from_nhwc(port, values);
    let integers = |low: i32, high: i32| -> Vec<i32> {
        let (from, to) = ((port.scale, port.zero_point), source_quant(port));
        values.iter().map(|&v| rescale_one(i32::from(v), from, to).clamp(low, high)).collect()
    };
    match port.element_type {
        ElementType::F32 => Data::F32(values.iter().map(|&q| port.dequantize(q)).collect()),
        ElementType::I8 => Data::I8(integers(-128, 127).into_iter().map(|v| v as i8).collect()),
        ElementType::U8 => Data::U8(integers(0, 255).into_iter().map(|v| v as u8).collect()),
        ElementType::I32 => Data::I32(integers(i32::MIN, i32::MAX)),
    }
}

fn source_quant(port: &PortDescription) -> (f32, i32) {
    port.source_quant.unwrap_or((port.scale, port.zero_point))
}

fn rescale(values: impl Iterator<Item = i32>, from: (f32, i32), to: (f32, i32)) -> Vec<i8> {
    values.map(|v| rescale_one(v, from, to).clamp(-128, 127) as i8).collect()
}

/// TFLite's requantisation; only the zero point moves when the scales agree.
fn rescale_one(v: i32, from: (f32, i32), to: (f32, i32)) -> i32 {
    if from.0 == to.0 {
        return v - from.1 + to.1;
    }
    let (multiplier, shift) = quantize_multiplier(f64::from(from.0) / f64::from(to.0));
    requantize::multiply(v - from.1, multiplier, shift as i8) + to.1
}

/// For each element of the NHWC order its position in the source order.
fn source_positions(port: &PortDescription) -> Vec<usize> {
    let (shape, perm) = (&port.source_shape, &port.perm);
    let total = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if total != Some(port.elements()) || perm.len() != shape.len() {
        return (0..port.elements()).collect();
    }
    let strides: Vec<usize> = (0..shape.len()).map(|a| shape[a + 1..].iter().product()).collect();
    let mut positions = vec![0];
    for &axis in perm {
        let steps = (0..shape[axis]).map(|i| i * strides[axis]).collect::<Vec<_>>();
        positions = positions.iter().flat_map(|&p| steps.iter().map(move |s| p + s)).collect();
    }
    positions
}

fn to_nhwc(port: &PortDescription, source: &[i8]) -> Vec<i8> {
    source_positions(port).into_iter().map(|p| source[p]).collect()
}

fn from_nhwc(port: &PortDescription, values: &[i8]) -> Vec<i8> {
    let mut source = vec![0; values.len()];
    source_positions(port).into_iter().zip(values).for_each(|(p, &v)| source[p] = v);
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(element_type: ElementType, source_quant: Option<(f32, i32)>) -> PortDescription {
        PortDescription {
            name: "x".into(),
            element_type,
            source_quant,
            source_shape: vec![1, 3, 2, 2],
            perm: vec![0, 2, 3, 1],
            shape: [2, 2, 3],
            scale: 0.5,
            zero_point: -3,
        }
    }

    #[test]
    fn layouts_and_types_are_converted_both_ways() {
        let p = port(ElementType::F32, None);
        let source: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let inside = from_source(&p, &Data::F32(source.clone())).unwrap();
        let planes: Vec<f32> = inside.iter().map(|&q| p.dequantize(q)).collect();
        assert_eq!(&planes[..6], &[0.0, 4.0, 8.0, 1.0, 5.0, 9.0]);
        assert_eq!(to_source(&p, &inside), Data::F32(source));
    }

    #[test]
    fn a_shape_that_does_not_fit_is_read_in_package_order() {
        let huge = PortDescription { source_shape: vec![usize::MAX, 3, 2, 2], ..port(ElementType::I8, None) };
        let source: Vec<i8> = (0..12).collect();
        assert_eq!(from_source(&huge, &Data::I8(source.clone())), Some(source));
    }

    #[test]
    fn uint8_moves_only_the_zero_point_when_scales_agree() {
        let p = port(ElementType::U8, Some((0.5, 125)));
        let source = Data::U8((0..12).map(|v| v * 20).collect());
        let inside = from_source(&p, &source).unwrap();
        assert_eq!(inside[1], (4 * 20 - 128) as i8);
        assert_eq!(to_source(&p, &inside), source);
        assert_eq!(from_source(&p, &Data::U8(vec![0; 11])), None);
        assert_eq!(from_source(&p, &Data::I8(vec![0; 12])), None);
    }
}
