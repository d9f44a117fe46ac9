//! Matrix products, checked at the boundary of the `gemm-f32` crate.
#![allow(unsafe_code)]

use gemm_common::Parallelism;

/// A read-only matrix inside a slice.
#[derive(Clone, Copy)]
pub(crate) struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Mat<'a> {
    /// Row-major `[rows, cols]`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert!(data.len() >= rows * cols, "matrix {rows}x{cols} in a slice of {}", data.len());
        Mat { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The transpose, without moving data.
    pub fn t(self) -> Self {
        Mat {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// `dst = a · b`, or `dst += a · b` when `add`; `dst` is row-major `[a.rows, b.cols]`.
pub(crate) fn matmul(dst: &mut [f32], add: bool, a: Mat<'_>, b: Mat<'_>) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert_eq!(k, b.rows, "inner dimensions");
    assert!(dst.len() >= m * n, "result {m}x{n} in a slice of {}", dst.len());
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    let gemm = gemm_f32::gemm::f32::get_gemm_fn();
    // The kernel wants column-major results, so it is given the transposed product.
    // SAFETY: `Mat` guarantees that `rows` and `cols` with their strides stay inside each slice, and the assertions
    // above that the shapes agree and that `dst` holds `m * n` values; `dst` is borrowed mutably, so nothing overlaps.
    unsafe {
        gemm(
            n,
            m,
            k,
            dst.as_mut_ptr(),
            n as isize,
            1,
            add,
            b.data.as_ptr(),
            b.row_stride as isize,
            b.col_stride as isize,
            a.data.as_ptr(),
            a.row_stride as isize,
            a.col_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition_in_every_orientation() {
        for (m, n, k) in [(1, 1, 1), (3, 5, 7), (17, 33, 65), (64, 10, 300)] {
            let a: Vec<f32> = (0..m * k).map(|i| (i * 7 % 11) as f32 - 5.0).collect();
            let b: Vec<f32> = (0..k * n).map(|i| (i * 5 % 13) as f32 - 6.0).collect();
            let at = |i: usize, j: usize| (0..k).map(|p| a[i * k + p] * b[p * n + j]).sum::<f32>();
            let mut want: Vec<f32> = (0..m * n).map(|i| at(i / n, i % n)).collect();
            let mut c = vec![f32::NAN; m * n];
            matmul(&mut c, false, Mat::new(&a, m, k), Mat::new(&b, k, n));
            assert_eq!(c, want);
            let turn = |v: &[f32], r: usize, c: usize| -> Vec<f32> {
                (0..r * c).map(|i| v[(i % r) * c + i / r]).collect()
            };
            let (a2, b2) = (turn(&a, m, k), turn(&b, k, n));
            matmul(&mut c, true, Mat::new(&a2, k, m).t(), Mat::new(&b2, n, k).t());
            want.iter_mut().for_each(|v| *v *= 2.0);
            assert_eq!(c, want);
        }
    }
}
