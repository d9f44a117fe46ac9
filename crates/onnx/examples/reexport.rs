//! Imports an ONNX model and writes it again: `reexport IN OUT`. The check against onnxruntime uses it.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = &args[..] else { return Err("usage: reexport IN OUT".into()) };
    let graph = dtmm_onnx::import_file(input).map_err(|e| format!("{e}\nhelp: {}", e.help()))?;
    for node in &graph.nodes {
        let shapes: Vec<_> = node.inputs.iter().map(|&t| &graph.tensor(t).shape).collect();
        println!("{} '{}' {shapes:?} -> {:?}", node.op.name(), node.name, graph.tensor(node.output).shape);
    }
    dtmm_onnx::export_file(&graph, output)?;
    Ok(())
}
