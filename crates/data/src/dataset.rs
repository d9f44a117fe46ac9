//! A labelled data set in memory.

use dtmm_graph::Preprocessing;

/// Raw sample values, sample after sample, each HWC.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Image bytes, 0..=255.
    U8(Vec<u8>),
    /// Features, used as they are unless preprocessing says otherwise.
    F32(Vec<f32>),
}

/// A labelled data set in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Where it came from, for messages.
    pub name: String,
    /// Height, width, channels of one sample.
    pub shape: [usize; 3],
    /// All samples, each in HWC order.
    pub samples: Samples,
    /// One class index for each sample, below `classes.len()`.
    pub labels: Vec<u32>,
    /// Class names in the order of the model's outputs.
    pub classes: Vec<String>,
}

impl Dataset {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True when there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Values in one sample.
    pub fn sample_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Writes sample `index` as the model's real input, HWC, into `out` of `sample_len()` values. The shape must
    /// already be the model's: resizing is done once for the whole set when it is loaded.
    pub fn write_input(&self, index: usize, preprocessing: &Preprocessing, out: &mut [f32]) {
        let (channels, len) = (self.shape[2], self.sample_len());
        let at = index * len..(index + 1) * len;
        match &self.samples {
            Samples::U8(v) => {
                for (i, (o, &x)) in out.iter_mut().zip(&v[at]).enumerate() {
                    *o = preprocessing.apply(f32::from(x), i % channels);
                }
            }
            Samples::F32(v) => {
                for (i, (o, &x)) in out.iter_mut().zip(&v[at]).enumerate() {
                    *o = preprocessing.apply(x, i % channels);
                }
            }
        }
    }
}
