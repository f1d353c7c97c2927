//! What breaks beneath the programs: a shard that hangs, and a data folder that cannot be written.

use crate::appliance::{Appliance, pause};
use crate::browser::Browser;
use crate::client::{act, call, exchange, join, try_join};
use crate::conference::{join as enter, sees_and_hears};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;
use std::time::{Duration, Instant};

/// The thread of a process with this name.
fn thread(pid: i32, name: &str) -> Pid {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let found = tasks
        .filter_map(Result::ok)
        .find(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name));
    let id = found.expect("the thread is there").file_name();
    Pid::from_raw(id.to_str().and_then(|id| id.parse().ok()).expect("a thread id"))
}

/// Stops one thread of a process as a debugger does, until the process ends.
fn stall(tid: Pid) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        ptrace::seize(tid, ptrace::Options::empty()).expect("a process of ours can be traced");
        ptrace::interrupt(tid).expect("it stops");
        // Its end must be taken notice of, or the process would not be gone.
        while !matches!(
            waitpid(tid, Some(WaitPidFlag::__WALL)),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(Errno::ECHILD | Errno::ESRCH)
        ) {}
    })
}

#[test]
fn a_shard_that_hangs_is_noticed_and_media_is_started_again() {
    let _alone = crate::alone();
    let mut at = Appliance::start(&["--shards", "2"]);
    let alice = join(&at, "Alice");
    call(&at, &alice, "").result();
    let media = at.media_pid();
    let stalled = stall(thread(media, "shard-0"));
    let end = Instant::now() + Duration::from_secs(60);
    while !at.log().contains("shard 0 hangs") {
        assert!(Instant::now() < end, "nobody noticed");
        pause();
    }
    stalled.join().expect("the former media plane is gone");
    let restarts = |at: &Appliance| {
        let metrics = at.get("/metrics").map(|(_, body)| body).unwrap_or_default();
        metrics.lines().any(|line| line == "plenum_media_restarts_total 1")
    };
    while !restarts(&at) {
        assert!(Instant::now() < end, "no other media plane");
        pause();
    }
    at.wait_until_healthy();
    call(&at, &alice, "").result();
    assert_ne!(at.media_pid(), media);
}

#[test]
fn on_a_read_only_data_folder_calls_go_on_and_what_changes_state_is_refused_with_a_reason() {
    let _alone = crate::alone();
    let mut at = Appliance::start(&["--shards", "1"]);
    let mut browser = Browser::start(&[]);
    let alice = enter(&mut browser, &at, "Alice");
    let bob = enter(&mut browser, &at, "Bob");
    sees_and_hears(&mut browser, &alice, "Alice");
    let carol = join(&at, "Carol");
    let media = at.media_pid();
    at.kill_control_and_restart_read_only();
    assert!(act(&at, &carol, "lock", json!({})).refused(503).contains("store"));
    assert!(try_join(&at, "Late").refused(503).contains("store"));
    let health = exchange(&at, "GET", "/health", &[], "");
    assert_eq!((health.status, &health.json()["store"]), (503, &json!("down")));
    let headers = [("token", carol.token.as_str())];
    let status = exchange(&at, "GET", "/api/services/1061/service_status", &headers, "");
    assert_eq!(status.result()["locked"], false);
    // The token goes on, or everybody would be thrown out after two minutes.
    act(&at, &carol, "refresh_session", json!({})).result();
    sees_and_hears(&mut browser, &alice, "Alice on a read-only data folder");
    sees_and_hears(&mut browser, &bob, "Bob on a read-only data folder");
    assert_eq!(at.media_pid(), media);

    at.kill_control_and_restart();
    act(&at, &carol, "lock", json!({})).result();
    sees_and_hears(&mut browser, &alice, "Alice when it can be written again");
}
