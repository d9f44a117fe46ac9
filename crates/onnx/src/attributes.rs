//! Typed access to a node's attributes.

use crate::error::{Fault, bad};
use crate::proto::{AttributeProto, NodeProto, TensorProto};

/// The attributes of one node.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a>(&'a [AttributeProto]);

impl<'a> Attributes<'a> {
    pub(crate) fn of(node: &'a NodeProto) -> Self {
        Attributes(&node.attribute)
    }

    fn find(&self, name: &str) -> Option<&'a AttributeProto> {
        self.0.iter().find(|a| a.name == name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// An integer, `default` when absent.
    pub(crate) fn int(&self, name: &str, default: i64) -> i64 {
        self.find(name).map_or(default, |a| a.i.unwrap_or(0))
    }

    /// A truth value stored as an integer.
    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.int(name, i64::from(default)) != 0
    }

    /// A float, `default` when absent.
    pub(crate) fn float(&self, name: &str, default: f32) -> f32 {
        self.find(name).map_or(default, |a| a.f.unwrap_or(0.0))
    }

    /// A list of integers.
    pub(crate) fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.find(name).map(|a| a.ints.as_slice())
    }

    /// A list of floats.
    pub(crate) fn floats(&self, name: &str) -> Option<&'a [f32]> {
        self.find(name).map(|a| a.floats.as_slice())
    }

    /// A tensor.
    pub(crate) fn tensor(&self, name: &str) -> Option<&'a TensorProto> {
        self.find(name).and_then(|a| a.t.as_ref())
    }

    /// A string, `default` when absent.
    pub(crate) fn string(&self, name: &str, default: &'a str) -> Result<&'a str, Fault> {
        match self.find(name) {
            None => Ok(default),
            Some(a) => match std::str::from_utf8(a.s.as_deref().unwrap_or_default()) {
                Ok(s) => Ok(s),
                Err(_) => bad(format!("attribute '{name}' is not UTF-8")),
            },
        }
    }

    /// A list of exactly `count` non-negative integers, `default` for each when absent.
    pub(crate) fn sizes(&self, name: &str, count: usize, default: usize) -> Result<Vec<usize>, Fault> {
        match self.ints(name) {
            None => Ok(vec![default; count]),
            Some(v) if v.len() != count => {
                bad(format!("attribute '{name}' has {} values, expected {count}", v.len()))
            }
            Some(v) => v.iter().map(|&i| size(i, name)).collect(),
        }
    }
}

/// No attribute of a real model comes near this; larger values are refused before any arithmetic.
const MAX_SIZE: i64 = 1 << 24;

/// A non-negative integer of sane size.
pub(crate) fn size(value: i64, name: &str) -> Result<usize, Fault> {
    if (0..=MAX_SIZE).contains(&value) {
        Ok(value as usize)
    } else {
        bad(format!("'{name}' has the value {value}, expected 0..={MAX_SIZE}"))
    }
}

/// An axis in `-rank..rank`, made non-negative.
pub(crate) fn axis(value: i64, rank: usize) -> Result<usize, Fault> {
    let wrapped = if value < 0 { value.saturating_add(rank as i64) } else { value };
    if (0..rank as i64).contains(&wrapped) {
        Ok(wrapped as usize)
    } else {
        bad(format!("axis {value} is outside rank {rank}"))
    }
}

/// Axes made non-negative, each at most once.
pub(crate) fn axes(values: &[i64], rank: usize) -> Result<Vec<usize>, Fault> {
    let mut out = values.iter().map(|&v| axis(v, rank)).collect::<Result<Vec<_>, _>>()?;
    out.sort_unstable();
    match out.windows(2).any(|w| w[0] == w[1]) {
        true => bad(format!("the axes {values:?} repeat")),
        false => Ok(out),
    }
}
