//! Names (optional): the model's name, then one name per layer. For host tools.
//!
//! Each name is one byte of length and as many bytes of UTF-8; nothing is aligned.

use crate::bytes::Reader;

/// Longest name in bytes.
pub const MAX_LEN: usize = 255;

/// Bytes of the section.
pub fn section_len<'n>(names: impl IntoIterator<Item = &'n str>) -> usize {
    names.into_iter().map(|name| 1 + shorten(name).len()).sum()
}

/// The longest prefix of `name` that fits into a record.
pub fn shorten(name: &str) -> &str {
    let mut end = name.len().min(MAX_LEN);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or("")
}

pub(crate) fn next<'a>(r: &mut Reader<'a>) -> Option<&'a str> {
    let len = r.u8()?;
    core::str::from_utf8(r.take(usize::from(len))?).ok()
}
