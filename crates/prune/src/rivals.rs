//! Units of the methods that the scheduler is compared with, priced as a microcontroller would store them.

use crate::knapsack::{Form, LayerInput, UnitTable, Units};
use crate::plan::Index;
use crate::units::UnitKind;

/// Bytes that a row of compressed rows costs: where the next one begins.
const ROW_BYTES: f64 = 2.0;
/// Weights that a pattern keeps of a 3×3 kernel.
const PATTERN_WEIGHTS: usize = 4;
/// Patterns that a layer may use; three bits name one.
const PATTERNS: usize = 8;
/// A kept kernel: four weights, its channel, its pattern.
const PATTERN_BYTES: f64 = PATTERN_WEIGHTS as f64 + 1.0 + 3.0 / 8.0;
const CENTRE: u16 = 4;

/// Single weights in compressed sparse rows: the weight and one byte of distance to the one before in its row.
pub(crate) fn unstructured(input: &LayerInput) -> Form {
    let count = input.layout.len();
    Form::ranked(Units {
        kind: UnitKind::Weight,
        index: Index::Csr,
        scores: input.scores.iter().map(|&s| f64::from(s)).collect(),
        bytes: vec![2.0; count],
        fixed: ROW_BYTES * input.layout.filters as f64,
        alive: input.alive.map(<[bool]>::to_vec),
        least: (input.least_share * count as f64).ceil() as usize,
        // Single weights in the tensor's own order, which is not that of the layout's units when it is depthwise.
        elements: Some(UnitTable { per_unit: 1, elements: (0..count as u32).collect() }),
    })
}

/// 3×3 kernels with one of the layer's eight patterns; single weights where the kernel is 1×1; `None` elsewhere.
pub(crate) fn pattern(input: &LayerInput) -> Option<Form> {
    match input.layout.positions {
        1 => Some(unstructured(input)),
        9 if !input.layout.depthwise => Some(kernels(input)),
        _ => None,
    }
}

fn kernels(input: &LayerInput) -> Form {
    let layout = &input.layout;
    let kernel = |k: usize| {
        let (o, c) = (k / layout.channels, k % layout.channels);
        std::array::from_fn::<usize, 9, _>(|p| layout.element(o, p, c))
    };
    let value = |k: usize, pattern: u16| -> f64 {
        let elements = kernel(k);
        positions(pattern).map(|p| f64::from(input.scores[elements[p]])).sum()
    };
    let count = layout.filters * layout.channels;
    let best = |k: usize, of: &[u16]| {
        let better = |a: &&u16, b: &&u16| value(k, **a).total_cmp(&value(k, **b)).then(b.cmp(a));
        of.iter().max_by(better).copied().unwrap_or(of[0])
    };
    let library = library((0..count).map(|k| best(k, &all_patterns())));
    let chosen: Vec<u16> = (0..count).map(|k| best(k, &library)).collect();
    let of_kernel = |(k, &pattern): (usize, &u16)| {
        let elements = kernel(k);
        positions(pattern).map(move |p| elements[p] as u32)
    };
    Form::ranked(Units {
        kind: UnitKind::Pattern,
        index: Index::Pattern,
        scores: chosen.iter().enumerate().map(|(k, &p)| value(k, p)).collect(),
        bytes: vec![PATTERN_BYTES; count],
        fixed: ROW_BYTES * layout.filters as f64,
        alive: None,
        least: (input.least_share * count as f64).ceil() as usize,
        elements: Some(UnitTable {
            per_unit: PATTERN_WEIGHTS,
            elements: chosen.iter().enumerate().flat_map(of_kernel).collect(),
        }),
    })
}

/// The positions of a pattern's bits.
fn positions(pattern: u16) -> impl Iterator<Item = usize> {
    (0..9).filter(move |p| pattern >> p & 1 == 1)
}

/// All choices of four of nine positions with the centre among them.
fn all_patterns() -> Vec<u16> {
    let has_centre = |p: &u16| p >> CENTRE & 1 == 1;
    (0u16..512).filter(|p| p.count_ones() as usize == PATTERN_WEIGHTS).filter(has_centre).collect()
}

/// The patterns that most kernels prefer.
fn library(preferred: impl Iterator<Item = u16>) -> Vec<u16> {
    let mut votes = vec![0usize; 512];
    preferred.for_each(|p| votes[p as usize] += 1);
    let mut patterns = all_patterns();
    patterns.sort_by_key(|&p| (std::cmp::Reverse(votes[p as usize]), p));
    patterns.truncate(PATTERNS);
    patterns
}

/// The best `n` of every four input channels; two bits say where each one is. All units are kept or none.
pub(crate) fn n_of_four(input: &LayerInput, n: usize) -> Option<Form> {
    let layout = &input.layout;
    if layout.depthwise || layout.channels < 4 {
        return None;
    }
    let mut units = Units {
        kind: UnitKind::OfFour,
        index: Index::Positions,
        scores: vec![],
        bytes: vec![],
        fixed: 0.0,
        alive: None,
        least: usize::MAX,
        elements: None,
    };
    let mut elements = Vec::new();
    for filterlet in 0..layout.filters * layout.positions {
        for first in (0..layout.channels).step_by(4) {
            let at = filterlet * layout.channels;
            let mut group: Vec<usize> = (at + first..at + (first + 4).min(layout.channels)).collect();
            group.sort_by(|&a, &b| input.scores[b].total_cmp(&input.scores[a]).then(a.cmp(&b)));
            let kept: Vec<usize> = group.into_iter().take(n).collect();
            units.scores.push(kept.iter().map(|&e| f64::from(input.scores[e])).sum());
            units.bytes.push(kept.len() as f64 * 1.25);
            // A short last group repeats its last weight to fill the table.
            elements.extend((0..n).map(|i| kept[i.min(kept.len() - 1)] as u32));
        }
    }
    units.elements = Some(UnitTable { per_unit: n, elements });
    Some(Form::ranked(units))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::WeightLayout;

    fn marked(form: &Form, layout: &WeightLayout) -> Vec<bool> {
        let mut mask = vec![false; layout.len()];
        form.mark(layout, form.order.len(), &mut mask);
        mask
    }

    #[test]
    fn n_of_four_keeps_the_best() {
        let layout = WeightLayout { filters: 1, positions: 1, channels: 6, depthwise: false };
        let scores = [1.0, 5.0, 3.0, 4.0, 0.0, 2.0];
        let input = LayerInput { layout, scores: &scores, alive: None, least_share: 0.0 };
        let form = n_of_four(&input, 1).unwrap();
        assert_eq!(marked(&form, &layout), [false, true, false, false, false, true]);
        assert_eq!((form.least, form.bytes_of(2)), (2, 2.5));
        let form = n_of_four(&input, 2).unwrap();
        assert_eq!(marked(&form, &layout), [false, true, false, true, true, true]);
    }

    #[test]
    fn patterns_keep_the_centre_and_three_more() {
        let layout = WeightLayout { filters: 2, positions: 9, channels: 3, depthwise: false };
        let scores: Vec<f32> = (0..layout.len()).map(|e| (e * 31 % 17) as f32).collect();
        let input = LayerInput { layout, scores: &scores, alive: None, least_share: 0.0 };
        let form = pattern(&input).unwrap();
        let mask = marked(&form, &layout);
        for (o, c) in (0..2).flat_map(|o| (0..3).map(move |c| (o, c))) {
            let kept = (0..9).filter(|&p| mask[layout.element(o, p, c)]).count();
            assert!(kept == 4 && mask[layout.element(o, 4, c)]);
        }
    }
}
