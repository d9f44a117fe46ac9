//! Networks built from 1×1 and depthwise convolutions.

use dtmm_graph::{Activation, TensorId};

use super::build::Build;

/// MLPerf Tiny's keyword spotting network.
pub(crate) fn ds_cnn(b: &mut Build, classes: usize) -> TensorId {
    let input = b.input();
    let mut x = b.conv(input, 64, [10, 4], 2, true);
    for _ in 0..4 {
        x = b.depthwise(x, 1);
        x = b.conv(x, 64, [1, 1], 1, true);
    }
    let x = b.global_average(x);
    b.dense(x, classes)
}

/// Stride and channels (at full width) of MobileNet v1's separable blocks.
const MOBILENET: [(usize, usize); 13] = [
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (2, 1024),
    (1, 1024),
];

/// MobileNet v1 at width 0.25. Images below 64 pixels keep their size in the stem.
pub(crate) fn mobilenet(b: &mut Build, classes: usize) -> TensorId {
    let input = b.input();
    let [h, w, _] = b.dims(input);
    let mut x = b.conv(input, 8, [3, 3], if h.min(w) < 64 { 1 } else { 2 }, true);
    for (stride, channels) in MOBILENET {
        x = b.depthwise(x, stride);
        x = b.conv(x, channels / 4, [1, 1], 1, true);
    }
    let x = b.global_average(x);
    b.dense(x, classes)
}

/// Squeeze and expand channels of the fire modules; `None` is a 2×2 maximum.
const FIRES: [Option<(usize, usize)>; 9] = [
    Some((16, 32)),
    Some((16, 32)),
    None,
    Some((24, 48)),
    Some((24, 48)),
    None,
    Some((32, 64)),
    Some((32, 64)),
    Some((48, 96)),
];

/// A small SqueezeNet with batch norm: half of the expanded channels come from 1×1, half from 3×3 filters.
pub(crate) fn squeezenet(b: &mut Build, classes: usize) -> TensorId {
    let input = b.input();
    let mut x = b.conv(input, 32, [3, 3], 1, true);
    x = b.max_pool(x);
    for fire in FIRES {
        x = match fire {
            Some((squeeze, expand)) => {
                let s = b.conv(x, squeeze, [1, 1], 1, true);
                let (one, three) = (b.conv(s, expand, [1, 1], 1, true), b.conv(s, expand, [3, 3], 1, true));
                b.concat(&[one, three])
            }
            None => b.max_pool(x),
        };
    }
    let x = b.plain_conv(x, classes, 1, Activation::None);
    b.global_average(x)
}
