//! What DTMM stores in a model's metadata: preprocessing and class names.

use dtmm_graph::Preprocessing;
use prost::Message;

use crate::proto::{ModelProto, StringStringEntryProto};
use crate::{CLASSES_KEY, ImportError, PREPROCESSING_KEY};

fn value<'a>(model: &'a ModelProto, key: &str) -> Option<&'a str> {
    model.metadata_props.iter().find(|p| p.key == key).map(|p| p.value.as_str())
}

/// Sets or replaces one entry.
pub(crate) fn set(model: &mut ModelProto, key: &str, value: String) {
    model.metadata_props.retain(|p| p.key != key);
    model.metadata_props.push(StringStringEntryProto { key: key.to_owned(), value });
}

/// The preprocessing, when the model has one.
pub(crate) fn preprocessing(model: &ModelProto, file: &str) -> Result<Option<Preprocessing>, ImportError> {
    value(model, PREPROCESSING_KEY).map(|json| parse(file, PREPROCESSING_KEY, json)).transpose()
}

fn parse<T: serde::de::DeserializeOwned>(file: &str, key: &str, json: &str) -> Result<T, ImportError> {
    serde_json::from_str(json).map_err(|e| ImportError::Model {
        file: file.to_owned(),
        what: format!("the metadata '{key}' is not understood: {e}"),
    })
}

/// The class names stored in the ONNX model `bytes`, empty when there are none; `name` is the file for messages.
///
/// # Errors
/// [`ImportError`] when the model cannot be parsed or the entry is malformed.
pub fn read_classes(bytes: &[u8], name: &str) -> Result<Vec<String>, ImportError> {
    let model = crate::import::parse(bytes, name)?;
    value(&model, CLASSES_KEY).map_or(Ok(vec![]), |json| parse(name, CLASSES_KEY, json))
}

/// The ONNX model `bytes` with these class names stored in it.
///
/// # Errors
/// [`ImportError`] when `bytes` is no ONNX model.
pub fn with_classes(bytes: &[u8], classes: &[String]) -> Result<Vec<u8>, ImportError> {
    let mut model = crate::import::parse(bytes, "model")?;
    let json = serde_json::Value::from(classes.to_vec()).to_string();
    set(&mut model, CLASSES_KEY, json);
    Ok(model.encode_to_vec())
}
