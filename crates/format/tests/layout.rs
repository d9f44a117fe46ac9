//! Pins the byte layout: a change of these bytes is a new format version.

use dtmm_format::{
    Clamp, Elementwise, Layer, Linear, NO_TENSOR, Package, Params, Place, PortElement, PortInfo,
    Preprocessing, Rescale, Scratch, Shape, Tensor, Weights, Window, Writer, le16, le32, linear, size,
};

/// A package with every kind of section, written by hand.
fn sample() -> Vec<u8> {
    let mut w = Writer::new(96);
    let tensor = |h, width, c, zero_point, offset| Tensor {
        shape: Shape { h, w: width, c },
        zero_point,
        scale_bits: 0.5f32.to_bits(),
        place: Place::Arena(offset),
    };
    let x = w.tensor(&tensor(2, 3, 5, -7, 0)).unwrap();
    let constant = Tensor { place: Place::Constant(&[1, -2, 3]), ..tensor(1, 1, 3, 4, 0) };
    let (bias, multiplier) = (le32(&[1, -1, 258]), le32(&[1 << 30]));
    // Runs 0, 2, 3 and 5 of 3 filters with 2 runs of 4 and 1 channels: 4 + 4 + 1 + 1 weights.
    let weights = Weights::Bitmap { group: 4, bitmap: &[0b10_1101], runs: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10] };
    let clamp = Clamp { min: -100, max: 100 };
    let linear = Linear { clamp, bias: &bias, multiplier: &multiplier, shift: &[-3], weights };
    let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0; 4] };
    let conv = Layer {
        inputs: [x, NO_TENSOR],
        output: w.tensor(&tensor(2, 3, 3, 9, 32)).unwrap(),
        scratch: Scratch { offset: 80, len: 16 },
        params: Params::Conv2d { window, linear },
    };
    w.layer(&conv).unwrap();
    let add = Elementwise { multiplier: [1, 2, 3], shift: [0, -1, -2], left_shift: 20, clamp: Clamp::NONE };
    let constant = w.tensor(&constant).unwrap();
    let params = Params::Add(add);
    w.layer(&Layer {
        inputs: [conv.output, constant],
        output: conv.output,
        scratch: Scratch::default(),
        params,
    })
    .unwrap();
    w.inputs(&[x]);
    w.outputs(&[conv.output]);
    let (mean, std) = ([1.0f32.to_le_bytes()], [2.0f32.to_le_bytes()]);
    w.preprocessing(&Preprocessing { scale_bits: 0.25f32.to_bits(), resize: [2, 3], mean: &mean, std: &std })
        .unwrap();
    let shape = le32(&[1, 5, 2, 3]);
    let info = PortInfo {
        element: PortElement::U8,
        quant: Some((1.0f32.to_bits(), 128)),
        shape: &shape,
        perm: &[0, 2, 3, 1],
        name: "in",
    };
    w.port_info(&[info, PortInfo { element: PortElement::F32, quant: None, name: "out", ..info }]).unwrap();
    w.names("m", &["conv".to_owned(), "add".to_owned()]);
    w.finish().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    let row = |row: &[u8]| row.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    bytes.chunks(16).map(|r| row(r) + "\n").collect()
}

#[test]
fn the_bytes_are_pinned() {
    let found = hex(&sample());
    let expected = include_str!("layout.hex");
    assert!(found == expected, "the package layout changed; found\n{found}");
}

