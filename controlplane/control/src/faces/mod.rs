//! Adapters: each API family converts requests into model actions and model events into its own messages.

pub mod cms;
pub mod mgmt;
pub mod operator;
pub mod room;
