//! The data plane program: threads, event loop, sockets, control socket
