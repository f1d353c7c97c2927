//! A world of one session and one peer in virtual time: a full ICE agent, a DTLS client, SRTP keys, and a network with delay
//! that drops what the test tells it to.
//!
//! The peer is built from the crates that browsers do not use (`is`, `dimpl`) and our own SRTP, which has its own vectors.

#![allow(dead_code, unreachable_pub, unused_imports)]

mod client;
mod media;

pub use client::{Client, Output};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
pub use media::*;
use plenum_contract::spec::{CodecSpec, Fingerprint, IceSpec, MediaSpec, SlotSpec, SourceSpec, local_ufrag};
use plenum_contract::{Codec, Extension, Kind, LegKey, ParticipantKey, SessionSpec, TrackKey};
use plenum_packet::{Buf, DropReason, HEADROOM, Path, Pool, Time, Transport};
use plenum_session::report::ArrivalRecorder;
use plenum_session::{
    Anchor, Certificates, Env, Feedback, Incoming, Outbox, Released, Session, SessionEvent, SessionLimits,
};
use plenum_srtp::{Job, KeyId, Opener, Sealer, Suite, split_dtls_material};
use plenum_wire::demux::{PacketKind, classify};
use plenum_wire::{ext, rtcp, rtp};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One way over the network.
pub const DELAY: Duration = Duration::from_millis(10);

pub const AUDIO_PT: u8 = 111;
pub const VIDEO_PT: u8 = 96;
pub const VIDEO_RTX_PT: u8 = 97;
pub const OUR_AUDIO: u32 = 0x1111;
pub const OUR_VIDEO: u32 = 0x2222;
pub const OUR_RTX: u32 = 0x2223;
pub const THEIR_AUDIO: u32 = 0xA111;
pub const THEIR_VIDEO: u32 = 0xA222;
pub const THEIR_RTX: u32 = 0xA223;
/// Ids of header extensions on every m-line.
pub const MID_ID: u8 = 1;
pub const TWCC_ID: u8 = 3;
pub const RID_ID: u8 = 4;
pub const RRID_ID: u8 = 5;

/// The peer: what a browser is to a session.
pub struct Peer {
    pub ice: IceAgent,
    pub dtls: Client,
    pub fingerprint: Fingerprint,
    /// What the session's certificate was, as DTLS showed it.
    pub seen_fingerprint: Option<Fingerprint>,
    pub local: Path,
    pub opener: Option<Opener>,
    pub key: Option<KeyId>,
    pub sealer: Sealer,
    pub pool: Pool,
    pub suite: Option<Suite>,
    pub rtp: Vec<Vec<u8>>,
    pub rtcp: Vec<Vec<u8>>,
    /// Application data of DTLS.
    pub data: Vec<Vec<u8>>,
    pub nominated: Option<(SocketAddr, SocketAddr)>,
    pub opened_errors: Vec<DropReason>,
    pub started_dtls: bool,
    /// Whether it sends ICE checks.
    pub checks: bool,
    /// Arrivals by transport-wide number, when it feeds them back.
    pub arrivals: Option<ArrivalRecorder>,
}

/// Whether a packet is lost: (to the session, path, bytes).
pub type Lose = Box<dyn FnMut(bool, &Path, &[u8]) -> bool>;

/// Session, peer, and the network between them.
pub struct World {
    pub env: Arc<Env>,
    pub now: Time,
    pub session: Session,
    pub peer: Peer,
    pub pool: Pool,
    pub sealer: Sealer,
    pub events: Vec<SessionEvent>,
    pub incoming: Vec<Incoming>,
    pub feedback: Vec<Feedback>,
    pub drops: Vec<DropReason>,
    pub released: Released,
    wire: VecDeque<(Time, bool, Path, Vec<u8>)>,
    /// Loses packets on their way.
    pub lose: Lose,
}

pub fn addr(s: &str) -> SocketAddr {
    s.parse().unwrap()
}

pub fn udp4() -> Path {
    Path { transport: Transport::Udp, local: addr("192.0.2.1:40000"), remote: addr("198.51.100.7:5000") }
}

/// A network that loses one DTLS packet in `n`, in no pattern.
pub fn loses_dtls(n: u64) -> Lose {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    Box::new(move |_, _, bytes| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        classify(bytes) == PacketKind::Dtls && state.is_multiple_of(n)
    })
}

