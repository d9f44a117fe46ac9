//! Which crates may depend on which.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::step::Outcome;
use crate::workspace::Workspace;

const DEVICE: [&str; 3] = ["dtmm-format", "dtmm-kernels", "dtmm-runtime"];

/// For each crate the crates of the workspace that it may use; `dtmm-`'s device crates never use the host's. What only
/// tests use is free, but for cycles, which cargo refuses.
const ALLOWED: [(&str, &[&str]); 22] = [
    ("dtmm-graph", &[]),
    ("dtmm-report", &[]),
    ("dtmm-boards", &[]),
    ("dtmm-calibrate", &["dtmm-boards", "dtmm-cost", "dtmm-emulate", "dtmm-format", "dtmm-testkit"]),
    ("dtmm-cost", &["dtmm-boards", "dtmm-format", "dtmm-graph"]),
    ("dtmm-emulate", &["dtmm-format"]),
    ("dtmm-export", &["dtmm-emulate", "dtmm-format"]),
    ("dtmm-format", &[]),
    ("dtmm-kernels", &[]),
    ("dtmm-runtime", &["dtmm-format", "dtmm-kernels"]),
    ("dtmm-testkit", &["dtmm-format", "dtmm-kernels", "dtmm-runtime"]),
    ("dtmm-data", &["dtmm-graph"]),
    ("dtmm-onnx", &["dtmm-graph"]),
    ("dtmm-tflite", &["dtmm-graph"]),
    ("dtmm-train", &["dtmm-data", "dtmm-graph"]),
    ("dtmm-prune", &["dtmm-format", "dtmm-graph", "dtmm-kernels"]),
    ("dtmm-quant", &["dtmm-format", "dtmm-graph", "dtmm-kernels"]),
    ("dtmm-target", &["dtmm-format", "dtmm-graph", "dtmm-kernels"]),
    ("dtmm-pack", &["dtmm-format", "dtmm-graph", "dtmm-kernels", "dtmm-quant", "dtmm-runtime"]),
    (
        "dtmm",
        &[
            "dtmm-boards",
            "dtmm-calibrate",
            "dtmm-cost",
            "dtmm-data",
            "dtmm-emulate",
            "dtmm-export",
            "dtmm-format",
            "dtmm-graph",
            "dtmm-kernels",
            "dtmm-onnx",
            "dtmm-pack",
            "dtmm-prune",
            "dtmm-quant",
            "dtmm-report",
            "dtmm-runtime",
            "dtmm-target",
            "dtmm-tflite",
            "dtmm-train",
        ],
    ),
    ("dtmm-cli", &["dtmm", "dtmm-report"]),
    ("xtask", &[]),
];

pub fn run(workspace: &Workspace) -> Result<Outcome> {
    let metadata = workspace.metadata("Cargo.toml")?;
    let edges = edges(&metadata)?;
    let mut complaints = complaints(&edges);
    complaints.extend(std_in_device(workspace)?);
    let count: usize = edges.iter().map(|(_, to)| to.len()).sum();
    Ok(Outcome::from_complaints(&complaints, format!("{} crates, {count} edges", edges.len())))
}

/// Each crate of the workspace with those it uses outside its tests.
fn edges(metadata: &Value) -> Result<Vec<(String, Vec<String>)>> {
    let members = metadata["workspace_members"].as_array().context("no workspace members")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let own: Vec<&Value> = packages.iter().filter(|p| members.contains(&p["id"])).collect();
    let uses = |package: &Value| {
        let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ours = dependencies.iter().filter(|d| d["kind"] != "dev" && d["path"].is_string());
        ours.filter_map(|d| d["name"].as_str().map(String::from)).collect()
    };
    let name = |p: &Value| p["name"].as_str().unwrap_or_default().to_string();
    Ok(own.into_iter().map(|p| (name(p), uses(p))).collect())
}

fn complaints(edges: &[(String, Vec<String>)]) -> Vec<String> {
    let mut complaints = vec![];
    for (from, uses) in edges {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == from) else {
            complaints.push(format!("{from} is new: say in the table of {} what it may use", file!()));
            continue;
        };
        let refused = uses.iter().filter(|to| !allowed.contains(&to.as_str()));
        complaints.extend(refused.map(|to| format!("{from} must not depend on {to}")));
    }
    complaints
}

/// Device crates that do not say `#![no_std]`.
fn std_in_device(workspace: &Workspace) -> Result<Vec<String>> {
    let mut complaints = vec![];
    for name in DEVICE {
        let folder = name.trim_start_matches("dtmm-");
        let path = workspace.root.join("crates").join(folder).join("src/lib.rs");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if !text.contains("no_std") {
            complaints.push(format!("{name} runs on the device and must be no_std"));
        }
    }
    Ok(complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_and_unknown_edges_are_named() {
        let edge = |from: &str, to: &[&str]| (from.to_string(), to.iter().map(|t| t.to_string()).collect());
        let edges = [
            edge("dtmm-train", &["dtmm-graph", "dtmm-onnx"]),
            edge("dtmm-new", &[]),
            edge("dtmm-cli", &["dtmm"]),
        ];
        let complaints = complaints(&edges);
        assert_eq!(complaints.len(), 2);
        assert_eq!(complaints[0], "dtmm-train must not depend on dtmm-onnx");
        assert!(complaints[1].starts_with("dtmm-new is new"));
    }

    #[test]
    fn device_crates_use_device_crates_only() {
        for (from, allowed) in ALLOWED.iter().filter(|(from, _)| DEVICE.contains(from)) {
            assert!(allowed.iter().all(|to| DEVICE.contains(to)), "{from}");
        }
    }
}
