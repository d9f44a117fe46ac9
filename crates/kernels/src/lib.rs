//! Int8 kernels.
#![no_std]
