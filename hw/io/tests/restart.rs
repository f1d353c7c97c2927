//! A program that was killed gets its ports back: the kernel takes a dead process's io_uring, with the sockets in it, apart
//! some ten milliseconds after the process is gone.

mod world;

use plenum_io::{Io, Kind, Options};
use plenum_packet::{PacketIo, Time};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use world::Side;

/// Tells the child, which is this program again, which back-end to open.
const ROLE: &str = "PLENUM_IO_TEST_CHILD";

#[test]
fn a_program_killed_with_mmsg_gets_its_ports_back() {
    kill_and_reopen(Kind::Mmsg);
}

#[test]
fn a_program_killed_with_uring_gets_its_ports_back() {
    kill_and_reopen(Kind::Uring);
}

/// The child's part: opens a back-end, says where, and waits to be killed.
#[test]
fn child() {
    let Ok(kind) = std::env::var(ROLE) else { return };
    let Some(mut side) = Side::with_tcp(kind.parse().unwrap(), world::V4, Options::default()) else {
        println!("\nSKIP");
        return;
    };
    side.receive(Time::ZERO);
    println!("\nREADY {}", side.addr());
    loop {
        side.receive(Time::NEVER);
    }
}

fn kill_and_reopen(kind: Kind) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture"]).env(ROLE, kind.to_string()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let ready = lines.filter_map(|line| Some(line.strip_prefix("READY ")?.to_owned())).next();
    child.kill().unwrap();
    child.wait().unwrap();
    let Some(addr) = ready else { return println!("SKIPPED: no io_uring here") };
    let addr: SocketAddr = addr.parse().unwrap();
    let again = Io::open(kind, &[addr], &[addr], Options::default()).unwrap();
    assert_eq!((again.local_addrs(), again.tcp_addrs()), (&[addr][..], &[addr][..]));
}
