//! Data sets kept as one folder of images for each class.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader, Limits};
use rayon::prelude::*;

use crate::idx::MAX_DEFLATE_RATIO;
use crate::load::{LoadOptions, Split, list, read};
use crate::resize::resize_image;
use crate::{DataError, Dataset, Samples};

const EXTENSIONS: [&str; 8] = ["png", "jpg", "jpeg", "bmp", "ppm", "pgm", "pnm", "pbm"];
const TEST_NAMES: [&str; 4] = ["test", "val", "valid", "validation"];

/// One decoded image.
struct Image {
    /// Height, width, channels (1 or 3).
    shape: [usize; 3],
    pixels: Vec<u8>,
}

/// `train` and `test` with class folders each, or class folders alone (`test` is then `None`).
#[derive(Debug)]
pub(crate) struct ImageFolders {
    train: PathBuf,
    test: Option<PathBuf>,
    /// Names of the train part's class folders, sorted.
    classes: Vec<String>,
}

impl ImageFolders {
    pub(crate) fn detect(path: &Path) -> Result<Option<Self>, DataError> {
        if !path.is_dir() {
            return Ok(None);
        }
        let train = path.join("train");
        let test = TEST_NAMES.iter().map(|n| path.join(n)).find(|p| p.is_dir());
        let (train, test) = match (train.is_dir(), test) {
            (true, test) => (train, test),
            (false, _) => (path.to_path_buf(), None),
        };
        let classes = class_names(&train)?;
        let mut found = false;
        for class in &classes {
            found = found || !image_files(&train.join(class))?.is_empty();
        }
        Ok(found.then_some(ImageFolders { train, test, classes }))
    }

    pub(crate) fn has(&self, split: Split) -> bool {
        split == Split::Train || self.test.is_some()
    }

    pub(crate) fn load(&self, split: Split, opts: &LoadOptions) -> Result<Dataset, DataError> {
        let root = match split {
            Split::Train => &self.train,
            Split::Test => self.test.as_ref().unwrap_or(&self.train),
        };
        let files = self.files(root)?;
        let channels = match opts.channels {
            None => self.common_channels()?,
            Some(c @ (1 | 3)) => c,
            Some(c) => {
                return Err(DataError::Argument {
                    what: "channels",
                    expected: "1 or 3",
                    found: c.to_string(),
                });
            }
        };
        let shape = match opts.size {
            Some([h, w]) => [h, w, channels],
            None => first_shape(root, &files, channels)?,
        };
        let images = files
            .par_iter()
            .map(|(path, _)| load_image(path, shape, opts.size.is_some()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Dataset {
            name: root.display().to_string(),
            shape,
            samples: Samples::U8(images.concat()),
            labels: files.iter().map(|&(_, label)| label).collect(),
            classes: self.classes.clone(),
        })
    }

    /// Image files with their labels, by class and then by name.
    fn files(&self, root: &Path) -> Result<Vec<(PathBuf, u32)>, DataError> {
        let mut files = vec![];
        for class in class_names(root)? {
            let folder = root.join(&class);
            let label = self.classes.binary_search(&class).map_err(|_| DataError::Missing {
                path: self.train.clone(),
                missing: format!("class folder {class:?}"),
                help: format!("{} has it; both parts need the same classes", root.display()),
            })?;
            let images = image_files(&folder)?;
            if images.is_empty() {
                return Err(DataError::EmptyClass { path: folder, class });
            }
            files.extend(images.into_iter().map(|f| (f, label as u32)));
        }
        Ok(files)
    }

    /// 1 when the first image of each class in the train part is grey, otherwise 3.
    fn common_channels(&self) -> Result<usize, DataError> {
        for class in &self.classes {
            if let Some(path) = image_files(&self.train.join(class))?.first()
                && decode(path)?.color().has_color()
            {
                return Ok(3);
            }
        }
        Ok(1)
    }
}

fn class_names(root: &Path) -> Result<Vec<String>, DataError> {
    let folders = list(root)?.into_iter().filter(|p| p.is_dir());
    let names = folders.filter_map(|p| p.file_name().and_then(|n| n.to_str()).map(String::from));
    Ok(names.filter(|n| !n.starts_with('.')).collect())
}

fn image_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let is_image = |p: &PathBuf| {
        let extension = p.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        EXTENSIONS.contains(&extension.as_str())
    };
    Ok(list(folder)?.into_iter().filter(is_image).collect())
}

fn first_shape(root: &Path, files: &[(PathBuf, u32)], channels: usize) -> Result<[usize; 3], DataError> {
    let empty = || DataError::Empty { path: root.to_path_buf(), what: "data set" };
    let (path, _) = files.first().ok_or_else(empty)?;
    let image = decode(path)?;
    Ok([image.height() as usize, image.width() as usize, channels])
}

/// Pixels of one file, HWC, brought to `shape`.
fn load_image(path: &Path, shape: [usize; 3], resize: bool) -> Result<Vec<u8>, DataError> {
    let image = convert(decode(path)?, shape[2]);
    if image.shape == shape {
        return Ok(image.pixels);
    }
    if resize {
        return Ok(resize_image(&image.pixels, image.shape, [shape[0], shape[1]]));
    }
    let [h, w, _] = image.shape;
    Err(DataError::Shape {
        path: path.to_path_buf(),
        expected: format!("an image of height {} and width {} as the first one", shape[0], shape[1]),
        found: format!("height {h} and width {w}"),
        help: "give a size to resize all images to".into(),
    })
}

fn convert(image: DynamicImage, channels: usize) -> Image {
    let shape = [image.height() as usize, image.width() as usize, channels];
    let pixels = if channels == 1 { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() };
    Image { shape, pixels }
}

fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    let bytes = read(path)?;
    decode_bytes(&bytes).map_err(|reason| DataError::Image { path: path.to_path_buf(), reason })
}

fn decode_bytes(bytes: &[u8]) -> Result<DynamicImage, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    // No format that is read here packs tighter than deflate, so that a larger image cannot come from these bytes.
    let mut limits = Limits::default();
    limits.max_alloc = Some((bytes.len() as u64 + 1024) * MAX_DEFLATE_RATIO);
    reader.limits(limits);
    reader.decode().map_err(|e| e.to_string())
}

/// Decodes a PNG, JPEG, BMP or PNM file's bytes to `channels` (1: grey, 3: RGB) bytes for each pixel, HWC; gives the
/// shape `[h, w, channels]` and the pixels.
///
/// # Errors
/// What the decoder says: damaged bytes, or more pixels than the bytes can justify.
pub fn parse_image(bytes: &[u8], channels: usize) -> Result<([usize; 3], Vec<u8>), String> {
    let image = convert(decode_bytes(bytes)?, if channels == 1 { 1 } else { 3 });
    Ok((image.shape, image.pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_order_is_byte_order() {
        let dir = tempfile::tempdir().expect("temporary folder");
        for name in ["2", "10", "b", "a", ".git"] {
            std::fs::create_dir(dir.path().join(name)).expect("folder");
        }
        assert_eq!(class_names(dir.path()).expect("names"), ["10", "2", "a", "b"]);
    }
}
