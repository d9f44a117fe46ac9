//! Calibration and post-training int8 quantisation.
#![forbid(unsafe_code)]
