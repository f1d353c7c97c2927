//! The real fan-out: publishers and viewers on sockets around a server process, and what the server's processor time was.
//!
//! A [`Scenario`] says the load; whoever is measured joins its peers ([`plenum`] does it over the contract, as control would);
//! [`measure()`] waits until all that is due flows, and then counts packets that arrive and processor time that passes. Every
//! server is measured by the same code with the same peers.

mod chapter;
mod measure;
mod plenum;

pub use chapter::run;
pub(crate) use chapter::{on_last_core, plenum_outcome, quantile, shared};
pub(crate) use measure::drive;
pub use measure::{Outcome, Server, measure};
pub(crate) use plenum::Plenum;

use crate::load::{self, Media};
use crate::network::{FAR, NEAR};
use crate::swarm::Driver;
use plenum_srtp::Suite;
use std::io;
use std::net::IpAddr;

/// A load.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What is sent.
    pub media: Media,
    /// Conferences, each with one publisher.
    pub rooms: usize,
    /// Viewers of each.
    pub viewers: usize,
    /// SRTP profile of everybody.
    pub suite: Suite,
    /// Whether what viewers are sent is swallowed by a null device while it is measured.
    pub swallowed: bool,
}

impl Scenario {
    /// One publisher to `viewers`, in so many conferences that a server has work to do: some 45,000 packets a second of video, and
    /// 15,000 of audio.
    pub fn new(media: Media, viewers: usize, suite: Suite) -> Scenario {
        let rooms = match media {
            Media::Video => (180 / viewers).max(1),
            Media::Audio => (300 / viewers).max(1),
        };
        Scenario { media, rooms, viewers, suite, swallowed: false }
    }

    /// Its name in reports.
    pub fn name(&self) -> String {
        let Scenario { viewers, media, suite, .. } = self;
        format!("1:{viewers} {}, {}", media.name(), load::suite_name(*suite))
    }

    /// Everybody.
    pub fn peers(&self) -> usize {
        self.rooms * (1 + self.viewers)
    }

    /// Sockets for everybody: publishers first, then the viewers of the first conference, of the second, and so on.
    ///
    /// # Errors
    /// When sockets run out.
    pub fn sockets(&self) -> io::Result<Driver> {
        let viewers: IpAddr = if self.swallowed { FAR } else { NEAR };
        Driver::open(&[(NEAR, self.rooms), (viewers, self.rooms * self.viewers)])
    }

    /// The conference of peer `index`, in the order of [`Scenario::sockets`].
    pub fn room_of(&self, index: usize) -> usize {
        if index < self.rooms { index } else { (index - self.rooms) / self.viewers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_viewer_has_a_room_and_every_room_its_publisher() {
        let scenario = Scenario::new(Media::Video, 30, Suite::AeadAes128Gcm);
        assert_eq!((scenario.rooms, scenario.peers()), (6, 186));
        let mut members = [0; 6];
        (0..scenario.peers()).for_each(|peer| members[scenario.room_of(peer)] += 1);
        assert_eq!(members, [31; 6]);
        assert_eq!(scenario.name(), "1:30 video, GCM");
    }
}
