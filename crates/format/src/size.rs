//! Exact package sizes before a byte is written, for budgets.

use crate::{ALIGNMENT, header, layer, linear, tensor, window};

/// Bytes of a package without its parameter records, constants and host sections: header and tables. `ports` =
/// inputs plus outputs.
pub const fn tables_len(tensors: usize, layers: usize, ports: usize) -> usize {
    header::LEN + tensor::LEN * tensors + layer::LEN * layers + (2 * ports).next_multiple_of(4)
}

/// Bytes of a whole package: `tables` from [`tables_len`], `records` the sum of [`crate::Params::encoded_len`], `constants` the
/// sum of the constant tensors' bytes, each rounded up to 4, `host` the sum of the optional sections, each rounded up
/// to 4.
pub const fn package_len(tables: usize, records: usize, constants: usize, host: usize) -> usize {
    (tables + records + constants + host).next_multiple_of(ALIGNMENT)
}

/// Bytes of the record of a Conv2d or DepthwiseConv2d; arguments as in [`linear::record_len`].
pub const fn conv2d_len(filters: usize, scales: usize, weight_bytes: usize, index_bytes: usize) -> usize {
    window::WINDOW_LEN + linear::record_len(filters, scales, weight_bytes, index_bytes)
}

/// Bytes of the record of a FullyConnected; arguments as in [`linear::record_len`].
pub const fn fully_connected_len(
    filters: usize,
    scales: usize,
    weight_bytes: usize,
    index_bytes: usize,
) -> usize {
    linear::record_len(filters, scales, weight_bytes, index_bytes)
}
