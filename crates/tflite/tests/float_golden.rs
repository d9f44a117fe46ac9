//! Imported float models, evaluated by the graph's reference evaluator, agree with the TFLite reference kernels.

mod golden;

use golden::{Case, floats};

const TOLERANCE: f32 = 1e-4;

/// The largest deviation, relative to values above 1.
fn deviation(case: &Case) -> Option<f32> {
    let graph = case.import()?;
    let output = graph.outputs[0].tensor.index();
    let mut worst = 0f32;
    for (input, expected) in &case.samples {
        let values = dtmm_graph::reference::evaluate(&graph, &[&case.float_input(input)])
            .unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let expected = floats(expected);
        assert_eq!(values[output].len(), expected.len(), "{}", case.name);
        for (a, b) in values[output].iter().zip(expected) {
            let d = (a - b).abs() / b.abs().max(1.0);
            worst = worst.max(if d.is_nan() { f32::INFINITY } else { d });
        }
    }
    Some(worst)
}

#[test]
fn float_operators_agree() {
    let cases = golden::load("float");
    assert!(cases.len() > 100);
    let bad: Vec<_> = cases
        .iter()
        .filter_map(|c| deviation(c).filter(|&d| d > TOLERANCE).map(|d| format!("{}: {d}", c.name)))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn float_models_agree() {
    let names = [
        "ic_resnet8_f32",
        "ic_resnet8_f32_logits",
        "vww_96_float",
        "vww_96_float_logits",
        "kws_dscnn_f32",
        "kws_dscnn_f32_logits",
        "hello_world_float",
    ];
    let cases = golden::load("shared");
    for name in names {
        let case = cases.iter().find(|c| c.name == name).expect("the case is there");
        if let Some(d) = deviation(case) {
            assert!(d <= TOLERANCE, "{name}: {d}");
        }
    }
}
