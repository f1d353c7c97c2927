//! The certificate of the HTTPS face.
