//! Plain stacks of convolutions.

use dtmm_graph::TensorId;

use super::build::Build;

/// The network of the DTMM prototype.
pub(crate) fn vgg11(b: &mut Build, classes: usize) -> TensorId {
    stack(b, &[&[32, 32], &[64, 64], &[128, 128, 128], &[256, 256, 256]], classes)
}

/// Large enough to prune, small enough to train in seconds.
pub(crate) fn demo_cnn(b: &mut Build, classes: usize) -> TensorId {
    stack(b, &[&[16], &[32], &[48]], classes)
}

/// Groups of 3×3 convolutions with a 2×2 maximum after each group, and a dense layer.
fn stack(b: &mut Build, groups: &[&[usize]], classes: usize) -> TensorId {
    let mut x = b.input();
    for group in groups {
        for &o in *group {
            x = b.conv(x, o, [3, 3], 1, true);
        }
        x = b.max_pool(x);
    }
    let x = b.flatten(x);
    b.dense(x, classes)
}
