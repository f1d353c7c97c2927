//! Many peers on real sockets, and their way into the conferences of a running appliance.

pub mod driver;
pub mod join;
pub mod mgmt;
pub mod offer;
pub mod summary;

pub use driver::Driver;
pub use join::{Attendee, Camera, Cues, Plan, Stack};
pub use summary::Summary;
