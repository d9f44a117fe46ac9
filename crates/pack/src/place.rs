//! Placement of buffers in one arena: no two buffers that live at the same time overlap, and the arena is small.

use serde::{Deserialize, Serialize};

/// Arena offsets are multiples of this, so that every buffer is aligned for the widest vector load of the targets.
pub const ARENA_ALIGNMENT: usize = 16;

/// Something that needs `size` bytes from step `first` to step `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Buffer {
    /// Bytes.
    pub size: usize,
    /// First step at which the bytes are in use.
    pub first: usize,
    /// Last step at which the bytes are in use.
    pub last: usize,
}

impl Buffer {
    fn aligned(&self) -> usize {
        self.size.next_multiple_of(ARENA_ALIGNMENT)
    }

    fn meets(&self, other: &Buffer) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where each buffer lies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Offset of each buffer, in the order given.
    pub offsets: Vec<usize>,
    /// Bytes of the arena.
    pub arena: usize,
    /// No placement can need less: the largest sum of sizes (rounded up to the alignment) that live at one step.
    pub lower_bound: usize,
}

/// Bytes that are live at each of `steps` steps, sizes rounded up to the alignment.
pub fn live_bytes(buffers: &[Buffer], steps: usize) -> Vec<usize> {
    let mut live = vec![0; steps];
    for b in buffers {
        let end = (b.last + 1).min(steps);
        live[b.first.min(end)..end].iter_mut().for_each(|l| *l += b.aligned());
    }
    live
}

/// Orders that are tried before giving up on the lower bound.
const ATTEMPTS: usize = 400;

/// Places the buffers greedily, each at the lowest offset that is free over its lifetime, in several fixed orders and
/// then in orders that move a buffer which ended highest to the front. Deterministic; stops at the lower bound.
pub fn place(buffers: &[Buffer]) -> Placement {
    let steps = buffers.iter().map(|b| b.last + 1).max().unwrap_or(0);
    let lower_bound = live_bytes(buffers, steps).into_iter().max().unwrap_or(0);
    let mut best = Placement { offsets: vec![], arena: usize::MAX, lower_bound };
    let mut best_order = Vec::new();
    for order in orders(buffers, lower_bound, steps) {
        keep_better(&mut best, &mut best_order, buffers, order);
    }
    for attempt in 0..ATTEMPTS {
        if best.arena <= lower_bound || buffers.len() < 3 {
            break;
        }
        let order = perturbed(buffers, &best, &best_order, attempt);
        keep_better(&mut best, &mut best_order, buffers, order);
    }
    best
}

fn keep_better(best: &mut Placement, best_order: &mut Vec<usize>, buffers: &[Buffer], order: Vec<usize>) {
    let (offsets, arena) = place_in_order(buffers, &order);
    if arena < best.arena {
        (best.offsets, best.arena) = (offsets, arena);
        *best_order = order;
    }
}

/// By size; by size times lifetime; by first use; and those of the busiest step first.
fn orders(buffers: &[Buffer], lower_bound: usize, steps: usize) -> Vec<Vec<usize>> {
    let by = |key: &dyn Fn(&Buffer) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..buffers.len()).collect();
        order.sort_by_key(|&i| {
            let (a, b) = key(&buffers[i]);
            (std::cmp::Reverse(a), std::cmp::Reverse(b), i)
        });
        order
    };
    let peak = live_bytes(buffers, steps).iter().position(|&l| l == lower_bound).unwrap_or(0);
    let at_peak = |b: &Buffer| usize::from(b.first <= peak && peak <= b.last);
    let lifetime = |b: &Buffer| b.last + 1 - b.first;
    vec![
        by(&|b| (b.size, lifetime(b))),
        by(&|b| (b.size * lifetime(b), b.size)),
        by(&|b| (at_peak(b), b.size)),
        by(&|b| (at_peak(b), lifetime(b))),
        by(&|b| (steps - b.first, b.size)),
        by(&|b| (lifetime(b), b.size)),
    ]
}

