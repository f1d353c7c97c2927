//! Health, metrics and the operator API.
