//! Whole channels only.

use crate::channels::ChannelMap;
use crate::filters::Channels;
use crate::reduced::Reduced;
use crate::schedule::{Request, ScheduleError};

/// `whole` without the fewest, least important channels per byte (per cycle, where time is limited) that let the dense
/// rest fit; `None` when even the least share of channels does not fit.
pub(crate) fn filter_only(request: &Request, whole: &Reduced) -> Result<Option<Reduced>, ScheduleError> {
    let map = ChannelMap::new(&whole.graph);
    let problem = request.problem(whole)?;
    let by_cycles = request.device.limits.cycles.is_some();
    let ranking = Channels::new(&problem, &map, &problem.dense(), request.options).ranking(by_cycles);
    let channels = Channels::new(&problem, &map, &problem.dense(), request.options);
    let without = |n: usize| -> Result<Option<Reduced>, ScheduleError> {
        let state = whole.without(&map, &channels.without(ranking[..n].iter().copied()))?;
        Ok(request.dense_fits(&state)?.then_some(state))
    };
    if problem.fits(&problem.dense()) {
        return Ok(Some(whole.clone()));
    }
    let Some(mut best) = without(ranking.len())? else { return Ok(None) };
    let (mut low, mut high) = (0, ranking.len());
    while high - low > 1 {
        let middle = (low + high) / 2;
        match without(middle)? {
            Some(state) => (high, best) = (middle, state),
            None => low = middle,
        }
    }
    Ok(Some(best))
}
