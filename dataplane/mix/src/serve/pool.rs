//! The pool: threads that do the jobs of all shards' rooms, the one with the earliest deadline first.
//!
//! What came of a job goes to the inbox of the worker that handed it over, whose bell rings when it was empty. Locks are held for a push or a pop.
//! Threads end when the pool is dropped and what they do is done; what still waits is dropped then. A thread that panics tells it by its end, and ends
//! the program.

use plenum_host::Bell;
use plenum_mix::room::jobs::{Done, Job, Jobs};
use plenum_packet::Time;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a pool does.
pub(crate) trait Task: Send + 'static {
    /// What comes of it.
    type Done: Send + 'static;
    /// When it should be done.
    fn due(&self) -> Time;
    /// Does it.
    fn run(self) -> Self::Done;
}

impl Task for Job {
    type Done = Done;

    fn due(&self) -> Time {
        Job::due(self)
    }

    fn run(self) -> Done {
        Job::run(self)
    }
}

/// See the module.
pub(crate) struct Pool<T: Task>(Arc<Shared<T>>);

struct Shared<T: Task> {
    queue: Mutex<Queue<T>>,
    wake: Condvar,
}

struct Queue<T: Task> {
    waiting: BinaryHeap<Waiting<T>>,
    /// Tasks that came since the beginning.
    count: u64,
    closed: bool,
}

/// A task in the queue; the greatest is taken next.
struct Waiting<T: Task> {
    due: Time,
    number: u64,
    /// Nanoseconds of the monotonic clock.
    came: u64,
    task: T,
    inbox: Arc<Inbox<T::Done>>,
}

impl<T: Task> Ord for Waiting<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl<T: Task> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Task> PartialEq for Waiting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Task> Eq for Waiting<T> {}

/// Where a worker's tasks come back to.
struct Inbox<D> {
    done: Mutex<Vec<D>>,
    bell: Bell,
    spent: Spent,
}

/// What a worker's tasks took since the beginning.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    pub(crate) tasks: AtomicU64,
    /// Nanoseconds in the pool's threads.
    pub(crate) busy: AtomicU64,
    /// Nanoseconds in the queue.
    pub(crate) waited: AtomicU64,
}

/// Who does not hold a lock while it panics leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Task> Pool<T> {
    /// One without threads: tasks wait.
    pub(crate) fn new() -> Pool<T> {
        let queue = Mutex::new(Queue { waiting: BinaryHeap::new(), count: 0, closed: false });
        Pool(Arc::new(Shared { queue, wake: Condvar::new() }))
    }

    /// Starts so many threads; each keeps one of `ended` until it ends.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(crate) fn start<E: Send + 'static>(&self, threads: usize, ended: impl Fn() -> E) -> io::Result<()> {
        for number in 0..threads {
            let (shared, ended) = (self.0.clone(), ended());
            std::thread::Builder::new().name(format!("pool-{number}")).spawn(move || {
                let _ended = ended;
                while let Some(next) = shared.next() {
                    next.run();
                }
            })?;
        }
        Ok(())
    }

    /// A worker's way into the pool and back.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub(crate) fn hand(&self) -> io::Result<Hand<T>> {
        let (bell, theirs) = Bell::pair()?;
        let inbox = Inbox { done: Mutex::new(Vec::new()), bell: theirs, spent: Spent::default() };
        Ok(Hand { shared: self.0.clone(), inbox: Arc::new(inbox), bell })
    }
}

impl<T: Task> Drop for Pool<T> {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        queue.closed = true;
        queue.waiting.clear();
        self.0.wake.notify_all();
    }
}

impl<T: Task> Shared<T> {
    /// The task that is due next, once there is one; `None` at the end.
    fn next(&self) -> Option<Waiting<T>> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return None;
            }
            if let Some(next) = queue.waiting.pop() {
                return Some(next);
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T: Task> Waiting<T> {
    fn run(self) {
        let Waiting { came, task, inbox, .. } = self;
        let began = plenum_host::now();
        let done = task.run();
        inbox.spent.tasks.fetch_add(1, Relaxed);
        inbox.spent.busy.fetch_add(plenum_host::now().saturating_sub(began), Relaxed);
        inbox.spent.waited.fetch_add(began.saturating_sub(came), Relaxed);
        let first = {
            let mut list = lock(&inbox.done);
            list.push(done);
            list.len() == 1
        };
        if first {
            inbox.bell.ring();
        }
    }
}

/// See [`Pool::hand`].
pub(crate) struct Hand<T: Task> {
    shared: Arc<Shared<T>>,
    inbox: Arc<Inbox<T::Done>>,
    bell: Bell,
}

impl<T: Task> Hand<T> {
    /// Hands a task over.
    pub(crate) fn put(&self, task: T) {
        let (due, came, inbox) = (task.due(), plenum_host::now(), self.inbox.clone());
        let mut queue = lock(&self.shared.queue);
        if !queue.closed {
            queue.count += 1;
            let number = queue.count;
            queue.waiting.push(Waiting { due, number, came, task, inbox });
            self.shared.wake.notify_one();
        }
    }

    /// Takes what was done since the last time into `done`, which is empty.
    pub(crate) fn take(&self, done: &mut Vec<T::Done>) {
        // What comes after this rings again.
        self.bell.quiet();
        std::mem::swap(&mut *lock(&self.inbox.done), done);
    }

    /// What its tasks took.
    pub(crate) fn spent(&self) -> &Spent {
        &self.inbox.spent
    }

    /// Becomes readable when something was done.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.bell.as_raw_fd()
    }
}

