//! Writes the file of cases, as `firmware/image/src/cases.rs` describes it.

use crate::Case;

const MAGIC: &[u8] = b"DTMC";
const HEADER: usize = 8;
const RECORD: usize = 20;

/// Bytes of a file that holds these cases.
pub(crate) fn file_len(cases: &[Case<'_>]) -> usize {
    cases.iter().fold(start(cases.len()), |at, case| at + case_len(case))
}

/// Bytes that one more case costs at most.
pub(crate) fn cost(case: &Case<'_>) -> usize {
    case_len(case) + RECORD + dtmm_format::ALIGNMENT
}

fn start(cases: usize) -> usize {
    (HEADER + cases * RECORD).next_multiple_of(dtmm_format::ALIGNMENT)
}

fn case_len(case: &Case<'_>) -> usize {
    aligned(case.package.len()) + aligned(case.input.len())
}

fn aligned(len: usize) -> usize {
    len.next_multiple_of(dtmm_format::ALIGNMENT)
}

/// The file.
pub(crate) fn file(cases: &[Case<'_>], keep_outputs: bool) -> Vec<u8> {
    let mut file = Vec::with_capacity(file_len(cases));
    let word = |n: usize| (n as u32).to_le_bytes();
    file.extend_from_slice(MAGIC);
    file.extend(word(cases.len()));
    let mut at = start(cases.len());
    for case in cases {
        let input_at = at + aligned(case.package.len());
        for n in [at, case.package.len(), input_at, case.input.len(), usize::from(keep_outputs)] {
            file.extend(word(n));
        }
        at += case_len(case);
    }
    file.resize(start(cases.len()), 0);
    for case in cases {
        file.extend_from_slice(case.package);
        file.resize(aligned(file.len()), 0);
        file.extend(case.input.iter().map(|&v| v as u8));
        file.resize(aligned(file.len()), 0);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_where_the_table_says() {
        let cases = [
            Case { package: &[1; 48], input: &[-1, 2, -3] },
            Case { package: &[2; 16], input: &[] },
            Case { package: &[3; 5], input: &[4; 16] },
        ];
        let file = file(&cases, true);
        assert_eq!(file.len(), file_len(&cases));
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((&file[..4], word(4)), (MAGIC, 3));
        for (i, case) in cases.iter().enumerate() {
            let field = |k: usize| word(HEADER + i * RECORD + 4 * k);
            assert_eq!(&file[field(0)..][..field(1)], case.package);
            assert_eq!(field(0) % 16, 0);
            assert_eq!(file[field(2)..][..field(3)], case.input.iter().map(|&v| v as u8).collect::<Vec<_>>());
            assert_eq!(field(4), 1);
        }
    }
}
