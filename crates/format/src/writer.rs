//! Assembles a package in memory (feature `alloc`).

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::{
    ALIGNMENT, BufferTooSmall, FormatError, Header, Layer, MAX_BYTES, Package, Place, PortInfo,
    Preprocessing, Tensor, header, layer, names, tensor,
};

/// Little-endian bytes of i32 numbers, as [`crate::Linear`] holds them.
pub fn le32(values: &[i32]) -> Vec<[u8; 4]> {
    values.iter().map(|v| v.to_le_bytes()).collect()
}

/// Little-endian bytes of u16 numbers, as [`crate::Params::Concat`] and [`crate::Params::ResizeNearest`] hold them.
pub fn le16(values: &[u16]) -> Vec<[u8; 2]> {
    values.iter().map(|v| v.to_le_bytes()).collect()
}

/// Why a package could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// More than 65 534 tensors, layers or ports, or more than 2 GiB.
    TooLarge,
    /// The package breaks a rule of the format.
    Invalid(FormatError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::TooLarge => f.write_str("too many tensors, layers or bytes for one package"),
            WriteError::Invalid(error) => write!(f, "the package would be refused at load: {error}"),
        }
    }
}

impl core::error::Error for WriteError {}

impl From<BufferTooSmall> for WriteError {
    fn from(_: BufferTooSmall) -> Self {
        WriteError::TooLarge
    }
}

/// Collects tensors and layers, then lays them out.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    tensors: Vec<u8>,
    /// For each constant: position in the tensor table, and its data.
    constants: Vec<(usize, Vec<i8>)>,
    layers: Vec<u8>,
    /// For each layer with parameters: position in the layer table, and its record.
    records: Vec<(usize, Vec<u8>)>,
    ports: [Vec<u16>; 2],
    preprocessing: Vec<u8>,
    port_info: Vec<u8>,
    names: Vec<u8>,
    arena_bytes: u32,
}

impl Writer {
    /// An empty package whose inference needs `arena_bytes`.
    pub fn new(arena_bytes: u32) -> Self {
        Writer { arena_bytes, ..Writer::default() }
    }

    /// Adds a tensor and returns its index.
    ///
    /// # Errors
    /// [`WriteError::TooLarge`] for the 65 535th tensor.
    pub fn tensor(&mut self, tensor: &Tensor<'_>) -> Result<u16, WriteError> {
        let at = self.tensors.len();
        self.tensors.resize(at + tensor::LEN, 0);
        tensor.emit(0, self.tensors.get_mut(at..).unwrap_or_default())?;
        if let Place::Constant(data) = tensor.place {
            self.constants.push((at, data.to_vec()));
        }
        index(at / tensor::LEN)
    }

    /// Appends a layer.
    ///
    /// # Errors
    /// [`WriteError::TooLarge`] for the 65 535th layer, or for more than 65 535 inputs of one Concat.
    pub fn layer(&mut self, layer: &Layer<'_>) -> Result<u16, WriteError> {
        let at = self.layers.len();
        self.layers.resize(at + layer::LEN, 0);
        layer.emit(0, self.layers.get_mut(at..).unwrap_or_default())?;
        if layer.params.encoded_len() > 0 {
            let mut record = vec![0; layer.params.encoded_len()];
            layer.params.emit(&mut record)?;
            self.records.push((at, record));
        }
        index(at / layer::LEN)
    }

    /// Sets the tensors that are the model's inputs.
    pub fn inputs(&mut self, tensors: &[u16]) {
        self.ports[0] = tensors.to_vec();
    }

    /// Sets the tensors that are the model's outputs.
    pub fn outputs(&mut self, tensors: &[u16]) {
        self.ports[1] = tensors.to_vec();
    }

    /// Stores the preprocessing.
    ///
    /// # Errors
    /// [`WriteError::TooLarge`] for more than 65 535 channels.
    pub fn preprocessing(&mut self, preprocessing: &Preprocessing<'_>) -> Result<(), WriteError> {
        self.preprocessing = vec![0; preprocessing.encoded_len()];
        Ok(preprocessing.emit(&mut self.preprocessing)?)
    }

