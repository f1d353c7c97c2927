//! One core's world: commands and datagrams in, transmits and events out; no I/O
