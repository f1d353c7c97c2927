//! Data channels, relayed: a message on a channel goes to every other leg of the conference that takes data, on its channel of
//! the same label, which is opened when it is not there yet. Who waits, or was not started, neither sends nor receives.

use crate::Shard;
use crate::world::{Channel, LegIndex};
use plenum_packet::{DropReason, Pool, Time};

impl Shard {
    pub(crate) fn channel_opened(&mut self, index: LegIndex, stream: u16, label: String, protocol: String) {
        if let Some(leg) = self.world.legs.get_mut(index) {
            leg.channels.retain(|c| c.stream != stream);
            leg.channels.push(Channel { stream, label, protocol });
        }
    }

    pub(crate) fn channel_closed(&mut self, index: LegIndex, stream: u16) {
        if let Some(leg) = self.world.legs.get_mut(index) {
            leg.channels.retain(|c| c.stream != stream);
        }
    }

    pub(crate) fn relay(
        &mut self,
        now: Time,
        pool: &mut Pool,
        from: LegIndex,
        stream: u16,
        binary: bool,
        payload: &[u8],
    ) {
        let Some(leg) = self.world.legs.get(from) else { return };
        if !leg.started || self.world.participants.get(leg.participant).is_none_or(|p| p.spec.waiting) {
            return self.drops.count(DropReason::Blocked);
        }
        let Some(channel) = leg.channels.iter().find(|c| c.stream == stream) else { return };
        let (label, protocol) = (channel.label.clone(), channel.protocol.clone());
        for to in self.others_with_data(from) {
            let known = self.world.legs.get(to).and_then(|l| l.channels.iter().find(|c| c.label == label));
            let stream = match known.map(|c| c.stream) {
                Some(stream) => stream,
                None => match self.open_channel(now, pool, to, &label, &protocol) {
                    Some(stream) => stream,
                    None => continue,
                },
            };
            let sent = self
                .with_session(now, pool, to, |session, out| session.send_message(now, stream, binary, payload, out));
            if let Err(reason) = sent {
                self.drops.count(reason);
            }
        }
    }

    /// Started legs of the same conference with a data m-line, but for `from`; none of who waits.
    fn others_with_data(&self, from: LegIndex) -> Vec<LegIndex> {
        let Some(conference) = self.world.conference_of(from) else { return Vec::new() };
        let Some(conference) = self.world.conferences.get(conference) else { return Vec::new() };
        let admitted = conference.members.iter().filter_map(|m| self.world.participants.get(*m));
        admitted
            .filter(|p| !p.spec.waiting)
            .flat_map(|p| p.legs.iter().copied())
            .filter(|&l| l != from)
            .filter(|l| {
                let has_data = |s: &plenum_contract::SessionSpec| s.media.iter().any(|m| m.sctp_port.is_some());
                self.world.legs.get(*l).is_some_and(|l| l.started && has_data(l.session.spec()))
            })
            .collect()
    }

    fn open_channel(&mut self, now: Time, pool: &mut Pool, to: LegIndex, label: &str, protocol: &str) -> Option<u16> {
        let stream =
            self.with_session(now, pool, to, |session, out| session.open_channel(now, label, protocol, out)).ok()?;
        self.channel_opened(to, stream, label.to_owned(), protocol.to_owned());
        Some(stream)
    }
}
