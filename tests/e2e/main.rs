//! End to end: the two programs as `make run` starts them, real Chromium with fake devices, other WebRTC stacks.

mod appliance;
mod browser;
mod client;
mod cms;
mod codecs;
mod compose;
mod conference;
mod data;
mod failures;
mod flood;
mod gallery;
mod interop;
mod limits;
mod logs;
mod mixing;
mod page;
mod painted;
mod pexip;
mod picture;
mod presentation;
mod prometheus;
mod relay;
mod rest;
mod stacks;
mod steering;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// These tests take turns: each needs the machine's cores for its browsers.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