fn creds(ice: &IceSpec) -> (IceCreds, IceCreds) {
    let peer = IceCreds { ufrag: ice.remote_ufrag.clone(), pass: ice.remote_pwd.clone() };
    let ours = IceCreds { ufrag: ice.local_ufrag.clone(), pass: ice.local_pwd.clone() };
    (peer, ours)
}

pub fn ice_spec(generation: u32) -> IceSpec {
    IceSpec {
        local_ufrag: local_ufrag(0, LegKey(7), &format!("tail{generation:04}")),
        local_pwd: format!("ourpasswordthatislong{generation:04}"),
        remote_ufrag: format!("peer{generation:04}"),
        remote_pwd: format!("peerpasswordthatislong{generation:04}"),
    }
}

pub fn spec(fingerprint: Fingerprint) -> SessionSpec {
    let extensions = vec![
        (MID_ID, Extension::Mid),
        (TWCC_ID, Extension::TransportSequence),
        (RID_ID, Extension::Rid),
        (RRID_ID, Extension::RepairedRid),
    ];
    let audio = MediaSpec {
        mid: "0".into(),
        kind: Kind::Audio,
        presentation: false,
        codecs: vec![CodecSpec {
            payload_type: AUDIO_PT,
            codec: Codec::Opus,
            clock: 48_000,
            rtx: None,
            profile: 0,
            nack: false,
            pli: false,
            fir: false,
            twcc: true,
            remb: false,
        }],
        extensions: extensions.clone(),
        source: Some(SourceSpec { track: TrackKey(1), ssrcs: vec![], rids: vec![] }),
        slot: Some(SlotSpec { index: 0, ssrc: OUR_AUDIO, rtx_ssrc: None }),
        sctp_port: None,
    };
    let video = MediaSpec {
        mid: "1".into(),
        kind: Kind::Video,
        presentation: false,
        codecs: vec![CodecSpec {
            payload_type: VIDEO_PT,
            codec: Codec::Vp8,
            clock: 90_000,
            rtx: Some(VIDEO_RTX_PT),
            profile: 0,
            nack: true,
            pli: true,
            fir: true,
            twcc: true,
            remb: false,
        }],
        extensions,
        source: Some(SourceSpec { track: TrackKey(2), ssrcs: vec![(THEIR_VIDEO, Some(THEIR_RTX))], rids: vec![] }),
        slot: Some(SlotSpec { index: 0, ssrc: OUR_VIDEO, rtx_ssrc: Some(OUR_RTX) }),
        sctp_port: None,
    };
    let data = MediaSpec {
        mid: "2".into(),
        kind: Kind::Data,
        presentation: false,
        codecs: vec![],
        extensions: vec![],
        source: None,
        slot: None,
        sctp_port: Some(5000),
    };
    SessionSpec {
        key: LegKey(7),
        revision: 1,
        participant: ParticipantKey(3),
        shard: 0,
        ice: ice_spec(1),
        fingerprints: vec![fingerprint],
        media: vec![audio, video, data],
        max_bitrate: None,
        cname: "plenum".into(),
        bindings: vec![],
    }
}

impl Peer {
    pub fn new(
        anchor: &Anchor,
        ice: &IceSpec,
        path: Path,
        certificates: &Certificates,
        certificate: dimpl::DtlsCertificate,
    ) -> Peer {
        let (own, theirs) = creds(ice);
        let mut agent = IceAgent::new(own);
        agent.set_remote_credentials(theirs);
        agent.set_controlling(true);
        let dtls = Client::dimpl(anchor, certificate);
        let mut peer = Peer {
            ice: agent,
            dtls,
            fingerprint: certificates.fingerprint(),
            seen_fingerprint: None,
            local: path,
            opener: None,
            key: None,
            sealer: Sealer::new(),
            pool: Pool::new(64),
            suite: None,
            rtp: vec![],
            rtcp: vec![],
            data: vec![],
            nominated: None,
            opened_errors: vec![],
            started_dtls: false,
            checks: true,
            arrivals: None,
        };
        peer.add_candidates(path);
        peer
    }

