//! Cores, memory and CPU features: probe and placement
