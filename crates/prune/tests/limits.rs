//! Limits on RAM and time: kept, explained when they cannot be, and paid for with what costs least.

mod common;

use common::device::{all_cycles, arena, plan_after};
use common::{network, size};
use dtmm_graph::{Graph, Masks};
use dtmm_prune::{
    Limits, Method, Options, Pace, PrunePlan, Reason, Resource, ScheduleError, apply, prunable_layers,
};

fn plan(graph: &Graph, budget: u64, limits: Limits, method: Method) -> Result<PrunePlan, ScheduleError> {
    plan_after(graph, &Masks::new(), (budget, limits), &Options { method, ..Options::default() })
}

fn limited(budget: u64, ram: Option<u64>, cycles: Option<f64>) -> Result<PrunePlan, ScheduleError> {
    plan(&network(&[16, 32, 48]), budget, Limits { ram, cycles }, Method::Lagrangian)
}

#[test]
fn ram_is_met_by_removing_channels_of_the_tensors_that_bind() {
    let graph = network(&[16, 32, 48]);
    let before = arena(&graph).unwrap();
    assert_eq!(before.peak().unwrap().0, "conv2");
    for share in [0.9, 0.6, 0.3] {
        let ram = (before.bytes as f64 * share) as u64;
        let plan = limited(u64::MAX, Some(ram), None).unwrap();
        let (after, _) = apply(graph.clone(), &plan).unwrap();
        let bytes = arena(&after).unwrap().bytes;
        assert!(bytes <= ram && bytes + 400 > ram, "{share}: {bytes} of {ram}");
        assert!(plan.layers.iter().any(|l| l.reason == Reason::ChannelsRemovedForRam));
    }
}

#[test]
fn time_is_met_and_dense_layers_stay_dense_where_runs_would_be_slower() {
    let all = all_cycles(&network(&[16, 32, 48]));
    let mut lost = 0.0;
    for share in [0.9, 0.5, 0.25] {
        let plan = limited(u64::MAX, None, Some(all * share)).unwrap();
        assert!(plan.predicted_cycles <= all * share && plan.predicted_cycles > all * share * 0.9, "{share}");
        assert!(plan.importance_removed > lost, "{share}");
        let share_lost = plan.importance_removed / plan.importance_total;
        assert!(share_lost < 1.5 * (1.0 - share), "{share}: {share_lost} of the importance");
        lost = plan.importance_removed;
    }
}

#[test]
fn a_plan_keeps_the_pace_where_that_is_cheap() {
    let graph = network(&[16, 32, 48]);
    let budget = size(&graph, &Masks::new()) / 2;
    let pace = all_cycles(&graph);
    let plan = |worth| {
        let options = Options { pace: Some(Pace { cycles: pace, worth }), ..Options::default() };
        plan_after(&graph, &Masks::new(), (budget, Limits::default()), &options).unwrap()
    };
    let [free, dear] = [0.0, 1.0].map(plan);
    assert!(
        dear.predicted_cycles < 0.9 * free.predicted_cycles,
        "{} {}",
        dear.predicted_cycles,
        free.predicted_cycles
    );
    assert!(dear.predicted_bytes <= budget && dear.predicted_bytes > budget * 9 / 10);
    let more_lost = (dear.importance_removed - free.importance_removed) / free.importance_total;
    assert!((0.0..0.05).contains(&more_lost), "{more_lost}");
    assert!(dear.bound <= free.importance_removed, "the pace is no limit: {}", dear.bound);
    assert!(dear.layers.iter().all(|l| l.reason != Reason::PricedOutByLatency));
}

