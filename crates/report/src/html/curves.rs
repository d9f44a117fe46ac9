//! Accuracy over something on a logarithmic axis, one line for each method.

use plotters::prelude::*;

use super::HtmlError;
use super::plot::fail;

/// One line.
pub struct Curve {
    pub name: String,
    /// x and accuracy in per cent.
    pub points: Vec<(f64, f64)>,
}

const COLORS: [RGBColor; 10] = [
    RGBColor(37, 99, 235),
    RGBColor(220, 38, 38),
    RGBColor(16, 148, 112),
    RGBColor(217, 119, 6),
    RGBColor(124, 58, 237),
    RGBColor(8, 145, 178),
    RGBColor(190, 24, 93),
    RGBColor(101, 163, 13),
    RGBColor(71, 85, 105),
    RGBColor(146, 64, 14),
];

/// The name and the CSS colour of each curve: one legend for all plots of the same methods, beside them, where it covers no
/// point.
pub fn legend(all: &[Curve]) -> Vec<(String, String)> {
    let css = |RGBColor(r, g, b): RGBColor| format!("rgb({r},{g},{b})");
    all.iter().enumerate().map(|(i, c)| (c.name.clone(), css(color(i)))).collect()
}

fn color(curve: usize) -> RGBColor {
    COLORS[curve % COLORS.len()]
}

/// The curves as SVG text; empty without any point.
pub fn curves(all: &[Curve], x: &str, size: (u32, u32)) -> Result<String, HtmlError> {
    let points = || all.iter().flat_map(|c| &c.points);
    let range = |of: fn(&(f64, f64)) -> f64| {
        points().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
    };
    let ((left, right), (low, high)) = (range(|p| p.0), range(|p| p.1));
    if !left.is_finite() || left <= 0.0 {
        return Ok(String::new());
    }
    let margin = ((high - low) * 0.08).max(0.5);
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .x_label_area_size(38)
            .y_label_area_size(52)
            .build_cartesian_2d((left * 0.9..right * 1.1).log_scale(), low - margin..high + margin)
            .map_err(fail)?;
        chart
            .configure_mesh()
            .x_desc(x)
            .y_desc("int8 accuracy, %")
            .light_line_style(TRANSPARENT)
            .x_label_formatter(&|v| {
                if *v < 100.0 { format!("{v:.1}") } else { crate::text::thousands(*v as u64) }
            })
            .draw()
            .map_err(fail)?;
        for (i, curve) in all.iter().enumerate() {
            let color = color(i);
            let mut sorted = curve.points.clone();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            let line = LineSeries::new(sorted.iter().copied(), color.stroke_width(2));
            chart.draw_series(line).map_err(fail)?;
            chart.draw_series(sorted.iter().map(|&p| Circle::new(p, 3, color.filled()))).map_err(fail)?;
        }
        root.present().map_err(fail)?;
    }
    Ok(text)
}
