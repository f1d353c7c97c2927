//! AV1 from FFmpeg: pictures go in as raw video, temporal units come back in an IVF file.

use plenum_kernels::{I420, I420Buf};
use std::io::Write;
use std::process::{Command, Stdio};

/// Bytes of the file's and of a frame's header.
const FILE: usize = 32;
const FRAME: usize = 12;

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

/// The frames of an IVF file; what is cut off is left out.
fn frames(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = bytes.get(FILE..).filter(|_| bytes.starts_with(b"DKIF"))?;
    let mut frames = Vec::new();
    while let Some((size, more)) = rest.split_at_checked(FRAME) {
        let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
        let Some((frame, more)) = more.split_at_checked(size) else { break };
        frames.push(frame.to_vec());
        rest = more;
    }
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_and_what_is_cut_off_is_left_out() {
        let mut file = [b"DKIF".to_vec(), vec![0; FILE - 4]].concat();
        for frame in [&[1, 2, 3][..], &[4]] {
            file.extend((frame.len() as u32).to_le_bytes());
            file.extend([0; 8]);
            file.extend(frame);
        }
        assert_eq!(frames(&file), Some(vec![vec![1, 2, 3], vec![4]]));
        assert_eq!(frames(&file[..file.len() - 1]), Some(vec![vec![1, 2, 3]]));
        assert_eq!(frames(b"RIFF"), None);
    }
}