impl Jobs for Hand<Job> {
    fn start(&mut self, job: Job) -> Option<Done> {
        self.put(job);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    /// A task that waits for a word, or for none, and gives its number.
    struct Say {
        due: u64,
        number: u32,
        wait: Option<Receiver<()>>,
    }

    impl Task for Say {
        type Done = u32;

        fn due(&self) -> Time {
            Time(self.due)
        }

        fn run(self) -> u32 {
            self.wait.iter().for_each(|wait| wait.recv().unwrap());
            self.number
        }
    }

    fn say(due: u64, number: u32) -> Say {
        Say { due, number, wait: None }
    }

    /// Waits until so many came back.
    fn all(hand: &Hand<Say>, count: usize) -> Vec<u32> {
        let (mut all, mut some) = (Vec::new(), Vec::new());
        while all.len() < count {
            plenum_host::poll(&[(hand.descriptor(), false)], Duration::from_secs(3600)).unwrap();
            hand.take(&mut some);
            all.append(&mut some);
        }
        all
    }

    #[test]
    fn the_earliest_deadline_goes_first_and_what_is_due_together_goes_as_it_came() {
        let pool = Pool::new();
        let (hand, other) = (pool.hand().unwrap(), pool.hand().unwrap());
        for (due, number) in [(30, 1), (10, 2), (20, 3), (10, 4)] {
            hand.put(say(due, number));
        }
        other.put(say(15, 5));
        pool.start(1, || ()).unwrap();
        assert_eq!(all(&hand, 4), [2, 4, 3, 1]);
        assert_eq!(all(&other, 1), [5], "what others handed over comes back to them");
        assert_eq!((hand.spent().tasks.load(Relaxed), other.spent().tasks.load(Relaxed)), (4, 1));
    }

    #[test]
    fn many_threads_do_each_task_once() {
        let pool = Pool::new();
        pool.start(4, || ()).unwrap();
        let hands: Vec<_> = (0..3).map(|_| pool.hand().unwrap()).collect();
        for number in 0..3000u32 {
            hands[number as usize % 3].put(say(u64::from(number % 7), number));
        }
        for (n, hand) in hands.iter().enumerate() {
            let mut numbers = all(hand, 1000);
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq((0..1000).map(|at| at * 3 + n as u32)));
        }
    }

    #[test]
    fn one_task_does_not_keep_the_others_waiting() {
        let pool = Pool::new();
        pool.start(2, || ()).unwrap();
        let hand = pool.hand().unwrap();
        let (go, wait) = channel();
        hand.put(Say { wait: Some(wait), ..say(0, 0) });
        (1..100).for_each(|number| hand.put(say(1, number)));
        assert!(all(&hand, 99).into_iter().eq(1..100), "all but the first, in their order");
        go.send(()).unwrap();
        assert_eq!(all(&hand, 1), [0]);
    }

    #[test]
    fn its_threads_end_with_it_and_one_that_panics_tells() {
        struct Tell(Sender<()>);
        impl Drop for Tell {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        struct Fails;
        impl Task for Fails {
            type Done = ();
            fn due(&self) -> Time {
                Time::ZERO
            }
            fn run(self) {
                panic!("as a test");
            }
        }
        let (ended, end) = channel();
        let pool = Pool::<Fails>::new();
        pool.start(2, || Tell(ended.clone())).unwrap();
        drop(pool);
        end.recv().expect("a thread is gone");
        end.recv().expect("and the other one");

        let pool = Pool::<Fails>::new();
        pool.start(1, || Tell(ended.clone())).unwrap();
        pool.hand().unwrap().put(Fails);
        end.recv().expect("it is gone");
    }
}
