//! The plots of the report, as SVG text.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::HtmlError;
use crate::{CompressReport, LayerRow};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 860;
const BEFORE: RGBColor = RGBColor(186, 196, 209);
const AFTER: RGBColor = RGBColor(37, 99, 235);
const RAM: RGBColor = RGBColor(16, 148, 112);

/// One bar of a horizontal chart: label, pale value behind, strong value in front, text at the end.
struct Bar {
    label: String,
    before: f64,
    after: f64,
    text: String,
}

/// Share of weights kept in each layer.
pub fn sparsity(report: &CompressReport) -> Result<String, HtmlError> {
    let bar = |l: &LayerRow| {
        let kept = 1.0 - l.sparsity();
        Bar { label: l.name.clone(), before: 1.0, after: kept, text: format!("{:.1} % kept", kept * 100.0) }
    };
    bars(weighted(report).map(bar).collect(), AFTER)
}

/// Package bytes of each layer, before and after.
pub fn layer_bytes(report: &CompressReport) -> Result<String, HtmlError> {
    let bar = |l: &LayerRow| Bar {
        label: l.name.clone(),
        before: l.dense_bytes as f64,
        after: l.bytes as f64,
        text: format!("{} of {}", crate::bytes(l.bytes), crate::bytes(l.dense_bytes)),
    };
    bars(weighted(report).map(bar).collect(), AFTER)
}

/// Live RAM while each layer runs.
pub fn ram(report: &CompressReport) -> Result<String, HtmlError> {
    let bar = |p: &crate::RamPoint| Bar {
        label: p.layer.clone(),
        before: 0.0,
        after: p.live_bytes as f64,
        text: crate::bytes(p.live_bytes),
    };
    bars(report.ram.timeline.iter().map(bar).collect(), RAM)
}

/// Validation accuracy over the fine-tuning epochs.
pub fn training(report: &CompressReport) -> Result<String, HtmlError> {
    if report.epochs.len() < 2 {
        return Ok(String::new());
    }
    let points: Vec<(f64, f64)> = report
        .epochs
        .iter()
        .enumerate()
        .map(|(i, e)| (i as f64 + 1.0, e.validation_accuracy * 100.0))
        .collect();
    let low = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * 0.1).max(0.5);
    svg(260, |root| {
        let mut chart = ChartBuilder::on(root)
            .margin(12)
            .x_label_area_size(32)
            .y_label_area_size(52)
            .build_cartesian_2d(1.0..points.len() as f64, low - margin..(high + margin).min(100.0 + margin))
            .map_err(fail)?;
        chart
            .configure_mesh()
            .x_desc("fine-tuning epoch")
            .y_desc("validation accuracy, %")
            .light_line_style(TRANSPARENT)
            .x_label_formatter(&|v| format!("{v:.0}"))
            .draw()
            .map_err(fail)?;
        chart.draw_series(LineSeries::new(points.iter().copied(), AFTER.stroke_width(2))).map_err(fail)?;
        chart.draw_series(points.iter().map(|&p| Circle::new(p, 3, AFTER.filled()))).map_err(fail)?;
        Ok(())
    })
}

fn weighted(report: &CompressReport) -> impl Iterator<Item = &LayerRow> {
    report.layers.iter().filter(|l| l.dense_weights > 0)
}

/// Horizontal bars: a row of 22 pixels each, labels to the left.
fn bars(bars: Vec<Bar>, color: RGBColor) -> Result<String, HtmlError> {
    const ROW: i32 = 22;
    const LABEL: i32 = 230;
    const TEXT: i32 = 170;
    let longest = bars.iter().map(|b| b.before.max(b.after)).fold(f64::MIN_POSITIVE, f64::max);
    let scale = f64::from(WIDTH as i32 - LABEL - TEXT) / longest;
    svg(bars.len() as u32 * ROW as u32 + 8, |root| {
        for (i, bar) in bars.iter().enumerate() {
            let y = i as i32 * ROW + 6;
            let rectangle = |value: f64, color: RGBColor| {
                let corners = [(LABEL, y), (LABEL + (value * scale).round() as i32, y + ROW - 8)];
                root.draw(&Rectangle::new(corners, color.filled())).map_err(fail)
            };
            rectangle(bar.before, BEFORE)?;
            rectangle(bar.after, color)?;
            let end = LABEL + (bar.before.max(bar.after) * scale).round() as i32 + 8;
            let style = ("sans-serif", 14).into_font();
            root.draw(&Text::new(shorten(&bar.label), (0, y), style.clone())).map_err(fail)?;
            root.draw(&Text::new(bar.text.clone(), (end, y), style)).map_err(fail)?;
        }
        Ok(())
    })
}

/// The end of a long name says more than its beginning.
fn shorten(label: &str) -> String {
    const LONGEST: usize = 32;
    let count = label.chars().count();
    if count <= LONGEST {
        return label.to_owned();
    }
    "…".chars().chain(label.chars().skip(count - LONGEST + 1)).collect()
}

fn svg(height: u32, draw: impl FnOnce(&Area) -> Result<(), HtmlError>) -> Result<String, HtmlError> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        draw(&root)?;
        root.present().map_err(fail)?;
    }
    Ok(text)
}

pub fn fail(e: impl std::fmt::Display) -> HtmlError {
    HtmlError::Plot(e.to_string())
}
