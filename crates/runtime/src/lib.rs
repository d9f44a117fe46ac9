//! Walks a checked package inside the caller's arena.
#![no_std]
