//! `verify`: emulated cores against the host, layer by layer.

use std::path::PathBuf;

use dtmm_emulate::{Case, Core, LayerRun, Options};
use dtmm_pack::{HostModel, PackedLayer};
use dtmm_report::{CoreVerify, Difference, VerifyReport};

use crate::bench::run_one;
use crate::device::Loaded;
use crate::{Error, Progress};

/// A comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifyRequest {
    /// Package or int8 model.
    pub model: PathBuf,
    /// Cores to compare with the host.
    pub cores: Vec<Core>,
    /// `.npy` file whose first sample is the input; a fixed pattern without it.
    pub input: Option<PathBuf>,
}

/// Runs one inference on the host and on each core and compares every layer's output.
///
/// # Errors
/// A model that cannot be packed or does not fit the emulated machine; what is missing to emulate. A difference is no
/// error: the report names it.
pub fn verify(request: &VerifyRequest, progress: &dyn Progress) -> Result<VerifyReport, Error> {
    let loaded = Loaded::new(&request.model, request.input.as_deref())?;
    let fail = |source| Error::Package { path: request.model.clone(), source };
    let layers = loaded.host.layers().map_err(fail)?;
    let host = on_host(&loaded.host, &loaded.inputs).map_err(fail)?;
    let input = loaded.flat_input();
    let options = Options { layer_outputs: true, ..Options::default() };
    progress.begin("emulating", request.cores.len() as u64);
    let mut cores = Vec::with_capacity(request.cores.len());
    for (i, &core) in request.cores.iter().enumerate() {
        progress.advance(i as u64, core.name());
        let case = Case { package: &loaded.package, input: &input };
        let report = run_one(core, case, &options, &loaded.host)?;
        cores.push(compare(core, &layers, &report.layers, &host));
    }
    progress.end("done");
    Ok(VerifyReport { model: request.model.display().to_string(), input: loaded.input_name, cores })
}

/// Every layer's output.
fn on_host(host: &HostModel, inputs: &[Vec<i8>]) -> Result<Vec<Vec<i8>>, dtmm_pack::PackError> {
    let slices: Vec<&[i8]> = inputs.iter().map(Vec::as_slice).collect();
    let mut outputs = vec![];
    host.session()?.run_with(&slices, &mut |_: u16, y: &[i8]| outputs.push(y.to_vec()))?;
    Ok(outputs)
}

fn compare(core: Core, layers: &[PackedLayer], device: &[LayerRun], host: &[Vec<i8>]) -> CoreVerify {
    let equal = device.iter().zip(host).take_while(|(d, h)| d.output == **h).count();
    let rows = layers.iter().zip(device.iter().zip(host));
    let difference = rows.enumerate().nth(equal).map(|(i, (layer, (d, h)))| difference(i, layer, d, h));
    CoreVerify { core: core.name().into(), equal_layers: equal, layers: host.len(), difference }
}

fn difference(index: usize, layer: &PackedLayer, device: &LayerRun, host: &[i8]) -> Difference {
    let differs = |(d, h): (&i8, &i8)| d != h;
    let pairs = || device.output.iter().zip(host);
    let first = pairs().position(differs).unwrap_or(0);
    let [_, w, c] = layer.output.map(|n| n.max(1));
    Difference {
        layer: index,
        name: layer.name.clone(),
        op: layer.op.clone(),
        wrong: pairs().filter(|&(d, h)| d != h).count(),
        values: host.len(),
        at: [first / c / w, first / c % w, first % c],
        device: device.output.get(first).copied().unwrap_or_default(),
        host: host.get(first).copied().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        let layer = |name: &str| PackedLayer {
            name: name.into(),
            op: "Conv2d".into(),
            output: [2, 2, 3],
            storage: dtmm_pack::StorageForm::Dense,
            group: 0,
            weights: 0,
            stored_weights: 0,
            bytes: 0,
        };
        let run = |output: Vec<i8>| LayerRun { output, ..LayerRun::default() };
        let layers = [layer("a"), layer("b"), layer("c")];
        let host = [vec![1; 12], vec![2; 12], vec![3; 12]];
        let mut wrong = vec![2; 12];
        (wrong[7], wrong[11]) = (-9, 0);
        let found = compare(Core::M4, &layers, &[run(vec![1; 12]), run(wrong), run(vec![0; 12])], &host);
        let d = found.difference.expect("they differ");
        assert_eq!((found.equal_layers, d.layer, d.name.as_str(), d.wrong), (1, 1, "b", 2));
        assert_eq!((d.at, d.device, d.host), ([1, 0, 1], -9, 2));
        let same: Vec<LayerRun> = host.iter().cloned().map(run).collect();
        assert_eq!(compare(Core::M4, &layers, &same, &host).difference, None);
    }
}
