//! Who else composes: libyuv behind a small C program (`bench/peers/libyuv-compose`), FFmpeg and GStreamer as they are installed.

use crate::process::run;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Frames of the short run of FFmpeg and GStreamer, whose time is taken off that of the long one.
const FEW: u32 = 10;

/// Builds the C program; where it lies.
///
/// # Errors
/// What is missing.
pub(super) fn build_yuv() -> Result<PathBuf, String> {
    if !Path::new("/usr/include/libyuv.h").exists() {
        return Err("libyuv-dev is not installed (packaging/setup.sh bench)".into());
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/libyuv-compose/compose.c");
    let folder = std::path::absolute("target/bench").map_err(|e| e.to_string())?;
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let program = folder.join("libyuv-compose");
    let (source, output) = (source.to_string_lossy().into_owned(), program.to_string_lossy().into_owned());
    run("cc", &["-O2", "-Wall", "-o", &output, &source, "-lyuv"])?;
    Ok(program)
}

/// libyuv, ready to compose.
pub(super) struct Yuv {
    child: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

impl Yuv {
    /// Starts it for these sizes; `filter` is libyuv's number (2 bilinear, 3 box).
    pub(super) fn start(
        program: &Path,
        source: (usize, usize),
        size: (usize, usize),
        filter: usize,
        tiles: &[[usize; 4]],
    ) -> Result<Yuv, String> {
        let numbers = [source.0, source.1, size.0, size.1, filter].into_iter().chain(tiles.iter().flatten().copied());
        let mut command = Command::new(program);
        command.args(numbers.map(|n| n.to_string())).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| e.to_string())?;
        let (Some(ask), Some(answer)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes".into());
        };
        Ok(Yuv { child, ask, answer: BufReader::new(answer) })
    }

    /// Nanoseconds for each of so many frames; not a number when it has failed.
    pub(super) fn compose(&mut self, frames: u32) -> f64 {
        let mut line = String::new();
        let told = writeln!(self.ask, "{frames}").and_then(|()| self.answer.read_line(&mut line));
        let nanos = told.ok().and_then(|_| line.trim().parse::<f64>().ok());
        nanos.map_or(f64::NAN, |nanos| nanos / f64::from(frames))
    }
}

impl Drop for Yuv {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time in nanoseconds that FFmpeg takes for a frame. Its inputs are single pictures that it hands on again and again.
///
/// # Errors
/// Why it could not be measured.
pub(super) fn ffmpeg(source: (usize, usize), tiles: &[[usize; 4]], frames: u32) -> Result<f64, String> {
    let mut filters = String::new();
    for (n, [_, _, width, height]) in tiles.iter().enumerate() {
        filters += &format!("[{n}:v]scale={width}:{height}:flags=bilinear[t{n}];");
    }
    filters.extend((0..tiles.len()).map(|n| format!("[t{n}]")));
    let at: Vec<String> = tiles.iter().map(|[x, y, _, _]| format!("{x}_{y}")).collect();
    filters += &format!("xstack=inputs={}:layout={}:fill=black[out]", tiles.len(), at.join("|"));
    let line = |frames: u32| {
        let mut line: Vec<String> =
            ["ffmpeg", "-v", "error", "-nostdin", "-filter_complex_threads", "1"].map(String::from).into();
        for _ in tiles {
            let colour = format!("color=c=red:s={}x{}:r=30,format=yuv420p", source.0, source.1);
            line.extend(["-f", "lavfi", "-i", &colour].map(String::from));
        }
        let rest = ["-filter_complex", &filters, "-map", "[out]", "-frames:v", &frames.to_string(), "-f", "null", "-"];
        line.extend(rest.map(String::from));
        line
    };
    difference(&line(FEW), &line(FEW + frames), frames)
}

/// Processor time in nanoseconds that GStreamer takes for a frame. Its inputs are frozen pictures.
///
/// # Errors
/// Why it could not be measured.
pub(super) fn gstreamer(
    source: (usize, usize),
    size: (usize, usize),
    tiles: &[[usize; 4]],
    frames: u32,
) -> Result<f64, String> {
    let line = |frames: u32| {
        let mut text = "gst-launch-1.0 -q compositor name=c background=black".to_owned();
        for (n, [x, y, width, height]) in tiles.iter().enumerate() {
            text +=
                &format!(" sink_{n}::xpos={x} sink_{n}::ypos={y} sink_{n}::width={width} sink_{n}::height={height}");
        }
        text += &format!(
            " ! video/x-raw,format=I420,width={},height={},framerate=30/1 ! fakesink sync=false",
            size.0, size.1
        );
        for n in 0..tiles.len() {
            text += &format!(
                " videotestsrc num-buffers=1 ! video/x-raw,format=I420,width={},height={}",
                source.0, source.1
            );
            text += &format!(" ! imagefreeze num-buffers={frames} ! video/x-raw,framerate=30/1 ! c.sink_{n}");
        }
        text.split(' ').map(String::from).collect::<Vec<_>>()
    };
    difference(&line(FEW), &line(FEW + frames), frames)
}

/// Processor time of the long command less that of the short one, for each of `frames`.
fn difference(short: &[String], long: &[String], frames: u32) -> Result<f64, String> {
    let (few, many) = (processor_time(short)?, processor_time(long)?);
    if many > few { Ok((many - few) / f64::from(frames)) } else { Err("the machine was too busy to measure it".into()) }
}

/// Nanoseconds of processor time, user and system, that a command takes, as bash tells it.
fn processor_time(line: &[String]) -> Result<f64, String> {
    let script = r#"TIMEFORMAT="%U %S"; command -v "$1" >/dev/null || exit 127; time "$@" >/dev/null 2>&1"#;
    let ran = Command::new("bash").args(["-c", script, "bash"]).args(line).stdin(Stdio::null()).output();
    let ran = ran.map_err(|e| format!("bash: {e}"))?;
    match ran.status.code() {
        Some(0) => {}
        Some(127) => return Err(format!("{} is not installed (packaging/setup.sh bench)", line[0])),
        code => return Err(format!("{} ended with {code:?}", line[0])),
    }
    let text = String::from_utf8_lossy(&ran.stderr).into_owned();
    let seconds: Option<f64> = text.split_whitespace().map(|n| n.parse::<f64>().ok()).sum();
    seconds.map(|s| s * 1e9).ok_or_else(|| format!("bash told the time as {text:?}"))
}
