//! Pictures in files: PNG, and Y4M with 4:2:0 chroma of 8 bits.
//!
//! PNG is converted as BT.709 in limited range, what is transparent becomes black; Y4M is taken and written as it is. Sides are
//! bounded by the kernels' pictures, and a Y4M stream is read a frame at a time. Only the command line reads files.

use crate::canvas::Canvas;
use plenum_kernels::{I420Buf, Kernels, MAX_SIDE};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Longest header line of a Y4M file.
const LONGEST_LINE: u64 = 1024;
/// Chroma of Y4M that is I420: all have half the size and 8 bits, they differ by where samples stand.
const CHROMA: &[&str] = &["420jpeg", "420mpeg2", "420paldv", "420"];

/// A file, and why it cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct FileError {
    path: PathBuf,
    why: Why,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("neither PNG nor Y4M: inputs are PNG (.png) or Y4M (.y4m)")]
    Kind,
    #[error("the output is PNG (.png) or Y4M (.y4m), by the end of its name")]
    Name,
    #[error("{0}")]
    Png(#[from] png::DecodingError),
    #[error("{0}")]
    Write(#[from] png::EncodingError),
    #[error("a picture of {0}x{1}; sides are 1 to {MAX_SIDE}")]
    Size(u32, u32),
    #[error("Y4M: {0}")]
    Y4m(String),
}

/// One participant's pictures.
#[derive(Debug)]
pub struct Input {
    path: PathBuf,
    picture: I420Buf,
    /// `None` for a still.
    stream: Option<BufReader<File>>,
    /// Frames a second, numerator and denominator, of a stream.
    rate: Option<(u32, u32)>,
}

impl Input {
    /// Opens a file and reads its first picture.
    ///
    /// # Errors
    /// [`FileError`] with the file and the reason.
    pub fn open(path: &Path) -> Result<Input, FileError> {
        let failed = |why: Why| FileError { path: path.to_owned(), why };
        let mut file = BufReader::new(File::open(path).map_err(|e| failed(e.into()))?);
        let start = file.fill_buf().map_err(|e| failed(e.into()))?;
        if start.starts_with(b"\x89PNG") {
            let picture = i420(&png_canvas(file).map_err(failed)?);
            return Ok(Input { path: path.to_owned(), picture, stream: None, rate: None });
        }
        if !start.starts_with(b"YUV4MPEG2") {
            return Err(failed(Why::Kind));
        }
        let (width, height, rate) = y4m_header(&mut file).map_err(failed)?;
        let picture = I420Buf::new(width as usize, height as usize).map_err(|_| failed(Why::Size(width, height)))?;
        let mut input = Input { path: path.to_owned(), picture, stream: Some(file), rate: Some(rate) };
        if input.advance()? { Ok(input) } else { Err(failed(Why::Y4m("there is no frame".into()))) }
    }

    /// The picture now.
    pub fn picture(&self) -> &I420Buf {
        &self.picture
    }

    /// Frames a second of a stream, as numerator and denominator; `None` for a still.
    pub fn rate(&self) -> Option<(u32, u32)> {
        self.rate
    }

    /// Reads the next picture. `false` when there is none: the last one stays.
    ///
    /// # Errors
    /// [`FileError`] when the file is broken in the middle of a frame.
    pub fn advance(&mut self) -> Result<bool, FileError> {
        let Some(file) = &mut self.stream else { return Ok(false) };
        let frame = y4m_frame(file, &mut self.picture);
        frame.map_err(|why| FileError { path: self.path.clone(), why })
    }
}

/// A PNG file as a canvas, for logos.
///
/// # Errors
/// [`FileError`] with the file and the reason.
pub fn read_png(path: &Path) -> Result<Canvas, FileError> {
    let failed = |why: Why| FileError { path: path.to_owned(), why };
    let file = File::open(path).map_err(|e| failed(e.into()))?;
    png_canvas(BufReader::new(file)).map_err(failed)
}

/// The same of a file's bytes, whose sides are at most [`LOGO_SIDE`]: they come from afar.
///
/// # Errors
/// In words: no PNG, or too large.
pub fn decode_png(bytes: &[u8]) -> Result<Canvas, String> {
    let info = png::Decoder::new(io::Cursor::new(bytes)).read_info().map_err(|e| e.to_string())?;
    let (width, height) = (info.info().width, info.info().height);
    if width.max(height) > LOGO_SIDE {
        return Err(format!("{width}x{height} pixels, at most {LOGO_SIDE} a side"));
    }
    png_canvas(io::Cursor::new(bytes)).map_err(|e| e.to_string())
}

/// Longest side of a logo in pixels.
pub const LOGO_SIDE: u32 = 1024;

fn png_canvas(file: impl BufRead + io::Seek) -> Result<Canvas, Why> {
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info()?;
    let (width, height) = (reader.info().width, reader.info().height);
    if width.max(height) as usize > MAX_SIDE {
        return Err(Why::Size(width, height));
    }
    let mut bytes = vec![0; reader.output_buffer_size().ok_or(Why::Size(width, height))?];
    let frame = reader.next_frame(&mut bytes)?;
    bytes.truncate(frame.buffer_size());
    let pixels = match frame.color_type {
        png::ColorType::GrayscaleAlpha => bytes.as_chunks::<2>().0.iter().map(|[l, a]| [*l, *l, *l, *a]).collect(),
        _ => bytes.as_chunks::<4>().0.to_vec(),
    };
    Canvas::from_pixels(width as usize, height as usize, pixels).ok_or(Why::Size(width, height))
}

/// A canvas as a picture; what is transparent is black.
pub fn i420(canvas: &Canvas) -> I420Buf {
    let mut picture = I420Buf::new(canvas.width(), canvas.height()).expect("a canvas has a good size");
    Kernels::best().blend(&mut picture.view_mut(), &canvas.finish(), 0, 0);
    picture
}

/// A picture as a canvas.
pub fn canvas(picture: &I420Buf) -> Canvas {
    let view = picture.view();
    let rows = (0..picture.height()).map(|y| (view.y.row(y), view.u.row(y / 2), view.v.row(y / 2)));
    let pixels = rows.flat_map(|(luma, u, v)| luma.iter().enumerate().map(|(x, y)| rgb(*y, u[x / 2], v[x / 2])));
    Canvas::from_pixels(picture.width(), picture.height(), pixels.collect()).expect("a picture has a good size")
}

/// BT.709, limited range.
fn rgb(y: u8, u: u8, v: u8) -> [u8; 4] {
    let (y, u, v) = ((f32::from(y) - 16.0) * 255.0 / 219.0, f32::from(u) - 128.0, f32::from(v) - 128.0);
    let (u, v) = (u * 255.0 / 224.0, v * 255.0 / 224.0);
    let of = |value: f32| (value + 0.5).clamp(0.0, 255.0) as u8;
    [of(y + 1.5748 * v), of(y - 0.1873 * u - 0.4681 * v), of(y + 1.8556 * u), 255]
}

/// Where composed pictures go.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    /// `None` for a PNG file, which holds one picture.
    stream: Option<BufWriter<File>>,
}

