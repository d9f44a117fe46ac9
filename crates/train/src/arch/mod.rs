//! Architectures to train from scratch.

mod build;
mod mobile;
mod residual;
mod vgg;

use dtmm_graph::Graph;

use crate::TrainError;
use build::Build;

type Body = fn(&mut Build, usize) -> dtmm_graph::TensorId;

/// Name, what it is, and the function that adds its layers behind the input and returns the logits.
const ARCHITECTURES: [(&str, &str, Body); 7] = [
    ("vgg11", "ten 3x3 convolutions (32, 32 | 64, 64 | 128 x3 | 256 x3) and a dense layer", vgg::vgg11),
    ("resnet12", "stem 32, residual stages 32, 64, 128, 256, dense", residual::resnet12),
    ("resnet8", "MLPerf Tiny image classification: stem 16, stages 16, 32, 64", residual::resnet8),
    ("squeezenet", "small SqueezeNet: seven fire modules and a 1x1 classifier", mobile::squeezenet),
    ("ds-cnn", "MLPerf Tiny keyword spotting: four depthwise-separable blocks of 64", mobile::ds_cnn),
    ("mobilenet-v1-025", "MobileNet v1 at width 0.25", mobile::mobilenet),
    ("demo-cnn", "three small convolutions, trained in seconds", vgg::demo_cnn),
];

/// Names and one-line descriptions of all architectures.
pub fn list() -> impl Iterator<Item = (&'static str, &'static str)> {
    ARCHITECTURES.iter().map(|a| (a.0, a.1))
}

/// The architecture `name` for inputs `[h, w, c]` and so many classes, initialised from `seed`; it ends with a softmax.
///
/// # Errors
/// The name is unknown, or the input is too small for the architecture.
pub fn build(name: &str, input: [usize; 3], classes: usize, seed: u64) -> Result<Graph, TrainError> {
    let fail = |what: String| TrainError::Arch { name: name.to_owned(), what };
    let Some((_, _, body)) = ARCHITECTURES.iter().find(|a| a.0 == name) else {
        let names: Vec<&str> = ARCHITECTURES.iter().map(|a| a.0).collect();
        return Err(fail(format!("unknown; choose one of {}", names.join(", "))));
    };
    if input.contains(&0) || classes < 2 {
        return Err(fail(format!("needs a non-empty input and 2 classes or more, got {input:?}, {classes}")));
    }
    let mut b = Build::new(name, input, seed);
    let logits = body(&mut b, classes);
    b.finish(logits).map_err(|e| fail(format!("does not fit input {input:?}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv_shapes(name: &str) -> Vec<Vec<usize>> {
        let g = build(name, [32, 32, 3], 10, 1).unwrap();
        let weighted = g.nodes.iter().filter(|n| n.op.has_weights());
        weighted.map(|n| g.tensor(n.inputs[1]).shape.clone()).collect()
    }

    #[test]
    fn vgg11_and_resnet12_are_the_prototypes_networks() {
        let vgg: Vec<usize> = conv_shapes("vgg11").iter().map(|s| s[0]).collect();
        assert_eq!(vgg, [32, 32, 64, 64, 128, 128, 128, 256, 256, 256, 10]);
        let shapes = conv_shapes("resnet12");
        let resnet: Vec<(usize, usize)> =
            shapes.iter().map(|s| (s[0], s[1..s.len() - 1].iter().product())).collect();
        let stage = |o| [(o, 9), (o, 9), (o, 1)];
        let mut want = vec![(32, 9), (32, 9), (32, 9)];
        want.extend([64, 128, 256].into_iter().flat_map(stage));
        want.push((10, 1));
        assert_eq!(resnet, want);
    }

    #[test]
    fn every_architecture_builds_for_small_and_odd_inputs() {
        for (name, _) in list() {
            for input in [[32, 32, 3], [28, 28, 1], [49, 10, 1], [61, 13, 1], [96, 96, 3], [16, 16, 1]] {
                let g = build(name, input, 7, 3).unwrap();
                assert_eq!(g.tensor(g.outputs[0].tensor).shape, [1, 1, 1, 7], "{name} {input:?}");
                assert_eq!(g, build(name, input, 7, 3).unwrap());
                assert_ne!(g, build(name, input, 7, 4).unwrap());
            }
        }
        assert!(build("vgg12", [32, 32, 3], 10, 1).unwrap_err().to_string().contains("vgg11"));
    }
}
