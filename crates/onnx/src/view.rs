//! How an ONNX tensor relates to the memory of its NHWC tensor, as pure index algebra.
//!
//! The memory is cut into *atoms*: factors whose row-major product, in order, is the whole tensor. Each ONNX axis is a
//! row-major product of some atoms. Transposing or reshaping the ONNX tensor only regroups atoms; data moves later,
//! and only when an operator needs an order that the memory does not have.

/// Which ONNX axes (outermost first) make up each of N, H, W, C.
pub(crate) type Groups = [Vec<usize>; 4];

/// The relation between ONNX axes and memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Sizes in memory order, outermost first; none is 1.
    atoms: Vec<usize>,
    /// For each ONNX axis its atoms, outermost first; each atom belongs to exactly one axis.
    axes: Vec<Vec<usize>>,
}

impl View {
    /// A tensor with ONNX dimensions `dims` whose memory is N, H, W, C with each made of the axes in `groups`.
    pub(crate) fn from_groups(dims: &[usize], groups: &Groups) -> View {
        let mut view = View { atoms: vec![], axes: vec![vec![]; dims.len()] };
        for &axis in groups.iter().flatten().filter(|&&a| dims[a] != 1) {
            view.axes[axis].push(view.atoms.len());
            view.atoms.push(dims[axis]);
        }
        view
    }

    /// Number of ONNX axes.
    pub(crate) fn rank(&self) -> usize {
        self.axes.len()
    }

    /// Atom sizes in memory order.
    pub(crate) fn atoms(&self) -> &[usize] {
        &self.atoms
    }

    /// The atoms of one ONNX axis.
    pub(crate) fn axis(&self, axis: usize) -> &[usize] {
        &self.axes[axis]
    }

