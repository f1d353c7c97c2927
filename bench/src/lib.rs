//! Micro benchmarks, the client swarm, peer comparisons, the report
