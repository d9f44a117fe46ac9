//! Data sets kept as NumPy arrays.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::load::{Layout, LoadOptions, Split, index_names, read};
use crate::npy::{NpyArray, NpyData, npz_names, read_npy, read_npz};
use crate::{DataError, Dataset, Samples};

/// More classes than any label file means: such a label is a mistake.
const MAX_CLASSES: usize = 65_536;

/// Where the samples and labels of one split are.
#[derive(Clone, Debug)]
enum Part {
    Npz { file: PathBuf, x: String, y: String },
    Npy { x: PathBuf, y: PathBuf },
}

/// A folder of arrays, or one `.npz`.
#[derive(Debug)]
pub(crate) struct ArrayFiles {
    root: PathBuf,
    train: Option<Part>,
    test: Option<Part>,
}

impl ArrayFiles {
    pub(crate) fn detect(path: &Path) -> Result<Option<Self>, DataError> {
        if path.is_dir() {
            return Ok(Self::detect_folder(path));
        }
        match path.extension().and_then(|e| e.to_str()) {
            Some("npz") => Self::detect_npz(path).map(Some),
            Some("npy") => Self::detect_npy(path).map(Some),
            _ => Ok(None),
        }
    }

    fn detect_folder(path: &Path) -> Option<Self> {
        let part =
            |names: &[&str]| names.iter().find_map(|n| npz_part(path, n).or_else(|| npy_part(path, n)));
        let train = part(&["train"]).or_else(|| npy_pair(path, "x.npy", "y.npy"));
        let test = part(&["test", "val", "valid", "validation"]);
        (train.is_some() || test.is_some()).then(|| ArrayFiles { root: path.to_path_buf(), train, test })
    }

    fn detect_npz(path: &Path) -> Result<Self, DataError> {
        let names = npz_names(path)?;
        let part = |suffixes: &[&str]| {
            let of = |v: &str| suffixes.iter().map(|s| format!("{v}{s}")).find(|n| names.contains(n));
            Some(Part::Npz { file: path.to_path_buf(), x: of("x")?, y: of("y")? })
        };
        let train = part(&["_train", ""]);
        let test = part(&["_test", "_val"]);
        if train.is_none() && test.is_none() {
            return Err(DataError::Missing {
                path: path.to_path_buf(),
                missing: "array x or y".into(),
                help: format!("found {names:?}; save as x and y, or x_train, y_train, x_test and y_test"),
            });
        }
        Ok(ArrayFiles { root: path.parent().unwrap_or(Path::new("")).to_path_buf(), train, test })
    }

    /// `x.npy` with its `y.npy`, `NAME_x.npy` with `NAME_y.npy`, `x_NAME.npy` with `y_NAME.npy`.
    fn detect_npy(path: &Path) -> Result<Self, DataError> {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let labels = match (stem, stem.strip_prefix("x_"), stem.strip_suffix("_x")) {
            ("x", ..) => Some("y".to_string()),
            (_, Some(name), _) => Some(format!("y_{name}")),
            (_, _, Some(name)) => Some(format!("{name}_y")),
            _ => None,
        };
        let y = labels.map(|l| path.with_file_name(format!("{l}.npy"))).filter(|y| y.is_file());
        let Some(y) = y else {
            return Err(DataError::Missing {
                path: path.to_path_buf(),
                missing: "the labels".into(),
                help: "name the samples x.npy and put the labels beside them as y.npy".into(),
            });
        };
        let train = Some(Part::Npy { x: path.to_path_buf(), y });
        Ok(ArrayFiles { root: path.parent().unwrap_or(Path::new("")).to_path_buf(), train, test: None })
    }

    pub(crate) fn has(&self, split: Split) -> bool {
        self.part(split).is_some()
    }

    fn part(&self, split: Split) -> Option<&Part> {
        match split {
            Split::Train => self.train.as_ref(),
            Split::Test => self.test.as_ref(),
        }
    }

    pub(crate) fn load(&self, split: Split, opts: &LoadOptions) -> Result<Dataset, DataError> {
        let part = self.part(split).ok_or_else(|| DataError::Missing {
            path: self.root.clone(),
            missing: format!("the arrays of the {split:?} split"),
            help: "put train.npz and test.npz side by side".into(),
        })?;
        let (path, x, y) = part.read()?;
        let (shape, samples) = to_samples(&path, x, opts.layout)?;
        let labels = to_labels(&path, &y)?;
        let count = samples_len(&samples) / shape.iter().product::<usize>();
        if count != labels.len() {
            return Err(DataError::Count { path, samples: count, labels: labels.len() });
        }
        let classes = self.classes(&path, &labels)?;
        Ok(Dataset { name: path.display().to_string(), shape, samples, labels, classes })
    }

    fn classes(&self, path: &Path, labels: &[u32]) -> Result<Vec<String>, DataError> {
        let used = labels.iter().max().map_or(0, |&m| m as usize + 1);
        let file = self.root.join("classes.txt");
        if !file.is_file() {
            return Ok(index_names(used));
        }
        let text = String::from_utf8_lossy(&read(&file)?).into_owned();
        let names: Vec<String> =
            text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
        match labels.iter().position(|&l| l as usize >= names.len()) {
            None => Ok(names),
            Some(index) => Err(DataError::Label {
                path: path.to_path_buf(),
                index,
                label: labels[index].to_string(),
                classes: names.len().max(1),
            }),
        }
    }
}