#[test]
fn all_limits_hold_together() {
    let graph = network(&[16, 32, 48]);
    let dense = size(&graph, &Masks::new());
    let all = all_cycles(&graph);
    let ram = arena(&graph).unwrap().bytes * 7 / 10;
    let plan = limited(dense / 3, Some(ram), Some(all * 0.4)).unwrap();
    let (after, masks) = apply(graph, &plan).unwrap();
    assert!(size(&after, &masks) <= dense / 3 && arena(&after).unwrap().bytes <= ram);
    assert!(plan.predicted_cycles <= all * 0.4);
    assert_eq!(plan, limited(dense / 3, Some(ram), Some(all * 0.4)).unwrap());
}

/// The kernels take input channels by fours.
#[test]
fn what_is_left_of_a_layer_s_channels_is_whole_blocks() {
    let graph = network(&[16, 32, 48]);
    let dense = size(&graph, &Masks::new());
    let ram = Limits { ram: Some(arena(&graph).unwrap().bytes * 6 / 10), cycles: None };
    for (method, dense_rest, limits) in [
        (Method::Lagrangian, Some(dense * 6 / 10), Limits::default()),
        (Method::Lagrangian, None, ram),
        (Method::FilterOnly, None, Limits::default()),
        (Method::FilterOnly, None, ram),
    ] {
        let options = Options { method, dense_rest, ..Options::default() };
        let plan = plan_after(&graph, &Masks::new(), (dense * 4 / 10, limits), &options).unwrap();
        let (after, _) = apply(graph.clone(), &plan).unwrap();
        let filters: Vec<usize> = prunable_layers(&after).iter().map(|l| l.layout.filters).collect();
        let inner = &filters[..filters.len() - 1];
        assert!(inner.iter().all(|n| n.is_multiple_of(4)), "{method:?} {filters:?}");
        assert!(inner.iter().zip([16, 32, 48]).any(|(n, all)| *n < all), "{method:?} {filters:?}");
    }
}

#[test]
fn each_impossible_limit_is_named_with_its_nearest_value() {
    let error = limited(4000, Some(500), Some(1500.0)).unwrap_err();
    let text = error.to_string();
    let ScheduleError::Infeasible { budgets } = error else { panic!("{text}") };
    assert_eq!(
        budgets.iter().map(|b| b.resource).collect::<Vec<_>>(),
        [Resource::Flash, Resource::Ram, Resource::Cycles]
    );
    assert!(text.contains("tensor 'conv") && text.contains("smallest feasible"), "{text}");
    let [flash, ram, time] = [0, 1, 2].map(|i: usize| budgets[i].nearest);
    assert!(budgets[1].binds() && budgets[2].binds());
    assert!(limited(flash as u64 * 2, Some(ram as u64), Some(time * 1.2)).is_ok());
}

#[test]
fn every_method_that_knows_the_device_keeps_all_limits() {
    let graph = network(&[16, 32, 48]);
    let limits =
        Limits { ram: Some(arena(&graph).unwrap().bytes * 7 / 10), cycles: Some(all_cycles(&graph) * 0.4) };
    let budget = size(&graph, &Masks::new()) / 3;
    for method in [Method::Lagrangian, Method::Uniform, Method::Anneal { seed: 4 }, Method::FilterOnly] {
        let plan = plan(&graph, budget, limits, method).unwrap_or_else(|e| panic!("{method:?}: {e}"));
        let (after, _) = apply(graph.clone(), &plan).unwrap();
        assert!(plan.predicted_bytes <= budget, "{method:?}: {}", plan.predicted_bytes);
        assert!(arena(&after).unwrap().bytes <= limits.ram.unwrap(), "{method:?}");
        assert!(plan.predicted_cycles <= limits.cycles.unwrap(), "{method:?}: {}", plan.predicted_cycles);
    }
}

#[test]
fn methods_that_know_flash_only_say_so() {
    let graph = network(&[16, 32]);
    let limits = Limits { ram: Some(4000), cycles: None };
    for method in [Method::Unstructured, Method::Pattern, Method::NInFour] {
        let error = plan(&graph, u64::MAX, limits, method).unwrap_err();
        assert!(matches!(error, ScheduleError::Limit { resource: Resource::Ram, .. }), "{error}");
    }
}