    /// The ONNX dimensions.
    pub(crate) fn dims(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.iter().map(|&a| self.atoms[a]).product()).collect()
    }

    /// The size of one ONNX axis.
    pub(crate) fn dim(&self, axis: usize) -> usize {
        self.axes[axis].iter().map(|&a| self.atoms[a]).product()
    }

    /// All atoms in ONNX row-major order.
    pub(crate) fn sequence(&self) -> Vec<usize> {
        self.axes.concat()
    }

    /// All atoms in the order that `groups` asks for.
    pub(crate) fn order(&self, groups: &Groups) -> Vec<usize> {
        groups.iter().flatten().flat_map(|&axis| self.axes[axis].iter().copied()).collect()
    }

    /// The view after an ONNX Transpose.
    pub(crate) fn transpose(&self, perm: &[usize]) -> View {
        View { atoms: self.atoms.clone(), axes: perm.iter().map(|&p| self.axes[p].clone()).collect() }
    }

    /// The view of the memory after its atoms were put in `order`.
    pub(crate) fn reordered(&self, order: &[usize]) -> View {
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(i, &atom)| place[atom] = i);
        let axes = self.axes.iter().map(|axis| axis.iter().map(|&a| place[a]).collect()).collect();
        View { atoms: order.iter().map(|&a| self.atoms[a]).collect(), axes }
    }

    /// The same view with the atoms of one axis in memory order: its elements are permuted.
    pub(crate) fn with_sorted_axis(&self, axis: usize) -> View {
        let mut view = self.clone();
        view.axes[axis].sort_unstable();
        view
    }

    /// The view after the axes `which` were reduced to one element each, and removed unless `keep`.
    pub(crate) fn without(&self, which: &[usize], keep: bool) -> View {
        let gone = |atom: &usize| which.iter().any(|&a| self.axes[a].contains(atom));
        let kept: Vec<usize> = (0..self.atoms.len()).filter(|a| !gone(a)).collect();
        let place = |atom: &usize| kept.iter().position(|k| k == atom);
        let axes = self.axes.iter().enumerate().filter(|(i, _)| keep || !which.contains(i));
        View {
            atoms: kept.iter().map(|&a| self.atoms[a]).collect(),
            axes: axes.map(|(_, atoms)| atoms.iter().filter_map(place).collect()).collect(),
        }
    }

    /// The same view with `count` axes of size 1 before the others.
    pub(crate) fn with_leading_ones(&self, count: usize) -> View {
        let axes = std::iter::repeat_n(vec![], count).chain(self.axes.iter().cloned()).collect();
        View { atoms: self.atoms.clone(), axes }
    }

    /// The view after an ONNX Reshape; `None` when the new axes cut through a product that memory does not keep
    /// together, or the number of elements differs.
    pub(crate) fn reshape(&self, dims: &[usize]) -> Option<View> {
        let mut runs = self.runs().into_iter();
        let mut run = Run { start: usize::MAX, size: 1 };
        // (start of the run in memory, place within the run, size, axis)
        let mut pieces: Vec<(usize, usize, usize, usize)> = vec![];
        for (axis, &dim) in dims.iter().enumerate() {
            let mut left = dim;
            while left != 1 {
                if run.size == 1 {
                    run = runs.next()?;
                }
                let piece = if left >= run.size { run.size } else { left };
                if piece == 0 || left % piece != 0 || !run.size.is_multiple_of(piece) {
                    return None;
                }
                (left, run.size) = (left / piece, run.size / piece);
                pieces.push((run.start, pieces.len(), piece, axis));
            }
        }
        (run.size == 1 && runs.next().is_none()).then(|| View::from_pieces(pieces, dims.len()))
    }

    fn from_pieces(mut pieces: Vec<(usize, usize, usize, usize)>, rank: usize) -> View {
        pieces.sort_unstable();
        let atoms = pieces.iter().map(|p| p.2).collect();
        let mut of_axis: Vec<Vec<(usize, usize)>> = vec![vec![]; rank];
        for (atom, &(_, onnx_place, _, axis)) in pieces.iter().enumerate() {
            of_axis[axis].push((onnx_place, atom));
        }
        let in_onnx_order = |mut axis: Vec<(usize, usize)>| {
            axis.sort_unstable();
            axis.into_iter().map(|(_, atom)| atom).collect()
        };
        View { atoms, axes: of_axis.into_iter().map(in_onnx_order).collect() }
    }

    /// Maximal runs of atoms that are neighbours both in ONNX order and in memory.
    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = vec![];
        let mut last = None;
        for atom in self.sequence() {
            let size = self.atoms[atom];
            match runs.last_mut() {
                Some(run) if last == atom.checked_sub(1) && last.is_some() => run.size *= size,
                _ => runs.push(Run { start: atom, size }),
            }
            last = Some(atom);
        }
        runs
    }

    /// For each dimension of the memory's `shape` the atoms inside; `None` when an atom straddles two dimensions.
    pub(crate) fn atoms_of_shape(&self, shape: &[usize]) -> Option<Vec<Vec<usize>>> {
        let mut next = 0;
        let mut of = Vec::with_capacity(shape.len());
        for &dim in shape {
            let (first, mut left) = (next, dim);
            while left != 1 {
                let size = *self.atoms.get(next)?;
                if left % size != 0 {
                    return None;
                }
                left /= size;
                next += 1;
            }
            of.push((first..next).collect());
        }
        (next == self.atoms.len()).then_some(of)
    }

    /// For each atom its step in a row-major array of the ONNX `dims`, zero on the axes where `dims` is 1.
    ///
    /// `dims` has this view's rank, each dimension being 1 or this view's.
    pub(crate) fn strides_in(&self, dims: &[usize]) -> Vec<usize> {
        let mut strides = vec![0; self.atoms.len()];
        let mut step = 1;
        for (axis, &dim) in dims.iter().enumerate().rev() {
            if dim == 1 {
                continue;
            }
            let mut inner = step;
            for &atom in self.axes[axis].iter().rev() {
                strides[atom] = inner;
                inner *= self.atoms[atom];
            }
            step *= dim;
        }
        strides
    }
}

