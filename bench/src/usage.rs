//! What a process has used of the machine: CPU time of all its threads, wall time, memory.

use std::error::Error;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::allocations;

/// A point in a process's life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    at: Instant,
    cpu: Duration,
    allocations: u64,
}

impl Mark {
    pub(crate) fn now() -> Self {
        Self {
            at: Instant::now(),
            cpu: cpu(),
            allocations: allocations::count(),
        }
    }

    pub(crate) fn wall_since(&self, earlier: &Self) -> f64 {
        self.at.duration_since(earlier.at).as_secs_f64()
    }

    pub(crate) fn cpu_since(&self, earlier: &Self) -> f64 {
        self.cpu.saturating_sub(earlier.cpu).as_secs_f64()
    }

    pub(crate) fn allocations_since(&self, earlier: &Self) -> u64 {
        self.allocations.saturating_sub(earlier.allocations)
    }
}

/// One-minute load average, where the system says it.
pub(crate) fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// User and system time of this process since its start.
pub(crate) fn cpu() -> Duration {
    // The call can only fail for an argument that nix does not let one write.
    getrusage(UsageWho::RUSAGE_SELF)
        .map(|usage| duration(usage.user_time()) + duration(usage.system_time()))
        .unwrap_or_default()
}

/// The most memory a process has had.
pub(crate) const PEAK: &str = "VmHWM:";

/// The most memory this process has had, in KiB. Not `getrusage`'s figure: that begins with what the
/// parent had when it started this process.
pub(crate) fn peak_kib() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|text| kib(&text, PEAK))
        .unwrap_or(0)
}

/// Of a second, in the kernel's accounts of processes.
const TICKS: f64 = 100.0;

/// CPU seconds of all threads of another process, in the kernel and outside.
pub(crate) fn cpu_of(process: u32) -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Its name, in parentheses, may have spaces.
    let (_, rest) = text
        .rsplit_once(')')
        .ok_or("no statistics of the process")?;
    let ticks = |index: usize| -> Result<f64, Box<dyn Error>> {
        Ok(rest
            .split_whitespace()
            .nth(index)
            .ok_or("too few statistics")?
            .parse()?)
    };
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

/// A line of what the kernel says about another process's memory, such as `VmRSS:`, in KiB.
pub(crate) fn memory_of(process: u32, line: &str) -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    kib(&text, line).ok_or_else(|| format!("process {process} has no {line}").into())
}

fn kib(status: &str, line: &str) -> Option<u64> {
    let line = status.lines().find_map(|text| text.strip_prefix(line))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn duration(value: TimeVal) -> Duration {
    let seconds = u64::try_from(value.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(value.tv_usec()).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_in_cpu_time() {
        let before = Mark::now();
        let mut sum = 0_u64;
        let mut after = Mark::now();
        while after.cpu_since(&before) < 0.01 {
            sum = std::hint::black_box(sum + 1);
            after = Mark::now();
        }
        // Other threads of this process may have worked beside this one.
        assert!(after.wall_since(&before) > 0.0);
    }

    #[test]
    fn the_high_water_mark_is_read_from_the_kernels_text() {
        assert_eq!(
            kib("VmPeak:\t 9 kB\nVmHWM:\t   1234 kB\n", PEAK),
            Some(1234)
        );
        assert_eq!(kib("VmRSS: 1 kB", PEAK), None);
    }

    #[test]
    fn another_process_is_looked_at_from_outside() {
        let process = std::process::id();
        let (before, _) = (cpu(), cpu_of(process).unwrap());
        let mut sum = 0_u64;
        while cpu().saturating_sub(before) < Duration::from_millis(50) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(cpu_of(process).unwrap() >= 0.04);
        assert!(memory_of(process, "VmRSS:").unwrap() > 100);
        assert!(memory_of(process, "VmNothing:").is_err());
    }
}
