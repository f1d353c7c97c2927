//! Selective forwarding: layer choice, rewriting, retransmission cache, key-frame requests
