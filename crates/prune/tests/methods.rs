//! The methods that the scheduler is compared with: each keeps its budget and its own structure.

mod common;

use common::device::{all_cycles, plan_after};
use common::{network, size};
use dtmm_graph::{Graph, Masks};
use dtmm_prune::{
    Index, Limits, Method, Options, PrunePlan, ScheduleError, UnitKind, apply, prunable_layers, stored,
};

const ALL: [Method; 9] = [
    Method::Lagrangian,
    Method::Uniform,
    Method::Anneal { seed: 1 },
    Method::FilterOnly,
    Method::Unstructured,
    Method::Pattern,
    Method::OneInFour,
    Method::TwoInFour,
    Method::NInFour,
];

fn plan_by(method: Method, graph: &Graph, budget: u64) -> Result<PrunePlan, ScheduleError> {
    let options = Options { method, ..Options::default() };
    plan_after(graph, &Masks::new(), (budget, Limits::default()), &options)
}

#[test]
fn every_method_keeps_its_budget_and_prunes_what_it_says() {
    let graph = network(&[16, 32, 48]);
    let dense = size(&graph, &Masks::new());
    let budget = dense * 7 / 10;
    for method in ALL {
        let plan = plan_by(method, &graph, budget).unwrap();
        assert!(plan.predicted_bytes <= budget, "{method:?}: {}", plan.predicted_bytes);
        assert!(plan.sparsity() > 0.1, "{method:?}: {}", plan.sparsity());
        assert!(
            plan.bound > 0.0 && plan.bound <= plan.importance_removed * 1.000_001,
            "{method:?}: {}",
            plan.bound
        );
        assert!(
            plan.importance_removed > 0.0 && plan.importance_removed < plan.importance_total,
            "{method:?}"
        );
        for row in &plan.layers {
            let mask = plan.masks.get(&row.weights);
            let kept = mask.map_or(row.total_weights, |m| m.iter().filter(|k| **k).count());
            assert_eq!(row.kept_weights, kept, "{method:?} {}", row.name);
            assert!(kept > 0, "{method:?} {}: nothing left", row.name);
        }
        let (pruned, masks) = apply(graph.clone(), &plan).unwrap();
        pruned.verify().unwrap();
        if method.has_package() {
            assert!(size(&pruned, &masks) <= plan.predicted_bytes, "{method:?}");
        }
    }
}

#[test]
fn a_whole_budget_leaves_the_model_alone() {
    let graph = network(&[16, 32]);
    let dense = size(&graph, &Masks::new());
    for method in ALL {
        let plan = plan_by(method, &graph, dense).unwrap();
        assert_eq!(plan.sparsity(), 0.0, "{method:?}");
    }
}

#[test]
fn impossible_budgets_are_refused_by_every_method() {
    let graph = network(&[16, 32]);
    for method in ALL {
        let error = plan_by(method, &graph, 300).unwrap_err();
        assert!(
            matches!(error, ScheduleError::Infeasible { budgets } if budgets[0].nearest > 300.0),
            "{method:?}"
        );
    }
}

#[test]
fn the_scheduler_loses_least() {
    let graph = network(&[16, 32, 48, 64]);
    let dense = size(&graph, &Masks::new());
    for divisor in [2, 4] {
        let lost =
            |m: Method| plan_by(m, &graph, dense / divisor).map_or(f64::INFINITY, |p| p.importance_removed);
        let ours = lost(Method::Lagrangian);
        for method in [Method::Uniform, Method::Anneal { seed: 3 }, Method::FilterOnly] {
            assert!(ours <= lost(method), "1/{divisor}: {method:?} loses less");
        }
    }
}

#[test]
fn filter_only_plans_leave_dense_layers() {
    let graph = network(&[16, 32, 48]);
    let budget = size(&graph, &Masks::new()) / 2;
    let plan = plan_by(Method::FilterOnly, &graph, budget).unwrap();
    assert!(!plan.removed.is_empty());
    let (pruned, masks) = apply(graph, &plan).unwrap();
    assert!(masks.is_empty(), "what is left is dense");
    assert_eq!(size(&pruned, &masks), plan.predicted_bytes);
}

