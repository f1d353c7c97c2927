//! One shard's thread: reap, read the clock once, let the shard work, submit, wait for the next deadline.
//!
//! All that a packet meets is in here or in a crate without I/O. Nothing in this loop logs, locks or allocates per packet.

use crate::mixer::MixerLink;
use crate::shards::{Order, ShardEnd, ToControl};
use core::time::Duration;
use plenum_contract::Command;
use plenum_contract::event::ShardMetrics;
use plenum_io::Io;
use plenum_packet::{PacketIo, Pool, Time, TxBatch};
use plenum_shard::Shard;

/// How often counters are reported.
pub(crate) const METRICS_EVERY: Duration = Duration::from_secs(1);

/// What a shard's thread owns.
pub(crate) struct EventLoop {
    pub(crate) index: u16,
    pub(crate) shard: Shard,
    pub(crate) io: Io,
    pub(crate) pool: Pool,
    pub(crate) end: ShardEnd,
    /// The rings of the mixer that is there.
    pub(crate) mixer: Option<Box<MixerLink>>,
    pub(crate) mixer_starts: u64,
    /// Packets that no ring had room for.
    pub(crate) mixer_lost: u64,
}

impl EventLoop {
    /// Runs until control says [`Command::Shutdown`].
    ///
    /// # Errors
    /// When the I/O back-end is unusable.
    pub(crate) fn run(mut self) -> std::io::Result<()> {
        let mut tx = TxBatch::default();
        let mut next_metrics = now() + METRICS_EVERY;
        let mut busy = Busy::default();
        loop {
            self.end.pulse.beat();
            let reads = self.mixer.as_mut().is_some_and(|mixer| !mixer.sleep());
            let deadline = if reads { Time::ZERO } else { self.shard.deadline().min(next_metrics) };
            let shard = &mut self.shard;
            let mut woke = None;
            self.io.receive(&mut self.pool, deadline, &mut |pool, datagram| {
                let now = *woke.get_or_insert_with(now);
                shard.handle(now, pool, datagram);
            })?;
            let now = woke.unwrap_or_else(now);
            let finish = self.take_commands(now);
            self.hear_mixer(now, woke.is_none() && now < deadline);
            self.shard.tick(now, &mut self.pool, &mut tx);
            self.shard.submitted(self::now());
            self.io.transmit(&mut self.pool, &mut tx)?;
            self.tell_mixer(now);
            let end = &self.end;
            self.shard.drain_events(|durable, body| end.report(ToControl::Event { durable, body }));
            self.shard.drain_stills(|still| end.report(ToControl::Still(Box::new(still))));
            busy.add(now, self::now());
            if now >= next_metrics {
                next_metrics = now + METRICS_EVERY;
                self.report_metrics(&busy);
            }
            if finish {
                // A ring submits with its next wait: the goodbyes leave with this one.
                self.io.receive(&mut self.pool, Time::ZERO, &mut |_, _| {})?;
                return Ok(());
            }
        }
    }

    /// Carries out what control asked for; true when it asked for the end.
    fn take_commands(&mut self, now: Time) -> bool {
        self.end.clear_waker();
        while let Ok(order) = self.end.inbox.try_recv() {
            match order {
                Order::Snapshot(round) => {
                    let end = &self.end;
                    self.shard.drain_events(|durable, body| end.report(ToControl::Event { durable, body }));
                    self.end.report(ToControl::Snapshot { round, part: self.shard.snapshot() });
                    // What is no part of a snapshot, control learns from the events behind it.
                    self.shard.tell_again();
                }
                Order::Mixer(link) => self.set_mixer(now, link),
                Order::Command(command) => match *command {
                    Command::Shutdown => {
                        self.shard.close_all(now, &mut self.pool);
                        return true;
                    }
                    command => {
                        let leg = crate::control::leg_of(&command);
                        let revision = match &command {
                            Command::Session(spec) => Some(spec.revision),
                            _ => None,
                        };
                        if let Err(reason) = self.shard.command(now, &mut self.pool, command) {
                            let there = leg.is_some_and(|leg| self.shard.has_leg(leg));
                            self.end.report(ToControl::Refused { leg, revision, there, reason });
                        }
                    }
                },
            }
        }
        false
    }

    /// A mixer came or went.
    fn set_mixer(&mut self, now: Time, link: Option<Box<MixerLink>>) {
        if let Some(former) = self.mixer.take() {
            self.mixer_lost += former.lost();
            self.io.unwatch(former.descriptor());
            self.shard.mixer_gone(now);
        }
        if let Some(link) = link
            && self.io.watch(link.descriptor()).is_ok()
        {
            self.mixer = Some(link);
            self.mixer_starts += 1;
            self.shard.mixer_up(now);
        }
    }

    /// Takes what the mixer wrote. `early`: the wait ended before its time, perhaps because the mixer rang or ended.
    fn hear_mixer(&mut self, now: Time, early: bool) {
        let Some(mixer) = &mut self.mixer else { return };
        let (shard, pool) = (&mut self.shard, &mut self.pool);
        if !mixer.hear(early, &mut |record| shard.handle_mixer(now, pool, record)) {
            self.cut_mixer(now);
        }
    }

    /// Gives the mixer what the shard has for it.
    fn tell_mixer(&mut self, now: Time) {
        let Some(mixer) = &mut self.mixer else { return };
        self.shard.drain_mixer(|record, packet| mixer.write(record, packet));
        if !mixer.flush(now) {
            self.cut_mixer(now);
        }
    }

    /// The link is of no use any more: the whole mixer is to begin anew.
    fn cut_mixer(&mut self, now: Time) {
        let serial = self.mixer.as_ref().map(|mixer| mixer.serial);
        self.set_mixer(now, None);
        if let Some(serial) = serial {
            self.end.report(ToControl::MixerCut(serial));
        }
    }

    fn report_metrics(&self, busy: &Busy) {
        let io = self.io.stats();
        let mut metrics = ShardMetrics {
            rx_packets: io.rx_packets,
            rx_bytes: io.rx_bytes,
            tx_packets: io.tx_packets,
            tx_bytes: io.tx_bytes,
            syscalls: io.syscalls,
            pool_in_use: self.pool.in_use() as u64,
            pool_capacity: self.pool.capacity() as u64,
            busy_ns: busy.nanos,
            turns: busy.turns,
            mixer_up: self.mixer.is_some(),
            mixer_starts: self.mixer_starts,
            mixer_shed: self.shard.mixer_state().unwrap_or(0),
            mixer_spent: self.shard.mixer_spent(),
            mixer_outputs: self.shard.mixer_outputs() as u64,
            mixer_lost: self.mixer_lost + self.mixer.as_ref().map_or(0, |mixer| mixer.lost()),
            ..ShardMetrics::default()
        };
        self.shard.add_metrics(&mut metrics);
        if io.tx_failed > 0 {
            *metrics.drops.entry(plenum_packet::DropReason::SendFailed.label().to_owned()).or_default() += io.tx_failed;
        }
        let bandwidth = self.shard.bandwidth();
        self.end.report(ToControl::Metrics { shard: self.index, metrics, bandwidth });
    }
}

/// Working time of the loop.
#[derive(Default)]
struct Busy {
    nanos: u64,
    turns: u64,
}

impl Busy {
    fn add(&mut self, from: Time, to: Time) {
        self.nanos += to.since(from).as_nanos() as u64;
        self.turns += 1;
    }
}

/// The clock of the data plane.
pub(crate) fn now() -> Time {
    Time(plenum_host::now())
}
