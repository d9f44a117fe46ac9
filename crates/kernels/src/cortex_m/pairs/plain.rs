//! The same without the instructions.

use super::{BIAS, CELL, Pairs};
use crate::tiled::{Filter, Out, Scale, Scaling, apply_by_tiles};

pub type Row = ();

pub fn start(_: [usize; 2], _: &Out<'_>, _: &Scaling<'_>) -> Row {}

pub fn apply(row: &mut Row, filter: &Filter<'_>, scale: &Scale<'_>, out: &mut Out<'_>) {
    apply_by_tiles::<Pairs>(row, filter, scale, out);
}

pub fn sum(_: &mut Row, filter: &Filter<'_>, bias: i32, first: usize, plane: usize) -> [i32; 4] {
    let [low, high] = super::starts(filter, bias);
    let mut sums = [low, low, high, high];
    let (mut weights, _) = filter.weights().as_chunks::<2>();
    let [a, b, c, d] = &mut sums;
    for [offset, blocks] in filter.runs().iter().take(filter.runs().len().wrapping_sub(1)) {
        let mut at = (*offset as usize).wrapping_add(first);
        for _ in 0..blocks.wrapping_mul(2) {
            let Some((w, rest)) = weights.split_first() else { return sums };
            weights = rest;
            let cells = filter.rows().get(at / 4..).unwrap_or_default().as_chunks::<{ CELL / 4 }>().0;
            for ((low, high), cell) in [(&mut *a, &mut *c), (&mut *b, &mut *d)].into_iter().zip(cells) {
                let [x0, x1] = cell.map(u32::cast_signed);
                let products = x0.wrapping_mul(w[0].into()).wrapping_add(x1.wrapping_mul(w[1].into()));
                let sum = products.wrapping_add(BIAS);
                *low = low.wrapping_add(sum & 0xFFFF);
                *high = high.wrapping_add(sum >> 16);
            }
            at = at.wrapping_add(plane);
        }
    }
    sums
}

pub fn single(filter: &Filter<'_>, bias: i32) -> i32 {
    let (mut sum, mut weights) = (bias, filter.weights());
    for [offset, blocks] in filter.runs().iter().take(filter.runs().len().wrapping_sub(1)) {
        let Some((w, rest)) = weights.split_at_checked(blocks.wrapping_mul(4) as usize) else { return sum };
        weights = rest;
        let values = filter.rows().get(*offset as usize / 4..).unwrap_or_default();
        let products = values.iter().zip(w).map(|(x, w)| x.cast_signed().wrapping_mul((*w).into()));
        sum = products.fold(sum, i32::wrapping_add);
    }
    sum
}
