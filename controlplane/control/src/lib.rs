//! The control plane program: faces, sessions and tokens, store, event log, link to media
