//! AV1 from FFmpeg: pictures go in as raw video, temporal units come back in an IVF file.

use crate::painted::film::frames;
use plenum_kernels::{I420, I420Buf};
use std::io::Write;
use std::process::{Command, Stdio};

/// The temporal units of a scene, one for each picture.
///
/// # Errors
/// Without FFmpeg or its encoder.
pub(super) fn av1(scene: &[I420Buf], fps: u32, bitrate: u32) -> Result<Vec<Vec<u8>>, String> {
    let first = scene.first().ok_or("no picture")?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (raw, out) = (folder.path().join("scene.yuv"), folder.path().join("scene.ivf"));
    let mut file = std::fs::File::create(&raw).map_err(|e| e.to_string())?;
    for picture in scene {
        write(&mut file, picture.view()).map_err(|e| e.to_string())?;
    }
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p"]);
    command.args(["-s", &format!("{}x{}", first.width(), first.height()), "-r", &fps.to_string(), "-i"]).arg(&raw);
    command.args(["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-g", "9999"]);
    command.args(["-b:v", &bitrate.to_string(), "-f", "ivf"]).arg(&out).stdin(Stdio::null());
    let ran = command.output().map_err(|e| format!("ffmpeg: {e} (packaging/setup.sh bench)"))?;
    if !ran.status.success() {
        return Err(format!("ffmpeg: {}", String::from_utf8_lossy(&ran.stderr).trim()));
    }
    frames(&std::fs::read(&out).map_err(|e| e.to_string())?).ok_or_else(|| "no IVF file".into())
}

fn write(file: &mut std::fs::File, picture: I420<'_>) -> std::io::Result<()> {
    for plane in [picture.y, picture.u, picture.v] {
        for y in 0..plane.height() {
            file.write_all(plane.row(y))?;
        }
    }
    Ok(())
}
