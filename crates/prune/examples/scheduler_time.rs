//! Processor time of the scheduler for 1.85 million weights under mixes of budgets:
//! `cargo run --release -p dtmm-prune --example scheduler_time [METHOD]`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::error::Error;
use std::time::Instant;

use common::device::{all_cycles, arena, plan_after};
use common::{network, size};
use dtmm_graph::Masks;
use dtmm_prune::{Limits, Method, Options};

/// Seconds of processor time that this process has used; wall time where the system does not tell.
fn seconds(start: Instant) -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let ticks = || {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let after_name = stat.rsplit_once(')')?.1;
        let mut fields = after_name.split_whitespace().skip(11);
        Some(fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?)
    };
    ticks().map_or_else(|| start.elapsed().as_secs_f64(), |t| t / TICKS_PER_SECOND)
}

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "lagrangian".into());
    let method = Method::from_name(&name, 0).ok_or("no such method")?;
    let options = Options { method, ..Options::default() };
    let graph = network(&[64, 128, 256, 256, 384]);
    let (bytes, ram, cycles) = (size(&graph, &Masks::new()), arena(&graph)?.bytes, all_cycles(&graph));
    let none = (u64::MAX, Limits::default());
    let (flash, half_ram, fast) = (bytes / 8, Some(ram / 2), Some(cycles * 0.25));
    let mixes = [
        ("flash 1/8", (flash, none.1)),
        ("RAM 1/2", (none.0, Limits { ram: half_ram, cycles: None })),
        ("latency 1/4", (none.0, Limits { ram: None, cycles: fast })),
        ("flash 1/8, RAM 1/2", (flash, Limits { ram: half_ram, cycles: None })),
        ("flash 1/8, latency 1/4", (flash, Limits { ram: None, cycles: fast })),
        ("all three", (flash, Limits { ram: half_ram, cycles: fast })),
    ];
    let start = Instant::now();
    for (mix, limits) in mixes {
        let before = seconds(start);
        let plan = plan_after(&graph, &Masks::new(), limits, &options)?;
        println!(
            "{name}, {mix}: {:.2} s; {:.3} of the importance removed, gap {:.4}",
            seconds(start) - before,
            plan.importance_removed / plan.importance_total,
            plan.gap()
        );
    }
    Ok(())
}
