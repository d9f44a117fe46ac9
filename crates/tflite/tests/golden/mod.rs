//! Reads the golden vectors that `scripts/golden_tflite.py` writes; the script describes the format.

// Each test that includes this module uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use dtmm_graph::{ElementType, Graph, Port, TensorId};

/// A model, inputs, and what the TFLite reference kernels make of them.
pub struct Case {
    pub name: String,
    /// The `.tflite` file, or `None` where ../shared is missing.
    pub model: Option<Vec<u8>>,
    /// Name of the tensor to compare; empty for the model's output.
    pub tap: String,
    pub range: (f32, f32),
    /// Raw input bytes and expected output bytes.
    pub samples: Vec<(Vec<u8>, Vec<u8>)>,
}

/// All cases of one golden file: "int8", "float" or "shared".
pub fn load(group: &str) -> Vec<Case> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tflite/testdata/golden");
    let root = std::env::var_os("DTMM_GOLDEN_DIR").map_or(kept, PathBuf::from);
    let bytes =
        std::fs::read(root.join(format!("{group}.golden"))).expect("the golden file is in the repository");
    let mut reader = Reader { bytes: &bytes };
    let mut cases = Vec::new();
    while !reader.bytes.is_empty() {
        cases.push(reader.case());
    }
    cases
}

impl Case {
    /// Imports the model; with a tap, the graph ends there. `None` (and a loud line) where the model is missing.
    pub fn import(&self) -> Option<Graph> {
        let Some(model) = &self.model else {
            println!("SKIPPED: ../shared missing: {}", self.name);
            return None;
        };
        let mut graph =
            dtmm_tflite::import(model, &self.name).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        if !self.tap.is_empty() {
            cut(&mut graph, &self.tap);
        }
        Some(graph)
    }

    /// The real values of a float input.
    pub fn float_input(&self, raw: &[u8]) -> Vec<f32> {
        let (low, high) = (f64::from(self.range.0), f64::from(self.range.1));
        raw.iter().map(|&b| (low + (high - low) * f64::from(b) / 255.0) as f32).collect()
    }

    /// The bytes of an input as the model's own element type.
    pub fn input_bytes(&self, raw: &[u8], element_type: ElementType) -> Vec<u8> {
        match element_type {
            ElementType::F32 => self.float_input(raw).iter().flat_map(|v| v.to_le_bytes()).collect(),
            _ => raw.to_vec(),
        }
    }
}

/// Makes the tensor called `name` the graph's only output and drops what comes after it.
fn cut(graph: &mut Graph, name: &str) {
    let last = graph.nodes.iter().rposition(|n| graph.tensor(n.output).name == name);
    let last = last.unwrap_or_else(|| panic!("no node writes '{name}'"));
    graph.nodes.truncate(last + 1);
    let id: TensorId = graph.nodes[last].output;
    let tensor = graph.tensor(id);
    graph.outputs = vec![Port {
        tensor: id,
        name: name.to_owned(),
        source_shape: tensor.shape.clone(),
        perm: (0..4).collect(),
        element_type: tensor.element_type,
        quant: tensor.quant.clone(),
    }];
    graph.drop_unused_tensors();
}

pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Vec<u8> {
        let (head, tail) = self.bytes.split_at(count);
        self.bytes = tail;
        head.to_vec()
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().expect("as many as asked for")
    }

    fn u32(&mut self) -> usize {
        u32::from_le_bytes(self.array()) as usize
    }

    fn block(&mut self) -> Vec<u8> {
        let count = self.u32();
        self.take(count)
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.block()).expect("names are UTF-8")
    }

    fn case(&mut self) -> Case {
        assert_eq!(&self.array(), b"DTMMGLD1");
        let name = self.text();
        let embedded = self.block();
        let path = self.text();
        let tap = self.text();
        let range = (f32::from_le_bytes(self.array()), f32::from_le_bytes(self.array()));
        let (inputs, outputs, samples) = (self.u32(), self.u32(), self.u32());
        let sample = |_| (self.sample(inputs), self.take(outputs));
        let samples = (0..samples).map(sample).collect();
        let model = if path.is_empty() { Some(embedded) } else { std::fs::read(shared(&path)).ok() };
        Case { name, model, tap, range, samples }
    }

    fn sample(&mut self, count: usize) -> Vec<u8> {
        match self.array::<1>()[0] {
            0 => splitmix_bytes(u64::from_le_bytes(self.array()), count),
            1 => self.take(count),
            _ => {
                let start = usize::from(self.array::<1>()[0]);
                (0..count).map(|i| (start + i) as u8).collect()
            }
        }
    }
}

fn shared(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models").join(path)
}

fn splitmix_bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(count + 8);
    while out.len() < count {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend((z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(count);
    out
}
