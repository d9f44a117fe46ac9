//! Conversion between the forms in which a tensor can be present.

use dtmm_graph::TensorId;

use super::build::{Exporter, Form, ints};

const TO_NHWC: [usize; 4] = [0, 2, 3, 1];
const TO_NCHW: [usize; 4] = [0, 3, 1, 2];

impl Exporter<'_> {
    /// The name of `tensor` in `form`, converted when it is not there yet.
    pub(super) fn value(&mut self, tensor: TensorId, form: Form) -> String {
        if let Some(name) = self.defined(tensor, form) {
            return name;
        }
        let name = match form {
            Form::Image => self.as_image(tensor),
            Form::Features => self.as_features(tensor),
            Form::Flattened(_) => self.as_features(tensor),
        };
        self.define(tensor, form, name.clone());
        name
    }

    /// The form that an elementwise operator keeps.
    pub(super) fn natural(&self, tensor: TensorId) -> Form {
        self.native(tensor).unwrap_or(Form::Image)
    }

    /// True when the tensor is a vector of features: H = W = 1.
    pub(super) fn is_vector(&self, tensor: TensorId) -> bool {
        let [_, h, w, _] = self.shape(tensor);
        h == 1 && w == 1
    }

    fn base(&self, tensor: TensorId) -> String {
        self.graph.tensor(tensor).name.clone()
    }

    /// Only vectors are ever present in another form than as an image.
    fn as_image(&mut self, tensor: TensorId) -> String {
        let flat = match self.natural(tensor) {
            Form::Image => return self.defined(tensor, Form::Image).unwrap_or_default(),
            _ => self.value(tensor, Form::Features),
        };
        let ([_, h, w, c], base) = (self.shape(tensor), self.base(tensor));
        self.reshape_to(&flat, &base, &[c, h, w])
    }

    fn as_features(&mut self, tensor: TensorId) -> String {
        let base = self.base(tensor);
        match self.natural(tensor) {
            Form::Image => {
                let image = self.value(tensor, Form::Image);
                self.add_helper("Flatten", &base, &[image], vec![])
            }
            Form::Features => self.defined(tensor, Form::Features).unwrap_or_default(),
            Form::Flattened([h, w, c]) => {
                let flat = self.defined(tensor, Form::Flattened([h, w, c])).unwrap_or_default();
                let image = self.reshape_to(&flat, &base, &[c, h, w]);
                let nhwc = self.transpose(&image, &base, &TO_NHWC);
                self.reshape_to(&nhwc, &base, &[h * w * c])
            }
        }
    }

    /// Reshape to `[N, rest..]`, the batch copied.
    pub(super) fn reshape_to(&mut self, input: &str, base: &str, rest: &[usize]) -> String {
        let dims: Vec<i64> = std::iter::once(0).chain(rest.iter().map(|&d| d as i64)).collect();
        let shape = self.indices(&format!("{base}/shape"), &dims);
        self.add_helper("Reshape", base, &[input.to_owned(), shape], vec![])
    }

    pub(super) fn transpose(&mut self, input: &str, base: &str, perm: &[usize]) -> String {
        self.add_helper("Transpose", base, &[input.to_owned()], vec![ints("perm", perm)])
    }

    /// The tensor as `[N, H, W, C]`.
    pub(super) fn nhwc(&mut self, tensor: TensorId) -> String {
        let base = self.base(tensor);
        let image = self.value(tensor, Form::Image);
        self.transpose(&image, &base, &TO_NHWC)
    }

    /// From `[N, H, W, C]` to `[N, C, H, W]`.
    pub(super) fn nhwc_to_image(&mut self, input: &str, base: &str) -> String {
        self.transpose(input, base, &TO_NCHW)
    }
}