    pub fn add_candidates(&mut self, path: Path) {
        let proto = match path.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        let _ = self.ice.add_local_candidate(Candidate::host(path.remote, proto).unwrap());
        self.ice.add_remote_candidate(Candidate::host(path.local, proto).unwrap());
        self.local = path;
    }

    /// An ICE restart on the peer's side.
    pub fn restart(&mut self, ice: &IceSpec, path: Path) {
        let (own, theirs) = creds(ice);
        self.ice.ice_restart(own, false);
        self.ice.set_remote_credentials(theirs);
        self.add_candidates(path);
    }

    fn path(&self, proto: Protocol, own: SocketAddr, other: SocketAddr) -> Path {
        let transport = if proto == Protocol::Udp { Transport::Udp } else { Transport::Tcp };
        Path { transport, local: other, remote: own }
    }

    fn poll(&mut self, anchor: &Anchor, now: Time, out: &mut Vec<(Path, Vec<u8>)>) {
        let instant = anchor.instant(now);
        if self.checks {
            self.ice.handle_timeout(instant);
        }
        while let Some(t) = self.ice.poll_transmit() {
            let path = self.path(t.proto, t.source, t.destination);
            out.push((path, t.contents.to_vec()));
        }
        while let Some(event) = self.ice.poll_event() {
            if let IceAgentEvent::NominatedSend { proto, source, destination } = event {
                self.nominated = Some((source, destination));
                self.local = self.path(proto, source, destination);
            }
        }
        if self.nominated.is_none() {
            return;
        }
        self.started_dtls = true;
        for output in self.dtls.poll(instant) {
            match output {
                Output::Packet(p) => out.push((self.local, p)),
                Output::Certificate(der) => {
                    self.seen_fingerprint = Some(Certificates::new(der, vec![]).fingerprint());
                }
                Output::Keys(material, profile) => self.install(&material, profile),
                Output::Data(data) => self.data.push(data),
            }
        }
    }

    fn install(&mut self, material: &[u8], profile: u16) {
        let suite = Suite::from_dtls_profile(profile).unwrap();
        let (client, server) = split_dtls_material(suite, material).unwrap();
        self.opener = Some(Opener::new(&server));
        self.key = Some(self.sealer.insert(&client));
        self.suite = Some(suite);
    }

    fn receive(&mut self, anchor: &Anchor, now: Time, path: Path, bytes: &mut [u8]) {
        match classify(bytes) {
            PacketKind::Stun => {
                let Ok(message) = StunMessage::parse(bytes) else { return };
                let proto = if path.transport == Transport::Udp { Protocol::Udp } else { Protocol::Tcp };
                let packet = StunPacket { proto, source: path.local, destination: path.remote, message };
                self.ice.handle_packet(anchor.instant(now), packet);
            }
            PacketKind::Dtls => {
                self.dtls.handle(anchor.instant(now), bytes);
            }
            PacketKind::Rtp => {
                let Some(opener) = self.opener.as_mut() else { return };
                let header = rtp::parse(bytes).unwrap();
                match opener.open_rtp(header.ssrc, header.sequence, usize::from(header.payload_start), bytes) {
                    Ok(opened) => {
                        let packet = &bytes[..opened.len];
                        let map = ext::ExtensionMap::new([(TWCC_ID, ext::Kind::TransportSequence)]);
                        let number = ext::read(&map, &header, packet).transport_sequence;
                        if let (Some(number), Some(arrivals)) = (number, self.arrivals.as_mut()) {
                            arrivals.record(number, now);
                        }
                        self.rtp.push(packet.to_vec());
                    }
                    Err(reason) => self.opened_errors.push(reason),
                }
            }
            PacketKind::Rtcp => {
                let Some(opener) = self.opener.as_mut() else { return };
                match opener.open_rtcp(bytes) {
                    Ok(len) => self.rtcp.push(bytes[..len].to_vec()),
                    Err(reason) => self.opened_errors.push(reason),
                }
            }
            PacketKind::Unknown => {}
        }
    }

