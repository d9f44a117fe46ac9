//! The run directory: each stage's result on disk, so that a killed run goes on where it was.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, files};

const KEY_FILE: &str = "request.json";

/// A stage's result and the seconds it took.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    seconds: f64,
    value: T,
}

/// `OUT/run`: stage results of one compression.
pub struct RunDir {
    folder: PathBuf,
    /// Before the names of all stages.
    prefix: String,
    seconds: f64,
}

impl RunDir {
    /// Opens `out/run`, new or of an earlier start of the same command. `key` describes the request; two starts with
    /// the same key belong together.
    ///
    /// # Errors
    /// [`Error::OutputTaken`] when `out` holds anything that did not come from the same request.
    pub fn open(out: &Path, key: &serde_json::Value) -> Result<Self, Error> {
        let folder = out.join("run");
        let key_file = folder.join(KEY_FILE);
        if key_file.exists() {
            let difference = difference(&files::read(&key_file)?, key);
            if let Some(difference) = difference {
                return Err(Error::OutputTaken { path: out.to_owned(), difference });
            }
        } else if let Some(name) = any_entry(out)? {
            let difference = format!("it holds '{name}', and no run that can be continued");
            return Err(Error::OutputTaken { path: out.to_owned(), difference });
        } else {
            files::write(&key_file, pretty(key).as_bytes())?;
        }
        Ok(RunDir { folder, prefix: String::new(), seconds: 0.0 })
    }

    /// The stored result of stage `name`, or the computed one, stored.
    pub fn stage<T, F>(&mut self, name: &str, compute: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Result<T, Error>,
    {
        let path = self.file(&format!("{name}.stage"));
        let stored = if path.exists() {
            postcard::from_bytes(&files::read(&path)?)
                .map_err(|source| Error::Stage { path: path.clone(), source })?
        } else {
            let start = Instant::now();
            let value = compute().map_err(|error| self.keeps(error))?;
            let stored = Stored { seconds: start.elapsed().as_secs_f64(), value };
            let bytes =
                postcard::to_stdvec(&stored).map_err(|source| Error::Stage { path: path.clone(), source })?;
            files::write(&path, &bytes)?;
            stored
        };
        self.seconds += stored.seconds;
        Ok(stored.value)
    }

    /// An interruption says where the stages before it are.
    fn keeps(&self, error: Error) -> Error {
        match error {
            Error::Interrupted { kept: None } => Error::Interrupted { kept: Some(self.folder.clone()) },
            other => other,
        }
    }

    /// A file in the run directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}{name}", self.prefix))
    }

    /// Does `work` with `prefix` before the names of its stages.
    pub fn scoped<T>(&mut self, prefix: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.prefix, prefix.to_owned());
        let result = work(self);
        self.prefix = outer;
        result
    }

    /// Seconds that the stages took so far, over all starts.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }
}

/// The name of anything inside `folder`, or none when it is empty or missing.
fn any_entry(folder: &Path) -> Result<Option<String>, Error> {
    let fail = |source| Error::Read { path: folder.to_owned(), source };
    match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(fail(e)),
        Ok(entries) => {
            for entry in entries {
                let name = entry.map_err(fail)?.file_name();
                // An empty run folder is what a kill between creating it and naming its key leaves.
                if name != "run" || any_entry(&folder.join("run"))?.is_some_and(|n| !n.starts_with(".tmp")) {
                    return Ok(Some(name.to_string_lossy().into_owned()));
                }
            }
            Ok(None)
        }
    }
}

/// The fields in which a stored key differs, in words.
fn difference(stored: &[u8], key: &serde_json::Value) -> Option<String> {
    let Ok(serde_json::Value::Object(stored)) = serde_json::from_slice(stored) else {
        return Some("its request cannot be read".into());
    };
    let empty = serde_json::Map::new();
    let key = key.as_object().unwrap_or(&empty);
    let changed: Vec<String> = key
        .iter()
        .filter(|(name, value)| stored.get(*name) != Some(value))
        .map(|(name, value)| {
            format!("{name}: {} there, {value} here", stored.get(name).unwrap_or(&serde_json::Value::Null))
        })
        .collect();
    (!changed.is_empty()).then(|| changed.join("; "))
}

fn pretty(key: &serde_json::Value) -> String {
    serde_json::to_string_pretty(key).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stage_is_computed_once() {
        let out = tempfile::tempdir().unwrap();
        for start in 0..2 {
            let mut run = RunDir::open(out.path(), &json!({"seed": 1})).unwrap();
            let value = run.stage("a", || if start == 0 { Ok(7u32) } else { panic!("computed twice") });
            assert_eq!(value.unwrap(), 7);
        }
    }

    #[test]
    fn another_request_is_refused_and_nothing_is_overwritten() {
        let out = tempfile::tempdir().unwrap();
        RunDir::open(out.path(), &json!({"seed": 1})).unwrap();
        let error = RunDir::open(out.path(), &json!({"seed": 2})).err().unwrap().to_string();
        assert!(error.contains("seed: 1 there, 2 here"), "{error}");
    }

    #[test]
    fn a_folder_with_other_files_is_refused() {
        let out = tempfile::tempdir().unwrap();
        std::fs::write(out.path().join("thesis.tex"), "x").unwrap();
        assert!(matches!(RunDir::open(out.path(), &json!({})), Err(Error::OutputTaken { .. })));
    }

    #[test]
    fn an_interruption_says_where_the_stages_are() {
        let out = tempfile::tempdir().unwrap();
        let mut run = RunDir::open(out.path(), &json!({})).unwrap();
        let error = run.stage("a", || Err::<u32, _>(Error::Interrupted { kept: None })).unwrap_err();
        assert!(matches!(error, Error::Interrupted { kept: Some(path) } if path.starts_with(out.path())));
    }

    #[test]
    fn a_damaged_stage_is_named() {
        let out = tempfile::tempdir().unwrap();
        let mut run = RunDir::open(out.path(), &json!({})).unwrap();
        std::fs::write(run.file("a.stage"), [1, 2]).unwrap();
        assert!(matches!(run.stage("a", || Ok(1u32)), Err(Error::Stage { .. })));
    }
}
