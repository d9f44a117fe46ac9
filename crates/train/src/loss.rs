//! Losses of a batch and their gradients, averaged over the batch.

/// Softmax of `x / temperature`.
fn softmax(x: &[f32], temperature: f32) -> Vec<f32> {
    let top = x.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let e: Vec<f32> = x.iter().map(|v| ((v - top) / temperature).exp()).collect();
    let sum: f32 = e.iter().sum();
    e.into_iter().map(|v| v / sum).collect()
}

/// Cross-entropy against labels of which `smoothing` is spread over all classes. Adds `weight` times the gradient to
/// `gradient` and returns the loss.
pub(crate) fn cross_entropy(
    logits: &[f32],
    labels: &[u32],
    smoothing: f32,
    weight: f32,
    gradient: &mut [f32],
) -> f32 {
    let classes = logits.len() / labels.len();
    let scale = weight / labels.len() as f32;
    let spread = smoothing / classes as f32;
    let mut loss = 0.0f64;
    let rows = logits.chunks_exact(classes).zip(gradient.chunks_exact_mut(classes)).zip(labels);
    for ((x, g), &label) in rows {
        let top = x.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let log_sum = x.iter().map(|v| (v - top).exp()).sum::<f32>().ln() + top;
        for (i, (x, g)) in x.iter().zip(g).enumerate() {
            let target = spread + if i == label as usize { 1.0 - smoothing } else { 0.0 };
            let log_p = x - log_sum;
            if target > 0.0 {
                loss -= f64::from(target * log_p);
            }
            *g += scale * (log_p.exp() - target);
        }
    }
    (loss / labels.len() as f64) as f32
}

/// `T²` times the divergence of the student's softened answers from the teacher's; as [`cross_entropy`].
pub(crate) fn distillation(
    logits: &[f32],
    teacher: &[f32],
    classes: usize,
    (temperature, weight): (f32, f32),
    gradient: &mut [f32],
) -> f32 {
    let batch = (logits.len() / classes) as f32;
    let mut loss = 0.0f64;
    let rows = logits.chunks_exact(classes).zip(teacher.chunks_exact(classes));
    for ((x, t), g) in rows.zip(gradient.chunks_exact_mut(classes)) {
        let (p, q) = (softmax(x, temperature), softmax(t, temperature));
        for ((p, q), g) in p.iter().zip(&q).zip(g) {
            if *q > 0.0 {
                loss += f64::from(q * (q.ln() - p.max(f32::MIN_POSITIVE).ln()));
            }
            *g += weight * temperature * (p - q) / batch;
        }
    }
    (loss * f64::from(temperature * temperature)) as f32 / batch
}

/// Mean squared distance of the outputs from the one-hot labels; as [`cross_entropy`].
pub(crate) fn mean_squared(output: &[f32], labels: &[u32], weight: f32, gradient: &mut [f32]) -> f32 {
    let classes = output.len() / labels.len();
    let count = output.len() as f32;
    let mut loss = 0.0f64;
    for (i, (y, g)) in output.iter().zip(gradient).enumerate() {
        let target = f32::from(labels[i / classes] as usize == i % classes);
        let d = y - target;
        loss += f64::from(d * d);
        *g += weight * 2.0 * d / count;
    }
    loss as f32 / count
}

/// How many rows have their largest value at the label.
pub(crate) fn correct(logits: &[f32], labels: &[u32]) -> usize {
    let classes = logits.len() / labels.len();
    logits.chunks_exact(classes).zip(labels).filter(|(x, l)| best(x) == **l).count()
}

/// Index of the largest value, the first of equal ones.
pub(crate) fn best(x: &[f32]) -> u32 {
    let mut at = 0;
    for (i, v) in x.iter().enumerate() {
        if *v > x[at] {
            at = i;
        }
    }
    at as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Central differences in f32: good to about 1e-3 for values of order 1.
    fn check(f: impl Fn(&[f32], &mut [f32]) -> f32) {
        let x = [0.3f32, -1.2, 0.8, 2.0, 0.1, -0.4];
        let mut g = [0.0; 6];
        f(&x, &mut g);
        for i in 0..6 {
            let at = |d: f32| {
                let mut x = x;
                x[i] += d;
                f(&x, &mut [0.0; 6])
            };
            let want = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert!((g[i] - want).abs() < 1e-3, "{i}: {} against {want}", g[i]);
        }
    }

    #[test]
    fn gradients_are_the_slopes_of_the_losses() {
        check(|x, g| cross_entropy(x, &[2, 0], 0.1, 1.0, g));
        check(|x, g| mean_squared(x, &[1, 2], 1.0, g));
        let teacher = [1.0, 0.0, -1.0, 0.5, 0.2, 3.0];
        check(|x, g| distillation(x, &teacher, 3, (2.0, 1.0), g));
    }

    #[test]
    fn a_perfect_student_learns_nothing() {
        let x = [1.0, 2.0, 3.0];
        let mut g = [0.0; 3];
        assert!(distillation(&x, &x, 3, (4.0, 1.0), &mut g).abs() < 1e-6);
        assert_eq!(g, [0.0; 3]);
    }
}
