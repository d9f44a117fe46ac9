//! Fits cores and writes the model, as `dtmm calibrate` does, with much less to build:
//! `cargo run --release -p dtmm-calibrate --example fit full crates/cost/data/model.json measured.txt m0 m3 m4 m7 m55`.
//! What was measured is kept in `measured.txt` and not measured again with the same firmware, so that a change to what is
//! counted of a layer is fitted in seconds. With `rows` behind the cores every measured layer is printed with what the numbers say of it.

use dtmm_calibrate::{CoreFit, Kept, Size, calibrate, store};
use dtmm_cost::{CostModel, Kernel};

const SEED: u64 = 1;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [size, path, kept, cores @ ..] = &arguments[..] else {
        return Err("give size, model, measurements and cores".into());
    };
    let size = if size == "quick" { Size::Quick } else { Size::Full };
    let mut model = read(path)?;
    let mut kept = Kept::open(kept.as_ref())?;
    for core in cores.iter().filter(|c| *c != "rows") {
        let fit = calibrate(core.parse()?, size, SEED, &mut kept, &mut |done, all| {
            eprint!("\r{core} {done}/{all} ");
            true
        })?;
        eprintln!();
        if cores.iter().any(|c| c == "rows") {
            rows(&fit);
        }
        summary(&fit);
        store(&mut model, &fit);
    }
    std::fs::write(path, serde_json::to_string_pretty(&model)? + "\n")?;
    Ok(())
}

/// The model; one with counts that are no longer known without its measured kernels, so that all cores have to be given.
fn read(path: &str) -> Result<CostModel, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(path)?;
    if let Ok(model) = CostModel::from_json(&text) {
        return Ok(model);
    }
    let mut model: serde_json::Value = serde_json::from_str(&text)?;
    let cores = model["cores"].as_object_mut().into_iter().flat_map(|cores| cores.values_mut());
    for kernels in cores.filter_map(|core| core["kernels"].as_object_mut()) {
        kernels.retain(|name, _| {
            let kernel = serde_json::from_value::<Kernel>(name.as_str().into());
            kernel.is_ok_and(|kernel| !Kernel::REAL.contains(&kernel))
        });
    }
    Ok(CostModel::from_json(&model.to_string())?)
}

fn rows(fit: &CoreFit) {
    for l in &fit.layers {
        let predicted = fit.kernels[&l.kernel].coefficients.instructions(&l.work);
        let error = predicted / l.instructions - 1.0;
        println!(
            "ROW\t{:?}\t{}\t{:+.4}\t{}\t{}\t{:?}",
            l.kernel, l.held_out, error, l.instructions, l.name, l.work
        );
    }
}

fn summary(fit: &CoreFit) {
    for (kernel, f) in &fit.kernels {
        let r = f.coefficients.fit.unwrap_or_default();
        println!(
            "{} {kernel:?} {}/{} median {:.4} max {:.4} {}",
            fit.core, r.fitted, r.held_out, r.median, r.max, f.worst
        );
        println!("    {:?}", f.coefficients.instructions);
    }
    println!("{} ALL {:?}", fit.core, fit.all);
    println!("{} REGRET {:.4} {:?}", fit.core, fit.regret.max(), fit.regret);
}
