//! Whether a file can be a logo: a PNG of at most [`MAX_LOGO`] bytes and [`LOGO_SIDE`] pixels a side whose parts are whole. Its pixels are not
//! decoded here: that is done by the mixer, which tells when it cannot.

pub use plenum_contract::mix::MAX_LOGO;

/// Longest side of a logo in pixels, as the mixer has it.
pub const LOGO_SIDE: u32 = 1024;
/// What every PNG begins with.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Why these bytes can be no logo, in words for who gave them; `None` = they can.
pub fn problem(bytes: &[u8]) -> Option<String> {
    if bytes.len() > MAX_LOGO {
        return Some(format!("longer than {MAX_LOGO} bytes"));
    }
    let Some(chunks) = bytes.strip_prefix(SIGNATURE) else {
        let empty = if bytes.is_empty() { "nothing was sent" } else { "it does not begin as one" };
        return Some(format!("no PNG: {empty}"));
    };
    let reader = match png::Decoder::new(std::io::Cursor::new(bytes)).read_info() {
        Ok(reader) => reader,
        Err(error) => return Some(format!("a broken PNG: {error}")),
    };
    let (width, height) = (reader.info().width, reader.info().height);
    if width.max(height) > LOGO_SIDE {
        return Some(format!("{width}x{height} pixels, at most {LOGO_SIDE} a side"));
    }
    broken(chunks).map(|why| format!("a broken PNG: {why}"))
}

/// What is wrong with the chunks of a PNG: each has a length, a name, content and a checksum; the last one is IEND.
fn broken(mut rest: &[u8]) -> Option<String> {
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, name @ ..] = *head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some((content, behind)) = behind.split_at_checked(length) else { break };
        let Some((sum, behind)) = behind.split_first_chunk::<4>() else { break };
        let mut crc = crc32fast::Hasher::new();
        crc.update(&name);
        crc.update(content);
        let name = name.escape_ascii();
        if crc.finalize() != u32::from_be_bytes(*sum) {
            return Some(format!("the checksum of its part {name} is wrong"));
        }
        if head.ends_with(b"IEND") {
            return (!behind.is_empty()).then(|| "something follows its end".into());
        }
        rest = behind;
    }
    Some("it is cut off".into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A white square.
    pub(crate) fn png(side: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&vec![255; (side * side) as usize]).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn what_can_be_no_logo_is_told_with_the_reason() {
        assert_eq!(problem(&png(LOGO_SIDE)), None);
        let good = png(8);
        let says = |bytes: &[u8], what: &str| {
            let said = problem(bytes).unwrap_or_default();
            assert!(said.contains(what), "{what}: {said}");
        };
        says(b"", "nothing was sent");
        says(b"GIF89a", "no PNG");
        says(&[0; MAX_LOGO + 1], "longer than 65536 bytes");
        says(&png(LOGO_SIDE + 1), "1025x1025 pixels");
        says(&[&good[..], b"x"].concat(), "follows its end");
        // Cut anywhere, or with any byte another one.
        for at in 0..good.len() {
            assert!(problem(&good[..at]).is_some(), "cut at {at}");
            let mut bent = good.clone();
            bent[at] ^= 0x10;
            assert!(problem(&bent).is_some(), "byte {at}");
        }
    }
}
