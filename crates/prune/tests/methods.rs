//! The methods that the scheduler is compared with: each keeps its budget and its own structure.

mod common;

use common::{network, size, sizer};
use dtmm_graph::{Graph, Masks};
use dtmm_prune::{
    Device, Importance, Index, Method, Options, PrunePlan, Request, ScheduleError, UnitKind, apply,
    prunable_layers, schedule,
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
    let importance = Importance::magnitude_l1(graph).unwrap();
    let (current, options) = (Masks::new(), Options { method, ..Options::default() });
    schedule(&Request {
        graph,
        importance: &importance,
        current: &current,
        budget,
        options: &options,
        sizer: &sizer,
        device: Device::default(),
    })
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
    let plan = plan_by(Method::Anneal { seed: 2 }, &graph, dense / 2).unwrap();
    for (row, layer) in plan.layers.iter().zip(prunable_layers(&graph)) {
        if row.index == Index::Pairs {
            let whole = |f: &[bool]| f.iter().all(|k| *k) || !f.contains(&true);
            assert!(plan.masks[&row.weights].chunks(layer.layout.channels).all(whole));
        }
    }
}

#[test]
fn annealing_depends_on_its_seed_only() {
    let graph = network(&[16, 32]);
    let budget = size(&graph, &Masks::new()) / 2;
    let plan = |seed| plan_by(Method::Anneal { seed }, &graph, budget).unwrap();
    assert!(plan(5) == plan(5));
}
