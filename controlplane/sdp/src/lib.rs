//! One SDP model for WebRTC and SIP: parse, offer and answer
