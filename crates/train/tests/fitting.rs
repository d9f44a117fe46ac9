//! Whole training runs on a tiny problem.

use dtmm_data::{Dataset, Samples};
use dtmm_graph::{Graph, Masks};
use dtmm_train::{
    Augmentation, Distillation, EpochRecord, FitOptions, GradientOptions, Keep, Loss, Observer, Optimizer,
    Progress, Schedule, TrainError, arch, each_gradient, evaluate, fit, mean_gradients,
    mean_squared_gradients,
};

const SHAPE: [usize; 3] = [8, 8, 2];

/// Three classes that differ in the direction of a wave; `offset` makes another draw.
fn waves(count: usize, offset: usize) -> Dataset {
    let sample = |n: usize| {
        let phase = ((n + offset) * 37 % 101) as f32;
        (0..128).map(move |i| {
            let (y, x, c) = ((i / 16) as f32, (i / 2 % 8) as f32, (i % 2) as f32);
            let along = [x, y, x + y][n % 3];
            (along * 1.1 + phase + c).sin() + ((i * 31 + n * 17) % 23) as f32 / 23.0
        })
    };
    Dataset {
        name: "waves".into(),
        shape: SHAPE,
        samples: Samples::F32((0..count).flat_map(sample).collect()),
        labels: (0..count).map(|n| (n % 3) as u32).collect(),
        classes: ["x", "y", "diagonal"].map(String::from).to_vec(),
    }
}

fn model() -> Graph {
    arch::build("resnet8", SHAPE, 3, 5).unwrap()
}

fn options() -> FitOptions {
    FitOptions {
        epochs: 3,
        batch: 16,
        lr: 0.05,
        augmentation: Augmentation { pad_crop: 1, noise: 0.1, ..Augmentation::none() },
        threads: 2,
        ..FitOptions::default()
    }
}

#[test]
fn learns_and_is_the_same_for_any_number_of_threads() {
    let (train, test) = (waves(192, 0), waves(96, 50));
    let with =
        |threads| fit(&model(), &train, Some(&test), &FitOptions { threads, ..options() }, &mut ()).unwrap();
    let two = with(2);
    let accuracy = evaluate(&two.graph, &test, 2).unwrap().accuracy;
    assert!(accuracy > 0.9, "accuracy {accuracy}");
    let best = two.history[two.kept_epoch - 1].validation_accuracy.unwrap();
    assert_eq!(accuracy, best, "the best epoch's graph is returned");
    assert_eq!(two.graph, with(1).graph);
    assert_eq!(two.graph, with(3).graph);
    let other = fit(&model(), &train, None, &FitOptions { seed: 2, ..options() }, &mut ()).unwrap();
    assert_ne!(two.graph, other.graph);
}

/// Stops after so many steps.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn step(&mut self, _: &Progress) {
        self.0 = self.0.saturating_sub(1);
    }

    fn interrupted(&mut self) -> bool {
        self.0 == 0
    }
}

#[test]
fn an_interrupted_run_ends_as_if_it_had_not_been() {
    let (train, test) = (waves(96, 0), waves(48, 50));
    for optimizer in [options().optimizer, Optimizer::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }] {
        let options = FitOptions { optimizer, lr: 0.01, ..options() };
        let whole = fit(&model(), &train, Some(&test), &options, &mut ()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.checkpoint");
        let kept = FitOptions { checkpoint: Some(path.clone()), threads: 1, ..options.clone() };
        for stop in [1, 4, 6, 3] {
            let error = fit(&model(), &train, Some(&test), &kept, &mut StopAfter(stop)).unwrap_err();
            assert!(matches!(error, TrainError::Interrupted { .. }), "{error}");
        }
        let resumed = fit(&model(), &train, Some(&test), &kept, &mut ()).unwrap();
        assert_eq!(whole.graph, resumed.graph);
        assert_eq!(whole.kept_epoch, resumed.kept_epoch);
        let again = fit(&model(), &train, Some(&test), &kept, &mut StopAfter(0)).unwrap();
        assert_eq!(again.graph, whole.graph, "a finished run takes no step");

        let other = FitOptions { seed: 9, ..kept.clone() };
        let error = fit(&model(), &train, Some(&test), &other, &mut ()).unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
        std::fs::write(&path, b"garbage").unwrap();
        let error = fit(&model(), &train, Some(&test), &kept, &mut ()).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }
}

