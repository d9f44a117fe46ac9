//! The scheduler against a package size that it does not know in advance.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use common::device::plan_after;
use common::{network, size, sizer};
use dtmm_graph::{Graph, Masks};
use dtmm_prune::{
    Device, Importance, Limits, Options, PackageSize, PrunePlan, Request, Resource, ScheduleError, UnitKind,
    apply, schedule,
};

fn plan_for(
    graph: &Graph,
    current: &Masks,
    budget: u64,
    options: &Options,
) -> Result<PrunePlan, ScheduleError> {
    plan_after(graph, current, (budget, Limits::default()), options)
}

#[test]
fn plans_fit_use_the_budget_and_come_close_to_the_bound() {
    let graph = network(&[16, 32, 48, 64]);
    let dense = size(&graph, &Masks::new());
    for divisor in [1, 2, 3, 4, 8, 16] {
        let budget = dense / divisor;
        let plan = plan_for(&graph, &Masks::new(), budget, &Options::default()).unwrap();
        assert_eq!(plan.bytes_before, dense);
        assert!(plan.predicted_bytes <= budget, "1/{divisor}: {} > {budget}", plan.predicted_bytes);
        assert!(
            plan.predicted_bytes + 48 >= budget,
            "1/{divisor}: {} of {budget} used",
            plan.predicted_bytes
        );
        assert!(plan.gap() <= 0.02, "1/{divisor}: gap {}", plan.gap());
        assert!(plan.importance_removed >= plan.bound * 0.999_999, "1/{divisor}");
        let (pruned, masks) = apply(graph.clone(), &plan).unwrap();
        assert_eq!(size(&pruned, &masks), plan.predicted_bytes);
    }
}

#[test]
fn a_whole_budget_prunes_nothing() {
    let graph = network(&[16, 16]);
    let plan = plan_for(&graph, &Masks::new(), size(&graph, &Masks::new()), &Options::default()).unwrap();
    assert_eq!((plan.sparsity(), plan.importance_removed), (0.0, 0.0));
    assert!(plan.masks.is_empty());
}

#[test]
fn later_rounds_only_prune_more() {
    let graph = network(&[16, 32, 48]);
    let dense = size(&graph, &Masks::new());
    let first = plan_for(&graph, &Masks::new(), dense / 2, &Options::default()).unwrap();
    let (pruned, masks) = apply(graph, &first).unwrap();
    let second = plan_for(&pruned, &masks, dense / 5, &Options::default()).unwrap();
    let kept = |plan: &PrunePlan| plan.layers.iter().map(|l| l.kept_weights).sum::<usize>();
    assert!(second.predicted_bytes <= dense / 5 && kept(&second) < kept(&first));
    assert!(second.bound > 0.0 && second.gap() <= 0.02, "gap {} of the second round", second.gap());
    for (tensor, before) in &masks {
        let after = &second.masks[tensor];
        assert!(before.iter().zip(after).all(|(b, a)| *b || !a), "tensor {tensor:?} grew back");
    }
}

#[test]
fn channels_leave_to_the_dense_rest_and_units_make_the_rest_of_the_cut() {
    let graph = network(&[16, 32, 48, 64]);
    let dense = size(&graph, &Masks::new());
    let options = Options { dense_rest: Some(dense / 2), ..Options::default() };
    let first = plan_for(&graph, &Masks::new(), dense / 3, &options).unwrap();
    assert!(first.predicted_bytes <= dense / 3 && first.sparsity() > 0.5);
    let (narrow, masks) = apply(graph.clone(), &first).unwrap();
    let rest = size(&narrow, &Masks::new());
    assert!(rest <= dense / 2 && rest > dense * 2 / 5, "{rest} of {dense}");
    // A later round finds the channels as they should be.
    let second = plan_for(&narrow, &masks, dense / 4, &options).unwrap();
    assert!(second.removed.is_empty() && second.predicted_bytes <= dense / 4, "{:?}", second.removed);
    let only = Options { dense_rest: Some(dense / 3), ..Options::default() };
    let only = plan_for(&graph, &Masks::new(), dense / 3, &only).unwrap();
    assert!(only.layers.iter().all(|l| l.unit == UnitKind::Dense) && !only.removed.is_empty());
}

