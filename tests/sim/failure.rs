//! What everybody saw, printed when a scenario fails. `PLENUM_SIM_PEER=n` prints one peer.

use crate::world::World;
use plenum_packet::Time;

/// When a scenario fails, what everybody saw is printed.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        eprintln!("at {:?}: {} packets sent, pool {}", self.now, self.sent, self.pool.in_use());
        for (reason, count) in self.shard.drops().iter().filter(|d| d.1 > 0) {
            eprintln!("  drop {}: {count}", reason.label());
        }
        eprintln!("  speakers {:?}", self.told.speakers);
        for (id, member) in self.members.iter().enumerate() {
            if std::env::var("PLENUM_SIM_PEER").map_or(id > 2, |p| p != id.to_string()) {
                continue;
            }
            let stats = member.peer.stats();
            eprintln!(
                "peer {id}: here {} up {} suite {:?} sent {} resent {} key requests {} feedback {} remb {:?} estimate {}",
                member.here,
                member.peer.is_up(),
                member.peer.suite(),
                stats.sent,
                stats.resent,
                stats.key_requests,
                stats.feedback,
                stats.remb,
                self.estimate(id),
            );
            for (name, link) in [("up", &member.up), ("down", &member.down)] {
                eprintln!("  {name}: passed {} lost {} overflowed {}", link.passed, link.lost, link.overflowed);
            }
            for (reason, count) in stats.refused.iter().filter(|d| d.1 > 0) {
                eprintln!("  refused {}: {count}", reason.label());
            }
            eprintln!("  {} violations: {:?}", stats.violation_count, stats.violations);
            eprintln!("  seats {:?}", self.told.seats.get(&self.leg(id)));
            for slot in stats.slots.iter().filter(|s| s.packets + s.fillers > 0) {
                let age = |at: Option<Time>| at.map(|at| self.now.since(at));
                eprintln!(
                    "  {} {:?} {} source {:?} frame {:?} packet {:?} ago: packets {} fillers {} lost {} late {} twice {} \
                     asked {} recovered {} plis {} frames {} keys {} gaps {} freezes {} longest {:?} {:?}",
                    slot.mid,
                    slot.kind,
                    slot.index,
                    slot.source,
                    age(slot.last_frame),
                    age(slot.last_packet),
                    slot.packets,
                    slot.fillers,
                    slot.lost,
                    slot.reordered,
                    slot.duplicates,
                    slot.asked,
                    slot.recovered,
                    slot.plis,
                    slot.frames,
                    slot.key_frames,
                    slot.gaps,
                    slot.freezes,
                    slot.longest_gap,
                    slot.by_track,
                );
            }
        }
    }
}
