//! The control socket: one connection from the control plane at a time, commands in, messages out.
//!
//! Runs on the program's first thread and never makes a shard wait: shards put events into a bounded queue and count what
//! did not fit; this thread numbers them, keeps the durable ones until control acknowledges them, and tells control to
//! resync when any were lost. A newer connection replaces an older one, because a control plane that comes back after a
//! kill must not wait for the kernel to notice that its former self is gone.

use crate::journal::Journal;
use crate::legs::LegShards;
use crate::log::{About, Log};
use crate::mixer::Mixers;
use crate::shards::{Order, Shards, ToControl};
use plenum_contract::event::{Hello, Metrics, ShardMetrics};
use plenum_contract::frame::{self, Reader};
use plenum_contract::{Command, ConferenceKey, Event, LegKey, Message, OLDEST_VERSION, Snapshot, Still, VERSION};
use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Most bytes queued towards control. Beyond it control is too slow: the connection is closed, and it resyncs when it returns.
const MAX_BACKLOG: usize = 16 << 20;
/// Log lines are taken while fewer bytes than this are queued towards control: a line never costs a connection.
const LOG_BACKLOG: usize = 256 << 10;
/// The same for pictures of presentations, which are large and made again a second later.
const STILL_BACKLOG: usize = 4 << 20;
/// Items of a kind in one part of a snapshot: a part of 2,000 legs stays below a frame.
const SNAPSHOT_PART: usize = 2_000;

/// Messages held back behind a snapshot in the making. A shard that does not answer must not cost more: control is told to ask
/// again.
const MAX_HELD: usize = 65_536;

/// Everything the control thread owns.
pub(crate) struct Control {
    listener: UnixListener,
    connection: Option<Connection>,
    mixers: Mixers,
    /// The shard of each conference: where its mix is told.
    homes: HashMap<ConferenceKey, u16>,
    shards: Shards,
    from_shards: Receiver<ToControl>,
    hello: Hello,
    journal: Journal,
    leg_shards: LegShards,
    metrics: Vec<ShardMetrics>,
    bandwidth: HashMap<u64, (u16, u64)>,
    gathering: Option<Gathering>,
    /// Number of the latest snapshot that shards were asked for.
    round: u64,
    dropped: u64,
    log: Log,
}

/// A snapshot in the making: parts of shards so far, and the messages that must come after it.
struct Gathering {
    missing: usize,
    snapshot: Snapshot,
    held: Vec<Message>,
    /// Legs that were asked for meanwhile, and may not be in it.
    asked: HashSet<LegKey>,
}

struct Connection {
    stream: UnixStream,
    reader: Reader,
    out: Vec<u8>,
    commands: u64,
    greeted: bool,
    /// Control wants the lines of our log.
    logs: bool,
}

