//! Whole channels only.

use dtmm_graph::Masks;

use crate::channels::ChannelMap;
use crate::filters::Channels;
use crate::limits::{Device, Limits};
use crate::reduced::Reduced;
use crate::schedule::{Request, ScheduleError};

/// `whole` without the fewest, least important channels per byte (per cycle, where time is limited) that let the dense
/// rest fit; `None` when even the least share of channels does not fit.
pub(crate) fn filter_only(request: &Request, whole: &Reduced) -> Result<Option<Reduced>, ScheduleError> {
    fewest(request, whole, true, |state| request.dense_fits(state))
}

/// `whole` without the fewest, least important channels per byte that let the rest take at most `bytes` with every
/// weight in place, those of earlier rounds' masks, too: however often it is asked for, the same channels are enough.
pub(crate) fn narrow(
    request: &Request,
    whole: &Reduced,
    bytes: u64,
) -> Result<Option<Reduced>, ScheduleError> {
    // Where channels make the whole cut, no unit uses what they leave.
    let returns = bytes <= request.budget;
    let untimed = Device { limits: Limits { cycles: None, ..request.device.limits }, ..request.device };
    let request = Request { device: untimed, ..*request };
    fewest(&request, whole, returns, |state| Ok(request.size_of(&state.graph)?(&Masks::new()) <= bytes))
}

/// With `returns` the most important ones come back where the rest still fits.
fn fewest(
    request: &Request,
    whole: &Reduced,
    returns: bool,
    fits: impl Fn(&Reduced) -> Result<bool, ScheduleError>,
) -> Result<Option<Reduced>, ScheduleError> {
    if fits(whole)? {
        return Ok(Some(whole.clone()));
    }
    let map = ChannelMap::new(&whole.graph);
    let problem = request.problem(whole)?;
    let by_cycles = request.device.limits.cycles.is_some();
    let channels = Channels::new(&problem, &map, &problem.dense(), request.options);
    let ranking = channels.ranking(by_cycles);
    let reduced = |dead: Vec<bool>| -> Result<Option<Reduced>, ScheduleError> {
        let state = whole.without(&map, &dead)?;
        Ok(fits(&state)?.then_some(state))
    };
    let without = |n: usize| reduced(channels.without(ranking[..n].iter().copied()));
    let Some(mut best) = without(ranking.len())? else { return reduced(channels.all()) };
    let (mut low, mut high) = (0, ranking.len());
    while high - low > 1 {
        let middle = (low + high) / 2;
        match without(middle)? {
            Some(state) => (high, best) = (middle, state),
            None => low = middle,
        }
    }
    if returns {
        let gone: Vec<usize> = ranking[..high].iter().rev().copied().collect();
        best = channels.give_back(&gone, reduced)?.unwrap_or(best);
    }
    Ok(Some(best))
}
