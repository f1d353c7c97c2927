//! Plenum as the measured server: its media plane, with a mixer where there is something to mix, and us in control's place.

use super::Scenario;
use super::measure::Server;
use crate::load;
use crate::media::{Media, program};
use crate::network::{Network, SERVER};
use crate::peer::{Peer, PeerConfig, Shared, credentials};
use crate::process::{Program, words};
use crate::swarm::Driver;
use plenum_contract::{Command, ConferenceKey, ConferenceSpec, ParticipantSpec};
use plenum_packet::{Bitrate, Path, Transport};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

/// A media plane under measurement.
pub(crate) struct Plenum<'a> {
    pub(crate) media: Media,
    /// The mixer, where one was started; it ends before its media plane.
    pub(crate) mixer: Option<Program>,
    network: &'a Network,
    /// Packets that it told of last, and its processor time then.
    counted: Option<(u64, Duration)>,
}

impl<'a> Plenum<'a> {
    /// Starts it in `network` on the I/O back-end `io`.
    pub(super) fn start(network: &'a Network, io: &str) -> Result<Plenum<'a>, String> {
        let path = program("plenum-media");
        Plenum::begin(network, network.command(&path.to_string_lossy()), io)
    }

    /// Starts it with a mixer, as control does.
    pub(crate) fn with_mixer(network: &'a Network, io: &str) -> Result<Plenum<'a>, String> {
        let (media, mixer) = (program("plenum-media"), program("plenum-mix"));
        let socket = std::env::temp_dir().join(format!("plenum-bench-mix-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        let mut command = network.command(&media.to_string_lossy());
        command.arg("--mixer-socket").arg(&socket);
        let mut plenum = Plenum::begin(network, command, io)?;
        let mut command = network.command(&mixer.to_string_lossy());
        command.args(["serve", "--socket"]).arg(&socket).stdin(Stdio::null()).stdout(words()).stderr(words());
        plenum.mixer = Some(Program::start(&mut command).map_err(|e| format!("{}: {e}", mixer.display()))?);
        Ok(plenum)
    }

    fn begin(network: &'a Network, mut command: std::process::Command, io: &str) -> Result<Plenum<'a>, String> {
        let media = Media::start(&mut command, SocketAddr::new(SERVER, 40_000), io);
        let media = media.map_err(|e| format!("{}: {e}", program("plenum-media").display()))?;
        Ok(Plenum { media, mixer: None, network, counted: None })
    }

    /// Joins everybody.
    pub(crate) fn join(
        &mut self,
        scenario: &Scenario,
        driver: &mut Driver,
        shared: &Arc<Shared>,
    ) -> Result<(), String> {
        let own: Vec<SocketAddr> = driver.addresses().to_vec();
        for room in 0..scenario.rooms {
            self.open(ConferenceKey(room as u64 + 1))?;
        }
        for (index, remote) in own.into_iter().enumerate().take(scenario.peers()) {
            let leg = index as u64 + 1;
            let path = self.path_to(remote)?;
            let config = match index < scenario.rooms {
                true => load::publisher(leg, path, scenario.media, scenario.suite),
                false => PeerConfig {
                    // Whoever is swallowed cannot give feedback on every packet: an estimate of its own, once, must do.
                    twcc: !scenario.swallowed,
                    first_remb: Bitrate::kbps(20_000),
                    ..load::viewer(leg, path, scenario.media, scenario.suite)
                },
            };
            driver.add(Box::new(self.admit(ConferenceKey(scenario.room_of(index) as u64 + 1), config, shared)?));
        }
        Ok(())
    }

    /// Opens a conference.
    pub(crate) fn open(&mut self, key: ConferenceKey) -> Result<(), String> {
        let (revision, presenter, pinned) = (1, None, Vec::new());
        self.send(Command::Conference(ConferenceSpec { key, revision, presenter, pinned, last_n: 64, home_shard: 0 }))
    }

    /// The way to a peer at `remote`.
    pub(crate) fn path_to(&self, remote: SocketAddr) -> Result<Path, String> {
        let local = self.media.address().ok_or("the media plane has no address")?;
        Ok(Path { transport: Transport::Udp, local, remote })
    }

    /// Lets somebody into a conference; their peer.
    pub(crate) fn admit(
        &mut self,
        conference: ConferenceKey,
        config: PeerConfig,
        shared: &Arc<Shared>,
    ) -> Result<Peer, String> {
        let ice = credentials(config.shard, config.leg, 0);
        self.send(Command::Participant(ParticipantSpec {
            key: config.participant,
            conference,
            revision: 1,
            audio_blocked: false,
            video_blocked: false,
            presentation_denied: false,
            waiting: false,
        }))?;
        self.send(Command::Session(config.session_spec(1, &ice, shared.fingerprints())))?;
        self.send(Command::Start(config.leg))?;
        Ok(Peer::new(config, &ice, shared, Driver::now()))
    }

    pub(crate) fn send(&mut self, command: Command) -> Result<(), String> {
        self.media.send(&command).map_err(|e| format!("control socket: {e}"))
    }
}

impl Server for Plenum<'_> {
    fn cpu(&self) -> Duration {
        self.media.program.cpu()
    }

    fn attend(&mut self) -> Result<(), String> {
        self.media.listen().map_err(|e| format!("control socket: {e}"))?;
        if let Some(reason) = self.media.refused.first() {
            return Err(format!("refused: {reason}"));
        }
        if let Some(end) = self.media.ended.first() {
            return Err(end.clone());
        }
        let sent: u64 = self.media.metrics.shards.iter().map(|s| s.tx_packets).sum();
        if self.counted.is_none_or(|(told, _)| told != sent) {
            self.counted = Some((sent, self.cpu()));
        }
        Ok(())
    }

    fn counted(&mut self) -> Option<(u64, Duration)> {
        self.counted
    }

    fn swallow(&mut self) -> Result<(), String> {
        self.network.swallow()
    }
}
