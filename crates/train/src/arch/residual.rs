//! Residual networks.

use dtmm_graph::TensorId;

use super::build::Build;

/// The network of the DTMM prototype: twelve convolutions (shortcuts included) and a dense layer.
pub(crate) fn resnet12(b: &mut Build, classes: usize) -> TensorId {
    resnet(b, 32, &[(32, 1), (64, 2), (128, 2), (256, 2)], classes)
}

/// MLPerf Tiny's image classification network.
pub(crate) fn resnet8(b: &mut Build, classes: usize) -> TensorId {
    resnet(b, 16, &[(16, 1), (32, 2), (64, 2)], classes)
}

/// A stem, one block of two convolutions for each (channels, stride), global average, dense.
fn resnet(b: &mut Build, stem: usize, stages: &[(usize, usize)], classes: usize) -> TensorId {
    let input = b.input();
    let mut x = b.conv(input, stem, [3, 3], 1, true);
    for &(o, stride) in stages {
        let inner = b.conv(x, o, [3, 3], stride, true);
        let y = b.conv(inner, o, [3, 3], 1, false);
        let shortcut = if stride == 1 { x } else { b.conv(x, o, [1, 1], stride, false) };
        x = b.add(y, shortcut);
    }
    let x = b.global_average(x);
    b.dense(x, classes)
}
