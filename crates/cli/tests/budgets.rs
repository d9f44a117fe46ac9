//! Budgets besides flash, sweeps and comparisons, on the small model.

mod common;

use std::fs;

use common::{error, json, small_model};

const DATA: [&str; 6] = ["--data", "builtin:glyphs", "--samples", "300", "--epochs", "0"];

fn args<'a>(command: &'a str, own: &[&'a str]) -> Vec<&'a str> {
    [&[command, small_model().to_str().unwrap()], &DATA[..], own].concat()
}

#[test]
fn flash_ram_and_latency_hold_together() {
    let folder = tempfile::tempdir().unwrap();
    let own =
        ["--flash", "0.5x", "--ram", "0.8x", "--latency", "25ms", "--board", "nucleo-f411re", "-o", "o"];
    let report = json(folder.path(), &args("compress", &own));
    let budgets = report["budgets"].as_array().unwrap();
    assert_eq!(budgets.len(), 3);
    for b in budgets {
        assert!(b["kept"].as_bool().unwrap() && b["taken"].as_f64() <= b["budget"].as_f64(), "{b}");
    }
    let package = fs::read(folder.path().join("o/model.dtmm")).unwrap();
    assert_eq!(package.len() as u64, report["flash"]["package_bytes"]);
    let inspected = json(folder.path(), &["inspect", "o/model.dtmm"]);
    assert_eq!(inspected["arena_bytes"], report["ram"]["arena_bytes"]);
    let bound = &report["bound"];
    assert!(
        bound["gap"].as_f64().unwrap() < 0.05 && bound["importance_removed"].as_f64().unwrap() > 0.0,
        "{bound}"
    );
    let html = fs::read_to_string(folder.path().join("o/report.html")).unwrap();
    assert!(html.contains("data:image/bmp;base64,") && html.contains("Estimated time"));
}

#[test]
fn every_impossible_budget_is_named_with_what_is_possible() {
    let folder = tempfile::tempdir().unwrap();
    let own = ["--flash", "100", "--ram", "100", "--latency", "1us", "--board", "pico", "-o", "o"];
    let text = error(folder.path(), &args("compress", &own));
    for part in [
        "flash: 100 bytes are out of reach",
        "RAM: 100 bytes",
        "tensor '",
        "latency: ",
        "help: feasible is --flash ",
    ] {
        assert!(text.contains(part), "no '{part}' in {text}");
    }
    // What the advice says is feasible.
    let advice = text.split("feasible is ").nth(1).unwrap().trim();
    let flags: Vec<&str> = advice.split_whitespace().collect();
    json(folder.path(), &args("compress", &[&flags[..], &["--board", "pico", "-o", "advised"]].concat()));
}

#[test]
fn senseless_mixes_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 12] = [
        (&[], "at least one"),
        (&["--latency", "5ms"], "--core and --clock"),
        (&["--flash", "0.5x", "--minimize", "ram"], "--max-drop"),
        (&["--board", "toaster"], "did you mean"),
        (&["--flash", "0.5x", "--units", "channel"], "the units are filter"),
        (&["--flash", "0.5x", "--scheduler", "pattern", "--units", "filter"], "units of their own"),
        (&["--flash", "0.5x", "--units", "filter", "--permute"], "sub-filterlets among the units"),
        (&["--flash", "0.5x", "--channel-cut", "1.5"], "a share from 0 to 1"),
        (
            &["--flash", "0.5x", "--channel-cut", "1", "--scheduler", "anneal"],
            "lagrangian, with filters and finer",
        ),
        (
            &["--flash", "0.5x", "--channel-cut", "0", "--units", "filterlet"],
            "lagrangian, with filters and finer",
        ),
        (&["--flash", "0.5x", "--importance-threshold", "0.2"], "anneal"),
        (
            &["--flash", "0.5x", "--scheduler", "anneal", "--importance-threshold", "0.01"],
            "raise the threshold",
        ),
    ];
    for (own, part) in cases {
        let text = error(folder.path(), &args("compress", own));
        assert!(text.contains(part), "{own:?}: {text}");
    }
    for scheduler in ["unstructured", "pattern", "n:4"] {
        let own = ["--ram", "0.5x", "--scheduler", scheduler, "-o", scheduler];
        let text = error(folder.path(), &args("compress", &own));
        assert!(text.contains("knows flash only"), "{text}");
    }
}

#[test]
fn a_largest_drop_alone_gives_a_smaller_package() {
    let folder = tempfile::tempdir().unwrap();
    let report = json(folder.path(), &args("compress", &["--max-drop", "60", "-o", "o"]));
    let flash = &report["flash"];
    assert!(flash["package_bytes"].as_u64() < flash["dense_int8_bytes"].as_u64(), "{flash}");
    assert_eq!(report["budgets"][0]["resource"], "accuracy drop");
    assert_eq!(report["budgets"][0]["kept"], true);
}