/// Binds the control socket at `path` with mode 0600, replacing one that nobody answers.
///
/// # Errors
/// When another media plane answers there, or the file system refuses.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{}: another media plane is running", path.display()),
        ));
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    // The mode must hold from the first moment on, so it comes from the umask and not from a later chmod.
    let listener = plenum_host::with_umask(0o177, || UnixListener::bind(path))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Control {
    pub(crate) fn new(
        listener: UnixListener,
        shards: Shards,
        from_shards: Receiver<ToControl>,
        hello: Hello,
        log: Log,
    ) -> Control {
        let metrics = vec![ShardMetrics::default(); hello.shards.len()];
        Control {
            listener,
            connection: None,
            mixers: Mixers::default(),
            homes: HashMap::new(),
            shards,
            from_shards,
            hello,
            journal: Journal::default(),
            leg_shards: LegShards::default(),
            metrics,
            bandwidth: HashMap::new(),
            gathering: None,
            round: 0,
            dropped: 0,
            log,
        }
    }

    /// Also gives rings to mixers that come at `listener`.
    pub(crate) fn serve_mixers(&mut self, listener: Option<UnixListener>) {
        self.mixers = Mixers::new(listener);
    }

    /// Serves control until it says [`Command::Shutdown`] or `stop` becomes true.
    pub(crate) fn run(&mut self, stop: &mut dyn FnMut() -> bool) -> io::Result<()> {
        loop {
            self.wait()?;
            if stop() {
                return Ok(());
            }
            if self.accept() || self.read_commands() {
                return Ok(());
            }
            self.mixers.turn(&self.shards, self.hello.shards.len() as u16, &self.log);
            self.collect();
            self.send_log();
            self.flush();
        }
    }

    /// Has every shard say goodbye and end, and sends what is left to control.
    pub(crate) fn finish(&mut self) {
        self.shards.send_all(&Command::Shutdown);
        self.collect();
        self.say_last();
    }

    /// Sends what is left to control.
    pub(crate) fn say_last(&mut self) {
        self.send_log();
        self.flush();
    }

    /// Waits for the listener, the connection, or a shard's wake-up.
    fn wait(&self) -> io::Result<()> {
        let mut fds = vec![(self.listener.as_fd().as_raw_fd(), false), (self.shards.control_wake_fd(), false)];
        if let Some(connection) = &self.connection {
            fds.push((connection.stream.as_raw_fd(), !connection.out.is_empty()));
        }
        fds.extend(self.mixers.descriptors().map(|fd| (fd, false)));
        plenum_host::poll(&fds, Duration::from_millis(250))?;
        self.shards.clear_control_wake();
        Ok(())
    }

    /// Takes new connections; true when an older one asked for the end.
    fn accept(&mut self) -> bool {
        let mut finish = false;
        while let Ok((stream, _)) = self.listener.accept() {
            // What the former connection said before it was replaced counts.
            finish |= self.read_commands();
            let own = plenum_host::effective_uid();
            match plenum_host::peer_credentials(stream.as_fd()) {
                Ok(peer) if peer.uid == own || peer.uid == 0 => {}
                other => {
                    self.log
                        .warn(About::PROGRAM, || format!("a control connection is refused: {other:?}, not user {own}"));
                    continue;
                }
            }
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            self.gathering = None;
            if self.connection.is_some() {
                self.log.info(About::PROGRAM, || "a newer control connection replaces the former".into());
            }
            self.connection = Some(Connection {
                stream,
                reader: Reader::default(),
                out: Vec::new(),
                commands: 0,
                greeted: false,
                logs: false,
            });
        }
        finish
    }

    /// Reads and carries out what control sent; true when it asked for the end.
    fn read_commands(&mut self) -> bool {
        let Some(mut connection) = self.connection.take() else { return false };
        let mut open = connection.fill();
        let mut finish = false;
        loop {
            match connection.reader.next::<Command>() {
                Ok(Some(command)) => {
                    let index = connection.commands;
                    connection.commands += 1;
                    self.connection = Some(connection);
                    finish |= matches!(command, Command::Shutdown);
                    let about = About::leg(leg_of(&command));
                    let leg = leg_of(&command).filter(|_| matches!(command, Command::Session(_)));
                    if let Err(reason) = self.carry_out(command) {
                        self.log.debug(about, || format!("refused: {reason}"));
                        self.send(&Message::Refused { index, reason, leg });
                    }
                    match self.connection.take() {
                        Some(c) => connection = c,
                        None => return finish,
                    }
                }
                Ok(None) => break,
                Err(e) => {
                    self.log.error(About::PROGRAM, || format!("the control connection is closed: {e}"));
                    open = false;
                    break;
                }
            }
        }
        if open {
            self.connection = Some(connection);
        } else {
            self.log.info(About::PROGRAM, || "control is gone".into());
            self.gathering = None;
        }
        finish
    }

    fn carry_out(&mut self, command: Command) -> Result<(), String> {
        match &command {
            Command::Hello { version } => return self.greet(*version),
            Command::Snapshot => self.start_snapshot(),
            Command::Acknowledge { up_to } => self.journal.acknowledge(*up_to),
            Command::Log { level } => {
                self.log.set_level(level)?;
                if let Some(connection) = &mut self.connection {
                    connection.logs = true;
                }
            }
            Command::Shutdown => self.log.info(About::PROGRAM, || "control asks for the end".into()),
            Command::Conference(spec) => {
                self.homes.insert(spec.key, spec.home_shard.min(self.hello.shards.len().saturating_sub(1) as u16));
                self.shards.send_all(&command);
            }
            Command::RemoveConference(key) => {
                self.homes.remove(key);
                self.shards.send_all(&command);
            }
            Command::Participant(_) | Command::RemoveParticipant(_) => self.shards.send_all(&command),
            Command::Mix(plenum_contract::MixSpec { conference, .. }) | Command::RemoveMix(conference) => {
                let home = *self.homes.get(conference).ok_or("mix: the conference is unknown")?;
                self.shards.send(home, Order::Command(Box::new(command.clone())));
            }
            Command::Session(spec) => {
                if usize::from(spec.shard) >= self.hello.shards.len() {
                    return Err(format!("session {}: no shard {}", spec.key.0, spec.shard));
                }
                let (revision, media) = (spec.revision, spec.media.len());
                self.log.debug(About::leg(Some(spec.key)), || {
                    format!("revision {revision} of a session with {media} m-lines, on shard {}", spec.shard)
                });
                self.leg_shards.asked(spec.key, spec.shard, revision);
                if let Some(gathering) = &mut self.gathering {
                    gathering.asked.insert(spec.key);
                }
                self.shards.send(spec.shard, Order::Command(Box::new(command.clone())));
            }
            Command::RemoveSession(leg) | Command::Start(leg) => {
                let what = if matches!(command, Command::Start(_)) { "media may flow" } else { "is removed" };
                self.log.debug(About::leg(Some(*leg)), || what.into());
                self.send_to_leg(*leg, &command)?;
            }
            Command::Subscription(spec) => self.send_to_leg(spec.leg, &command)?,
        }
        Ok(())
    }

    fn send_to_leg(&self, leg: LegKey, command: &Command) -> Result<(), String> {
        let shard = match self.leg_shards.shard(leg) {
            Some(shard) => shard,
            // It was refused, or ended while the command was on its way: control is told of that.
            None if matches!(command, Command::RemoveSession(_) | Command::Subscription(_)) => return Ok(()),
            None => return Err(format!("leg {} is unknown", leg.0)),
        };
        self.shards.send(shard, Order::Command(Box::new(command.clone())));
        Ok(())
    }

    fn greet(&mut self, version: u16) -> Result<(), String> {
        if !(OLDEST_VERSION..=VERSION).contains(&version) {
            return Err(format!("contract version {version} is not spoken; {OLDEST_VERSION} to {VERSION} are"));
        }
        if let Some(connection) = &mut self.connection {
            connection.greeted = true;
        }
        let hello = Message::Hello(self.hello.clone());
        self.send(&hello);
        for event in self.journal.pending().cloned().collect::<Vec<_>>() {
            self.send(&Message::Event(event));
        }
        Ok(())
    }

    fn start_snapshot(&mut self) {
        let snapshot = Snapshot { last_event: self.journal.last(), ..Snapshot::default() };
        let missing = self.hello.shards.len();
        self.gathering = Some(Gathering { missing, snapshot, held: Vec::new(), asked: HashSet::new() });
        self.ask_snapshot();
    }

    fn ask_snapshot(&mut self) {
        self.round += 1;
        self.shards.ask_snapshot(self.round);
    }

    /// Reports were lost: what they told, a snapshot tells. One in the making begins again, because its parts may be among
    /// them; else control is told to ask for one.
    fn resync(&mut self, dropped: u64) {
        let Some(gathering) = &mut self.gathering else {
            return self.emit(Message::Resync { dropped });
        };
        // An older last event is safe: what came after it is held, and told again.
        gathering.snapshot = Snapshot { last_event: gathering.snapshot.last_event, ..Snapshot::default() };
        gathering.missing = self.hello.shards.len();
        self.ask_snapshot();
    }

    /// Takes what shards reported.
    fn collect(&mut self) {
        while let Ok(report) = self.from_shards.try_recv() {
            match report {
                ToControl::Event { durable, body } => {
                    if let plenum_contract::EventBody::LegEnded { leg, .. } = &body {
                        self.leg_shards.ended(*leg);
                        self.bandwidth.remove(&leg.0);
                    }
                    let event: Event = self.journal.number(durable, body);
                    self.emit(Message::Event(event));
                }
                ToControl::Refused { leg, revision, there, reason } => {
                    if let (Some(leg), Some(revision), false) = (leg, revision, there) {
                        self.leg_shards.refused(leg, revision);
                    }
                    self.log.debug(About::leg(leg), || format!("refused: {reason}"));
                    self.emit(Message::Refused { index: u64::MAX, reason, leg: leg.filter(|_| revision.is_some()) });
                }
                ToControl::Still(still) => self.send_still(*still),
                ToControl::MixerCut(serial) => self.mixers.cut(serial, &self.log),
                ToControl::Snapshot { round, part } if round == self.round => self.add_part(part),
                ToControl::Snapshot { .. } => {}
                ToControl::Metrics { shard, metrics, bandwidth } => self.add_metrics(shard, metrics, bandwidth),
            }
        }
        let dropped = self.shards.take_dropped();
        if dropped > 0 {
            self.dropped += dropped;
            self.resync(dropped);
        }
    }

    fn add_part(&mut self, part: Snapshot) {
        let Some(gathering) = &mut self.gathering else { return };
        let whole = &mut gathering.snapshot;
        whole.legs.extend(part.legs);
        whole.conferences.extend(part.conferences);
        whole.participants.extend(part.participants);
        gathering.missing -= 1;
        if gathering.missing == 0
            && let Some(mut done) = self.gathering.take()
        {
            join(&mut done.snapshot);
            let there: HashSet<_> = done.snapshot.legs.iter().map(|leg| leg.key).collect();
            // Legs whose end, or whose refusal, was not told.
            self.leg_shards.retain(|leg| there.contains(&leg) || done.asked.contains(&leg));
            for part in split(done.snapshot) {
                self.send(&Message::Snapshot(part));
            }
            for message in done.held {
                self.send(&message);
            }
        }
    }

    fn add_metrics(&mut self, shard: u16, metrics: ShardMetrics, bandwidth: Vec<(u64, u64)>) {
        self.metrics[usize::from(shard)] = metrics;
        self.bandwidth.retain(|_, (s, _)| *s != shard);
        self.bandwidth.extend(bandwidth.into_iter().map(|(leg, bps)| (leg, (shard, bps))));
        if usize::from(shard) + 1 == self.metrics.len() {
            let bandwidth = self.bandwidth.iter().map(|(leg, (_, bps))| (*leg, *bps)).collect();
            self.emit(Message::Metrics(Metrics { shards: self.metrics.clone(), bandwidth }));
        }
    }

    /// Sends, or holds back while a snapshot is in the making: what happened later must be told later.
    fn emit(&mut self, message: Message) {
        match &mut self.gathering {
            Some(gathering) if gathering.held.len() < MAX_HELD => gathering.held.push(message),
            Some(gathering) => {
                let dropped = gathering.held.len() as u64 + 1;
                self.gathering = None;
                self.send(&Message::Resync { dropped });
            }
            None => self.send(&message),
        }
    }

    fn send(&mut self, message: &Message) {
        let Some(connection) = &mut self.connection else { return };
        if !connection.greeted && !matches!(message, Message::Refused { .. }) {
            return;
        }
        if let Err(e) = frame::write(message, &mut connection.out) {
            self.log.error(About::PROGRAM, || format!("a message to control was not sent: {e}"));
        }
        if connection.out.len() > MAX_BACKLOG {
            self.log.warn(About::PROGRAM, || "control reads too slowly: its connection is closed".into());
            self.connection = None;
            self.gathering = None;
        }
    }

    /// Hands a picture on while control keeps up, and is not told everything anew.
    fn send_still(&mut self, still: Still) {
        if let Some(connection) = &mut self.connection
            && connection.greeted
            && self.gathering.is_none()
            && connection.out.len() < STILL_BACKLOG
        {
            // The largest picture is below a frame's limit.
            let _ = frame::write(&Message::Still(still), &mut connection.out);
        }
    }

    /// Hands log lines on, as far as control keeps up.
    fn send_log(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        while connection.greeted && connection.logs && connection.out.len() < LOG_BACKLOG {
            let lines = self.log.take(crate::event_loop::now(), 16);
            if lines.is_empty() {
                return;
            }
            for line in lines {
                // A line is far below a frame's limit.
                let _ = frame::write(&Message::Log(line), &mut connection.out);
            }
        }
    }

    fn flush(&mut self) {
        if let Some(connection) = &mut self.connection
            && !connection.drain()
        {
            self.connection = None;
            self.gathering = None;
        }
    }
}

