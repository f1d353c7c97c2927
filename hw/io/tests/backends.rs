//! The contract of `PacketIo`, checked by the same tests for every back-end, over loopback.
//!
//! Real sockets and the real clock: the one place where that is the point. A back-end that this machine cannot open is
//! skipped with a line that says so.

mod world;

use plenum_io::{Io, Kind, Options};
use plenum_packet::{PacketIo, Path, Time, Transport, TxBatch};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use world::{Side, V4, V6, now, open, soon};

macro_rules! for_every_back_end {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        mod mmsg { $(#[test] fn $name() { super::$name(plenum_io::Kind::Mmsg); })* }
        mod uring { $(#[test] fn $name() { super::$name(plenum_io::Kind::Uring); })* }
    };
}

for_every_back_end! {
    packets_of_a_train_arrive_in_order_and_unharmed;
    the_same_over_ipv6;
    a_train_ends_with_a_shorter_packet;
    peers_without_trains_understand_ours;
    single_packets_of_other_stacks_are_shown_with_their_address;
    receive_times_are_monotonic_and_not_in_the_future;
    an_empty_datagram_is_a_packet;
    nothing_is_truncated_silently;
    a_failed_send_is_counted_and_stops_nothing_behind_it;
    a_train_that_the_kernel_refuses_is_sent_packet_by_packet;
    without_gso_a_train_still_arrives_in_order;
    a_packet_from_an_unknown_local_address_is_counted;
    a_wait_ends_at_its_deadline_and_not_before;
    a_deadline_in_the_past_does_not_wait;
    a_waker_ends_a_wait_from_another_thread;
    a_wake_before_the_wait_is_not_lost;
    a_watched_descriptor_ends_a_wait_until_it_is_read;
    two_sockets_of_one_back_end_are_told_apart;
    hundreds_of_trains_in_one_batch_all_leave;
    a_back_end_may_be_opened_on_one_thread_and_used_on_another;
    every_buffer_comes_back_after_100_000_packets;
    a_burst_larger_than_all_receive_buffers_arrives_whole;
    a_closed_back_end_frees_its_port_at_once;
    the_back_end_is_the_one_asked_for;
}

fn packets_of_a_train_arrive_in_order_and_unharmed(kind: Kind) {
    let Some((mut a, mut b)) = Side::pair(kind, V4) else { return };
    a.send(&b, &[(1000, 40)]);
    let got = b.collect(40);
    assert_eq!(got.len(), 40);
    for (i, packet) in got.iter().enumerate() {
        assert_eq!(packet.bytes, world::payload(i, 1000), "packet {i}");
        assert_eq!(packet.path, b.path_to(&a));
    }
    let stats = b.io.stats();
    assert_eq!((stats.rx_packets, stats.rx_bytes, stats.rx_truncated), (40, 40_000, 0));
    a.settle();
    let stats = a.io.stats();
    assert_eq!((stats.tx_packets, stats.tx_bytes, stats.tx_failed), (40, 40_000, 0));
}

fn the_same_over_ipv6(kind: Kind) {
    let Some((mut a, mut b)) = Side::pair(kind, V6) else { return };
    a.send(&b, &[(1200, 54), (1100, 3)]);
    let got = b.collect(57);
    assert_eq!(got.len(), 57);
    assert!(got.iter().enumerate().all(|(i, p)| p.bytes == world::payload(i, if i < 54 { 1200 } else { 1100 })));
    assert!(got.iter().all(|p| p.path == b.path_to(&a)));
}

fn a_train_ends_with_a_shorter_packet(kind: Kind) {
    let Some((mut a, mut b)) = Side::pair(kind, V4) else { return };
    a.send(&b, &[(900, 5), (17, 1), (300, 2), (1, 1)]);
    let sizes: Vec<_> = b.collect(9).iter().map(|p| p.bytes.len()).collect();
    assert_eq!(sizes, [900, 900, 900, 900, 900, 17, 300, 300, 1]);
}

fn peers_without_trains_understand_ours(kind: Kind) {
    let Some(mut a) = Side::new(kind, &[V4], Options::default()) else { return };
    let peer = UdpSocket::bind(V4).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    a.send_to(peer.local_addr().unwrap(), &[(1000, 10), (200, 1)]);
    a.settle();
    let mut buffer = [0; 2000];
    for i in 0..11 {
        let (len, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(from, a.addr());
        assert_eq!(buffer[..len], world::payload(i, if i < 10 { 1000 } else { 200 }));
    }
}

fn single_packets_of_other_stacks_are_shown_with_their_address(kind: Kind) {
    let Some(mut b) = Side::new(kind, &[V4], Options::default()) else { return };
    let peers: Vec<_> = (0..3).map(|_| UdpSocket::bind(V4).unwrap()).collect();
    for (i, peer) in peers.iter().enumerate() {
        peer.send_to(&[i as u8; 100], b.addr()).unwrap();
    }
    let got = b.collect(3);
    for (i, packet) in got.iter().enumerate() {
        assert_eq!(packet.bytes, [i as u8; 100]);
        assert_eq!(packet.path.remote, peers[i].local_addr().unwrap());
        assert_eq!(packet.path.local, b.addr());
        assert_eq!(packet.path.transport, Transport::Udp);
    }
}

fn receive_times_are_monotonic_and_not_in_the_future(kind: Kind) {
    let Some(mut b) = Side::new(kind, &[V4], Options::default()) else { return };
    let peer = UdpSocket::bind(V4).unwrap();
    let before = now();
    for i in 0..20u8 {
        peer.send_to(&[i], b.addr()).unwrap();
    }
    let sent = now();
    let got = b.collect(20);
    // The kernel's stamp goes through two clocks: allow what reading them one after the other may cost.
    let slack = Duration::from_millis(20);
    assert!(got.windows(2).all(|w| w[0].received <= w[1].received + slack));
    assert!(got.iter().all(|p| p.received + slack >= before && p.received <= now()));
    assert!(got[0].received <= sent + slack, "the kernel's time, not ours");
}

fn an_empty_datagram_is_a_packet(kind: Kind) {
    let Some(mut b) = Side::new(kind, &[V4], Options::default()) else { return };
    let peer = UdpSocket::bind(V4).unwrap();
    peer.send_to(&[], b.addr()).unwrap();
    peer.send_to(&[1], b.addr()).unwrap();
    let sizes: Vec<_> = b.collect(2).iter().map(|p| p.bytes.len()).collect();
    assert_eq!(sizes, [0, 1]);
}

fn nothing_is_truncated_silently(kind: Kind) {
    let peer = UdpSocket::bind(V4).unwrap();
    let Some(mut large) = Side::new(kind, &[V4], Options::default()) else { return };
    peer.send_to(&[5; 60_000], large.addr()).unwrap();
    assert_eq!(large.collect(1)[0].bytes, [5; 60_000]);
    let Some(mut small) = Side::new(kind, &[V4], Options { gro: false, ..Options::default() }) else { return };
    peer.send_to(&[5; 2048], small.addr()).unwrap();
    peer.send_to(&[5; 2049], small.addr()).unwrap();
    peer.send_to(&[6; 1000], small.addr()).unwrap();
    let sizes: Vec<_> = small.collect(2).iter().map(|p| p.bytes.len()).collect();
    assert_eq!(sizes, [2048, 1000]);
    assert_eq!(small.io.stats().rx_truncated, 1);
}

fn a_failed_send_is_counted_and_stops_nothing_behind_it(kind: Kind) {
    let Some((mut a, mut b)) = Side::pair(kind, V4) else { return };
    let nowhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let other_family: SocketAddr = "[::1]:9".parse().unwrap();
    let broadcast: SocketAddr = "255.255.255.255:9".parse().unwrap();
    let mut batch = TxBatch::default();
    for (i, to) in [nowhere, b.addr(), other_family, b.addr(), broadcast, b.addr()].into_iter().enumerate() {
        a.push(&mut batch, to, &[i as u8; 50]);
    }
    for _ in 0..3 {
        a.push(&mut batch, nowhere, &[9; 50]);
    }
    a.push(&mut batch, b.addr(), &[7; 50]);
    a.io.transmit(&mut a.pool, &mut batch).unwrap();
    assert!(batch.is_empty() && batch.packets.is_empty());
    a.settle();
    let got: Vec<_> = b.collect(4).iter().map(|p| p.bytes[0]).collect();
    assert_eq!(got, [1, 3, 5, 7]);
    assert_eq!((a.io.stats().tx_packets, a.io.stats().tx_failed), (4, 6));
    assert_eq!(a.pool.in_use(), 0);
}

/// A train whose packets exceed the loopback's 65,535 bytes of MTU is impossible; a train that says a wrong segment size
/// is not: the kernel refuses more than 128 segments in one send.
fn a_train_that_the_kernel_refuses_is_sent_packet_by_packet(kind: Kind) {
    let Some((mut a, mut b)) = Side::pair(kind, V4) else { return };
    let mut batch = TxBatch::default();
    for i in 0..4 {
        a.push(&mut batch, b.addr(), &world::payload(i, 1400));
    }
    batch.trains[0].segment = 1; // 5600 segments: EINVAL.
    a.io.transmit(&mut a.pool, &mut batch).unwrap();
    a.settle();
    let got = b.collect(4);
    assert!(got.iter().enumerate().all(|(i, p)| p.bytes == world::payload(i, 1400)));
    assert_eq!((a.io.stats().tx_packets, a.io.stats().tx_failed), (4, 0));
    assert_eq!(a.pool.in_use(), 0);
}

fn without_gso_a_train_still_arrives_in_order(kind: Kind) {
    let options = Options { gso: false, gro: false, ..Options::default() };
    let Some(mut a) = Side::new(kind, &[V4], options) else { return };
    let Some(mut b) = Side::new(kind, &[V4], options) else { return };
    a.send(&b, &[(1000, 150)]);
    let got = b.collect(150);
    assert!(got.len() == 150 && got.iter().enumerate().all(|(i, p)| p.bytes == world::payload(i, 1000)));
}

fn a_packet_from_an_unknown_local_address_is_counted(kind: Kind) {
    let Some((mut a, mut b)) = Side::pair(kind, V4) else { return };
    let mut batch = TxBatch::default();
    let local: SocketAddr = "127.0.0.2:1".parse().unwrap();
    let buf = a.pool.copy_in(64, &[1]).unwrap();
    batch.push(Path { transport: Transport::Udp, local, remote: b.addr() }, buf);
    a.push(&mut batch, b.addr(), &[2]);
    a.io.transmit(&mut a.pool, &mut batch).unwrap();
    a.settle();
    assert_eq!(b.collect(1)[0].bytes, [2]);
    assert_eq!((a.io.stats().tx_packets, a.io.stats().tx_failed, a.pool.in_use()), (1, 1, 0));
}

fn a_wait_ends_at_its_deadline_and_not_before(kind: Kind) {
    let Some(mut b) = Side::new(kind, &[V4], Options::default()) else { return };
    let deadline = now() + Duration::from_micros(3_300);
    assert_eq!(b.receive(deadline), 0);
    assert!(now() >= deadline);
    assert!(now() < deadline + Duration::from_secs(2));
}

fn a_deadline_in_the_past_does_not_wait(kind: Kind) {
    let Some(mut b) = Side::new(kind, &[V4], Options::default()) else { return };
    let start = Instant::now();
    assert_eq!(b.receive(Time::ZERO), 0);
    assert_eq!(b.receive(now()), 0);
    assert!(start.elapsed() < Duration::from_secs(2));
}

fn a_waker_ends_a_wait_from_another_thread(kind: Kind) {
    let Some(mut b) = Side::new(kind, &[V4], Options::default()) else { return };
    let waker = b.io.waker();
    let thread = std::thread::spawn(move || waker.wake());
    assert_eq!(b.receive(Time::NEVER), 0);
    thread.join().unwrap();
    let deadline = now() + Duration::from_millis(2);
    b.receive(deadline);
    assert!(now() >= deadline, "woken twice by one wake");
}

fn a_wake_before_the_wait_is_not_lost(kind: Kind) {
    let Some(mut b) = Side::new(kind, &[V4], Options::default()) else { return };
    b.receive(Time::ZERO);
    b.io.waker().wake();
    b.io.waker().wake();
    assert_eq!(b.receive(Time::NEVER), 0);
}

fn a_watched_descriptor_ends_a_wait_until_it_is_read(kind: Kind) {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    let Some(mut b) = Side::new(kind, &[V4], Options::default()) else { return };
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    b.io.watch(ours.as_raw_fd()).unwrap();
    b.receive(Time::ZERO);
    theirs.write_all(b"xy").unwrap();
    let mut byte = [0];
    for _ in 0..2 {
        assert_eq!(b.receive(Time::NEVER), 0, "readable");
        ours.read_exact(&mut byte).unwrap();
    }
    let deadline = now() + Duration::from_millis(2);
    // A back-end that armed its watch before the read may say so once more.
    b.receive(deadline);
    b.receive(deadline);
    assert!(now() >= deadline);
    b.io.unwatch(ours.as_raw_fd());
    theirs.write_all(b"z").unwrap();
    b.receive(now() + Duration::from_millis(1));
    let deadline = now() + Duration::from_millis(2);
    b.receive(deadline);
    assert!(now() >= deadline, "no longer watched");
    drop((ours, theirs));
    a_wake_before_the_wait_is_not_lost(kind);
}

fn two_sockets_of_one_back_end_are_told_apart(kind: Kind) {
    let Some(mut both) = Side::new(kind, &[V4, V6], Options::default()) else { return };
    let [v4, v6] = *both.io.local_addrs() else { panic!("two addresses") };
    let peer4 = UdpSocket::bind(V4).unwrap();
    let peer6 = UdpSocket::bind(V6).unwrap();
    peer4.send_to(&[4], v4).unwrap();
    peer6.send_to(&[6], v6).unwrap();
    let mut got = both.collect(2);
    got.sort_by_key(|p| p.bytes[0]);
    assert_eq!((got[0].path.local, got[0].path.remote), (v4, peer4.local_addr().unwrap()));
    assert_eq!((got[1].path.local, got[1].path.remote), (v6, peer6.local_addr().unwrap()));
    let mut batch = TxBatch::default();
    for packet in &got {
        let buf = both.pool.copy_in(64, &packet.bytes).unwrap();
        batch.push(packet.path, buf);
    }
    both.io.transmit(&mut both.pool, &mut batch).unwrap();
    both.settle();
    let mut buffer = [0; 10];
    for (peer, local) in [(peer4, v4), (peer6, v6)] {
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(peer.recv_from(&mut buffer).unwrap(), (1, local));
    }
}

fn hundreds_of_trains_in_one_batch_all_leave(kind: Kind) {
    let Some(mut a) = Side::new(kind, &[V4], Options::default()) else { return };
    let peers: Vec<_> = (0..4).map(|_| UdpSocket::bind(V4).unwrap()).collect();
    let mut batch = TxBatch::default();
    // The peers in turn, so that no two packets form a train; then a train for each.
    for i in 0..200 {
        for peer in &peers {
            a.push(&mut batch, peer.local_addr().unwrap(), &world::payload(i, 20));
        }
    }
    for peer in &peers {
        for i in 200..230 {
            a.push(&mut batch, peer.local_addr().unwrap(), &world::payload(i, 20));
        }
    }
    a.io.transmit(&mut a.pool, &mut batch).unwrap();
    a.settle();
    assert_eq!((a.io.stats().tx_packets, a.io.stats().tx_failed, a.pool.in_use()), (920, 0, 0));
    let mut buffer = [0; 100];
    for peer in peers {
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut got = 0;
        while got < 230 {
            let (len, _) = peer.recv_from(&mut buffer).unwrap_or_else(|e| panic!("packet {got}: {e}"));
            assert_eq!(buffer[..len], world::payload(got, 20));
            got += 1;
        }
    }
}

fn a_back_end_may_be_opened_on_one_thread_and_used_on_another(kind: Kind) {
    let Some((mut a, mut b)) = Side::pair(kind, V4) else { return };
    std::thread::spawn(move || {
        a.send(&b, &[(100, 3)]);
        assert_eq!(b.collect(3).len(), 3);
    })
    .join()
    .unwrap();
}

fn every_buffer_comes_back_after_100_000_packets(kind: Kind) {
    let Some((mut a, mut b)) = Side::pair(kind, V4) else { return };
    let mut received = 0;
    let mut sent = 0;
    while sent < 100_000 {
        a.send(&b, &[(200, 25), (150, 25)]);
        sent += 50;
        received += b.collect(50).len();
    }
    assert_eq!(received, sent);
    assert_eq!((a.pool.in_use(), b.pool.in_use()), (0, 0));
    assert_eq!(a.io.stats().tx_packets, sent as u64);
}

fn a_burst_larger_than_all_receive_buffers_arrives_whole(kind: Kind) {
    let Some(mut b) = Side::new(kind, &[V4], Options::default()) else { return };
    b.receive(Time::ZERO);
    let peer = UdpSocket::bind(V4).unwrap();
    for i in 0..600u16 {
        peer.send_to(&i.to_be_bytes(), b.addr()).unwrap();
    }
    let got = b.collect(600);
    assert!(got.iter().enumerate().all(|(i, p)| p.bytes == (i as u16).to_be_bytes()));
}

fn a_closed_back_end_frees_its_port_at_once(kind: Kind) {
    let Some(mut a) = Side::with_tcp(kind, V4, Options::default()) else { return };
    let port = a.addr().to_string();
    for _ in 0..5 {
        a.receive(Time::ZERO);
        drop(a);
        a = Side::with_tcp(kind, &port, Options::default()).unwrap();
    }
}

fn the_back_end_is_the_one_asked_for(kind: Kind) {
    let Some(io) = open(kind, &[V4], &[], Options::default()) else { return };
    assert_eq!(io.back_end(), kind.to_string());
}

/// Packets that are queued lie in the first pool's memory; it might be gone when they leave.
#[test]
fn uring_refuses_another_pool_while_packets_are_queued() {
    let Some(mut a) = Side::new(Kind::Uring, &[V4], Options::default()) else { return };
    a.send_to(a.addr(), &[(100, 1)]);
    let mut other = plenum_packet::Pool::new(4);
    let again = std::panic::AssertUnwindSafe(|| a.io.receive(&mut other, Time::ZERO, &mut |_, _| {}));
    assert!(std::panic::catch_unwind(again).is_err());
    a.settle();
    assert!(a.io.receive(&mut other, Time::ZERO, &mut |_, _| {}).is_ok());
}

#[test]
fn auto_takes_a_back_end_that_works() {
    let io = Io::open(Kind::Auto, &[V4.parse().unwrap()], &[], Options::default()).unwrap();
    assert!(["mmsg", "uring"].contains(&io.back_end()));
    assert_eq!("uring".parse(), Ok(Kind::Uring));
    assert!("dpdk".parse::<Kind>().is_err());
    assert!(soon() > now());
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let Some(io) = open(Kind::Mmsg, &[V4], &[], Options::default()) else { return };
    let taken = io.local_addrs()[0];
    let options = Options { port_grace: Duration::ZERO, ..Options::default() };
    let error = Io::open(Kind::Mmsg, &[taken], &[], options).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}