    /// A sealed RTP packet. `extensions` are (id, value) in the one-byte form.
    pub fn rtp_packet(
        &mut self,
        ssrc: u32,
        pt: u8,
        index: u64,
        ts: u32,
        extensions: &[(u8, &[u8])],
        payload: &[u8],
    ) -> Vec<u8> {
        let mut block = Vec::new();
        for (id, value) in extensions {
            block.push(id << 4 | (value.len() - 1) as u8);
            block.extend_from_slice(value);
        }
        block.resize(block.len().next_multiple_of(4), 0);
        let mut packet = vec![0; 12];
        let fields = rtp::Fields {
            marker: false,
            padding: false,
            extension: !block.is_empty(),
            payload_type: pt,
            sequence: index as u16,
            timestamp: ts,
            ssrc,
        };
        rtp::write_header(&mut packet, &fields).unwrap();
        if !block.is_empty() {
            packet.extend_from_slice(&[0xbe, 0xde]);
            packet.extend_from_slice(&((block.len() / 4) as u16).to_be_bytes());
            packet.extend_from_slice(&block);
        }
        packet.extend_from_slice(payload);
        self.seal(&packet, index)
    }

    /// Seals a whole RTP packet.
    pub fn seal(&mut self, packet: &[u8], index: u64) -> Vec<u8> {
        let header_len = rtp::parse(packet).unwrap().payload_start;
        let buf = self.pool.copy_in(HEADROOM, packet).unwrap();
        let mut jobs = [Job::new(self.key.unwrap(), buf, header_len, index)];
        self.sealer.protect(&mut self.pool, &mut jobs);
        let [job] = jobs;
        take(&mut self.pool, job.buf)
    }

    /// Seals RTCP that `write` makes.
    pub fn rtcp_packet(&mut self, write: impl FnOnce(&mut rtcp::Writer<'_>)) -> Vec<u8> {
        let mut bytes = [0; 1200];
        let mut writer = rtcp::Writer::new(&mut bytes);
        write(&mut writer);
        let len = writer.len();
        let mut buf = self.pool.copy_in(HEADROOM, &bytes[..len]).unwrap();
        self.sealer.protect_rtcp(self.key.unwrap(), &mut self.pool, &mut buf).unwrap();
        take(&mut self.pool, buf)
    }
}

fn take(pool: &mut Pool, buf: Buf) -> Vec<u8> {
    let bytes = pool.bytes(&buf).to_vec();
    pool.free(buf);
    bytes
}

impl World {
    pub fn new() -> World {
        World::with(udp4(), |_| {})
    }

    /// A world whose spec is changed before it begins.
    pub fn with(path: Path, change: impl FnOnce(&mut SessionSpec)) -> World {
        let anchor = Anchor::new(Instant::now(), Time::ZERO, Duration::from_secs(1_700_000_000));
        let env = Env::new(anchor, &Certificates::generate().unwrap(), SessionLimits::default()).unwrap();
        let theirs = dimpl::certificate::generate_self_signed_certificate().unwrap();
        let certificates = Certificates::new(theirs.certificate.clone(), vec![]);
        let mut spec = spec(certificates.fingerprint());
        change(&mut spec);
        let peer = Peer::new(&anchor, &spec.ice, path, &certificates, theirs);
        let session = Session::new(&spec, &env, [7; 32], Time::ZERO).unwrap();
        World {
            env,
            now: Time::ZERO,
            session,
            peer,
            pool: Pool::new(512),
            sealer: Sealer::new(),
            events: vec![],
            incoming: vec![],
            feedback: vec![],
            drops: vec![],
            released: Released::default(),
            wire: VecDeque::new(),
            lose: Box::new(|_, _, _| false),
        }
    }

    /// A world in which the session is up.
    pub fn connected() -> World {
        let mut world = World::new();
        world.connect();
        world
    }

    /// A connected world whose peer knows no transport-wide feedback: nothing is probed.
    pub fn plain() -> World {
        let mut world = World::with(udp4(), |spec| {
            spec.media.iter_mut().for_each(|m| m.extensions.retain(|e| e.1 != Extension::TransportSequence));
        });
        world.connect();
        world
    }

    pub fn connect(&mut self) {
        for _ in 0..400 {
            self.step(Duration::from_millis(5));
            if self.session.is_connected() && self.peer.key.is_some() {
                return;
            }
        }
        panic!("not connected after 2 s: {:?}", self.events);
    }

