//! One connection to media: hello, snapshot, then commands one way and events the other.
//!
//! Events before the snapshot is whole are held back; those that it contains already are left out, except durable ones
//! that the driver has not seen. Reading and writing never wait for each other, so neither side can lock up the other.

use super::{Link, LinkEvent, asked_to_stop, lines};
use plenum_contract::event::Hello;
use plenum_contract::frame::{self, Reader};
use plenum_contract::{Command, Event, Message, OLDEST_VERSION, Snapshot, VERSION};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until};

/// Counters come every second: silence for so long means that media hangs, or that the machine was stopped.
const SILENCE: Duration = Duration::from_secs(10);
/// How long hello and snapshot may take.
const GREETING: Duration = Duration::from_secs(5);
/// Commands are taken from the queue while fewer bytes than this wait for the socket.
const MAX_WAITING: usize = 1 << 20;
/// Events held while a snapshot is on its way; beyond it the connection starts anew.
const MAX_HELD: usize = 100_000;

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The link was asked to stop; media was asked to finish.
    Stopped,
    /// The driver is gone; media was asked to finish once the link was asked to stop.
    DriverGone,
    /// The peer is gone.
    Lost(String),
    /// The peer is there and of no use: it hangs or speaks another version.
    Unusable(String),
}

/// A connection's state.
pub(super) struct Connection {
    stream: UnixStream,
    reader: Reader,
    out: Vec<u8>,
    hello: Option<Hello>,
    /// Set while a snapshot is on its way.
    gathering: Option<Gathering>,
    /// Whether the driver was told that this connection is up.
    up: bool,
    /// Number of the last event that the driver's snapshot contained.
    floor: u64,
    /// Last event that the driver had certainly taken at the last metrics.
    settled: Option<u64>,
}

#[derive(Default)]
struct Gathering {
    whole: Snapshot,
    held: Vec<Event>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Connection {
        Connection {
            stream,
            reader: Reader::default(),
            out: Vec::new(),
            hello: None,
            gathering: None,
            up: false,
            floor: 0,
            settled: None,
        }
    }

    /// Serves until it ends.
    pub(super) async fn serve(mut self, link: &mut Link) -> Ended {
        self.put(&Command::Hello { version: VERSION });
        self.put(&Command::Log { level: lines::level().into() });
        let ended = match self.pump(link).await {
            Err(ended) => ended,
            Ok(never) => match never {},
        };
        if let Ended::DriverGone = ended {
            // The driver ends before the link does; what is left is to end media when that is asked for.
            asked_to_stop(&mut link.stopped).await;
        }
        if let Ended::Stopped | Ended::DriverGone = ended {
            self.say_goodbye().await;
        }
        ended
    }

    async fn pump(&mut self, link: &mut Link) -> Result<std::convert::Infallible, Ended> {
        let mut chunk = vec![0; 64 * 1024];
        let mut deadline = Instant::now() + GREETING;
        let mut stopped = link.stopped.clone();
        loop {
            let takes = self.up && self.out.len() < MAX_WAITING;
            let (mut read, mut write) = self.stream.split();
            // In this order: after the machine or we were stopped for a while, what media said meanwhile counts first.
            tokio::select! {
                biased;
                () = asked_to_stop(&mut stopped) => return Err(Ended::Stopped),
                n = write.write(&self.out), if !self.out.is_empty() => match n {
                    Ok(n) => drop(self.out.drain(..n)),
                    Err(e) => return Err(Ended::Lost(e.to_string())),
                },
                n = read.read(&mut chunk) => match n {
                    Ok(0) => return Err(Ended::Lost("closed by media".into())),
                    Ok(n) => {
                        self.reader.push(&chunk[..n]);
                        self.take_messages(link).await?;
                        if self.up {
                            deadline = Instant::now() + SILENCE;
                        }
                    }
                    Err(e) => return Err(Ended::Lost(e.to_string())),
                },
                command = link.commands.recv(), if takes => match command {
                    Some(command) => self.put(&command),
                    None => return Err(Ended::DriverGone),
                },
                () = sleep_until(deadline) => return Err(Ended::Unusable("media does not answer".into())),
            }
        }
    }

    /// Asks media to finish and waits until it closes.
    async fn say_goodbye(mut self) {
        self.put(&Command::Shutdown);
        let (mut read, mut write) = self.stream.split();
        let all = async {
            let _ = write.write_all(&self.out).await;
            let mut chunk = [0; 4096];
            while read.read(&mut chunk).await.is_ok_and(|n| n > 0) {}
        };
        let _ = tokio::time::timeout(super::FINISH, all).await;
    }

