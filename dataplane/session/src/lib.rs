//! One peer's transport: ICE, DTLS, SRTP, feedback, congestion control, pacing; no I/O