#[test]
fn where_too_many_channels_stay_for_the_budget_channels_make_the_cut() {
    let graph = network(&[16, 32, 48, 64]);
    let dense = size(&graph, &Masks::new());
    let options = Options { dense_rest: Some(dense), min_kept: 0.2, ..Options::default() };
    let budget = dense / 8;
    let plan = plan_for(&graph, &Masks::new(), budget, &options).unwrap();
    assert!(
        plan.predicted_bytes <= budget && plan.predicted_bytes * 10 > budget * 9,
        "{}",
        plan.predicted_bytes
    );
    assert!(!plan.removed.is_empty());
}

#[test]
fn infeasible_budgets_name_the_nearest_feasible_one() {
    let graph = network(&[16, 32, 48]);
    let options = Options { protect: vec!["conv2".into()], ..Options::default() };
    let error = plan_for(&graph, &Masks::new(), 10_000, &options).unwrap_err();
    let ScheduleError::Infeasible { budgets } = error else { panic!("{error}") };
    assert_eq!(budgets.len(), 1);
    assert_eq!((budgets[0].resource, budgets[0].place.as_str()), (Resource::Flash, "layer 'conv2'"));
    assert_eq!(budgets[0].held, f64::from(48 * 9 * 32));
    let smallest = budgets[0].nearest as u64;
    assert!(plan_for(&graph, &Masks::new(), smallest, &options).is_ok());
    assert!(plan_for(&graph, &Masks::new(), smallest / 2, &options).is_err());
}

#[test]
fn the_plan_survives_serialisation_and_is_reproducible() {
    let graph = network(&[16, 32]);
    let budget = size(&graph, &Masks::new()) / 3;
    let plan = plan_for(&graph, &Masks::new(), budget, &Options::default()).unwrap();
    assert!(plan == plan_for(&graph, &Masks::new(), budget, &Options::default()).unwrap());
    let bytes = postcard::to_stdvec(&plan).unwrap();
    assert!(postcard::from_bytes::<PrunePlan>(&bytes).unwrap() == plan);
}

#[test]
fn scores_of_another_graph_are_refused() {
    let (graph, other) = (network(&[16, 32]), network(&[16, 16]));
    let importance = Importance::magnitude_l1(&other).unwrap();
    let (current, options) = (Masks::new(), Options::default());
    let request = Request {
        graph: &graph,
        importance: &importance,
        current: &current,
        budget: 9000,
        options: &options,
        sizer: &sizer,
        device: Device::default(),
    };
    assert!(matches!(schedule(&request), Err(ScheduleError::Length { layer, .. }) if layer == "conv1"));
}

/// The work that dominates at this size is counted, not timed: tests share their machine.
#[test]
fn two_million_weights_take_few_size_evaluations() {
    let graph = network(&[64, 128, 256, 256, 384]);
    let budget = size(&graph, &Masks::new()) / 8;
    let importance = Importance::magnitude_l1(&graph).unwrap();
    let (prepared, evaluated) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let counting = |graph: &Graph| {
        prepared.set(prepared.get() + 1);
        let (size, evaluated) = (sizer(graph)?, evaluated.clone());
        let count: PackageSize = Box::new(move |masks| {
            evaluated.set(evaluated.get() + 1);
            size(masks)
        });
        Ok(count)
    };
    let (current, options) = (Masks::new(), Options::default());
    let start = Instant::now();
    let request = Request {
        graph: &graph,
        importance: &importance,
        current: &current,
        budget,
        options: &options,
        sizer: &counting,
        device: Device::default(),
    };
    let plan = schedule(&request).unwrap();
    let weights: usize = plan.layers.iter().map(|l| l.total_weights).sum();
    let (prepared, evaluated) = (prepared.get(), evaluated.get());
    println!(
        "{weights} weights: {prepared} graphs, {evaluated} sizes, {:.2} s",
        start.elapsed().as_secs_f64()
    );
    assert!(prepared <= 40 && evaluated <= 200, "{prepared} graphs, {evaluated} sizes");
}
