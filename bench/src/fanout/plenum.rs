//! Plenum as the measured server: its media plane alone, with us in control's place.

use super::Scenario;
use super::measure::Server;
use crate::load;
use crate::media::{Media, program};
use crate::network::{Network, SERVER};
use crate::peer::{Peer, PeerConfig, Shared, credentials};
use crate::swarm::Driver;
use plenum_contract::{Command, ConferenceKey, ConferenceSpec, ParticipantSpec};
use plenum_packet::{Bitrate, Path, Transport};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A media plane under measurement.
pub(super) struct Plenum<'a> {
    pub(super) media: Media,
    network: &'a Network,
    /// Packets that it told of last, and its processor time then.
    counted: Option<(u64, Duration)>,
}

impl<'a> Plenum<'a> {
    /// Starts it in `network` on the I/O back-end `io`.
    pub(super) fn start(network: &'a Network, io: &str) -> Result<Plenum<'a>, String> {
        let path = program("plenum-media");
        let mut command = network.command(&path.to_string_lossy());
        let media = Media::start(&mut command, SocketAddr::new(SERVER, 40_000), io)
            .map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Plenum { media, network, counted: None })
    }

    /// Joins everybody.
    pub(super) fn join(
        &mut self,
        scenario: &Scenario,
        driver: &mut Driver,
        shared: &Arc<Shared>,
    ) -> Result<(), String> {
        let server = self.media.address().ok_or("the media plane has no address")?;
        let own: Vec<SocketAddr> = driver.addresses().to_vec();
        for room in 0..scenario.rooms {
            self.send(Command::Conference(ConferenceSpec {
                key: ConferenceKey(room as u64 + 1),
                revision: 1,
                presenter: None,
                pinned: Vec::new(),
                last_n: 64,
                home_shard: 0,
            }))?;
        }
        for (index, remote) in own.into_iter().enumerate() {
            let leg = index as u64 + 1;
            let path = Path { transport: Transport::Udp, local: server, remote };
            let config = match index < scenario.rooms {
                true => load::publisher(leg, path, scenario.media, scenario.suite),
                false => PeerConfig {
                    // Whoever is swallowed cannot give feedback on every packet: an estimate of its own, once, must do.
                    twcc: !scenario.swallowed,
                    first_remb: Bitrate::kbps(20_000),
                    ..load::viewer(leg, path, scenario.media, scenario.suite)
                },
            };
            let ice = credentials(config.shard, config.leg, 0);
            self.send(Command::Participant(ParticipantSpec {
                key: config.participant,
                conference: ConferenceKey(scenario.room_of(index) as u64 + 1),
                revision: 1,
                audio_blocked: false,
                video_blocked: false,
                presentation_denied: false,
                waiting: false,
            }))?;
            self.send(Command::Session(config.session_spec(1, &ice, shared.fingerprints())))?;
            self.send(Command::Start(config.leg))?;
            driver.add(Box::new(Peer::new(config, &ice, shared, Driver::now())));
        }
        Ok(())
    }

    fn send(&mut self, command: Command) -> Result<(), String> {
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
