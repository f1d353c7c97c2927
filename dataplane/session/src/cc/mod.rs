//! Congestion control: what we may send to a peer, and when.