#[test]
fn masked_weights_are_exactly_zero_after_training() {
    let graph = model();
    let weighted = graph.nodes.iter().filter(|n| n.op.has_weights()).map(|n| n.inputs[1]);
    let masks: Masks =
        weighted.map(|t| (t, (0..graph.tensor(t).len()).map(|i| i * 7 % 3 != 0).collect())).collect();
    for optimizer in [options().optimizer, Optimizer::AdamW { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }] {
        let options = FitOptions { optimizer, masks: masks.clone(), epochs: 1, ..options() };
        let fitted = fit(&graph, &waves(96, 0), None, &options, &mut ()).unwrap();
        for (&t, mask) in &masks {
            let after = fitted.graph.tensor(t).f32_data().unwrap();
            assert!(after.iter().zip(mask).all(|(w, keep)| *keep || w.to_bits() == 0));
            let moved = after.iter().zip(graph.tensor(t).f32_data().unwrap()).zip(mask);
            assert!(moved.filter(|m| *m.1).any(|((a, b), _)| a != b), "kept weights move");
        }
    }
    let wrong = Masks::from([(graph.inputs[0].tensor, vec![true])]);
    let error = fit(&graph, &waves(96, 0), None, &FitOptions { masks: wrong, ..options() }, &mut ());
    assert!(matches!(error, Err(TrainError::Option { option: "masks", .. })));
}

#[test]
fn a_student_learns_from_its_teacher_alone() {
    let (train, test) = (waves(192, 0), waves(96, 50));
    let teacher = fit(&model(), &train, Some(&test), &options(), &mut ()).unwrap().graph;
    let mut unlabelled = train;
    unlabelled.labels.fill(0);
    let distillation = Some(Distillation { teacher, temperature: 2.0, alpha: 1.0 });
    let student = arch::build("demo-cnn", SHAPE, 3, 1).unwrap();
    let options = FitOptions { distillation, epochs: 4, ..options() };
    let fitted = fit(&student, &unlabelled, None, &options, &mut ()).unwrap();
    let accuracy = evaluate(&fitted.graph, &test, 2).unwrap().accuracy;
    assert!(accuracy > 0.8, "accuracy {accuracy}");
}

#[test]
fn squared_error_and_cosine_learn_too() {
    let (train, test) = (waves(192, 0), waves(96, 50));
    let options = FitOptions {
        loss: Loss::MeanSquared,
        schedule: Schedule::Cosine { warmup: 0.1, final_fraction: 0.01 },
        lr: 0.1,
        ..options()
    };
    let fitted = fit(&model(), &train, Some(&test), &options, &mut ()).unwrap();
    let accuracy = evaluate(&fitted.graph, &test, 0).unwrap().accuracy;
    assert!(accuracy > 0.8, "accuracy {accuracy}");
}

/// Counts epochs.
struct Count(Vec<EpochRecord>);

impl Observer for Count {
    fn epoch(&mut self, record: &EpochRecord) {
        self.0.push(record.clone());
    }
}

#[test]
fn stops_early_when_validation_does_not_improve() {
    let (train, test) = (waves(48, 0), waves(24, 50));
    let options = FitOptions { epochs: 50, early_stop: Some(2), lr: 1e-9, ..options() };
    let mut count = Count(vec![]);
    let fitted = fit(&model(), &train, Some(&test), &options, &mut count).unwrap();
    assert!(fitted.history.len() < 30, "{} epochs", fitted.history.len());
    assert_eq!(fitted.history.len(), fitted.kept_epoch + 2);
    assert_eq!(count.0, fitted.history);
}

