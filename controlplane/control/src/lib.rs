//! The control plane: who may enter, who is host, what is wanted of media. It never sees a media packet.
//!
//! A request's way: [`http`] bounds and dispatches it, a folder of [`faces`] converts it, the one task of [`driver`] applies
//! it to the model, makes it durable in [`store`], tells media through [`link`] and everybody else through [`events`], and
//! only then answers. Handlers convert; the model decides; one task mutates; nothing else writes state.

#![forbid(unsafe_code)]

pub mod accounts;
pub mod audit;
pub mod calls;
pub mod cli;
pub mod config;
pub mod driver;
pub mod events;
pub mod faces;
pub mod hooks;
pub mod http;
pub mod link;
pub mod logo;
pub mod outside;
pub mod serve;
pub mod store;
pub mod tls;
