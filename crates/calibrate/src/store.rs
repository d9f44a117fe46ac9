//! Puts fitted numbers into a cost model.

use dtmm_boards::Core as On;
use dtmm_cost::{Basis, Coefficients, CostModel};
use dtmm_emulate::Core;

use crate::fitted::{CoreFit, KernelFit};

/// The cores that run an emulated core's code: its own first, then those whose numbers are taken from it.
fn cores(core: Core) -> (On, &'static [On]) {
    match core {
        Core::M0 => (On::M0, &[On::M0Plus]),
        Core::M3 => (On::M3, &[]),
        Core::M4 => (On::M4, &[On::M7, On::M33]),
        Core::M7 => (On::M7, &[]),
        Core::M55 => (On::M55, &[On::M85]),
    }
}

/// Stores the numbers of a core and of those that run the same code. The M0+ has the same instructions and a timing table
/// of its own; of the M7, M33 and M85 only the instructions are told by another core, so their error is an estimate.
pub fn store(model: &mut CostModel, fit: &CoreFit) {
    let (own, others) = cores(fit.core);
    for &core in [own].iter().chain(others) {
        let Some(costs) = model.cores.get_mut(&core) else { continue };
        costs.fit = (core == own).then_some(fit.all);
        for (&kernel, fitted) in &fit.kernels {
            costs.kernels.insert(kernel, numbers(core, own, fitted));
        }
    }
}

fn numbers(core: On, own: On, fitted: &KernelFit) -> Coefficients {
    let numbers = fitted.coefficients.clone();
    match core {
        _ if core == own => numbers,
        On::M0Plus => Coefficients { cycles: fitted.twin_cycles.clone(), ..numbers },
        _ => Coefficients { cycles: Default::default(), fit: None, basis: Basis::Estimated, ..numbers },
    }
}