    /// Stores the port descriptions, inputs first, one per port. Names are shortened to 255 bytes.
    ///
    /// # Errors
    /// [`WriteError::TooLarge`] when a shape and its permutation differ in length or have more than 255 axes.
    pub fn port_info(&mut self, ports: &[PortInfo<'_>]) -> Result<(), WriteError> {
        self.port_info.clear();
        for port in ports {
            let port = PortInfo { name: names::shorten(port.name), ..*port };
            let mut record = vec![0; port.encoded_len()];
            port.emit(&mut record)?;
            self.port_info.append(&mut record);
        }
        Ok(())
    }

    /// Stores the model's name and one name per layer, each shortened to 255 bytes.
    pub fn names(&mut self, model: &str, layers: &[String]) {
        self.names.clear();
        for name in core::iter::once(model).chain(layers.iter().map(String::as_str)) {
            let name = names::shorten(name);
            self.names.push(name.len() as u8);
            self.names.extend_from_slice(name.as_bytes());
        }
    }

    /// Lays out the package, seals it and checks it.
    ///
    /// # Errors
    /// [`WriteError::TooLarge`], or [`WriteError::Invalid`] when [`Package::check`] refuses the result.
    pub fn finish(mut self) -> Result<Vec<u8>, WriteError> {
        let (tensors, layers) = (header::LEN, header::LEN + self.tensors.len());
        let ports = layers + self.layers.len();
        let mut body = self.ports.concat().iter().flat_map(|t| t.to_le_bytes()).collect();
        pad(&mut body, 4);
        for (at, record) in &self.records {
            let offset = offset(ports + body.len())?;
            set(&mut self.layers, *at + layer::field::PARAMS.start, offset);
            body.extend_from_slice(record);
        }
        for (at, data) in &self.constants {
            let offset = offset(ports + body.len())?;
            set(&mut self.tensors, *at + tensor::field::OFFSET.start, offset);
            body.extend(data.iter().map(|v| v.cast_unsigned()));
            pad(&mut body, 4);
        }
        let mut host = [0; 3];
        for (offset_of, section) in host.iter_mut().zip([&self.preprocessing, &self.port_info, &self.names]) {
            if !section.is_empty() {
                *offset_of = offset(ports + body.len())?;
                body.extend_from_slice(section);
                pad(&mut body, 4);
            }
        }
        let [preprocessing, port_info, names] = host;
        let header = Header {
            total_len: offset((ports + body.len()).next_multiple_of(ALIGNMENT))?,
            arena_bytes: self.arena_bytes,
            tensor_count: index(self.tensors.len() / tensor::LEN)?,
            layer_count: index(self.layers.len() / layer::LEN)?,
            input_count: index(self.ports[0].len())?,
            output_count: index(self.ports[1].len())?,
            tensors: offset(tensors)?,
            layers: offset(layers)?,
            ports: offset(ports)?,
            preprocessing,
            port_info,
            names,
        };
        self.assemble(&header, &body)
    }

    fn assemble(&self, header: &Header, body: &[u8]) -> Result<Vec<u8>, WriteError> {
        let mut blob = vec![0; header::LEN];
        header.emit(&mut blob)?;
        blob.extend_from_slice(&self.tensors);
        blob.extend_from_slice(&self.layers);
        blob.extend_from_slice(body);
        blob.resize(header.total_len as usize, 0);
        header::seal(&mut blob)?;
        Package::check(&blob).map_err(WriteError::Invalid)?;
        Ok(blob)
    }
}

fn index(n: usize) -> Result<u16, WriteError> {
    u16::try_from(n).ok().filter(|&n| n < u16::MAX).ok_or(WriteError::TooLarge)
}

fn offset(n: usize) -> Result<u32, WriteError> {
    u32::try_from(n).ok().filter(|_| n <= MAX_BYTES).ok_or(WriteError::TooLarge)
}

fn pad(bytes: &mut Vec<u8>, alignment: usize) {
    bytes.resize(bytes.len().next_multiple_of(alignment), 0);
}

/// Puts a `u32` at a position that the caller has written before.
fn set(table: &mut [u8], at: usize, value: u32) {
    if let Some(field) = table.get_mut(at..).and_then(|t| t.first_chunk_mut()) {
        *field = value.to_le_bytes();
    }
}
