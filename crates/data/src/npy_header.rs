//! The header of a `.npy` file: a Python dictionary literal between a magic number and the values.

use crate::ParseError;

const FORMAT: &str = ".npy";
const MAGIC: &[u8] = b"\x93NUMPY";
const MAX_RANK: usize = 32;
const SUPPORTED: &str = "bool, uint8, int8, int16, uint16, int32, uint32, int64, float32 or float64";

/// Element types that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    U8,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F32,
    F64,
}

impl Element {
    fn size(self) -> u64 {
        match self {
            Element::U8 | Element::I8 => 1,
            Element::I16 | Element::U16 => 2,
            Element::I32 | Element::U32 | Element::F32 => 4,
            Element::I64 | Element::F64 => 8,
        }
    }

    fn parse(descr: &str) -> Result<(Element, bool), ParseError> {
        let found = || ParseError::ElementType { format: FORMAT, found: descr.into(), supported: SUPPORTED };
        let mut chars = descr.chars();
        let big = match chars.next() {
            Some('<' | '|' | '=') => false,
            Some('>') => true,
            _ => return Err(found()),
        };
        let element = match chars.as_str() {
            "u1" | "b1" => Element::U8,
            "i1" => Element::I8,
            "i2" => Element::I16,
            "u2" => Element::U16,
            "i4" => Element::I32,
            "u4" => Element::U32,
            "i8" => Element::I64,
            "f4" => Element::F32,
            "f8" => Element::F64,
            _ => return Err(found()),
        };
        Ok((element, big))
    }
}

/// A checked header.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) element: Element,
    pub(crate) big_endian: bool,
    pub(crate) fortran: bool,
    pub(crate) shape: Vec<usize>,
    /// Bytes before the values.
    len: usize,
}

impl Header {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Header, ParseError> {
        let (start, len) = dictionary_range(bytes)?;
        let end = start.checked_add(len).ok_or_else(|| bad("its length overflows"))?;
        let text = bytes.get(start..end).ok_or(ParseError::Length {
            format: FORMAT,
            expected: end as u64,
            found: bytes.len() as u64,
        })?;
        let text = std::str::from_utf8(text).map_err(|_| bad("not text"))?;
        let (element, big_endian) = Element::parse(text_field(text, "descr")?)?;
        let fortran = bool_field(text, "fortran_order")?;
        let shape = shape_field(text)?;
        Ok(Header { element, big_endian, fortran, shape, len: end })
    }

    /// The values' bytes, exactly as many as the shape says.
    pub(crate) fn payload<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], ParseError> {
        let expected = self
            .shape
            .iter()
            .try_fold(self.element.size(), |n, &d| n.checked_mul(d as u64))
            .and_then(|n| n.checked_add(self.len as u64))
            .ok_or_else(|| bad(format!("shape {:?} overflows", self.shape)))?;
        if expected != bytes.len() as u64 {
            return Err(ParseError::Length { format: FORMAT, expected, found: bytes.len() as u64 });
        }
        Ok(&bytes[self.len..])
    }

    /// The header of a little-endian, row-major array, padded to 64 bytes as NumPy does.
    pub(crate) fn bytes(descr: &str, shape: &[usize]) -> Vec<u8> {
        let mut dims = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        if shape.len() == 1 {
            dims.push(',');
        }
        let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}");
        while !(MAGIC.len() + 4 + text.len() + 1).is_multiple_of(64) {
            text.push(' ');
        }
        text.push('\n');
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.bytes());
        bytes
    }
}

fn bad(reason: impl Into<String>) -> ParseError {
    ParseError::Header { format: FORMAT, reason: reason.into() }
}

/// Start and length of the dictionary.
fn dictionary_range(bytes: &[u8]) -> Result<(usize, usize), ParseError> {
    if !bytes.starts_with(MAGIC) {
        return Err(bad("does not start with the NumPy magic number"));
    }
    let short = || bad("ends before the length of the dictionary");
    match bytes.get(6).ok_or_else(short)? {
        1 => {
            let len = bytes.get(8..10).and_then(|b| b.first_chunk::<2>()).ok_or_else(short)?;
            Ok((10, usize::from(u16::from_le_bytes(*len))))
        }
        2 | 3 => {
            let len = bytes.get(8..12).and_then(|b| b.first_chunk::<4>()).ok_or_else(short)?;
            Ok((12, u32::from_le_bytes(*len) as usize))
        }
        v => Err(bad(format!("version {v}, expected 1, 2 or 3"))),
    }
}

/// What follows `'key':` in the dictionary.
fn field<'a>(text: &'a str, key: &str) -> Result<&'a str, ParseError> {
    [format!("'{key}'"), format!("\"{key}\"")]
        .iter()
        .find_map(|quoted| text.split_once(quoted.as_str()))
        .and_then(|(_, rest)| rest.trim_start().strip_prefix(':'))
        .map(str::trim_start)
        .ok_or_else(|| bad(format!("no entry {key:?}")))
}

fn text_field<'a>(text: &'a str, key: &str) -> Result<&'a str, ParseError> {
    let value = field(text, key)?;
    let structured = || ParseError::ElementType {
        format: FORMAT,
        found: value.chars().take(40).collect(),
        supported: SUPPORTED,
    };
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"')).ok_or_else(structured)?;
    let (value, _) =
        value[1..].split_once(quote).ok_or_else(|| bad(format!("entry {key:?} does not end")))?;
    Ok(value)
}

fn bool_field(text: &str, key: &str) -> Result<bool, ParseError> {
    let value = field(text, key)?;
    match (value.starts_with("True"), value.starts_with("False")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(bad(format!("entry {key:?} is neither True nor False"))),
    }
}

fn shape_field(text: &str) -> Result<Vec<usize>, ParseError> {
    let inner = field(text, "shape")?
        .strip_prefix('(')
        .and_then(|s| s.split_once(')'))
        .ok_or_else(|| bad("entry \"shape\" is no tuple"))?
        .0;
    let dims = inner.split(',').map(str::trim).filter(|d| !d.is_empty());
    let shape = dims
        .map(|d| d.parse::<u32>().map(|d| d as usize).map_err(|_| bad(format!("dimension {d:?}"))))
        .collect::<Result<Vec<_>, _>>()?;
    if shape.len() > MAX_RANK {
        return Err(bad(format!("rank {}, expected at most {MAX_RANK}", shape.len())));
    }
    Ok(shape)
}
