//! End to end: the two programs, real Chromium with fake devices.

mod appliance;
mod browser;
mod conference;
mod trust;