/// The best order with one of the buffers that end highest moved forward; which and how far follows from `attempt`.
fn perturbed(buffers: &[Buffer], best: &Placement, order: &[usize], attempt: usize) -> Vec<usize> {
    let end = |i: usize| best.offsets[i] + buffers[i].size;
    let mut highest: Vec<usize> = (0..order.len()).collect();
    highest.sort_by_key(|&at| (std::cmp::Reverse(end(order[at])), at));
    let from = highest[attempt % highest.len().min(8)];
    let to = if attempt < 8 { 0 } else { attempt.wrapping_mul(2_654_435_761) / 8 % order.len() };
    let mut order = order.to_vec();
    let moved = order.remove(from);
    order.insert(to.min(order.len()), moved);
    order
}

fn place_in_order(buffers: &[Buffer], order: &[usize]) -> (Vec<usize>, usize) {
    let mut offsets = vec![0; buffers.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(order.len());
    let mut arena = 0;
    for &i in order {
        let meets = |j: &&usize| buffers[**j].meets(&buffers[i]) && buffers[**j].size > 0;
        let mut busy: Vec<(usize, usize)> =
            placed.iter().filter(meets).map(|&j| (offsets[j], offsets[j] + buffers[j].aligned())).collect();
        busy.sort_unstable();
        offsets[i] = lowest_gap(&busy, buffers[i].aligned());
        arena = arena.max(offsets[i] + buffers[i].aligned());
        placed.push(i);
    }
    (offsets, arena)
}

/// The lowest offset at which `size` bytes fit between the busy intervals, which are sorted by start.
fn lowest_gap(busy: &[(usize, usize)], size: usize) -> usize {
    let mut offset = 0;
    for &(start, end) in busy {
        if offset + size <= start {
            break;
        }
        offset = offset.max(end);
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn overlaps(buffers: &[Buffer], p: &Placement) -> bool {
        let lies = |i: usize| p.offsets[i]..p.offsets[i] + buffers[i].size;
        (0..buffers.len()).any(|i| {
            (0..i).any(|j| {
                let (a, b) = (lies(i), lies(j));
                buffers[i].meets(&buffers[j]) && a.start < b.end && b.start < a.end
            })
        })
    }

    #[test]
    fn a_chain_reaches_the_lower_bound() {
        let sizes = [3072, 16384, 16384, 8192, 8192, 4096, 4096, 64, 10];
        let buffers: Vec<Buffer> = sizes
            .iter()
            .enumerate()
            .map(|(i, &size)| Buffer { size, first: i.saturating_sub(1), last: i })
            .collect();
        let p = place(&buffers);
        assert_eq!((p.arena, p.lower_bound), (32768, 32768));
        assert!(!overlaps(&buffers, &p));
    }

    #[test]
    fn a_residual_chain_reaches_the_lower_bound() {
        let chain = (0..6).map(|i| Buffer { size: 1000 + 100 * i, first: i, last: i + 1 + i % 2 });
        let scratch = (0..6).map(|i| Buffer { size: 300, first: i, last: i });
        let buffers: Vec<Buffer> = chain.chain(scratch).collect();
        let p = place(&buffers);
        assert_eq!(p.arena, p.lower_bound);
        assert!(!overlaps(&buffers, &p));
    }

    proptest! {
        #[test]
        fn live_buffers_never_overlap(
            raw in prop::collection::vec((0usize..500, 0usize..12, 0usize..5), 0..24),
        ) {
            let buffers: Vec<Buffer> =
                raw.into_iter().map(|(size, first, len)| Buffer { size, first, last: first + len }).collect();
            let p = place(&buffers);
            prop_assert!(!overlaps(&buffers, &p));
            prop_assert!(p.offsets.iter().all(|o| o % ARENA_ALIGNMENT == 0));
            prop_assert!(p.arena >= p.lower_bound);
            let end = buffers.iter().zip(&p.offsets).map(|(b, o)| o + b.size).max().unwrap_or(0);
            prop_assert!(end <= p.arena || p.arena == usize::MAX);
            prop_assert_eq!(place(&buffers), p);
        }
    }
}
