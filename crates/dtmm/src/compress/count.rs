//! What a pruned graph takes on the device, in the storage of the method that pruned it.

use dtmm_graph::{Graph, Masks};
use dtmm_pack::SizeModel;
use dtmm_prune::{Index, Method, StoredLayer};

use crate::Error;

/// Flash of a pruned graph.
pub struct Counted {
    /// Bytes of the whole package.
    pub flash: usize,
    /// Bytes of them that say where the kept weights are.
    pub index: usize,
    /// How the kept weights are marked.
    pub storage: String,
}

impl Counted {
    /// Counts the package as its writer does, or with weights and index as `method` would store them where the package
    /// has no such form.
    pub fn of(graph: &Graph, masks: &Masks, method: Method) -> Result<Self, Error> {
        let fail = |source| Error::Pack { model: graph.name.clone(), source };
        let size = SizeModel::new(graph).map_err(fail)?.size(masks);
        Ok(match dtmm_prune::stored(graph, masks, method) {
            None => Counted {
                flash: size.total,
                index: size.layers.iter().map(|l| l.index_bytes).sum(),
                storage: "package".into(),
            },
            Some(layers) => listed(graph, size.dense_total, &layers),
        })
    }
}

fn listed(graph: &Graph, dense_total: usize, layers: &[StoredLayer]) -> Counted {
    let dense: usize = dtmm_prune::prunable_layers(graph).iter().map(|l| l.layout.len()).sum();
    let sum = |bytes: fn(&StoredLayer) -> u64| layers.iter().map(bytes).sum::<u64>() as usize;
    let (weights, index) = (sum(|l| l.weight_bytes), sum(|l| l.index_bytes));
    Counted {
        flash: dense_total - dense + weights + index,
        index,
        storage: layers.iter().map(|l| l.index).find(|i| *i != Index::None).map_or("dense", name).into(),
    }
}

fn name(index: Index) -> &'static str {
    match index {
        Index::None => "dense",
        Index::Bitmap => "bitmap",
        Index::Gaps => "gaps",
        Index::Csr => "compressed sparse rows",
        Index::Pattern => "patterns",
        Index::Pairs => "two bytes for each filterlet and filter",
        Index::Positions => "two bits of position",
    }
}
