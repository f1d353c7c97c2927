//! ICE over TCP through `Io`: framing, limits, timeouts, and slow peers, over loopback.

mod world;

use plenum_io::{Kind, Options};
use plenum_packet::{PacketIo, Path, Time, Transport, TxBatch};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use world::{Side, V4, V6, now, soon};

macro_rules! for_every_back_end {
    ($($name:ident;)*) => {
        mod mmsg { $(#[test] fn $name() { super::$name(plenum_io::Kind::Mmsg); })* }
        mod uring { $(#[test] fn $name() { super::$name(plenum_io::Kind::Uring); })* }
    };
}

for_every_back_end! {
    tcp_listens_at_the_number_of_the_udp_port;
    frames_come_as_datagrams_of_their_path_and_trains_go_back_as_frames;
    frames_cut_anywhere_are_put_together;
    a_frame_that_is_too_long_is_skipped_and_counted;
    a_slow_peer_loses_whole_frames_and_no_others_wait;
    a_connection_that_is_never_answered_is_closed;
    an_answered_connection_lives_until_it_is_idle;
    at_the_limit_the_oldest_unanswered_connection_gives_way;
    at_the_limit_answered_connections_stay;
    sending_to_a_connection_that_is_gone_is_counted;
    a_batch_for_both_transports_is_sent_over_both;
}

fn side(kind: Kind, addr: &str, options: Options) -> Option<Side> {
    Side::with_tcp(kind, addr, options)
}

fn tcp_addr(side: &Side) -> SocketAddr {
    side.io.tcp_addrs()[0]
}

fn connect(side: &Side) -> TcpStream {
    let stream = TcpStream::connect(tcp_addr(side)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn read_frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn path(side: &Side, stream: &TcpStream) -> Path {
    Path { transport: Transport::Tcp, local: tcp_addr(side), remote: stream.local_addr().unwrap() }
}

fn answer(side: &mut Side, path: Path, packets: &[Vec<u8>]) {
    let mut batch = TxBatch::default();
    for bytes in packets {
        let buf = side.pool.copy_in(64, bytes).unwrap();
        batch.push(path, buf);
    }
    side.io.transmit(&mut side.pool, &mut batch).unwrap();
    assert!(batch.is_empty() && batch.packets.is_empty());
    assert_eq!(side.pool.in_use(), 0);
}

/// Lets the back-end work until `done`.
fn drive(side: &mut Side, mut done: impl FnMut(&mut Side) -> bool) {
    let end = soon();
    while !done(side) {
        assert!(now() < end, "it never happened");
        side.receive(now() + Duration::from_millis(1));
    }
}

fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let result = stream.read(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    match result {
        Ok(0) => true,
        Ok(_) => false,
        Err(e) => e.kind() != ErrorKind::WouldBlock,
    }
}

fn tcp_listens_at_the_number_of_the_udp_port(kind: Kind) {
    for addr in [V4, V6] {
        let Some(side) = side(kind, addr, Options::default()) else { return };
        assert_eq!(side.io.tcp_addrs(), side.io.local_addrs());
    }
}

fn frames_come_as_datagrams_of_their_path_and_trains_go_back_as_frames(kind: Kind) {
    for addr in [V4, V6] {
        let Some(mut side) = side(kind, addr, Options::default()) else { return };
        let mut peer = connect(&side);
        let sent: Vec<_> = [1, 1200, 2048, 20].iter().enumerate().map(|(i, &n)| world::payload(i, n)).collect();
        peer.write_all(&sent.iter().flat_map(|b| frame(b)).collect::<Vec<_>>()).unwrap();
        let got = side.collect(4);
        assert!(got.iter().zip(&sent).all(|(got, sent)| got.bytes == *sent && got.path == path(&side, &peer)));
        assert!(got.iter().all(|g| g.received <= now()));
        let packets: Vec<_> = (0..100).map(|i| world::payload(i, if i < 99 { 300 } else { 20 })).collect();
        let to = path(&side, &peer);
        answer(&mut side, to, &packets);
        for expected in &packets {
            assert_eq!(read_frame(&mut peer).unwrap(), *expected);
        }
        let stats = side.io.stats();
        assert_eq!((stats.rx_packets, stats.tx_packets, stats.tx_failed), (4, 100, 0));
        assert_eq!((stats.rx_bytes, stats.tx_bytes), (3269, 99 * 300 + 20));
    }
}

fn frames_cut_anywhere_are_put_together(kind: Kind) {
    let Some(mut side) = side(kind, V4, Options::default()) else { return };
    let mut peer = connect(&side);
    let stream = [frame(&world::payload(1, 30)), frame(&[]), frame(&world::payload(2, 5))].concat();
    for byte in &stream {
        peer.write_all(&[*byte]).unwrap();
        side.receive(now() + Duration::from_micros(200));
    }
    let got = side.collect(2);
    assert_eq!((&got[0].bytes, &got[1].bytes), (&world::payload(1, 30), &world::payload(2, 5)));
}

fn a_frame_that_is_too_long_is_skipped_and_counted(kind: Kind) {
    let Some(mut side) = side(kind, V4, Options::default()) else { return };
    let mut peer = connect(&side);
    peer.write_all(&[frame(&[1; 60_000]), frame(&[2; 10])].concat()).unwrap();
    assert_eq!(side.collect(1)[0].bytes, [2; 10]);
    assert_eq!(side.io.stats().rx_truncated, 1);
}

fn a_slow_peer_loses_whole_frames_and_no_others_wait(kind: Kind) {
    let Some(mut side) = side(kind, V4, Options::default()) else { return };
    let mut slow = connect(&side);
    let mut quick = connect(&side);
    drive(&mut side, |side| side.io.tcp_connections() == 2);
    let mut sent = 0u32;
    // Until the kernel's queues and ours are full, and then some.
    while side.io.stats().tx_failed < 100 {
        let packets: Vec<_> = (0..10).map(|i| [&(sent + i).to_be_bytes()[..], &[7; 1000]].concat()).collect();
        let slow_path = path(&side, &slow);
        answer(&mut side, slow_path, &packets);
        sent += 10;
        side.receive(Time::ZERO);
    }
    let quick_path = path(&side, &quick);
    answer(&mut side, quick_path, &[vec![5; 100]]);
    assert_eq!(read_frame(&mut quick).unwrap(), [5; 100]);
    let lost = side.io.stats().tx_failed as u32;
    let reader = std::thread::spawn(move || {
        let (mut count, mut last) = (0, None);
        while count < sent - lost {
            let bytes = read_frame(&mut slow).unwrap();
            let number = u32::from_be_bytes(*bytes.first_chunk().unwrap());
            assert!(bytes.len() == 1004 && bytes[4..].iter().all(|&b| b == 7), "a whole frame");
            assert!(last.is_none_or(|l| l < number), "in order");
            (count, last) = (count + 1, Some(number));
        }
    });
    drive(&mut side, |_| reader.is_finished());
    reader.join().unwrap();
    assert_eq!(side.io.stats().tx_failed as u32, lost);
}

fn a_connection_that_is_never_answered_is_closed(kind: Kind) {
    let options = Options { tcp_answer_timeout: Duration::from_millis(1), ..Options::default() };
    let Some(mut side) = side(kind, V4, options) else { return };
    let mut peer = connect(&side);
    peer.write_all(&frame(&[1])).unwrap();
    drive(&mut side, |side| side.io.tcp_connections() == 1);
    drive(&mut side, |side| side.io.tcp_connections() == 0);
    assert!(read_frame(&mut peer).is_err());
}

fn an_answered_connection_lives_until_it_is_idle(kind: Kind) {
    let options = Options {
        tcp_answer_timeout: Duration::from_millis(1),
        tcp_idle_timeout: Duration::from_millis(1500),
        ..Options::default()
    };
    let Some(mut side) = side(kind, V4, options) else { return };
    let start = now();
    let peer = connect(&side);
    drive(&mut side, |side| side.io.tcp_connections() == 1);
    let to = path(&side, &peer);
    answer(&mut side, to, &[vec![1]]);
    drive(&mut side, |side| side.io.tcp_connections() == 0);
    assert!(now() > start + Duration::from_millis(1500));
}

fn at_the_limit_the_oldest_unanswered_connection_gives_way(kind: Kind) {
    let Some(mut side) = side(kind, V4, Options { tcp_connections: 3, ..Options::default() }) else { return };
    let mut peers: Vec<_> = (0..3)
        .map(|n| {
            let peer = connect(&side);
            drive(&mut side, |side| side.io.tcp_connections() == n + 1);
            peer
        })
        .collect();
    let first = path(&side, &peers[0]);
    answer(&mut side, first, &[vec![1]]);
    let mut new = connect(&side);
    new.write_all(&frame(&[9])).unwrap();
    assert_eq!(side.collect(1)[0].path, path(&side, &new));
    assert_eq!(side.io.tcp_connections(), 3);
    assert_eq!(read_frame(&mut peers[0]).unwrap(), [1]);
    assert!(read_frame(&mut peers[1]).is_err(), "the oldest without an answer");
    assert!(!is_closed(&mut peers[0]) && !is_closed(&mut peers[2]));
}

fn at_the_limit_answered_connections_stay(kind: Kind) {
    let Some(mut side) = side(kind, V4, Options { tcp_connections: 1, ..Options::default() }) else { return };
    let mut only = connect(&side);
    drive(&mut side, |side| side.io.tcp_connections() == 1);
    let to = path(&side, &only);
    answer(&mut side, to, &[vec![1]]);
    let mut refused = connect(&side);
    drive(&mut side, |_| is_closed(&mut refused));
    assert_eq!(read_frame(&mut only).unwrap(), [1]);
    assert!(!is_closed(&mut only));
}

fn sending_to_a_connection_that_is_gone_is_counted(kind: Kind) {
    let Some(mut side) = side(kind, V4, Options::default()) else { return };
    let peer = connect(&side);
    drive(&mut side, |side| side.io.tcp_connections() == 1);
    let to = path(&side, &peer);
    drop(peer);
    drive(&mut side, |side| side.io.tcp_connections() == 0);
    answer(&mut side, to, &[vec![1], vec![2]]);
    assert_eq!(side.io.stats().tx_failed, 2);
    let Some(mut without) = Side::new(kind, &[V4], Options::default()) else { return };
    answer(&mut without, to, &[vec![1]]);
    assert_eq!(without.io.stats().tx_failed, 1);
}

fn a_batch_for_both_transports_is_sent_over_both(kind: Kind) {
    let Some(mut side) = side(kind, V4, Options::default()) else { return };
    let mut peer = connect(&side);
    drive(&mut side, |side| side.io.tcp_connections() == 1);
    let udp = std::net::UdpSocket::bind(V4).unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let over_tcp = path(&side, &peer);
    let mut batch = TxBatch::default();
    for i in 0..4u8 {
        side.push(&mut batch, udp.local_addr().unwrap(), &[i]);
        let buf = side.pool.copy_in(64, &[i + 100]).unwrap();
        batch.push(over_tcp, buf);
    }
    side.io.transmit(&mut side.pool, &mut batch).unwrap();
    assert!(batch.is_empty() && batch.packets.is_empty());
    side.settle();
    let mut buffer = [0; 10];
    for i in 0..4u8 {
        assert_eq!(udp.recv(&mut buffer).unwrap(), 1);
        assert_eq!(buffer[0], i);
        assert_eq!(read_frame(&mut peer).unwrap(), [i + 100]);
    }
}
