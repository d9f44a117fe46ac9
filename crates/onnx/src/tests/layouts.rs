//! Property: whatever Transposes and Reshapes a model strings together, the imported graph computes the same.

use proptest::prelude::*;

use super::*;

/// A model input with the elements 0, 1, 2, … followed through the same steps, the plain way.
struct Plain {
    dims: Vec<usize>,
    values: Vec<f32>,
}

impl Plain {
    fn transpose(&self, perm: &[usize]) -> Plain {
        let mut strides = vec![1; self.dims.len()];
        for i in (1..self.dims.len()).rev() {
            strides[i - 1] = strides[i] * self.dims[i];
        }
        let dims: Vec<usize> = perm.iter().map(|&p| self.dims[p]).collect();
        let values = (0..self.values.len())
            .map(|mut i| {
                let mut source = 0;
                for (a, &d) in dims.iter().enumerate().rev() {
                    source += i % d * strides[perm[a]];
                    i /= d;
                }
                self.values[source]
            })
            .collect();
        Plain { dims, values }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Transpose(Vec<u8>),
    Reshape(Vec<u8>),
    Relu,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 5).prop_map(Step::Transpose),
        prop::collection::vec(any::<u8>(), 5).prop_map(Step::Reshape),
        Just(Step::Relu),
    ]
}

/// A permutation that keeps the batch in front.
fn permutation(seed: &[u8], rank: usize) -> Vec<usize> {
    let mut rest: Vec<usize> = (1..rank).collect();
    rest.sort_by_key(|&a| seed[a % seed.len()].wrapping_mul(a as u8 | 1));
    std::iter::once(0).chain(rest).collect()
}

/// The element count spread over up to five axes, prime by prime.
fn shape(seed: &[u8], count: usize) -> Vec<usize> {
    let rank = 1 + seed[0] as usize % 4;
    let mut dims = vec![1; rank];
    let (mut left, mut k) = (count, 0);
    for prime in [2, 3, 5, 7] {
        while left % prime == 0 {
            left /= prime;
            k += 1;
            dims[(seed[k % seed.len()] as usize + k) % rank] *= prime;
        }
    }
    std::iter::once(1).chain(dims).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chains_of_layout_changes_compute_the_same(
        dims in prop::collection::vec(prop::sample::select(vec![1i64, 2, 3, 4, 6]), 1..4),
        steps in prop::collection::vec(step(), 1..7),
    ) {
        let dims: Vec<i64> = std::iter::once(1).chain(dims).collect();
        let count = dims.iter().product::<i64>() as usize;
        let values = (0..count).map(|i| i as f32).collect();
        let mut plain = Plain { dims: dims.iter().map(|&d| d as usize).collect(), values };
        let mut model = Model::new(&dims);
        let mut last = "x".to_owned();
        for (i, step) in steps.iter().enumerate() {
            let next = format!("v{i}");
            match step {
                Step::Relu => model = model.node("Relu", &[&last], &next),
                Step::Transpose(seed) => {
                    let perm = permutation(seed, plain.dims.len());
                    let ints: Vec<i64> = perm.iter().map(|&p| p as i64).collect();
                    model = model.node("Transpose", &[&last], &next).ints("perm", &ints);
                    plain = plain.transpose(&perm);
                }
                Step::Reshape(seed) => {
                    plain.dims = shape(seed, count);
                    let target: Vec<i64> = plain.dims.iter().map(|&d| d as i64).collect();
                    let name = format!("s{i}");
                    model = model.indices(&name, &target).node("Reshape", &[&last, &name], &next);
                }
            }
            last = next;
        }
        let model = model.node("Relu", &[&last], "y");
        let graph = model.import().expect("a graph");
        prop_assert_eq!(&graph.outputs[0].source_shape, &plain.dims);
        // The input is given in the order that the port asks for, the output read back the same way.
        let input = Plain {
            dims: dims.iter().map(|&d| d as usize).collect(),
            values: (0..count).map(|i| i as f32).collect(),
        };
        let x = input.transpose(&graph.inputs[0].perm).values;
        let mut executor = dtmm_train::Executor::new(&graph, Default::default()).expect("an executor");
        let y = executor.forward(1, &[&x], dtmm_train::Mode::Inference).expect("a result").to_vec();
        prop_assert_eq!(y, plain.transpose(&graph.outputs[0].perm).values);
    }
}