    pub fn run(&mut self, d: Duration) {
        let end = self.now + d;
        while self.now < end {
            self.step(Duration::from_millis(5));
        }
    }

    /// Puts bytes on the wire towards the session.
    pub fn send(&mut self, bytes: Vec<u8>) {
        let path = self.peer.local;
        self.send_on(path, bytes);
    }

    pub fn send_on(&mut self, path: Path, bytes: Vec<u8>) {
        if !(self.lose)(true, &path, &bytes) {
            self.wire.push_back((self.now + DELAY, true, path, bytes));
        }
    }

    pub fn step(&mut self, d: Duration) {
        self.now += d;
        let mut out = Vec::new();
        self.peer.poll(&self.env.anchor, self.now, &mut out);
        for (path, bytes) in out {
            self.send_on(path, bytes);
        }
        self.feed_back();
        while self.wire.front().is_some_and(|w| w.0 <= self.now) {
            let (_, to_session, path, mut bytes) = self.wire.pop_front().unwrap();
            match to_session {
                true => {
                    if let Err(reason) = self.deliver(path, &mut bytes) {
                        self.drops.push(reason);
                    }
                }
                false => self.peer.receive(&self.env.anchor, self.now, path, &mut bytes),
            }
        }
        if self.session.poll_timeout() <= self.now {
            self.outbox(|session, now, out| session.handle_timeout(now, out));
        }
        self.release();
        self.events.extend(self.session.events());
    }

    fn feed_back(&mut self) {
        let Some(mut arrivals) = self.peer.arrivals.take() else { return };
        while arrivals.poll_timeout() <= self.now {
            let feedback = self.peer.rtcp_packet(|w| arrivals.write(w, 1, OUR_VIDEO).unwrap());
            self.send(feedback);
        }
        self.peer.arrivals = Some(arrivals);
    }

    /// Gives one packet to the session at once.
    pub fn deliver(&mut self, path: Path, bytes: &mut [u8]) -> Result<(), DropReason> {
        match classify(bytes) {
            PacketKind::Stun => self.outbox(|session, now, out| session.handle_stun(now, path, bytes, out)),
            PacketKind::Dtls => self.outbox(|session, now, out| session.handle_dtls(now, path, bytes, out)),
            PacketKind::Rtp => {
                let incoming = self.session.handle_rtp(self.now, self.now, path, bytes, &mut self.pool)?;
                self.incoming.push(incoming);
                Ok(())
            }
            PacketKind::Rtcp => {
                let mut feedback = std::mem::take(&mut self.feedback);
                let result = self.outbox(|session, now, out| session.handle_rtcp(now, path, bytes, out, &mut feedback));
                self.feedback = feedback;
                result
            }
            PacketKind::Unknown => Err(DropReason::NotClassified),
        }
    }

    pub fn outbox<R>(&mut self, f: impl FnOnce(&mut Session, Time, &mut Outbox<'_>) -> R) -> R {
        let mut packets = Vec::new();
        let mut out = Outbox { pool: &mut self.pool, sealer: &mut self.sealer, packets: &mut packets };
        let result = f(&mut self.session, self.now, &mut out);
        for (path, buf) in packets {
            let bytes = take(&mut self.pool, buf);
            self.send_back(path, bytes);
        }
        result
    }

    fn send_back(&mut self, path: Path, bytes: Vec<u8>) {
        if !(self.lose)(false, &path, &bytes) {
            self.wire.push_back((self.now + DELAY, false, path, bytes));
        }
    }

    fn release(&mut self) {
        let mut released = std::mem::take(&mut self.released);
        self.session.release(self.now, &mut self.pool, &mut released);
        self.sealer.protect(&mut self.pool, &mut released.jobs);
        self.session.sealed(&self.pool, &released.jobs);
        let path = self.session.path();
        for job in released.jobs.drain(..) {
            let bytes = take(&mut self.pool, job.buf);
            self.send_back(path.expect("released without a path"), bytes);
        }
        self.released = released;
    }

    /// Frees the slots of everything that came in.
    pub fn free_incoming(&mut self) {
        for incoming in self.incoming.drain(..) {
            self.pool.free(incoming.buf);
        }
    }
}