impl Connection {
    /// Reads what is there; false when the peer is gone.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 65_536];
        for _ in 0..64 {
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(n) => self.reader.push(&chunk[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Writes what can be written; false when the peer is gone.
    fn drain(&mut self) -> bool {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(0) => return false,
                Ok(n) => {
                    self.out.drain(..n);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// The leg that a command is about.
pub(crate) fn leg_of(command: &Command) -> Option<LegKey> {
    match command {
        Command::Session(spec) => Some(spec.key),
        Command::Subscription(spec) => Some(spec.leg),
        Command::RemoveSession(leg) | Command::Start(leg) => Some(*leg),
        _ => None,
    }
}

/// Conferences and participants stand in the parts of all shards: each is told once, with the oldest revision that some shard
/// has, so that control sends a newer one to all.
fn join(whole: &mut Snapshot) {
    whole.conferences.sort_unstable();
    whole.conferences.dedup_by_key(|c| c.0);
    whole.participants.sort_unstable_by_key(|p| (p.0, p.2));
    whole.participants.dedup_by_key(|p| p.0);
}

/// Cuts a snapshot into parts that fit frames; the last one says so.
fn split(mut whole: Snapshot) -> Vec<Snapshot> {
    let mut parts = Vec::new();
    loop {
        let mut part = Snapshot { last_event: whole.last_event, ..Snapshot::default() };
        part.conferences = take(&mut whole.conferences);
        part.participants = take(&mut whole.participants);
        part.legs = take(&mut whole.legs);
        part.last = whole.conferences.is_empty() && whole.participants.is_empty() && whole.legs.is_empty();
        let last = part.last;
        parts.push(part);
        if last {
            return parts;
        }
    }
}

fn take<T>(from: &mut Vec<T>) -> Vec<T> {
    let rest = from.split_off(from.len().min(SNAPSHOT_PART));
    std::mem::replace(from, rest)
}

#[cfg(test)]
mod tests;
