//! Stories of the mixer in virtual time: synthetic members send, what comes out is decoded and looked at.

mod hall;
mod hostile;
mod pool;
mod room;
mod show;
mod sound;
mod tracks;
mod watcher;
mod world;
