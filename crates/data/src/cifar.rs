//! CIFAR-10 and CIFAR-100 binary files.
//!
//! A file is a row of records: one label byte (CIFAR-10) or a coarse and a fine label byte (CIFAR-100), then a 32×32
//! image as three planes: red, green, blue. Source: <https://www.cs.toronto.edu/~kriz/cifar.html>.

use std::path::{Path, PathBuf};

use crate::load::{Split, read};
use crate::{DataError, Dataset, ParseError, Samples};

const PLANE: usize = 32 * 32;
const IMAGE: usize = 3 * PLANE;

/// Which of the two record layouts a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CifarKind {
    /// One label byte, 10 classes.
    Cifar10,
    /// Coarse and fine label bytes; the 100 fine classes are used.
    Cifar100,
}

impl CifarKind {
    const fn format(self) -> &'static str {
        match self {
            CifarKind::Cifar10 => "CIFAR-10 binary",
            CifarKind::Cifar100 => "CIFAR-100 binary",
        }
    }

    const fn label_bytes(self) -> usize {
        match self {
            CifarKind::Cifar10 => 1,
            CifarKind::Cifar100 => 2,
        }
    }

    const fn classes(self) -> u32 {
        match self {
            CifarKind::Cifar10 => 10,
            CifarKind::Cifar100 => 100,
        }
    }

    const fn names_file(self) -> &'static str {
        match self {
            CifarKind::Cifar10 => "batches.meta.txt",
            CifarKind::Cifar100 => "fine_label_names.txt",
        }
    }

    const fn folder(self) -> &'static str {
        match self {
            CifarKind::Cifar10 => "cifar-10-batches-bin",
            CifarKind::Cifar100 => "cifar-100-binary",
        }
    }
}

/// Images (`[N, 32, 32, 3]`, HWC) and labels of one file.
///
/// # Errors
/// When the length is no whole number of records, or a label is out of range.
pub fn parse_cifar(bytes: &[u8], kind: CifarKind) -> Result<(Vec<u8>, Vec<u32>), ParseError> {
    let record = kind.label_bytes() + IMAGE;
    let count = bytes.len() / record;
    if count == 0 || !bytes.len().is_multiple_of(record) {
        let expected = (count.max(1) * record) as u64;
        return Err(ParseError::Length { format: kind.format(), expected, found: bytes.len() as u64 });
    }
    let mut pixels = Vec::with_capacity(count * IMAGE);
    let mut labels = Vec::with_capacity(count);
    for (index, record) in bytes.chunks_exact(record).enumerate() {
        let (head, planes) = record.split_at(kind.label_bytes());
        let label = u32::from(head[head.len() - 1]);
        if label >= kind.classes() {
            return Err(ParseError::Label { format: kind.format(), index, label, classes: kind.classes() });
        }
        labels.push(label);
        interleave(planes, &mut pixels);
    }
    Ok((pixels, labels))
}

/// Three planes to HWC.
fn interleave(planes: &[u8], out: &mut Vec<u8>) {
    let (red, rest) = planes.split_at(PLANE);
    let (green, blue) = rest.split_at(PLANE);
    out.extend(red.iter().zip(green).zip(blue).flat_map(|((&r, &g), &b)| [r, g, b]));
}

/// A folder of CIFAR binary files.
#[derive(Debug)]
pub(crate) struct CifarFolder {
    root: PathBuf,
    kind: CifarKind,
}

impl CifarFolder {
    /// The folder itself, or the usual folder of the unpacked archive inside it.
    pub(crate) fn detect(path: &Path) -> Option<Self> {
        let candidates = [
            (path.to_path_buf(), CifarKind::Cifar10),
            (path.to_path_buf(), CifarKind::Cifar100),
            (path.join(CifarKind::Cifar10.folder()), CifarKind::Cifar10),
            (path.join(CifarKind::Cifar100.folder()), CifarKind::Cifar100),
        ];
        candidates.into_iter().map(|(root, kind)| CifarFolder { root, kind }).find(CifarFolder::looks_right)
    }

    fn looks_right(&self) -> bool {
        let has = |name: &str| self.root.join(name).is_file();
        match self.kind {
            CifarKind::Cifar10 => (1..=5).any(|i| has(&train_batch(i))) || has("test_batch.bin"),
            CifarKind::Cifar100 => has(self.kind.names_file()) && (has("train.bin") || has("test.bin")),
        }
    }

    pub(crate) fn has(&self, split: Split) -> bool {
        self.files(split).is_ok()
    }

    pub(crate) fn load(&self, split: Split) -> Result<Dataset, DataError> {
        let mut set = Dataset {
            name: self.root.display().to_string(),
            shape: [32, 32, 3],
            samples: Samples::U8(vec![]),
            labels: vec![],
            classes: self.names()?,
        };
        let (mut pixels, mut labels) = (vec![], vec![]);
        for file in self.files(split)? {
            let (p, l) = parse_cifar(&read(&file)?, self.kind).map_err(DataError::parse(&file))?;
            pixels.extend(p);
            labels.extend(l);
        }
        (set.samples, set.labels) = (Samples::U8(pixels), labels);
        Ok(set)
    }

    fn files(&self, split: Split) -> Result<Vec<PathBuf>, DataError> {
        let names: Vec<String> = match (self.kind, split) {
            (CifarKind::Cifar10, Split::Train) => (1..=5).map(train_batch).collect(),
            (CifarKind::Cifar10, Split::Test) => vec!["test_batch.bin".into()],
            (CifarKind::Cifar100, Split::Train) => vec!["train.bin".into()],
            (CifarKind::Cifar100, Split::Test) => vec!["test.bin".into()],
        };
        let missing = names.join(", ");
        let files: Vec<_> = names.iter().map(|n| self.root.join(n)).filter(|f| f.is_file()).collect();
        if files.is_empty() {
            let help = "unpack the archive again".to_string();
            return Err(DataError::Missing { path: self.root.clone(), missing, help });
        }
        Ok(files)
    }

    /// Names from the file beside the batches; the class index where there is no such file.
    fn names(&self) -> Result<Vec<String>, DataError> {
        let file = self.root.join(self.kind.names_file());
        let classes = self.kind.classes() as usize;
        if !file.is_file() {
            return Ok((0..classes).map(|i| i.to_string()).collect());
        }
        let text = String::from_utf8_lossy(&read(&file)?).into_owned();
        let names: Vec<String> =
            text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
        if names.len() != classes {
            return Err(DataError::Shape {
                path: file,
                expected: format!("{classes} class names"),
                found: names.len().to_string(),
                help: "put one name on each line".into(),
            });
        }
        Ok(names)
    }
}

fn train_batch(index: usize) -> String {
    format!("data_batch_{index}.bin")
}
