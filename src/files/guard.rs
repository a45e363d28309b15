//! Time limits around accesses that may never come back.
//!
//! A stopped `pmxcfs` leaves every `stat` and `read` below `/etc/pve` hanging for ever, and a lost server does the same
//! to every share mounted from it. Accesses run on a few worker threads unless they are to a folder that belongs to the
//! system itself; when one does not answer in time it is given up, and its place is declared hung so that the next
//! access fails at once instead of waiting again.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Answer, TroubleKind};

/// How many accesses are in flight at once, as measured on pmxcfs: more bring nothing.
const WORKERS: usize = 8;

/// How many paths one worker takes at a time: large enough that handing over costs little.
const BATCH: usize = 32;

/// Folders of the system itself: what is in them is on the disks the node runs from, or made by the kernel.
const SYSTEM: [&str; 11] = [
    "/etc",
    "/proc",
    "/sys",
    "/usr",
    "/lib",
    "/run",
    "/dev",
    "/boot",
    "/var/lib/dpkg",
    "/var/lib/apt",
    "/var/log",
];

/// The cluster file system: in a folder of the system, but served by a daemon.
const CLUSTER: &str = "/etc/pve";

/// Folders in which every entry may be a file system of its own. Elsewhere the second folder of a path is taken for one.
const FOLDERS_OF_MOUNTS: [&str; 2] = ["/mnt/pve", "/var/lib"];

type Job = Box<dyn FnOnce() + Send>;

pub(super) struct Guard {
    patience: Duration,
    end: Instant,
    worker: RefCell<Option<Sender<Job>>>,
    hung: RefCell<BTreeSet<String>>,
}

impl Guard {
    pub(super) fn new(patience: Duration, whole_run: Duration) -> Self {
        let end = Instant::now() + whole_run;
        Self { patience, end, worker: RefCell::default(), hung: RefCell::default() }
    }

    /// When the run ends.
    pub(super) fn end(&self) -> Instant {
        self.end
    }

    /// Runs `access` to `path`, in time or not at all.
    pub(super) fn run<T: Send + 'static>(
        &self,
        path: &str,
        access: impl FnOnce() -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        if Instant::now() >= self.end {
            return Err(TroubleKind::TimedOut);
        }
        let Some(place) = place_that_may_hang(path) else { return access() };
        if self.hung.borrow().contains(place) {
            return Err(TroubleKind::TimedOut);
        }
        let (answer, answers) = channel();
        self.hand_over(Box::new(move || drop(answer.send(access()))));
        match answers.recv_timeout(self.time_left()) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => {
                self.give_up(place);
                Err(TroubleKind::TimedOut)
            }
            Err(RecvTimeoutError::Disconnected) => Err(TroubleKind::Io(nix::errno::Errno::EIO)),
        }
    }

    /// Runs `access` on every path, several at a time; the answers come in the order of the paths.
    pub(super) fn run_all<C, T>(
        &self,
        paths: &[String],
        context: &C,
        access: fn(&C, &str) -> Answer<T>,
    ) -> Vec<Answer<T>>
    where
        C: Clone + Send + 'static,
        T: Send + 'static,
    {
        // Where a place is known to hang, its paths fail one by one at once instead of stopping a reader of many.
        let any_hung = paths.iter().any(|path| self.is_hung(path));
        if paths.len() < BATCH || any_hung || Instant::now() >= self.end {
            let one = |path: &String| {
                let (context, owned) = (context.clone(), path.clone());
                self.run(path, move || access(&context, &owned))
            };
            return paths.iter().map(one).collect();
        }
        let mut slots: Vec<Option<Answer<T>>> = paths.iter().map(|_| None).collect();
        let answers = spawn_readers(paths, context, access);
        while let Ok(batch) = answers.recv_timeout(self.time_left()) {
            for (index, answer) in batch {
                if let Some(slot) = slots.get_mut(index) {
                    *slot = Some(answer);
                }
            }
        }
        for (path, _) in paths.iter().zip(&slots).filter(|(_, slot)| slot.is_none()) {
            if let Some(place) = place_that_may_hang(path) {
                self.give_up(place);
            }
        }
        slots.into_iter().map(|slot| slot.unwrap_or(Err(TroubleKind::TimedOut))).collect()
    }

    fn is_hung(&self, path: &str) -> bool {
        place_that_may_hang(path).is_some_and(|place| self.hung.borrow().contains(place))
    }

    fn time_left(&self) -> Duration {
        self.patience.min(self.end.saturating_duration_since(Instant::now()))
    }

    fn hand_over(&self, job: Job) {
        let mut worker = self.worker.borrow_mut();
        let sender = worker.get_or_insert_with(spawn_worker);
        // A worker that is gone took a panicking access with it: the caller sees its answer missing.
        if let Err(unsent) = sender.send(job) {
            let fresh = spawn_worker();
            drop(fresh.send(unsent.0));
            *worker = Some(fresh);
        }
    }

    /// The stuck thread is left behind (it ends with the process), and a fresh one takes the next job.
    fn give_up(&self, place: &str) {
        self.hung.borrow_mut().insert(place.to_owned());
        *self.worker.borrow_mut() = None;
    }
}

