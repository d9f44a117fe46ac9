//! Bringing images to a model's size and channels.

use rayon::prelude::*;

use crate::{DataError, Dataset, Samples};

impl Dataset {
    /// All samples resized to `h`×`w`: bilinear with half-pixel centres, edges repeated, bytes rounded to nearest.
    ///
    /// # Errors
    /// When a dimension is 0 or the set is empty of pixels.
    pub fn resized(&self, h: usize, w: usize) -> Result<Dataset, DataError> {
        let [from_h, from_w, c] = self.shape;
        if [h, w].contains(&0) || self.shape.contains(&0) {
            return Err(self.misfit([h, w, c], "image dimensions are at least 1"));
        }
        if [from_h, from_w] == [h, w] {
            return Ok(self.clone());
        }
        let len = self.sample_len();
        let samples = match &self.samples {
            Samples::U8(v) => {
                let images: Vec<_> =
                    v.par_chunks_exact(len).map(|s| resize_image(s, self.shape, [h, w])).collect();
                Samples::U8(images.concat())
            }
            Samples::F32(v) => {
                let images: Vec<_> =
                    v.par_chunks_exact(len).map(|s| bilinear(s, self.shape, [h, w])).collect();
                Samples::F32(images.concat())
            }
        };
        Ok(Dataset { shape: [h, w, c], samples, ..self.with_samples(Samples::U8(vec![])) })
    }

    /// Brings all samples to a model's input shape `[h, w, c]`:
    ///
    /// - features of the same number are only regrouped (`[49, 10, 1]` fits `[1, 1, 490]` and `[1, 49, 10]`);
    /// - images (bytes) are resized, grey is repeated to three channels, and RGB becomes luma (BT.601).
    ///
    /// # Errors
    /// [`DataError::Shape`] when neither applies.
    pub fn fitted(&self, shape: [usize; 3]) -> Result<Dataset, DataError> {
        let same_len = self.sample_len() == shape.iter().product::<usize>();
        let features = matches!(self.samples, Samples::F32(_)) || self.shape[0] == 1 || shape[0] == 1;
        if self.shape == shape || (same_len && features) {
            let mut set = self.clone();
            set.shape = shape;
            return Ok(set);
        }
        match &self.samples {
            Samples::F32(_) => {
                Err(self.misfit(shape, "features are not resized: compute them for the model's input shape"))
            }
            Samples::U8(_) => self.with_channels(shape[2])?.resized(shape[0], shape[1]),
        }
    }

    /// Grey images as RGB (`channels` = 3), or RGB as grey (1).
    ///
    /// # Errors
    /// [`DataError::Shape`] for other numbers of channels.
    pub fn with_channels(&self, channels: usize) -> Result<Dataset, DataError> {
        let [h, w, from] = self.shape;
        let Samples::U8(v) = &self.samples else {
            return Err(self.misfit([h, w, channels], "only images can change channels"));
        };
        let pixels = match (from, channels) {
            (a, b) if a == b => v.clone(),
            (1, 3) => v.iter().flat_map(|&x| [x; 3]).collect(),
            (3, 1) => v.as_chunks::<3>().0.iter().map(luma).collect(),
            _ => return Err(self.misfit([h, w, channels], "only grey and RGB images are converted")),
        };
        Ok(Dataset { shape: [h, w, channels], ..self.with_samples(Samples::U8(pixels)) })
    }

    /// The same labels and names for other samples.
    pub(crate) fn with_samples(&self, samples: Samples) -> Dataset {
        Dataset {
            name: self.name.clone(),
            shape: self.shape,
            samples,
            labels: self.labels.clone(),
            classes: self.classes.clone(),
        }
    }

    fn misfit(&self, expected: [usize; 3], help: &str) -> DataError {
        DataError::Shape {
            path: self.name.clone().into(),
            expected: format!("samples of shape {expected:?} (height, width, channels)"),
            found: format!("{:?}", self.shape),
            help: help.into(),
        }
    }
}

/// Luma of BT.601 in 1/1000, rounded to nearest.
fn luma(&[r, g, b]: &[u8; 3]) -> u8 {
    ((299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000) as u8
}

/// One image of bytes, HWC.
pub(crate) fn resize_image(pixels: &[u8], shape: [usize; 3], to: [usize; 2]) -> Vec<u8> {
    let real: Vec<f32> = pixels.iter().map(|&p| f32::from(p)).collect();
    bilinear(&real, shape, to).into_iter().map(|v| (v + 0.5) as u8).collect()
}

/// One image, HWC.
fn bilinear(pixels: &[f32], [h, w, c]: [usize; 3], [to_h, to_w]: [usize; 2]) -> Vec<f32> {
    let (rows, columns) = (taps(h, to_h), taps(w, to_w));
    let mut out = Vec::with_capacity(to_h * to_w * c);
    for row in &rows {
        for column in &columns {
            for channel in 0..c {
                let at = |y: usize, x: usize| pixels[(y * w + x) * c + channel];
                let upper = mix(at(row.low, column.low), at(row.low, column.high), column.weight);
                let lower = mix(at(row.high, column.low), at(row.high, column.high), column.weight);
                out.push(mix(upper, lower, row.weight));
            }
        }
    }
    out
}

fn mix(a: f32, b: f32, weight: f32) -> f32 {
    a + (b - a) * weight
}

/// The two source positions of one output position, and the second one's weight.
struct Tap {
    low: usize,
    high: usize,
    weight: f32,
}

fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|i| {
            let centre = ((i as f32 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f32);
            let low = centre as usize;
            Tap { low, high: (low + 1).min(from - 1), weight: centre - low as f32 }
        })
        .collect()
}
