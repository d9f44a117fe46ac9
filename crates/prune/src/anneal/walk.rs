//! The walk: random turns of the knobs, accepted as the falling temperature allows.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::space::{Knob, Space, State, Taken};

/// Turns for each knob.
const TURNS: usize = 3000;
/// Temperatures, relative to the time of the unpruned model, first and last.
const TEMPERATURE: (f64, f64) = (5e-2, 1e-5);
/// What a budget exceeded by its own size counts for, in times of the unpruned model.
const EXCESS: f64 = 10.0;
/// Largest turn but for leaps.
const STEP: usize = 3;
/// Share of the turns that go anywhere: a layer that is a little sparse can take more than both a dense and a sparser one.
const LEAPS: f64 = 0.2;
/// Share of the turns in which a second knob is turned the other way.
const PAIRS: f64 = 0.4;

/// What a state may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub bytes: f64,
    /// Infinite without a limit.
    pub cycles: f64,
    /// The importance threshold: states that lose more are refused.
    pub lost: f64,
}

impl Bounds {
    /// How far a state is beyond the budgets, each relative to itself.
    fn excess(&self, taken: &Taken) -> f64 {
        let over = |taken: f64, limit: f64| (taken - limit).max(0.0) / limit.max(1.0);
        let cycles = if self.cycles.is_finite() { over(taken.cycles, self.cycles) } else { 0.0 };
        over(taken.bytes, self.bytes) + cycles
    }
}

/// The fastest state within the bounds that was met; `None` when there was none.
pub(super) fn walk(space: &Space, bounds: &Bounds, seed: u64) -> Option<State> {
    let mut walker = Walker::new(space, bounds, seed);
    let turns = TURNS * walker.knobs.len();
    for turn in 0..turns {
        let share = turn as f64 / turns as f64;
        walker.turn(TEMPERATURE.0 * (TEMPERATURE.1 / TEMPERATURE.0).powf(share));
    }
    walker.best.map(|best| best.1)
}

/// A knob, the number of its values, and the layers it changes.
type Wired = (Knob, usize, Vec<usize>);

struct Walker<'a> {
    space: &'a Space,
    bounds: &'a Bounds,
    knobs: Vec<Wired>,
    rng: ChaCha8Rng,
    /// Time of the unpruned model.
    unit: f64,
    state: State,
    layers: Vec<Taken>,
    taken: Taken,
    /// The fastest state so far that keeps every bound, with its time.
    best: Option<(f64, State)>,
}

impl<'a> Walker<'a> {
    fn new(space: &'a Space, bounds: &'a Bounds, seed: u64) -> Self {
        let state = space.nothing_gone();
        let taken = space.all(&state);
        let mut walker = Walker {
            space,
            bounds,
            knobs: space.knobs().into_iter().map(|(k, n)| (k, n, space.touched(k))).collect(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            unit: taken.cycles.max(f64::MIN_POSITIVE),
            layers: (0..state.alphas.len()).map(|i| space.layer(&state, i)).collect(),
            state,
            taken,
            best: None,
        };
        walker.remember();
        walker
    }

    fn energy(&self) -> f64 {
        self.taken.cycles / self.unit + EXCESS * self.bounds.excess(&self.taken)
    }

    /// Turns one knob, or two against each other, and back when the result is refused.
    fn turn(&mut self, temperature: f64) {
        let (taken, energy) = (self.taken, self.energy());
        let up = self.rng.random::<bool>();
        let mut turned = vec![self.set(up)];
        if self.rng.random::<f64>() < PAIRS {
            turned.push(self.set(!up));
        }
        let before: Vec<(usize, Taken)> = turned.iter().flat_map(|&(k, _)| self.measure(k)).collect();
        let rise = self.energy() - energy;
        let accepted = rise <= 0.0 || self.rng.random::<f64>() < (-rise / temperature).exp();
        if accepted && self.taken.lost <= self.bounds.lost {
            return self.remember();
        }
        turned.iter().rev().for_each(|&(k, value)| *self.value(k) = value);
        before.into_iter().rev().for_each(|(i, own)| self.layers[i] = own);
        self.taken = taken;
    }

    /// Moves a random knob; which one, and where it was.
    fn set(&mut self, up: bool) -> (usize, usize) {
        let k = self.rng.random_range(0..self.knobs.len());
        let last = self.knobs[k].1 - 1;
        let step = if self.rng.random::<f64>() < LEAPS { last } else { STEP };
        let by = self.rng.random_range(1..=step);
        let value = self.value(k);
        let before = *value;
        *value = if up { (before + by).min(last) } else { before.saturating_sub(by) };
        (k, before)
    }

    fn value(&mut self, k: usize) -> &mut usize {
        match self.knobs[k].0 {
            Knob::Alpha(i) => &mut self.state.alphas[i],
            Knob::Beta(i) => &mut self.state.betas[i],
        }
    }

    /// Measures the layers that a knob changes anew; what they took before.
    fn measure(&mut self, k: usize) -> Vec<(usize, Taken)> {
        let mut before = Vec::with_capacity(self.knobs[k].2.len());
        for n in 0..self.knobs[k].2.len() {
            let i = self.knobs[k].2[n];
            let (old, new) = (self.layers[i], self.space.layer(&self.state, i));
            self.taken = self.taken.with(&old, -1.0).with(&new, 1.0);
            self.layers[i] = new;
            before.push((i, old));
        }
        before
    }

    fn remember(&mut self) {
        let faster = self.best.as_ref().is_none_or(|best| self.taken.cycles < best.0);
        if faster && self.bounds.excess(&self.taken) <= 0.0 {
            self.best = Some((self.taken.cycles, self.state.clone()));
        }
    }
}
