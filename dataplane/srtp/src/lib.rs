//! SRTP and SRTCP contexts, protecting in batches