impl Part {
    fn read(&self) -> Result<(PathBuf, NpyArray, NpyArray), DataError> {
        match self {
            Part::Npy { x, y } => Ok((x.clone(), read_npy(x)?, read_npy(y)?)),
            Part::Npz { file, x, y } => {
                let mut arrays = read_npz(file)?;
                let x = take(file, &mut arrays, x)?;
                Ok((file.clone(), x, take(file, &mut arrays, y)?))
            }
        }
    }
}

fn take(file: &Path, arrays: &mut BTreeMap<String, NpyArray>, name: &str) -> Result<NpyArray, DataError> {
    arrays.remove(name).ok_or_else(|| DataError::Missing {
        path: file.to_path_buf(),
        missing: format!("array {name}"),
        help: "save the samples as x and the labels as y".into(),
    })
}

fn npz_part(folder: &Path, split: &str) -> Option<Part> {
    let file = folder.join(format!("{split}.npz"));
    file.is_file().then(|| Part::Npz { file, x: "x".into(), y: "y".into() })
}

fn npy_part(folder: &Path, split: &str) -> Option<Part> {
    npy_pair(folder, &format!("{split}_x.npy"), &format!("{split}_y.npy"))
        .or_else(|| npy_pair(folder, &format!("x_{split}.npy"), &format!("y_{split}.npy")))
}

fn npy_pair(folder: &Path, x: &str, y: &str) -> Option<Part> {
    let (x, y) = (folder.join(x), folder.join(y));
    (x.is_file() && y.is_file()).then_some(Part::Npy { x, y })
}

fn samples_len(samples: &Samples) -> usize {
    match samples {
        Samples::U8(v) => v.len(),
        Samples::F32(v) => v.len(),
    }
}

fn to_samples(path: &Path, x: NpyArray, layout: Layout) -> Result<([usize; 3], Samples), DataError> {
    let shape = sample_shape(path, &x.shape, layout)?;
    let samples = match x.data {
        NpyData::U8(v) => Samples::U8(hwc(v, shape, layout)),
        other => Samples::F32(hwc(finite(path, other, &x.shape)?, shape, layout)),
    };
    Ok((shape, samples))
}

/// `[N, F]` is `[1, 1, F]`; `[N, H, W]` is `[H, W, 1]`, but `[1, L, C]` where the layout says `[N, C, L]`.
fn sample_shape(path: &Path, shape: &[usize], layout: Layout) -> Result<[usize; 3], DataError> {
    let sample = match (shape, layout) {
        (&[_, f], _) => Some([1, 1, f]),
        (&[_, h, w], Layout::Nhwc) => Some([h, w, 1]),
        (&[_, c, l], Layout::Nchw) => Some([1, l, c]),
        (&[_, h, w, c], Layout::Nhwc) => Some([h, w, c]),
        (&[_, c, h, w], Layout::Nchw) => Some([h, w, c]),
        _ => None,
    };
    sample.filter(|s| s.iter().all(|&d| d > 0)).ok_or_else(|| DataError::Shape {
        path: path.to_path_buf(),
        expected: "samples x of shape [N, F], [N, H, W] or [N, H, W, C]".into(),
        found: format!("{shape:?}"),
        help: "reshape x; with the layout nchw it may also be [N, C, H, W]".into(),
    })
}

fn hwc<T: Copy>(values: Vec<T>, [h, w, c]: [usize; 3], layout: Layout) -> Vec<T> {
    if layout == Layout::Nhwc || c == 1 || h * w == 1 {
        return values;
    }
    let mut out = Vec::with_capacity(values.len());
    for sample in values.chunks_exact(h * w * c) {
        for pixel in 0..h * w {
            out.extend((0..c).map(|channel| sample[channel * h * w + pixel]));
        }
    }
    out
}

fn finite(path: &Path, data: NpyData, shape: &[usize]) -> Result<Vec<f32>, DataError> {
    let values = match data {
        NpyData::F32(v) => v,
        other => other.to_f32(),
    };
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(values),
        Some(at) => {
            let sample: usize = shape.iter().skip(1).product();
            Err(DataError::NotFinite {
                path: path.to_path_buf(),
                index: at / sample.max(1),
                value: f64::from(values[at]),
            })
        }
    }
}

fn to_labels(path: &Path, y: &NpyArray) -> Result<Vec<u32>, DataError> {
    if !matches!(*y.shape, [_] | [_, 1]) {
        return Err(DataError::Shape {
            path: path.to_path_buf(),
            expected: "labels y of shape [N], one class index for each sample".into(),
            found: format!("{:?}", y.shape),
            help: "turn one-hot rows into indices with argmax".into(),
        });
    }
    (0..y.data.len()).map(|index| to_label(path, index, y.data.get_f64(index).unwrap_or(-1.0))).collect()
}

fn to_label(path: &Path, index: usize, value: f64) -> Result<u32, DataError> {
    if value >= 0.0 && value < MAX_CLASSES as f64 && value.fract() == 0.0 {
        return Ok(value as u32);
    }
    Err(DataError::Label { path: path.to_path_buf(), index, label: value.to_string(), classes: MAX_CLASSES })
}
