//! The peer's transport: ICE, DTLS, SRTP, one packet at a time.

use super::dtls::{Client, Output};
use super::ice::Ice;
use super::{PeerConfig, Shared, Sink};
use plenum_contract::spec::IceSpec;
use plenum_packet::{DropReason, HEADROOM, Path, Pool, Time};
use plenum_srtp::{Job, KeyId, Opener, Sealer, Suite, split_dtls_material};
use std::sync::Arc;
use std::time::Instant;

/// Keys of one handshake.
struct Keys {
    opener: Opener,
    /// A second context with the same key, for packets that are looked at before the network has them.
    tap: Opener,
    sealing: KeyId,
    suite: Suite,
}

/// Connection of a peer to its server.
pub(crate) struct Transport {
    shared: Arc<Shared>,
    pub(crate) ice: Ice,
    suite: Option<Suite>,
    dtls: Client,
    /// Whether DTLS may speak: a pair is there.
    speaks: bool,
    deadline: Option<Instant>,
    keys: Option<Keys>,
    sealer: Sealer,
    pool: Pool,
    outputs: Vec<Output>,
}

impl Transport {
    pub(crate) fn new(config: &PeerConfig, ice: &IceSpec, shared: &Arc<Shared>, now: Time) -> Transport {
        Transport {
            shared: Arc::clone(shared),
            ice: Ice::new(ice.clone(), config.path, config.seed, now),
            suite: config.suite,
            dtls: Client::new(shared, config.suite, now),
            speaks: false,
            deadline: None,
            keys: None,
            sealer: Sealer::new(),
            pool: Pool::new(2),
            outputs: Vec::new(),
        }
    }

    /// Begins anew with another server: new handshake, new keys.
    pub(crate) fn reconnect(&mut self, config: &PeerConfig, ice: &IceSpec, now: Time) {
        self.ice = Ice::new(ice.clone(), config.path, config.seed, now);
        self.dtls = Client::new(&self.shared, self.suite, now);
        self.speaks = false;
        self.deadline = None;
        if let Some(keys) = self.keys.take() {
            self.sealer.remove(keys.sealing);
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.keys.is_some() && self.ice.active().is_some()
    }

    pub(crate) fn suite(&self) -> Option<Suite> {
        self.keys.as_ref().map(|k| k.suite)
    }

    pub(crate) fn poll_timeout(&self) -> Time {
        let dtls = match self.speaks {
            true => self.deadline.map_or(Time::NEVER, |at| self.shared.anchor.time(at)),
            false => Time::NEVER,
        };
        self.ice.poll_timeout().min(dtls)
    }

    /// Does what is due; application data goes to `data`.
    pub(crate) fn handle_timeout(&mut self, now: Time, data: &mut Vec<Vec<u8>>, out: &mut Sink<'_>) {
        self.ice.handle_timeout(now, out);
        self.drive(now, data, out);
    }

    pub(crate) fn handle_stun(&mut self, now: Time, bytes: &[u8], data: &mut Vec<Vec<u8>>, out: &mut Sink<'_>) {
        if self.ice.handle(now, bytes, out) && !self.speaks {
            self.speaks = true;
            self.drive(now, data, out);
        }
    }

    pub(crate) fn handle_dtls(&mut self, now: Time, bytes: &[u8], data: &mut Vec<Vec<u8>>, out: &mut Sink<'_>) {
        if self.speaks {
            self.dtls.handle(self.shared.anchor.instant(now), bytes);
            self.drive(now, data, out);
        }
    }

    /// Sends application data.
    pub(crate) fn send_data(&mut self, now: Time, data: &[u8], out: &mut Sink<'_>) {
        self.dtls.send(self.shared.anchor.instant(now), data);
        self.drive(now, &mut Vec::new(), out);
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self, now: Time, out: &mut Sink<'_>) {
        self.dtls.close(self.shared.anchor.instant(now));
        self.drive(now, &mut Vec::new(), out);
    }

    fn drive(&mut self, now: Time, data: &mut Vec<Vec<u8>>, out: &mut Sink<'_>) {
        let (true, Some(path)) = (self.speaks, self.ice.active()) else { return };
        let mut outputs = std::mem::take(&mut self.outputs);
        self.deadline = self.dtls.poll(self.shared.anchor.instant(now), &mut outputs);
        for output in outputs.drain(..) {
            match output {
                Output::Packet(packet) => out(path, &packet),
                Output::Data(bytes) => data.push(bytes),
                Output::Keys(material, profile) => self.install(&material, profile),
            }
        }
        self.outputs = outputs;
    }

    fn install(&mut self, material: &[u8], profile: u16) {
        let Some(suite) = Suite::from_dtls_profile(profile) else { return };
        let Some((client, server)) = split_dtls_material(suite, material) else { return };
        let sealing = self.sealer.insert(&client);
        self.keys = Some(Keys { opener: Opener::new(&server), tap: Opener::new(&server), sealing, suite });
    }

    /// Opens an RTP packet in place; its length.
    pub(crate) fn open_rtp(&mut self, bytes: &mut [u8]) -> Result<usize, DropReason> {
        let keys = self.keys.as_mut().ok_or(DropReason::NoKeys)?;
        open(&mut keys.opener, bytes)
    }

    /// As [`Transport::open_rtp`], in the context of the tap.
    pub(crate) fn open_tapped(&mut self, bytes: &mut [u8]) -> Result<usize, DropReason> {
        let keys = self.keys.as_mut().ok_or(DropReason::NoKeys)?;
        open(&mut keys.tap, bytes)
    }

    /// Opens an RTCP packet in place; its length.
    pub(crate) fn open_rtcp(&mut self, bytes: &mut [u8]) -> Result<usize, DropReason> {
        self.keys.as_mut().ok_or(DropReason::NoKeys)?.opener.open_rtcp(bytes)
    }

    /// Bytes that SRTP adds to a packet.
    pub(crate) fn tag_len(&self) -> usize {
        self.suite().map_or(0, Suite::tag_len)
    }

    /// Seals and sends a plaintext RTP packet.
    pub(crate) fn send_rtp(&mut self, packet: &[u8], header_len: usize, index: u64, out: &mut Sink<'_>) {
        let (Some(keys), Some(path)) = (&self.keys, self.ice.active()) else { return };
        let Some(buf) = self.pool.copy_in(HEADROOM, packet) else { return };
        let mut jobs = [Job::new(keys.sealing, buf, header_len as u16, index)];
        self.sealer.protect(&mut self.pool, &mut jobs);
        let [job] = jobs;
        if job.result.is_ok() {
            out(path, self.pool.bytes(&job.buf));
        }
        self.pool.free(job.buf);
    }

    /// Seals and sends a plaintext RTCP packet.
    pub(crate) fn send_rtcp(&mut self, packet: &[u8], out: &mut Sink<'_>) {
        let (Some(keys), Some(path)) = (&self.keys, self.ice.active()) else { return };
        let Some(mut buf) = self.pool.copy_in(HEADROOM, packet) else { return };
        if self.sealer.protect_rtcp(keys.sealing, &mut self.pool, &mut buf).is_ok() {
            out(path, self.pool.bytes(&buf));
        }
        self.pool.free(buf);
    }

    pub(crate) fn active(&self) -> Option<Path> {
        self.ice.active()
    }
}

fn open(opener: &mut Opener, bytes: &mut [u8]) -> Result<usize, DropReason> {
    let header = plenum_wire::rtp::parse(bytes).map_err(|_| DropReason::MalformedRtp)?;
    let start = usize::from(header.payload_start);
    Ok(opener.open_rtp(header.ssrc, header.sequence, start, bytes)?.len)
}