#[test]
fn the_last_epoch_is_kept_where_that_is_asked_for() {
    let (train, test) = (waves(48, 0), waves(24, 50));
    let options = |keep| FitOptions { epochs: 4, lr: 1e-9, keep, ..options() };
    let kept = |keep| fit(&model(), &train, Some(&test), &options(keep), &mut ()).unwrap().kept_epoch;
    assert_eq!((kept(Keep::Best), kept(Keep::Last)), (1, 4));
    let patient = FitOptions { early_stop: Some(2), ..options(Keep::Last) };
    assert_eq!(fit(&model(), &train, Some(&test), &patient, &mut ()).unwrap().kept_epoch, 3);
}

#[test]
fn gradients_for_importance_are_reproducible_and_respect_masks() {
    let (graph, data) = (model(), waves(70, 0));
    let options = GradientOptions { batches: 3, batch: 16, threads: 1, ..GradientOptions::default() };
    let mean = mean_gradients(&graph, &data, &options).unwrap();
    let two = GradientOptions { threads: 2, ..options.clone() };
    assert_eq!(mean, mean_gradients(&graph, &data, &two).unwrap());
    let other = GradientOptions { seed: 2, ..options.clone() };
    assert_ne!(mean, mean_gradients(&graph, &data, &other).unwrap());

    let weights = graph.nodes[0].inputs[1];
    let (mut sum, mut squares) = (0.0, 0.0);
    let count = each_gradient(&graph, &data, &options, |g| {
        sum += f64::from(g[&weights][5]);
        squares += f64::from(g[&weights][5] * g[&weights][5]);
    });
    assert_eq!(count.unwrap(), 3);
    assert_eq!(mean[&weights][5], (sum / 3.0) as f32);
    let fisher = mean_squared_gradients(&graph, &data, &options).unwrap();
    assert_eq!(fisher[&weights][5], (squares / 3.0) as f32);

    let mask: Vec<bool> = (0..graph.tensor(weights).len()).map(|i| i % 2 == 0).collect();
    let masked = GradientOptions { masks: Masks::from([(weights, mask)]), ..options.clone() };
    let masked = mean_gradients(&graph, &data, &masked).unwrap();
    assert!(masked[&weights].iter().skip(1).step_by(2).all(|g| *g == 0.0));
    assert_ne!(masked[&weights][0], mean[&weights][0], "the other gradients see the masked network");
    let short = GradientOptions { masks: Masks::from([(weights, vec![true])]), ..options };
    assert!(mean_gradients(&graph, &data, &short).is_err());
}

#[test]
fn bad_input_is_an_error_that_says_what_to_do() {
    let (graph, train) = (model(), waves(48, 0));
    let run = |g: &Graph, d: &Dataset, o: FitOptions| fit(g, d, None, &o, &mut ()).unwrap_err().to_string();
    let diverging = FitOptions { lr: 1e30, epochs: 9, ..options() };
    assert!(run(&graph, &train, diverging).contains("lower the learning rate"));
    let mut labels = train.clone();
    labels.labels[3] = 3;
    assert!(run(&graph, &labels, options()).contains("below 3"));
    let shape = Dataset { shape: [8, 4, 4], ..train.clone() };
    assert!(run(&graph, &shape, options()).contains("[8, 8, 2]"));
    assert!(run(&graph, &train.subset(&[]), options()).contains("1 or more"));
    assert!(run(&graph, &train, FitOptions { batch: 0, ..options() }).contains("batch"));
    assert!(run(&graph, &train, FitOptions { lr: f32::NAN, ..options() }).contains("lr"));
    let mut nan = graph.clone();
    let weights = nan.nodes[0].inputs[1];
    nan.tensor_mut(weights).f32_data_mut().unwrap()[0] = f32::NAN;
    assert!(run(&nan, &train, options()).contains("not finite"));
}