impl Output {
    /// Creates the file; its kind is told by the end of its name. A Y4M file has this size and frame rate.
    ///
    /// # Errors
    /// [`FileError`] with the file and the reason.
    pub fn create(path: &Path, (width, height): (usize, usize), rate: (u32, u32)) -> Result<Output, FileError> {
        let failed = |why: Why| FileError { path: path.to_owned(), why };
        let mut output = Output { path: path.to_owned(), stream: None };
        match path.extension().and_then(|e| e.to_str()) {
            Some("png") => {}
            Some("y4m") => {
                let mut file = BufWriter::new(File::create(path).map_err(|e| failed(e.into()))?);
                let header = writeln!(file, "YUV4MPEG2 W{width} H{height} F{}:{} Ip A1:1 C420jpeg", rate.0, rate.1);
                header.map_err(|e| failed(e.into()))?;
                output.stream = Some(file);
            }
            _ => return Err(failed(Why::Name)),
        }
        Ok(output)
    }

    /// Whether it holds one picture alone.
    pub fn is_still(&self) -> bool {
        self.stream.is_none()
    }

    /// Writes a picture; a PNG file becomes the last one.
    ///
    /// # Errors
    /// [`FileError`] with the file and the reason.
    pub fn write(&mut self, picture: &I420Buf) -> Result<(), FileError> {
        let written = match &mut self.stream {
            Some(file) => write_frame(file, picture).map_err(Why::from),
            None => File::create(&self.path).map_err(Why::from).and_then(|file| write_png(file, &canvas(picture))),
        };
        written.map_err(|why| FileError { path: self.path.clone(), why })
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// [`FileError`] with the file and the reason.
    pub fn finish(mut self) -> Result<(), FileError> {
        let flushed = self.stream.as_mut().map_or(Ok(()), Write::flush);
        flushed.map_err(|e| FileError { path: self.path.clone(), why: e.into() })
    }
}

fn write_frame(file: &mut impl Write, picture: &I420Buf) -> io::Result<()> {
    file.write_all(b"FRAME\n")?;
    let view = picture.view();
    for plane in [view.y, view.u, view.v] {
        for y in 0..plane.height() {
            file.write_all(plane.row(y))?;
        }
    }
    Ok(())
}

fn write_png(file: impl Write, canvas: &Canvas) -> Result<(), Why> {
    let (width, height) = (canvas.width(), canvas.height());
    let mut encoder = png::Encoder::new(BufWriter::new(file), width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| canvas.pixel(x, y));
    let bytes: Vec<u8> = pixels.flat_map(|[r, g, b, _]| [r, g, b]).collect();
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&bytes)?;
    Ok(writer.finish()?)
}

/// Writes a canvas as PNG, without its transparency.
///
/// # Errors
/// [`FileError`] with the file and the reason.
pub fn save_png(path: &Path, canvas: &Canvas) -> Result<(), FileError> {
    let failed = |why: Why| FileError { path: path.to_owned(), why };
    write_png(File::create(path).map_err(|e| failed(e.into()))?, canvas).map_err(failed)
}

