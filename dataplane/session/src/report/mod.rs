//! What we tell a peer about its stream, and ask it for.
