//! The state of a run between two epochs, on disk.

use std::{fs, path::Path};

use dtmm_data::Dataset;
use dtmm_graph::Graph;
use serde::{Deserialize, Serialize};

use crate::{EpochRecord, FitOptions, TrainError, optimizer::Moments};

/// Changes whenever the meaning of a field does.
const VERSION: u32 = 1;

/// Values of all parameters and statistics, in the order of the executor's parameters.
pub(crate) type Snapshot = Vec<Vec<f32>>;

/// Everything that the next epoch depends on; sample order and augmentation follow from seed and epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    version: u32,
    /// Of the options, the starting graph and the data: what must be equal to go on.
    pub fingerprint: u64,
    pub current: Snapshot,
    pub moments: Moments,
    pub history: Vec<EpochRecord>,
    /// Epoch from 1 and values of the best validation.
    pub best: Option<(usize, Snapshot)>,
}

impl Checkpoint {
    pub fn new(fingerprint: u64) -> Self {
        Checkpoint {
            version: VERSION,
            fingerprint,
            current: Snapshot::new(),
            moments: Moments::default(),
            history: Vec::new(),
            best: None,
        }
    }

    /// Reads the file; `None` when there is none.
    pub fn load(path: &Path, fingerprint: u64) -> Result<Option<Self>, TrainError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(TrainError::Io { path: path.to_owned(), source }),
        };
        let refuse =
            |what: &str| Err(TrainError::Checkpoint { path: path.to_owned(), what: what.to_owned() });
        match postcard::from_bytes::<Checkpoint>(&bytes) {
            Err(_) => refuse("the file is damaged or no checkpoint; delete it to start again"),
            Ok(c) if c.version != VERSION => refuse("written by another version; delete it to start again"),
            Ok(c) if c.fingerprint != fingerprint => refuse(
                "it belongs to a run with other options, another model or other data; delete it or choose another path",
            ),
            Ok(c) => Ok(Some(c)),
        }
    }

    /// Writes beside and renames, so that a kill leaves the old file or the new one.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let io = |source| TrainError::Io { path: path.to_owned(), source };
        let bytes = postcard::to_stdvec(self)
            .map_err(|e| TrainError::Checkpoint { path: path.to_owned(), what: e.to_string() })?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".tmp");
        fs::write(&beside, bytes).map_err(io)?;
        fs::rename(&beside, path).map_err(io)
    }
}

/// A number that differs when options, graph or data do. Threads and the checkpoint's path do not count.
pub(crate) fn fingerprint(graph: &Graph, data: &Dataset, options: &FitOptions) -> Result<u64, TrainError> {
    let options = FitOptions { checkpoint: None, threads: 0, ..options.clone() };
    let data = (&data.name, data.shape, &data.labels);
    let bytes = postcard::to_stdvec(&(graph, data, options))
        .map_err(|e| TrainError::Option { option: "checkpoint", what: e.to_string() })?;
    Ok(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3)))
}
