//! Brings an activation's memory into the order that an operator needs, moving data only where it must.

use dtmm_graph::{Op, TensorId};

use super::context::{Act, Importer, NodeImport};
use crate::error::{Fault, unsupported};
use crate::view::{Groups, View, channels_first, channels_last, is_sorted};

const PERMS: [[usize; 4]; 5] = [[0, 1, 3, 2], [0, 3, 1, 2], [0, 2, 3, 1], [0, 2, 1, 3], [0, 3, 2, 1]];

impl Importer {
    /// The tensor `[N, H, W, C]` with each dimension made of the ONNX axes in `groups`.
    pub(crate) fn arrange(&mut self, act: &Act, groups: &Groups, name: &str) -> Result<TensorId, Fault> {
        let dims = act.view.dims();
        let shape: [usize; 4] = std::array::from_fn(|i| groups[i].iter().map(|&a| dims[a]).product());
        if shape[0] != 1 {
            return unsupported(format!("the batch axis of its input has the size {}", shape[0]));
        }
        let tensor = self.reorder(act, &act.view.order(groups), Some(shape), name)?;
        self.reshaped(tensor, shape, name)
    }

    /// The memory with its atoms in `order`; a shape of the result is preferred where there is a choice.
    pub(crate) fn reorder(
        &mut self,
        act: &Act,
        order: &[usize],
        prefer: Option<[usize; 4]>,
        name: &str,
    ) -> Result<TensorId, Fault> {
        if is_sorted(order) {
            return Ok(act.tensor);
        }
        match self.direct_perm(act, order, prefer) {
            Some(perm) => self.push_move(name, Op::Transpose { perm }, act.tensor),
            None => self.move_blocks(act, order, name),
        }
    }

    /// A permutation of the tensor's own axes that gives `order`.
    fn direct_perm(&self, act: &Act, order: &[usize], prefer: Option<[usize; 4]>) -> Option<[usize; 4]> {
        let shape = self.shape(act.tensor);
        let of_axis = act.view.atoms_of_shape(&shape)?;
        let gives_order = |perm: &&[usize; 4]| perm.iter().flat_map(|&p| of_axis[p].iter()).eq(order.iter());
        let valid: Vec<[usize; 4]> = PERMS.iter().filter(gives_order).copied().collect();
        let preferred = valid.iter().find(|perm| Some(perm.map(|p| shape[p])) == prefer);
        preferred.or(valid.first()).copied()
    }

    /// Any reordering: what stays together is merged; up to three blocks move at once, more of them one by one.
    fn move_blocks(&mut self, act: &Act, order: &[usize], name: &str) -> Result<TensorId, Fault> {
        let wanted = blocks(order);
        let mut memory = wanted.clone();
        memory.sort_unstable();
        let size = |blocks: &[Vec<usize>]| -> usize {
            blocks.iter().flatten().map(|&atom| act.view.atoms()[atom]).product()
        };
        if memory.len() == 3 {
            let shape = [1, size(&memory[..1]), size(&memory[1..2]), size(&memory[2..])];
            let place = |i: usize| 1 + memory.iter().position(|m| *m == wanted[i]).unwrap_or(i);
            let tensor = self.reshaped(act.tensor, shape, name)?;
            return self.push_move(name, Op::Transpose { perm: [0, place(0), place(1), place(2)] }, tensor);
        }
        let mut tensor = act.tensor;
        for block in wanted.iter().rev() {
            let Some(at) = memory.iter().position(|b| b == block).filter(|&at| at > 0 && memory != wanted)
            else {
                continue;
            };
            let shape = [1, size(&memory[..at]), size(&memory[at..=at]), size(&memory[at + 1..])];
            tensor = self.reshaped(tensor, shape, name)?;
            tensor = self.push_move(name, Op::Transpose { perm: [0, 2, 1, 3] }, tensor)?;
            memory[..=at].rotate_right(1);
        }
        Ok(tensor)
    }

    /// The tensor under another shape.
    pub(crate) fn reshaped(
        &mut self,
        tensor: TensorId,
        shape: [usize; 4],
        name: &str,
    ) -> Result<TensorId, Fault> {
        if self.shape(tensor) == shape {
            return Ok(tensor);
        }
        self.push_move(name, Op::Reshape { shape }, tensor)
    }

    /// The activation with its memory in ONNX order.
    pub(crate) fn in_onnx_order(&mut self, act: &Act, name: &str) -> Result<Act, Fault> {
        let tensor = self.reorder(act, &act.view.sequence(), None, name)?;
        let dims = act.view.dims();
        let all = (0..dims.len()).collect();
        Ok(Act { tensor, view: View::from_groups(&dims, &[vec![], vec![], vec![], all]) })
    }
}

/// Maximal runs of consecutive numbers.
fn blocks(order: &[usize]) -> Vec<Vec<usize>> {
    let mut blocks: Vec<Vec<usize>> = vec![];
    for &atom in order {
        match blocks.last_mut() {
            Some(block) if block.last().is_some_and(|&last| last + 1 == atom) => block.push(atom),
            _ => blocks.push(vec![atom]),
        }
    }
    blocks
}

impl NodeImport<'_> {
    /// [`Importer::arrange`] under this node's name.
    pub(crate) fn arrange(&mut self, act: &Act, groups: &Groups) -> Result<TensorId, Fault> {
        let name = self.name.clone();
        self.importer.arrange(act, groups, &name)
    }

    /// The channels-first roles of an activation, for operators that prescribe them.
    pub(crate) fn channels_first(&self, act: &Act) -> Result<Groups, Fault> {
        let rank = act.view.rank();
        match channels_first(rank).filter(|_| rank >= 2) {
            Some(groups) => Ok(groups),
            None => unsupported(format!("its input has rank {rank}, 2 to 4 are supported")),
        }
    }

    /// Of the usual roles the ones that move the fewest of `acts`, all of the same rank.
    pub(crate) fn cheapest_groups(&self, acts: &[&Act]) -> Result<Groups, Fault> {
        let rank = acts.first().map_or(0, |a| a.view.rank());
        let moved = |groups: &Groups| acts.iter().filter(|a| !is_sorted(&a.view.order(groups))).count();
        let unbatched = |groups: &Groups| acts.iter().any(|a| groups[0].iter().any(|&n| a.view.dim(n) != 1));
        let candidates = [channels_first(rank), channels_last(rank), without_batch(rank)];
        let best = candidates.into_iter().flatten().filter(|g| !unbatched(g)).min_by_key(moved);
        best.map_or_else(|| unsupported(format!("its input has rank {rank}, up to 4 is supported")), Ok)
    }
}

/// Roles for a tensor whose first axis is no batch axis.
fn without_batch(rank: usize) -> Option<Groups> {
    match rank {
        2 => Some([vec![], vec![], vec![0], vec![1]]),
        3 => Some([vec![], vec![0], vec![1], vec![2]]),
        _ => None,
    }
}
