//! Byte layout of the DTMM package and checked views of it.
#![no_std]
