//! Other programs that are measured: starting and ending them, and what processor time they took.
//!
//! Time is the sum over a process's threads of `/proc/<pid>/task/*/schedstat`: nanoseconds in user and kernel mode, the soft
//! interrupts that ran in the thread's context included, as `utime + stime` has them in ticks. Whoever is started here is ended
//! when its value goes, by its own id.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A program that ends with its value.
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts `command`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Program> {
        Ok(Program { child: command.spawn()? })
    }

    /// Its process id. `ip netns exec` becomes the program that it is given, so the id is the program's there too.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Processor time of all its threads so far.
    pub fn cpu(&self) -> Duration {
        cpu_of(self.id())
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of every thread of a process.
fn cpu_of(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    Duration::from_nanos(tasks.map(|task| task_time(&task.path()).unwrap_or(0)).sum())
}

fn task_time(task: &Path) -> Option<u64> {
    std::fs::read_to_string(task.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
}

/// Where a measured program's words go: nowhere, or with `PLENUM_BENCH_VERBOSE` in the environment to ours.
pub fn words() -> Stdio {
    if std::env::var_os("PLENUM_BENCH_VERBOSE").is_some() { Stdio::inherit() } else { Stdio::null() }
}

/// Runs a program to its end; its output, or why it failed.
///
/// # Errors
/// The program's own words, or that it is not there.
pub fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", arguments.join(" "), said.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_measured_and_ends_with_its_value() {
        let mut program = Program::start(Command::new("sleep").arg("60")).unwrap();
        assert!(!program.has_ended());
        let id = program.id();
        assert!(program.resident() > 0);
        drop(program);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn own_time_grows_with_work_and_a_failure_is_told_in_words() {
        let before = cpu_of(std::process::id());
        let mut n = 0u64;
        while cpu_of(std::process::id()) == before {
            n = std::hint::black_box(n + 1);
        }
        assert!(run("false", &[]).is_err());
        assert!(run("no-such-program", &[]).unwrap_err().contains("no-such-program"));
    }
}