#[test]
fn every_part_reads_back() {
    let bytes = sample();
    let package = Package::check(&bytes).unwrap();
    assert_eq!((package.arena_bytes(), package.layers().count(), package.tensors().count()), (96, 2, 3));
    assert_eq!(package.tensor(2).unwrap().place, Place::Constant(&[1, -2, 3]));
    let conv = package.layer(0).unwrap();
    let Params::Conv2d { linear, .. } = conv.params else { panic!("the first layer is a convolution") };
    assert_eq!((linear.weights.group(), linear.weights.index()), (4, &[0b10_1101][..]));
    assert_eq!((linear.scale(0), linear.scale(2)), (Some((1 << 30, -3)), Some((1 << 30, -3))));
    assert_eq!(conv.scratch, Scratch { offset: 80, len: 16 });
    let add = package.layer(1).unwrap();
    assert_eq!(add.input_tensors().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(
        (package.inputs().collect::<Vec<_>>(), package.outputs().collect::<Vec<_>>()),
        (vec![0], vec![1])
    );
    assert_eq!(package.preprocessing().unwrap().resize, [2, 3]);
    let names: Vec<_> = package.port_info().map(|p| p.name).collect();
    assert_eq!((names, package.model_name()), (vec!["in", "out"], Some("m")));
    assert_eq!(package.layer_names().collect::<Vec<_>>(), ["conv", "add"]);
}

#[test]
fn sizes_are_known_before_writing() {
    let bytes = sample();
    let package = Package::check(&bytes).unwrap();
    let records: usize = package.layers().map(|l| l.params.encoded_len()).sum();
    assert_eq!(records, size::conv2d_len(3, 1, 10, 1) + 20);
    let port_info: usize = package.port_info().map(|p| p.encoded_len()).sum();
    let host = package.preprocessing().unwrap().encoded_len() + port_info + 12;
    let expected = size::package_len(size::tables_len(3, 2, 2), records, 4, host);
    assert_eq!(bytes.len(), expected);
}

/// Each operator's record: `encoded_len` bytes are written, no more and no fewer.
#[test]
fn every_record_has_the_length_it_says() {
    let (bias, table) = (le32(&[1, 2]), [0i8; 256]);
    let (rows, inputs) = (le16(&[0, 1, 1]), le16(&[0, 1, 2]));
    let clamp = Clamp::NONE;
    let window = Window { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0; 4] };
    let linear =
        Linear { clamp, bias: &bias, multiplier: &bias, shift: &[0, 1], weights: Weights::Dense(&[1, 2, 3]) };
    let rescale = Rescale { multiplier: 5, shift: 1, clamp };
    let elementwise = Elementwise { multiplier: [1; 3], shift: [0; 3], left_shift: 20, clamp };
    let all = [
        Params::Conv2d { window, linear },
        Params::DepthwiseConv2d { window, linear },
        Params::FullyConnected { linear },
        Params::Add(elementwise),
        Params::Sub(elementwise),
        Params::Mul(rescale),
        Params::Concat { axis: 3, inputs: &inputs },
        Params::MaxPool { window, clamp },
        Params::AveragePool { window, clamp, count_include_pad: true },
        Params::Mean { axes: 3, multiplier: 1, shift: 0 },
        Params::Reshape,
        Params::Transpose { perm: [1, 0, 2] },
        Params::Slice { begin: [0; 3], stride: [1; 3] },
        Params::Pad { before: [1; 3], value: -1 },
        Params::Requantize(rescale),
        Params::Lut(&table),
        Params::Softmax { multiplier: 1, shift: 2, diff_min: -3 },
        Params::LogSoftmax {
            multiplier: 1,
            shift: 2,
            reverse_multiplier: 3,
            reverse_shift: -4,
            diff_min: -5,
        },
        Params::ResizeNearest { rows: &rows, columns: &rows[..2] },
    ];
    assert_eq!(all.len(), dtmm_format::Opcode::ALL.len(), "an operator is missing here");
    for params in all {
        let len = params.encoded_len();
        let mut exact = vec![0xEE; len + 8];
        assert_eq!(len % 4, 0);
        params.emit(&mut exact[..len]).unwrap();
        assert!(exact[len..].iter().all(|b| *b == 0xEE));
        assert!(len == 0 || params.emit(&mut exact[..len - 1]).is_err(), "{params:?} fits into too little");
    }
    assert_eq!(linear::record_len(2, 2, 3, 0), linear.encoded_len());
    assert_eq!(dtmm_format::window::WINDOW_LEN + linear.encoded_len(), size::conv2d_len(2, 2, 3, 0));
}
