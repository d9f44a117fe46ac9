//! A network and a package writer's size that the scheduler does not know in advance.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod device;

use dtmm_format::fwcs::{RunShape, bitmap_bytes, gap_bytes, kept_weights};
use dtmm_graph::{Activation, Graph, GraphBuilder, Masks, Op};
use dtmm_prune::{PackageSize, PrunableLayer, UnitKind, prunable_layers};

/// VGG-like stack of 3×3 convolutions with a dense layer; weights are seeded.
pub fn network(widths: &[usize]) -> Graph {
    let mut b = GraphBuilder::new("net");
    let mut x = b.input("x", [1, 8, 8, 3]);
    let mut channels = 3;
    for (i, &width) in widths.iter().enumerate() {
        let w = weights(width * 9 * channels, 9 * channels, i as u64);
        let w = b.constant(&format!("w{i}"), &[width, 3, 3, channels], w);
        x = b.conv2d(&format!("conv{i}"), x, w, None, [1, 1], true, Activation::Relu);
        channels = width;
    }
    let x = b.op("mean", Op::Mean { axes: vec![1, 2] }, &[x]);
    let w = b.constant("fc", &[10, channels], weights(10 * channels, channels, 99));
    let y = b.op("dense", Op::FullyConnected { activation: Activation::None }, &[x, w]);
    b.finish(&[y]).unwrap()
}

/// Seeded values with the spread of a usual initialisation, most of them small.
fn weights(n: usize, fan_in: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(|_| next() * next().abs() / (fan_in as f32).sqrt()).collect()
}

/// A package writer's size: header, 12 bytes per filter, and the cheapest of dense, bitmaps and gaps, aligned.
pub fn size(graph: &Graph, masks: &Masks) -> u64 {
    let layer = |l: PrunableLayer| {
        let fixed = 40 + 12 * l.layout.filters;
        let Some(mask) = masks.get(&l.weights) else { return fixed + l.layout.len() };
        let stored = |kind: UnitKind| {
            let group = kind.group(l.layout.channels);
            let kept: Vec<bool> = mask
                .chunks(l.layout.channels)
                .flat_map(|f| f.chunks(group).map(|run| run.contains(&true)))
                .collect();
            let shape = RunShape {
                filters: l.layout.filters,
                positions: l.layout.positions,
                channels: l.layout.channels,
                group,
            };
            let index = bitmap_bytes(&shape).min(gap_bytes(kept.iter().copied()));
            (index + kept_weights(&shape, kept)).next_multiple_of(4)
        };
        let kinds = [4, 8, 16].map(UnitKind::SubFilterlet).into_iter().chain([UnitKind::Filterlet]);
        fixed + kinds.map(stored).min().unwrap().min(l.layout.len())
    };
    let layers = prunable_layers(graph).into_iter();
    64 + layers.map(|l| layer(l).next_multiple_of(4) as u64).sum::<u64>()
}

pub fn sizer(graph: &Graph) -> Result<PackageSize, String> {
    let graph = graph.clone();
    Ok(Box::new(move |masks| size(&graph, masks)))
}
