//! H.264 by OpenH264: constrained baseline out, whatever it decodes in. Annex B both ways.

mod decoder;
mod encoder;
mod sps;

pub(crate) use decoder::Decoder;
pub(crate) use encoder::Encoder;
