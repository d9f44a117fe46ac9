//! Images per second of a training step: `train_speed ARCH BATCH THREADS SECONDS`, printed as one JSON line.
//!
//! `cpu` counts images per second of processor time, where the system tells it: with one thread a measure that other
//! work on the machine hardly moves.

use std::time::Instant;

use dtmm_data::{Dataset, Samples};
use dtmm_train::{Augmentation, FitOptions, Observer, Progress, TrainError, arch, fit};

/// Steps that are not measured.
const WARM_UP: usize = 3;

/// Collects step times until the time is over.
struct Clock {
    last: Instant,
    last_cpu: f64,
    steps: Vec<f64>,
    cpu: Vec<f64>,
    seconds: f64,
}

impl Observer for Clock {
    fn step(&mut self, _: &Progress) {
        self.steps.push(self.last.elapsed().as_secs_f64());
        let cpu = cpu_seconds();
        self.cpu.push(cpu - self.last_cpu);
        (self.last, self.last_cpu) = (Instant::now(), cpu);
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
    let mut clock = Clock {
        last: Instant::now(),
        last_cpu: cpu_seconds(),
        steps: vec![],
        cpu: vec![],
        seconds: seconds.parse()?,
    };
    match fit(&graph, &data, None, &options, &mut clock) {
        Err(TrainError::Interrupted { .. }) | Ok(_) => {}
        Err(e) => return Err(e.into()),
    }
    let (mut steps, mut cpu) = (clock.steps.split_off(WARM_UP), clock.cpu.split_off(WARM_UP));
    steps.sort_by(f64::total_cmp);
    cpu.sort_by(f64::total_cmp);
    let rate = |seconds: f64| batch as f64 / seconds;
    println!(
        "{{\"arch\":\"{arch}\",\"batch\":{batch},\"threads\":{threads},\"steps\":{},\"median\":{:.1},\"best\":{:.1},\"cpu\":{:.1}}}",
        steps.len(),
        rate(steps[steps.len() / 2]),
        rate(steps[0]),
        rate(cpu[cpu.len() / 2])
    );
    Ok(())
}

/// Processor time of all threads, from Linux's scheduler; elsewhere 0.
fn cpu_seconds() -> f64 {
    let nanoseconds = |task: std::fs::DirEntry| -> Option<f64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.filter_map(nanoseconds).sum::<f64>() * 1e-9
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
