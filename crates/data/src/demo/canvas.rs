//! Anti-aliased lines.

/// A line with round ends; coordinates in pixels, x to the right and y down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) from: [f32; 2],
    pub(super) to: [f32; 2],
    pub(super) half_width: f32,
}

impl Segment {
    fn distance(&self, [x, y]: [f32; 2]) -> f32 {
        let [dx, dy] = [self.to[0] - self.from[0], self.to[1] - self.from[1]];
        let [px, py] = [x - self.from[0], y - self.from[1]];
        let along = ((px * dx + py * dy) / (dx * dx + dy * dy).max(1e-9)).clamp(0.0, 1.0);
        let [ex, ey] = [px - along * dx, py - along * dy];
        (ex * ex + ey * ey).sqrt()
    }
}

/// How much of each pixel is covered with ink, 0 to 1.
pub(super) struct Canvas {
    size: usize,
    cover: Vec<f32>,
}

impl Canvas {
    pub(super) fn new(size: usize) -> Self {
        Canvas { size, cover: vec![0.0; size * size] }
    }

    pub(super) fn cover(&self) -> &[f32] {
        &self.cover
    }

    /// Draws a line; where lines overlap, the stronger ink stays.
    pub(super) fn line(&mut self, segment: Segment, ink: f32) {
        let reach = segment.half_width + 0.5;
        let columns = self.range(segment.from[0], segment.to[0], reach);
        for y in self.range(segment.from[1], segment.to[1], reach) {
            for x in columns.clone() {
                let distance = segment.distance([x as f32 + 0.5, y as f32 + 0.5]);
                let cover = &mut self.cover[y * self.size + x];
                *cover = cover.max(ink * (reach - distance).clamp(0.0, 1.0));
            }
        }
    }

    /// Pixels that a line between `a` and `b` can touch.
    fn range(&self, a: f32, b: f32, reach: f32) -> std::ops::Range<usize> {
        let low = (a.min(b) - reach).clamp(0.0, self.size as f32) as usize;
        let high = (a.max(b) + reach + 1.0).clamp(0.0, self.size as f32) as usize;
        low..high
    }
}