/// Width, height and frame rate.
fn y4m_header(file: &mut impl BufRead) -> Result<(u32, u32, (u32, u32)), Why> {
    let line = line(file)?;
    let wrong = |what: String| Why::Y4m(what);
    let (mut width, mut height, mut rate) = (0, 0, (30, 1));
    for word in line.split_ascii_whitespace().skip(1) {
        let (key, value) = word.split_at_checked(1).unwrap_or_default();
        let number = || value.parse().map_err(|_| wrong(format!("the header says {word:?}")));
        match key {
            "W" => width = number()?,
            "H" => height = number()?,
            "F" => {
                let parts = value.split_once(':').and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
                rate = parts.filter(|(n, d)| *n > 0 && *d > 0).unwrap_or(rate);
            }
            "C" if !CHROMA.contains(&value) => {
                return Err(wrong(format!("chroma {value:?} is not read; one of {} is", CHROMA.join(", "))));
            }
            _ => {}
        }
    }
    let good = 1..=MAX_SIDE as u32;
    if good.contains(&width) && good.contains(&height) {
        Ok((width, height, rate))
    } else {
        Err(Why::Size(width, height))
    }
}

fn line(file: &mut impl BufRead) -> Result<String, Why> {
    let mut bytes = Vec::new();
    file.take(LONGEST_LINE).read_until(b'\n', &mut bytes)?;
    if !bytes.is_empty() && bytes.pop() != Some(b'\n') {
        return Err(Why::Y4m("a header line does not end".into()));
    }
    String::from_utf8(bytes).map_err(|_| Why::Y4m("a header line is not text".into()))
}

/// The next frame; `false` at the end of the file.
fn y4m_frame(file: &mut impl BufRead, picture: &mut I420Buf) -> Result<bool, Why> {
    if file.fill_buf()?.is_empty() {
        return Ok(false);
    }
    if !line(file)?.starts_with("FRAME") {
        return Err(Why::Y4m("a frame does not start with FRAME".into()));
    }
    let mut view = picture.view_mut();
    for plane in [&mut view.y, &mut view.u, &mut view.v] {
        for y in 0..plane.height() {
            let read = file.read_exact(plane.row_mut(y));
            read.map_err(|_| Why::Y4m("the file ends in the middle of a frame".into()))?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::colour;
    use plenum_kernels::Rect;

    #[test]
    fn a_picture_survives_png_and_a_stream_survives_y4m() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut picture = I420Buf::new(33, 17).expect("a size");
        picture.view_mut().fill(Rect { x: 0, y: 0, width: 33, height: 17 }, colour([200, 60, 20]));
        for name in ["a.png", "a.y4m"] {
            let path = folder.path().join(name);
            let mut output = Output::create(&path, (33, 17), (25, 1)).expect("created");
            output.write(&picture).expect("written");
            if !output.is_still() {
                picture.view_mut().fill(Rect { x: 4, y: 4, width: 8, height: 8 }, colour([0, 0, 255]));
                output.write(&picture).expect("written");
            }
            output.finish().expect("flushed");
            let mut input = Input::open(&path).expect("read");
            assert_eq!(input.rate(), (name == "a.y4m").then_some((25, 1)));
            let [r, g, b, _] = canvas(input.picture()).pixel(20, 10);
            assert!(r.abs_diff(200) < 4 && g.abs_diff(60) < 4 && b.abs_diff(20) < 4, "{name}: {r} {g} {b}");
            assert_eq!(input.advance().expect("no error"), name == "a.y4m");
            assert!(!input.advance().expect("no error"), "the end");
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let says = |name: &str, bytes: &[u8], want: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            let error = Input::open(&path).expect_err(name).to_string();
            assert!(error.contains(name) && error.contains(want), "{error}");
        };
        says("text", b"hello", "PNG (.png) or Y4M (.y4m)");
        says("empty", b"", "neither PNG nor Y4M");
        says("broken.png", b"\x89PNG\r\n\x1a\nxxxxxxxxxxxx", "broken.png");
        says("ten.y4m", b"YUV4MPEG2 W4 H4 C420p10\n", "420jpeg, 420mpeg2");
        says("huge.y4m", b"YUV4MPEG2 W9000 H4\n", "1 to 8192");
        says("none.y4m", b"YUV4MPEG2 W4 H4 F30:1\n", "no frame");
        says("short.y4m", b"YUV4MPEG2 W4 H4\nFRAME\n123", "in the middle of a frame");
        says("number.y4m", "YUV4MPEG2 Wä H4\n".as_bytes(), "the header says");
        says("endless.y4m", &[b"YUV4MPEG2 ".as_slice(), &[b'x'; 4000]].concat(), "does not end");
        let missing = Input::open(&folder.path().join("missing.png")).expect_err("it is not there").to_string();
        assert!(missing.contains("missing.png") && missing.contains("No such file"), "{missing}");
        let output = Output::create(&folder.path().join("out.gif"), (2, 2), (30, 1)).expect_err("no GIF").to_string();
        assert!(output.contains("PNG (.png) or Y4M (.y4m)"), "{output}");
    }
}