    fn put(&mut self, command: &Command) {
        if let Err(error) = frame::write(command, &mut self.out) {
            tracing::error!(%error, "a command to media was not sent");
        }
    }

    async fn take_messages(&mut self, link: &mut Link) -> Result<(), Ended> {
        loop {
            match self.reader.next::<Message>() {
                Ok(Some(message)) => self.take(message, link).await?,
                Ok(None) => return Ok(()),
                Err(e) => return Err(Ended::Unusable(e.to_string())),
            }
        }
    }

    async fn take(&mut self, message: Message, link: &mut Link) -> Result<(), Ended> {
        if self.hello.is_none() {
            return self.greeted(message, link);
        }
        match message {
            Message::Hello(_) => Err(Ended::Unusable("a second hello".into())),
            Message::Event(event) => self.event(event, link).await,
            Message::Snapshot(part) => self.part(part, link).await,
            Message::Metrics(metrics) => {
                self.acknowledge(link);
                tell(link, LinkEvent::Metrics(metrics)).await
            }
            Message::Resync { dropped } => {
                tracing::warn!(dropped, "media dropped events: asking for a snapshot");
                self.gather();
                Ok(())
            }
            Message::Still(still) => tell(link, LinkEvent::Still(still)).await,
            Message::Log(line) => {
                lines::log(&line);
                Ok(())
            }
            Message::Refused { index, reason, leg } => tell(link, LinkEvent::Refused { index, reason, leg }).await,
        }
    }

    fn greeted(&mut self, message: Message, link: &mut Link) -> Result<(), Ended> {
        let hello = match message {
            Message::Hello(hello) => hello,
            Message::Refused { reason, .. } => return Err(Ended::Unusable(reason)),
            _ => return Err(Ended::Unusable("media did not begin with hello".into())),
        };
        if !(OLDEST_VERSION..=VERSION).contains(&hello.version) {
            let (ours, theirs) = (VERSION, hello.version);
            return Err(Ended::Unusable(format!("media speaks contract version {theirs}, we speak {ours}")));
        }
        if link.known_boot != Some(hello.boot) {
            link.delivered = 0;
        }
        self.hello = Some(hello);
        self.gather();
        Ok(())
    }

    /// Asks for a snapshot, once.
    fn gather(&mut self) {
        if self.gathering.is_none() {
            self.gathering = Some(Gathering::default());
            self.put(&Command::Snapshot);
        }
    }

    async fn event(&mut self, event: Event, link: &mut Link) -> Result<(), Ended> {
        if let Some(gathering) = &mut self.gathering {
            if gathering.held.len() == MAX_HELD {
                return Err(Ended::Lost("too many events before the snapshot".into()));
            }
            gathering.held.push(event);
            return Ok(());
        }
        let fresh = event.number > link.delivered && (event.durable || event.number > self.floor);
        if !fresh {
            return Ok(());
        }
        link.delivered = event.number;
        tell(link, LinkEvent::Event(event.body)).await
    }

    async fn part(&mut self, part: Snapshot, link: &mut Link) -> Result<(), Ended> {
        let Some(gathering) = &mut self.gathering else {
            return Ok(());
        };
        let whole = &mut gathering.whole;
        whole.last_event = part.last_event;
        whole.conferences.extend(part.conferences);
        whole.participants.extend(part.participants);
        whole.legs.extend(part.legs);
        whole.last = part.last;
        if !part.last {
            return Ok(());
        }
        let Gathering { whole, held } = self.gathering.take().unwrap_or_default();
        let Some(hello) = self.hello.clone() else { return Ok(()) };
        self.floor = whole.last_event;
        if !self.up {
            // What was asked for before is asked for again by the driver, as a whole.
            while link.commands.try_recv().is_ok() {}
            self.up = true;
        }
        let boot = hello.boot;
        let same_boot = link.known_boot == Some(boot);
        let hello = link.advertise(hello);
        tell(link, LinkEvent::Up { hello, same_boot, snapshot: whole }).await?;
        link.remember_boot(boot);
        for event in held {
            self.event(event, link).await?;
        }
        Ok(())
    }

    /// Acknowledges what the driver had taken a second ago, when its queue was empty then and is now: by that time the
    /// driver has made it durable.
    fn acknowledge(&mut self, link: &Link) {
        if link.events.capacity() < link.events.max_capacity() {
            self.settled = None;
            return;
        }
        if let Some(up_to) = self.settled.replace(link.delivered)
            && up_to > 0
        {
            self.put(&Command::Acknowledge { up_to });
        }
    }
}

async fn tell(link: &Link, event: LinkEvent) -> Result<(), Ended> {
    link.events.send(event).await.map_err(|_| Ended::DriverGone)
}
