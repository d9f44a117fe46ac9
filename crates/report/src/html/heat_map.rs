//! Pictures of what is kept, as small bitmaps inside the page.

use base64::Engine;
use serde::Serialize;

use crate::{CompressReport, KeptMap};

/// One picture.
#[derive(Serialize)]
pub struct HeatMap {
    name: String,
    /// A data address.
    image: String,
    /// Size on the page in pixels.
    width: usize,
    height: usize,
    columns: usize,
    rows: usize,
    row: String,
}

/// The maps of all layers that have one.
pub fn all(report: &CompressReport) -> Vec<HeatMap> {
    let layers = report.layers.iter().filter_map(|l| l.kept_map.as_ref().map(|m| (&l.name, m)));
    layers.filter(|(_, map)| map.columns * map.rows > 0).map(|(name, map)| heat_map(name, map)).collect()
}

fn heat_map(name: &str, map: &KeptMap) -> HeatMap {
    /// Pixels of a picture's width and height at most, and of a cell.
    const WIDEST: usize = 520;
    const HIGHEST: usize = 260;
    const LARGEST_CELL: usize = 8;
    let cell = (WIDEST / map.columns).min(HIGHEST / map.rows).clamp(1, LARGEST_CELL);
    let encoded = base64::engine::general_purpose::STANDARD.encode(bitmap(map));
    HeatMap {
        name: name.to_owned(),
        image: format!("data:image/bmp;base64,{encoded}"),
        width: map.columns * cell,
        height: map.rows * cell,
        columns: map.columns,
        rows: map.rows,
        row: map.row.clone(),
    }
}

/// A BMP file with one byte for each cell and a palette of sixteen blues.
fn bitmap(map: &KeptMap) -> Vec<u8> {
    const COLORS: u32 = 16;
    const HEADERS: u32 = 14 + 40 + 4 * COLORS;
    let stride = map.columns.next_multiple_of(4);
    let mut file = Vec::with_capacity(HEADERS as usize + stride * map.rows);
    let words = |file: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| file.extend(v.to_le_bytes()));
    file.extend(b"BM");
    words(&mut file, &[HEADERS + (stride * map.rows) as u32, 0, HEADERS]);
    // Header size, width, height, planes and bits per pixel, no compression, sizes left to the reader, colours.
    words(&mut file, &[40, map.columns as u32, map.rows as u32, 1 | 8 << 16, 0, 0, 0, 0, COLORS, 0]);
    for level in 0..COLORS {
        let towards = |dark: u32| (255 - (255 - dark) * level / (COLORS - 1)) as u8;
        file.extend([towards(175), towards(64), towards(30), 0]);
    }
    let digits: Vec<u8> = map.shares.chars().map(|c| c.to_digit(16).unwrap_or(0) as u8).collect();
    // Rows lie bottom up.
    for row in (0..map.rows).rev() {
        let cells = (0..stride).map(|c| if c < map.columns { row * map.columns + c } else { usize::MAX });
        file.extend(cells.map(|i| digits.get(i).copied().unwrap_or(0)));
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_has_its_rows_bottom_up() {
        let map = KeptMap { columns: 3, rows: 2, row: "kernel position".into(), shares: "0f8123".into() };
        let file = bitmap(&map);
        assert_eq!(file.len(), 14 + 40 + 64 + 8);
        assert_eq!(u32::from_le_bytes([file[2], file[3], file[4], file[5]]) as usize, file.len());
        assert_eq!(file[file.len() - 8..], [1, 2, 3, 0, 0, 15, 8, 0]);
        assert_eq!(file[54..58], [255, 255, 255, 0]);
    }
}