#[test]
fn the_dense_size_counts_the_preprocessing_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for (output, preprocess) in [("raw", ""), ("shifted", "--scale 0.004 --mean 0.1 --std 0.9")] {
        let own = ["--flash", "1.0x", "--preprocess", "raw", "-o", output].into_iter();
        let own: Vec<&str> = own.chain(preprocess.split_whitespace()).collect();
        let flash = &json(folder.path(), &args("compress", &own))["flash"];
        assert_eq!(flash["package_bytes"], flash["dense_int8_bytes"], "{output}: {flash}");
    }
}

#[test]
fn a_compared_method_with_permuted_channels_is_the_one_that_compress_runs() {
    let folder = tempfile::tempdir().unwrap();
    let own = ["--rounds", "1", "--permute"];
    let compressed = [&own[..], &["--flash", "0.25x", "-o", "c"]].concat();
    let report = json(folder.path(), &args("compress", &compressed));
    let compared = [&own[..], &["--budgets", "0.25x", "--methods", "lagrangian", "-o", "o"]].concat();
    let rows = json(folder.path(), &args("compare", &compared));
    assert_eq!(rows["rows"][1]["accuracy_int8"], report["accuracy"]["int8"]);
    assert_eq!(rows["rows"][1]["package_bytes"], report["flash"]["package_bytes"]);
}

#[test]
fn channels_make_as_much_of_the_cut_as_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let storage = |cut: &'static str| {
        let own = ["--flash", "0.3x", "--rounds", "1", "--channel-cut", cut, "-o", cut];
        let report = json(folder.path(), &args("compress", &own));
        let layers = report["layers"].as_array().unwrap().clone();
        layers
            .iter()
            .filter(|l| l["dense_weights"] != 0)
            .map(|l| l["storage"].to_string())
            .collect::<Vec<_>>()
    };
    let all = storage("1");
    assert!(all.iter().all(|s| s == "\"dense\""), "{all:?}");
    let none = storage("0");
    assert!(none.iter().any(|s| s != "\"dense\""), "{none:?}");
}

#[test]
fn a_sweep_gives_one_package_for_each_point() {
    let folder = tempfile::tempdir().unwrap();
    let own = ["--flash", "0.3x", "--pareto", "3", "-o", "o"];
    let report = json(folder.path(), &args("compress", &own));
    let rows = report["rows"].as_array().unwrap();
    let bytes: Vec<u64> = rows.iter().map(|r| r["package_bytes"].as_u64().unwrap()).collect();
    assert!(bytes.len() == 3 && bytes.is_sorted_by(|a, b| a > b), "{bytes:?}");
    for (i, bytes) in bytes.iter().enumerate() {
        let package = folder.path().join(format!("o/point-{}/model.dtmm", i + 1));
        assert_eq!(fs::metadata(package).unwrap().len(), *bytes);
    }
    let csv = fs::read_to_string(folder.path().join("o/pareto.csv")).unwrap();
    assert_eq!(csv.lines().count(), 4);
    assert_eq!(
        json(folder.path(), &args("compress", &own)),
        report,
        "a finished sweep gives its report again"
    );
}

#[test]
fn a_comparison_has_a_row_for_each_method_and_budget() {
    let folder = tempfile::tempdir().unwrap();
    let own =
        ["--budgets", "1/2,1/4", "--methods", "lagrangian,unstructured,filter-only@chip,1:4", "-o", "o"];
    let report = json(folder.path(), &args("compare", &own));
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1 + 2 * 4);
    assert_eq!((&rows[0]["method"], &rows[0]["index_bytes"]), (&"dense".into(), &0.into()), "unpruned");
    for row in rows[1..].iter().filter(|r| r["feasible"] == true) {
        assert!(row["stored_bytes"].as_u64() <= row["budget_bytes"].as_u64(), "{row}");
    }
    let impossible: Vec<_> = rows.iter().filter(|r| r["feasible"] == false).collect();
    assert!(
        impossible
            .iter()
            .all(|r| r["method"] == "1:4" && r["note"].as_str().unwrap().contains("out of reach"))
    );
    let csv = fs::read_to_string(folder.path().join("o/compare.csv")).unwrap();
    assert!(csv.lines().count() == 10 && csv.lines().next().unwrap().ends_with("cycles_m85"), "{csv}");
    let page = fs::read_to_string(folder.path().join("o/compare.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("filter-only@chip"));
}