/// The place that `path` lies in, if its file system can stop answering.
fn place_that_may_hang(path: &str) -> Option<&str> {
    // A path that climbs may end anywhere.
    let climbs = path.contains("/..");
    if is_below(path, CLUSTER) && !climbs {
        return path.get(..CLUSTER.len());
    }
    if !climbs && SYSTEM.into_iter().any(|folder| is_below(path, folder)) {
        return None;
    }
    let parts = if FOLDERS_OF_MOUNTS.into_iter().any(|folder| is_below(path, folder)) { 3 } else { 2 };
    let end = path.match_indices('/').nth(parts).map_or(path.len(), |(at, _)| at);
    path.get(..end)
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn spawn_worker() -> Sender<Job> {
    let (sender, jobs): (Sender<Job>, Receiver<Job>) = channel();
    thread::spawn(move || jobs.into_iter().for_each(|job| job()));
    sender
}

type Batch<T> = Vec<(usize, Answer<T>)>;

fn spawn_readers<C, T>(paths: &[String], context: &C, access: fn(&C, &str) -> Answer<T>) -> Receiver<Batch<T>>
where
    C: Clone + Send + 'static,
    T: Send + 'static,
{
    let shared: Arc<[String]> = paths.into();
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (sender, answers) = channel();
    for _ in 0..WORKERS.min(paths.len().div_ceil(BATCH)) {
        let (shared, next, sender, context) =
            (Arc::clone(&shared), Arc::clone(&next), sender.clone(), context.clone());
        thread::spawn(move || {
            loop {
                let start = next.fetch_add(BATCH, std::sync::atomic::Ordering::Relaxed);
                let batch: Batch<T> = (start..shared.len().min(start.saturating_add(BATCH)))
                    .filter_map(|index| Some((index, access(&context, shared.get(index)?))))
                    .collect();
                if batch.is_empty() || sender.send(batch).is_err() {
                    break;
                }
            }
        });
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(40);

    fn sleepy(slow: &String, path: &str) -> Answer<usize> {
        if path.ends_with(slow) {
            thread::sleep(SHORT * 20);
        }
        if path.is_empty() { Err(TroubleKind::Missing) } else { Ok(path.len()) }
    }

    #[test]
    fn a_hung_access_times_out_and_the_next_one_below_the_same_place_fails_at_once() {
        let guard = Guard::new(SHORT, Duration::from_secs(5));
        assert_eq!(guard.run("/etc/pve/user.cfg", || Ok(1)), Ok(1));
        let hung: Answer<()> = guard.run("/etc/pve/a", || {
            thread::sleep(SHORT * 20);
            Ok(())
        });
        assert_eq!(hung, Err(TroubleKind::TimedOut));
        let before = Instant::now();
        assert_eq!(guard.run("/etc/pve/user.cfg", || Ok(1)), Err(TroubleKind::TimedOut));
        assert!(before.elapsed() < SHORT);
        assert_eq!(guard.run("/etc/passwd", || Ok(1)), Ok(1));
    }

    #[test]
    fn a_share_that_hangs_does_not_stop_the_run_nor_the_other_shares() {
        let guard = Guard::new(SHORT, Duration::from_secs(5));
        let hung: Answer<()> = guard.run("/mnt/pve/nas/images", || {
            thread::sleep(SHORT * 20);
            Ok(())
        });
        assert_eq!(hung, Err(TroubleKind::TimedOut));
        assert_eq!(guard.run("/mnt/pve/nas", || Ok(1)), Err(TroubleKind::TimedOut));
        assert_eq!(guard.run("/mnt/pve/other/images", || Ok(1)), Ok(1));
        let mut paths: Vec<String> = (0..64).map(|n| format!("/mnt/pve/other/{n}")).collect();
        paths.push("/mnt/pve/nas/1".to_owned());
        let answers = guard.run_all(&paths, &"never".to_owned(), sleepy);
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 64);
    }

    #[test]
    fn only_the_folders_of_the_system_are_read_without_a_guard() {
        for (path, place) in [
            ("/etc/pve/user.cfg", Some("/etc/pve")),
            ("/etc/pve", Some("/etc/pve")),
            ("/etc/pvex", None),
            ("/etc/passwd", None),
            ("/etc/../mnt/nas/x", Some("/etc/..")),
            ("/proc/cmdline", None),
            ("/var/lib/dpkg/status", None),
            ("/var/lib/vz/images", Some("/var/lib/vz")),
            ("/var/lib/vz", Some("/var/lib/vz")),
            ("/root/.ssh/authorized_keys", Some("/root/.ssh")),
            ("/srv/nas/dump/x", Some("/srv/nas")),
            ("/mnt/pve/nas/x", Some("/mnt/pve/nas")),
            ("/", Some("/")),
        ] {
            assert_eq!(place_that_may_hang(path), place, "{path}");
        }
    }

    #[test]
    fn many_reads_keep_their_order_and_one_that_hangs_is_its_own_trouble() {
        let guard = Guard::new(SHORT, Duration::from_secs(5));
        let paths: Vec<String> =
            (0..200).map(|n| format!("/etc/pve/{n:0>width$}", width = n % 5 + 3)).collect();
        let answers = guard.run_all(&paths, &"never".to_owned(), sleepy);
        assert!(paths.iter().zip(&answers).all(|(path, answer)| *answer == Ok(path.len())));
        let hung = guard.run_all(&paths[..64], &"01".to_owned(), sleepy);
        assert!(hung.contains(&Err(TroubleKind::TimedOut)));
    }

    #[test]
    fn after_the_deadline_of_the_run_nothing_is_read_any_more() {
        let guard = Guard::new(SHORT, Duration::ZERO);
        assert_eq!(guard.run("/etc/passwd", || Ok(1)), Err(TroubleKind::TimedOut));
    }
}
