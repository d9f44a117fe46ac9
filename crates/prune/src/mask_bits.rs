//! Masks in serialised plans: a bit per weight, as hexadecimal text, instead of a word each.

use std::collections::BTreeMap;

use dtmm_graph::{Masks, TensorId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// One mask: `bits` has a digit for every four weights, the first weight in its lowest bit.
#[derive(Serialize, Deserialize)]
struct Bits {
    len: usize,
    bits: String,
}

pub(crate) fn serialize<S: Serializer>(masks: &Masks, serializer: S) -> Result<S::Ok, S::Error> {
    let packed: BTreeMap<TensorId, Bits> = masks.iter().map(|(&t, mask)| (t, pack(mask))).collect();
    packed.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Masks, D::Error> {
    let packed = BTreeMap::<TensorId, Bits>::deserialize(deserializer)?;
    let unpacked = packed.into_iter().map(|(t, bits)| Some((t, unpack(&bits)?))).collect::<Option<Masks>>();
    unpacked.ok_or_else(|| D::Error::custom("a mask needs one hexadecimal digit for every four weights"))
}

fn pack(mask: &[bool]) -> Bits {
    let digit = |four: &[bool]| {
        let value = four.iter().enumerate().map(|(i, &kept)| u32::from(kept) << i).sum();
        char::from_digit(value, 16).unwrap_or('0')
    };
    Bits { len: mask.len(), bits: mask.chunks(4).map(digit).collect() }
}

fn unpack(bits: &Bits) -> Option<Vec<bool>> {
    if bits.bits.len() != bits.len.div_ceil(4) {
        return None;
    }
    let digits = bits.bits.chars().map(|c| c.to_digit(16)).collect::<Option<Vec<u32>>>()?;
    let four = |d: u32| (0..4).map(move |i| d >> i & 1 == 1);
    Some(digits.into_iter().flat_map(four).take(bits.len).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_survive_packing() {
        for len in 0..19 {
            let mask: Vec<bool> = (0..len).map(|i| i * i % 3 == 1).collect();
            assert_eq!(unpack(&pack(&mask)), Some(mask));
        }
        assert_eq!(pack(&[true, false, false, true, true]).bits, "91");
    }

    #[test]
    fn damaged_masks_are_refused() {
        for (len, bits) in [(4, ""), (4, "00"), (4, "g"), (usize::MAX, "0")] {
            assert_eq!(unpack(&Bits { len, bits: bits.into() }), None);
        }
    }
}