#[test]
fn each_method_keeps_its_structure() {
    let graph = network(&[16, 32, 48]);
    let dense = size(&graph, &Masks::new());
    let plan = plan_by(Method::TwoInFour, &graph, dense * 7 / 10).unwrap();
    for (row, layer) in plan.layers.iter().zip(prunable_layers(&graph)) {
        if row.unit == UnitKind::OfFour {
            let filterlets = plan.masks[&row.weights].chunks(layer.layout.channels);
            let groups = filterlets.flat_map(|f| f.chunks(4));
            assert!(groups.into_iter().all(|g| g.iter().filter(|k| **k).count() == 2));
        }
    }
}

/// What annealing leaves of each layer is whole filterlets over the channels that stay, and the package is as small as
/// it says with two bytes for each of them and for each filter.
#[test]
fn annealing_takes_filters_with_their_channels_and_whole_filterlets() {
    let graph = network(&[16, 32, 48]);
    let budget = size(&graph, &Masks::new()) / 3;
    let method = Method::Anneal { seed: 2 };
    let plan = plan_by(method, &graph, budget).unwrap();
    let (pruned, masks) = apply(graph.clone(), &plan).unwrap();
    let mut sparse = 0;
    for layer in prunable_layers(&pruned) {
        let Some(mask) = masks.get(&layer.weights) else { continue };
        let whole = |f: &[bool]| f.iter().all(|k| *k) || !f.contains(&true);
        assert!(mask.chunks(layer.layout.channels).all(whole), "{}", layer.name);
        sparse += usize::from(layer.layout.positions > 1);
    }
    assert!(sparse > 0 && plan.layers.iter().any(|l| l.index == Index::Pairs));
    let layers = stored(&pruned, &masks, method).unwrap();
    let dense: usize = prunable_layers(&pruned).iter().map(|l| l.layout.len()).sum();
    let own: u64 = layers.iter().map(|l| l.weight_bytes + l.index_bytes).sum();
    let bytes = size(&pruned, &Masks::new()) - dense as u64 + own;
    assert!(bytes <= budget, "{bytes} of {budget}");
    let pairs = layers.iter().find(|l| l.index == Index::Pairs).unwrap();
    let filters = prunable_layers(&pruned).iter().find(|l| l.name == pairs.name).unwrap().layout.filters;
    assert_eq!(pairs.index_bytes, 2 * pairs.units + 2 * filters as u64);
}

#[test]
fn annealing_keeps_its_threshold_and_uses_it_for_time() {
    let graph = network(&[16, 32, 48]);
    let method = Method::Anneal { seed: 2 };
    let mut time = all_cycles(&graph);
    for threshold in [0.02, 0.1, 0.3] {
        let options = Options { method, importance_threshold: Some(threshold), ..Options::default() };
        let plan = plan_after(&graph, &Masks::new(), (u64::MAX, Limits::default()), &options).unwrap();
        assert!(plan.importance_removed <= threshold * plan.importance_total, "{threshold}");
        assert!(plan.predicted_cycles < time, "{threshold}: {} of {time}", plan.predicted_cycles);
        time = plan.predicted_cycles;
    }
    // A budget that the threshold does not allow.
    let options = Options { method, importance_threshold: Some(0.02), ..Options::default() };
    let budget = size(&graph, &Masks::new()) / 4;
    let error = plan_after(&graph, &Masks::new(), (budget, Limits::default()), &options).unwrap_err();
    assert!(matches!(error, ScheduleError::Threshold { .. }), "{error}");
}

#[test]
fn annealing_depends_on_its_seed_only() {
    let graph = network(&[16, 32]);
    let budget = size(&graph, &Masks::new()) / 2;
    let plan = |seed| plan_by(Method::Anneal { seed }, &graph, budget).unwrap();
    assert!(plan(5) == plan(5));
}
