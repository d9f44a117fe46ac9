//! Whole channels only.

use crate::channels::ChannelMap;
use crate::filters::Channels;
use crate::reduced::Reduced;
use crate::schedule::{Request, ScheduleError};

/// The model without the fewest, least important channels per byte that let the dense rest fit; `None` when even the
/// least share of channels does not fit.
pub(crate) fn filter_only(request: &Request) -> Result<Option<Reduced>, ScheduleError> {
    let whole = Reduced::new(request.graph, request.importance, request.current);
    let map = ChannelMap::new(&whole.graph);
    let problem = request.problem(&whole)?;
    let ranking = Channels::new(&problem, &map, &problem.dense(), request.options).ranking();
    let without = |n: usize| -> Result<Option<Reduced>, ScheduleError> {
        let channels = Channels::new(&problem, &map, &problem.dense(), request.options);
        let state = whole.without(&map, &channels.without(ranking[..n].iter().copied()))?;
        let fits = request.problem(&state)?.dense().bytes <= request.budget;
        Ok(fits.then_some(state))
    };
    if problem.dense().bytes <= request.budget {
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