struct Run {
    start: usize,
    size: usize,
}

/// Row-major walk over `sizes`, giving for each element the sum of index times stride.
pub(crate) fn gather_indices(sizes: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut out = vec![0];
    for (&size, &stride) in sizes.iter().zip(strides) {
        out = out.iter().flat_map(|&base| (0..size).map(move |i| base + i * stride)).collect();
    }
    out
}

/// The usual roles of a channels-first ONNX tensor: `[N, C]`, `[N, C, L]`, `[N, C, H, W]`.
pub(crate) fn channels_first(rank: usize) -> Option<Groups> {
    match rank {
        0 => Some([vec![], vec![], vec![], vec![]]),
        1 => Some([vec![], vec![], vec![], vec![0]]),
        2 => Some([vec![0], vec![], vec![], vec![1]]),
        3 => Some([vec![0], vec![], vec![2], vec![1]]),
        4 => Some([vec![0], vec![2], vec![3], vec![1]]),
        _ => None,
    }
}

/// The roles when the last ONNX axis holds the channels.
pub(crate) fn channels_last(rank: usize) -> Option<Groups> {
    match rank {
        3 => Some([vec![0], vec![], vec![1], vec![2]]),
        4 => Some([vec![0], vec![1], vec![2], vec![3]]),
        _ => channels_first(rank),
    }
}

/// True when the atoms are already in this order.
pub(crate) fn is_sorted(order: &[usize]) -> bool {
    order.iter().enumerate().all(|(i, &a)| i == a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nchw() -> View {
        View::from_groups(&[1, 8, 4, 6], &channels_first(4).unwrap())
    }

    #[test]
    fn flattening_keeps_the_memory() {
        let flat = nchw().reshape(&[1, 192]).unwrap();
        assert_eq!((flat.dims(), flat.sequence()), (vec![1, 192], vec![1, 0]));
    }

    #[test]
    fn a_transpose_to_nhwc_is_contiguous() {
        let nhwc = nchw().transpose(&[0, 2, 3, 1]);
        assert!(is_sorted(&nhwc.sequence()));
        assert_eq!(nhwc.reshape(&[1, 192]).unwrap().atoms(), [192]);
    }

    #[test]
    fn a_channel_shuffle_is_a_view() {
        let v = nchw().reshape(&[1, 2, 4, 4, 6]).unwrap().transpose(&[0, 2, 1, 3, 4]);
        let v = v.reshape(&[1, 8, 4, 6]).unwrap();
        assert_eq!(v.dims(), [1, 8, 4, 6]);
        assert_eq!(v.atoms(), [4, 6, 2, 4]);
        assert_eq!(v.axis(1), [3, 2]);
    }

    #[test]
    fn cutting_through_separated_atoms_is_refused() {
        assert_eq!(nchw().reshape(&[1, 3, 64]), None);
        assert_eq!(nchw().reshape(&[1, 8, 4, 5]), None);
        assert_eq!(nchw().reshape(&[1, 8, 4, 0]), None);
    }

    #[test]
    fn strides_follow_the_onnx_order() {
        let v = nchw();
        assert_eq!(v.strides_in(&[1, 8, 4, 6]), [6, 1, 24]);
        assert_eq!(v.strides_in(&[1, 8, 1, 1]), [0, 0, 1]);
        assert_eq!(gather_indices(&[2, 3], &[1, 10]), [0, 10, 20, 1, 11, 21]);
    }

    #[test]
    fn shapes_are_matched_to_atoms() {
        let v = nchw();
        assert_eq!(v.atoms_of_shape(&[1, 4, 6, 8]), Some(vec![vec![], vec![0], vec![1], vec![2]]));
        assert_eq!(v.atoms_of_shape(&[1, 24, 1, 8]), Some(vec![vec![], vec![0, 1], vec![], vec![2]]));
        assert_eq!(v.atoms_of_shape(&[1, 8, 4, 6]), None);
    }
}
