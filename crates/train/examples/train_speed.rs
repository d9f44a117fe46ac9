//! Images per second of a training step: `train_speed ARCH BATCH THREADS SECONDS`, printed as one JSON line.

use std::time::Instant;

use dtmm_data::{Dataset, Samples};
use dtmm_train::{Augmentation, FitOptions, Observer, Progress, TrainError, arch, fit};

/// Steps that are not measured.
const WARM_UP: usize = 3;

/// Collects step times until the time is over.
struct Clock {
    last: Instant,
    steps: Vec<f64>,
    seconds: f64,
}

impl Observer for Clock {
    fn step(&mut self, _: &Progress) {
        self.steps.push(self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }

    fn interrupted(&mut self) -> bool {
        self.steps.iter().sum::<f64>() > self.seconds && self.steps.len() > WARM_UP + 4
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [arch, batch, threads, seconds] = &args[..] else {
        return Err("usage: train_speed ARCH BATCH THREADS SECONDS".into());
    };
    let (batch, threads): (usize, usize) = (batch.parse()?, threads.parse()?);
    let shape = if arch == "ds-cnn" { [49, 10, 1] } else { [32, 32, 3] };
    let graph = arch::build(arch, shape, 10, 1)?;
    let data = noise(shape, batch * 16);
    let augmentation = Augmentation::none();
    let options =
        FitOptions { batch, threads, epochs: 10_000, lr: 1e-4, augmentation, ..FitOptions::default() };
    let mut clock = Clock { last: Instant::now(), steps: vec![], seconds: seconds.parse()? };
    match fit(&graph, &data, None, &options, &mut clock) {
        Err(TrainError::Interrupted { .. }) | Ok(_) => {}
        Err(e) => return Err(e.into()),
    }
    let mut steps = clock.steps.split_off(WARM_UP);
    steps.sort_by(f64::total_cmp);
    let rate = |seconds: f64| batch as f64 / seconds;
    println!(
        "{{\"arch\":\"{arch}\",\"batch\":{batch},\"threads\":{threads},\"steps\":{},\"median\":{:.1},\"best\":{:.1}}}",
        steps.len(),
        rate(steps[steps.len() / 2]),
        rate(steps[0])
    );
    Ok(())
}

/// Samples without meaning.
fn noise(shape: [usize; 3], count: usize) -> Dataset {
    let len = count * shape.iter().product::<usize>();
    let samples = Samples::F32((0..len).map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.0).collect());
    let labels = (0..count).map(|i| (i % 10) as u32).collect();
    Dataset {
        name: "noise".into(),
        shape,
        samples,
        labels,
        classes: (0..10).map(|c| c.to_string()).collect(),
    }
}
