//! How a publisher's picture looks: one colour, its number in large digits in the middle, and a bar that wanders along the lower edge, so
//! that a picture that stands still can be told from one that moves. Corners show the colour alone.

use plenum_kernels::{Colour, I420Mut, Rect};

/// The colours as red, green and blue, of publisher 1, 2 and so on; they come again after the last one.
pub const COLOURS: [[u8; 3]; 12] = [
    [200, 40, 40],
    [40, 160, 60],
    [50, 70, 210],
    [220, 200, 50],
    [190, 60, 190],
    [60, 190, 200],
    [235, 130, 40],
    [120, 120, 120],
    [235, 235, 235],
    [90, 40, 130],
    [110, 70, 30],
    [240, 160, 180],
];

/// Digits in three columns and five rows, a bit a square, from the upper left.
const DIGITS: [u16; 10] = [
    0b111_101_101_101_111,
    0b010_110_010_010_111,
    0b111_001_111_100_111,
    0b111_001_111_001_111,
    0b101_101_111_001_001,
    0b111_100_111_001_111,
    0b111_100_111_101_111,
    0b111_001_010_010_010,
    0b111_101_111_101_111,
    0b111_101_111_001_111,
];

/// The colour of publisher `number`, counted from 1.
pub fn rgb(number: usize) -> [u8; 3] {
    COLOURS[number.saturating_sub(1) % COLOURS.len()]
}

/// The same as the picture has it: BT.601, limited range.
pub fn colour(number: usize) -> Colour {
    let [r, g, b] = rgb(number).map(f64::from);
    let y = 16.0 + (65.738 * r + 129.057 * g + 25.064 * b) / 256.0;
    let u = 128.0 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256.0;
    let v = 128.0 + (112.439 * r - 94.154 * g - 18.285 * b) / 256.0;
    Colour { y: y.round() as u8, u: u.round() as u8, v: v.round() as u8 }
}

/// Paints frame `frame` of publisher `number`.
pub fn paint(picture: &mut I420Mut<'_>, number: usize, frame: usize) {
    let (width, height) = (picture.width(), picture.height());
    let ground = colour(number);
    picture.fill(Rect { x: 0, y: 0, width, height }, ground);
    let ink = Colour { y: if ground.y > 125 { 16 } else { 235 }, u: 128, v: 128 };
    let bar = Rect { x: frame * width / 30 % width, y: height - height / 12, width: width / 12, height: height / 12 };
    picture.fill(bar, ink);
    let digits: Vec<usize> = number.to_string().bytes().map(|digit| usize::from(digit - b'0')).collect();
    // Squares of even size, half the picture's height together.
    let square = (height / 10).min(width / (4 * digits.len() + 2)).max(2) & !1;
    let left = (width.saturating_sub(square * (4 * digits.len() - 1)) / 2) & !1;
    let top = (height.saturating_sub(square * 5) / 2) & !1;
    for (place, digit) in digits.iter().enumerate() {
        for bit in (0..15).filter(|bit| DIGITS[*digit] >> (14 - bit) & 1 == 1) {
            let (x, y) = (left + square * (4 * place + bit % 3), top + square * (bit / 3));
            picture.fill(Rect { x, y, width: square, height: square }, ink);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_colours_are_alike() {
        for (n, a) in COLOURS.iter().enumerate() {
            for b in &COLOURS[n + 1..] {
                let apart: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
                assert!(apart > 80, "{a:?} and {b:?}");
            }
        }
    }
}
