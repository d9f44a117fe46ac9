//! The checked view of a package.

use crate::bytes::Reader;
use crate::{
    Clamp, FormatError, Header, Layer, Linear, NO_TENSOR, Opcode, Params, PortInfo, Preprocessing, Record,
    Shape, Tensor, Window, header, layer, names, tensor, window,
};

/// A package that has passed [`Package::check`]. Accessors cannot fail or read outside the blob; they return `None`
/// only for an index beyond the count.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    blob: &'a [u8],
    /// The blob's start. Its numbers are read where they are: copies of them would take code and memory.
    head: &'a [u8; header::LEN],
}

impl<'a> Package<'a> {
    /// Checks every field, offset, length and shape of the package at the start of `bytes`. Bytes behind its end are
    /// ignored.
    ///
    /// # Errors
    /// The first reason to refuse the package.
    pub fn check(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let header = Header::check(bytes)?;
        let blob = bytes.get(..header.total_len as usize).ok_or(FormatError::Truncated)?;
        let package = Package { blob, head: blob.first_chunk().ok_or(FormatError::Truncated)? };
        crate::check::check(&package)?;
        Ok(package)
    }

    /// The bytes of the package.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.blob
    }

    /// The header's numbers.
    #[inline]
    pub fn header(&self) -> Header {
        Header::parse(self.head)
    }

    /// Bytes of memory that inference needs: activations and scratch.
    pub fn arena_bytes(&self) -> usize {
        self.header().arena_bytes as usize
    }

    /// True when the blob lies at an address that kernels can read words from. Portable kernels do not need it.
    pub fn is_aligned(&self) -> bool {
        self.blob.as_ptr().addr().is_multiple_of(crate::ALIGNMENT)
    }

    /// The tensor with this index.
    #[inline(never)]
    pub fn tensor(&self, index: u16) -> Option<Tensor<'a>> {
        if index >= self.header().tensor_count {
            return None;
        }
        Tensor::parse(table_record(self.blob, self.header().tensors, index)?, self.blob)
    }

    /// All tensors in order.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'a>> {
        let package = *self;
        (0..self.header().tensor_count).map_while(move |i| package.tensor(i))
    }

    /// The layer with this index, in execution order.
    pub fn layer(&self, index: u16) -> Option<Layer<'a>> {
        let record = self.record(index)?;
        let shape = self.tensor(record.output)?.shape;
        let params = match (record.opcode, self.window(&record)) {
            (opcode, _) if !opcode.is_built() => None,
            (Opcode::FullyConnected, _) => {
                self.linear(&record, shape).map(|linear| Params::FullyConnected { linear })
            }
            (Opcode::Conv2d, Some(window)) => {
                self.linear(&record, shape).map(|linear| Params::Conv2d { window, linear })
            }
            (Opcode::DepthwiseConv2d, Some(window)) => {
                self.linear(&record, shape).map(|linear| Params::DepthwiseConv2d { window, linear })
            }
            (Opcode::MaxPool, Some(window)) => {
                self.pool(&record).map(|(clamp, _)| Params::MaxPool { window, clamp })
            }
            (Opcode::AveragePool, Some(window)) => self
                .pool(&record)
                .map(|(clamp, count_include_pad)| Params::AveragePool { window, clamp, count_include_pad }),
            _ => self.params(&record),
        };
        let Record { inputs, output, scratch, .. } = record;
        Some(Layer { inputs, output, scratch, params: params? })
    }

    /// The window of a convolution or pool; one pixel for a fully connected layer. The device reads the parameters of
    /// these operators in pieces, where it needs them: all of them as [`Params`] take several times the code.
    #[inline(never)]
    pub fn window(&self, record: &Record) -> Option<Window> {
        if record.opcode == Opcode::FullyConnected {
            return Some(Window::POINT);
        }
        Window::parse(&mut self.reader(record)?)
    }

    /// Weights and output scaling of a convolution or fully connected layer with this output.
    pub fn linear(&self, record: &Record, output: Shape) -> Option<Linear<'a>> {
        let r = &mut self.reader(record)?;
        if record.opcode != Opcode::FullyConnected {
            r.take(window::WINDOW_LEN)?;
        }
        Linear::parse(r, record.storage, output.c as usize)
    }

    /// Clamp of a pool, and whether padding counts as real zeros.
    pub fn pool(&self, record: &Record) -> Option<(Clamp, bool)> {
        let r = &mut self.reader(record)?;
        r.take(window::WINDOW_LEN)?;
        let [min, max, count_include_pad] = r.array()?;
        let clamp = Clamp { min: min.cast_signed(), max: max.cast_signed() };
        Some((clamp, count_include_pad != 0))
    }

    /// A reader of a layer's parameters.
    fn reader(&self, record: &Record) -> Option<Reader<'a>> {
        self.blob.get(record.params as usize..).map(Reader)
    }

    /// The parameters of any other layer; `None` when they do not fit into the package.
    #[inline(never)]
    pub fn params(&self, record: &Record) -> Option<Params<'a>> {
        let shape = self.tensor(record.output)?.shape;
        Params::parse(record.opcode, &mut self.reader(record)?, shape)
    }

    /// Index of input tensor `k` of a layer; `None` when there are not so many.
    pub fn input_of(&self, record: &Record, k: usize) -> Option<u16> {
        if Opcode::Concat.is_built() && record.opcode == Opcode::Concat {
            let Some(Params::Concat { inputs, .. }) = &self.params(record) else { return None };
            return inputs.get(k).map(|t| u16::from_le_bytes(*t));
        }
        record.inputs.get(k).copied().filter(|t| *t != NO_TENSOR)
    }

    /// Index of the output tensor of the layer with this index.
    pub fn layer_output(&self, index: u16) -> Option<u16> {
        self.record(index).map(|record| record.output)
    }

    /// All layers in execution order.
    pub fn layers(&self) -> impl Iterator<Item = Layer<'a>> {
        let package = *self;
        (0..self.header().layer_count).map_while(move |i| package.layer(i))
    }

    /// The layer with this index without its parameters.
    #[inline(never)]
    pub fn record(&self, index: u16) -> Option<Record> {
        if index >= self.header().layer_count {
            return None;
        }
        table_record(self.blob, self.header().layers, index).and_then(Record::parse)
    }

    /// Tensor index of model input `i`.
    pub fn input(&self, i: usize) -> Option<u16> {
        if i < usize::from(self.header().input_count) { self.port(i) } else { None }
    }

    /// Tensor index of model output `i`.
    pub fn output(&self, i: usize) -> Option<u16> {
        self.port(i.checked_add(self.header().input_count.into())?)
    }

    /// Tensor indexes of the model inputs.
    pub fn inputs(&self) -> impl Iterator<Item = u16> {
        (0..).map_while(|i| self.input(i))
    }

    /// Tensor indexes of the model outputs.
    pub fn outputs(&self) -> impl Iterator<Item = u16> {
        (0..).map_while(|i| self.output(i))
    }

    /// Tensor index of port `i`: the inputs, then the outputs.
    pub(crate) fn port(&self, i: usize) -> Option<u16> {
        if i >= usize::from(self.header().input_count).wrapping_add(self.header().output_count.into()) {
            return None;
        }
        let at = (self.header().ports as usize).checked_add(i.checked_mul(2)?)?;
        self.blob.get(at..)?.first_chunk().map(|i| u16::from_le_bytes(*i))
    }

    /// The port table's bytes lie in the blob.
    pub(crate) fn has_port_table(&self) -> bool {
        let ports = usize::from(self.header().input_count) + usize::from(self.header().output_count);
        self.section(self.header().ports).is_some_and(|bytes| bytes.len() >= 2 * ports)
    }

    /// Both tables' bytes lie in the blob.
    pub(crate) fn has_tables(&self) -> bool {
        let h = self.header();
        let holds = |start: u32, len: usize, count: u16| {
            let bytes = usize::from(count).wrapping_mul(len);
            self.blob.len().checked_sub(start as usize).is_some_and(|rest| rest >= bytes)
        };
        holds(h.tensors, tensor::LEN, h.tensor_count) && holds(h.layers, layer::LEN, h.layer_count)
    }

    /// What turns raw samples into the input; `None` when the package does not say.
    pub fn preprocessing(&self) -> Option<Preprocessing<'a>> {
        self.section(self.header().preprocessing).and_then(Preprocessing::parse)
    }

    /// How the source model presents its ports, inputs first; empty when the package does not say.
    pub fn port_info(&self) -> impl Iterator<Item = PortInfo<'a>> {
        let mut r = Reader(self.section(self.header().port_info).unwrap_or_default());
        let ports = usize::from(self.header().input_count) + usize::from(self.header().output_count);
        (0..ports).map_while(move |_| PortInfo::parse(&mut r))
    }

    /// The model's name; `None` when the package holds no names.
    pub fn model_name(&self) -> Option<&'a str> {
        self.names().next()
    }

    /// Names of all layers in order; empty when the package holds no names.
    pub fn layer_names(&self) -> impl Iterator<Item = &'a str> {
        self.names().skip(1)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut r = Reader(self.section(self.header().names).unwrap_or_default());
        let count = usize::from(self.header().layer_count) + 1;
        (0..count).map_while(move |_| names::next(&mut r))
    }

    /// The bytes from an optional section's offset; `None` when it is absent (0) or outside the blob.
    fn section(&self, offset: u32) -> Option<&'a [u8]> {
        self.blob.get(offset as usize..).filter(|_| offset != 0)
    }
}

/// Record `index` of a table of `N`-byte records.
fn table_record<const N: usize>(blob: &[u8], start: u32, index: u16) -> Option<&[u8; N]> {
    let offset = (start as usize).checked_add(usize::from(index).wrapping_mul(N))?;
    blob.get(offset..)?.first_chunk()
}
