//! Figures of the whole machine: processors, memory, disks.

use std::{collections::VecDeque, fs, io, path::Path, time::Duration};

/// Busy and total processor time since boot, in clock ticks (proc(5), /proc/stat).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTime {
    busy: u64,
    total: u64,
}

impl CpuTime {
    /// Reads it.
    ///
    /// # Errors
    /// When `/proc/stat` cannot be read.
    pub fn now() -> io::Result<Self> {
        Self::parse(&fs::read_to_string("/proc/stat")?).ok_or_else(|| io::Error::other("/proc/stat has no cpu line"))
    }

    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|t| t.parse().ok()).collect();
        let total = ticks.iter().sum();
        // Idle and waiting for disks.
        let idle: u64 = ticks.get(3..5)?.iter().sum();
        Some(Self { busy: total - idle, total })
    }

    /// Percent of all processors that were busy since `before`.
    #[must_use]
    pub fn percent_since(self, before: Self) -> u8 {
        let total = self.total.saturating_sub(before.total).max(1);
        let busy = self.busy.saturating_sub(before.busy);
        u8::try_from((busy * 100 / total).min(100)).unwrap_or(100)
    }
}

/// Processor use averaged over a sliding window.
#[derive(Clone, Debug)]
pub struct CpuWindow {
    window: Duration,
    samples: VecDeque<(Duration, CpuTime)>,
}

impl CpuWindow {
    /// A window of that length, empty.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self { window, samples: VecDeque::new() }
    }

    /// Adds a sample; gives the average once the samples cover the window.
    pub fn add(&mut self, now: Duration, sample: CpuTime) -> Option<u8> {
        self.samples.push_back((now, sample));
        let begin = now.saturating_sub(self.window);
        // The newest sample at or before the window's begin stays.
        while self.samples.get(1).is_some_and(|(at, _)| *at <= begin) {
            self.samples.pop_front();
        }
        let (at, first) = *self.samples.front()?;
        (now - at >= self.window).then(|| sample.percent_since(first))
    }
}

/// Percent of memory that is not available (proc(5), /proc/meminfo).
///
/// # Errors
/// When it cannot be read.
pub fn memory_percent() -> io::Result<u8> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let kibibytes = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    let figures = (kibibytes("MemTotal"), kibibytes("MemAvailable"));
    let (Some(total), Some(available)) = figures else {
        return Err(io::Error::other("/proc/meminfo has no MemTotal or MemAvailable"));
    };
    Ok(u8::try_from(total.saturating_sub(available) * 100 / total.max(1)).unwrap_or(100))
}

/// Percent of a file system that is used, as df(1) counts it.
///
/// # Errors
/// When there is nothing at `path`.
pub fn disk_percent(path: &Path) -> io::Result<u8> {
    let stat = rustix::fs::statvfs(path)?;
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    let usable = used + stat.f_bavail;
    Ok(u8::try_from((used * 100).div_ceil(usable.max(1)).min(100)).unwrap_or(100))
}

/// The load of the last minute, in hundredths (proc(5), /proc/loadavg).
///
/// # Errors
/// When it cannot be read.
pub fn load_hundredths() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let first = text.split_whitespace().next().and_then(|load| load.replace('.', "").parse().ok());
    first.ok_or_else(|| io::Error::other("/proc/loadavg has no figure"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_averaged_over_the_whole_window() {
        let mut window = CpuWindow::new(Duration::from_secs(10));
        let at = |secs, busy, total| (Duration::from_secs(secs), CpuTime { busy, total });
        let mut add = |(now, sample)| window.add(now, sample);
        assert_eq!(add(at(0, 0, 0)), None);
        assert_eq!(add(at(5, 500, 500)), None, "the window is not covered yet");
        assert_eq!(add(at(10, 500, 1000)), Some(50));
        assert_eq!(add(at(15, 500, 1500)), Some(0));
    }

    #[test]
    fn figures_of_this_machine_are_percents() {
        assert!(memory_percent().unwrap() <= 100);
        assert!((1..=100).contains(&disk_percent(Path::new("/")).unwrap()));
        assert!(CpuTime::now().unwrap().total > 0);
        load_hundredths().unwrap();
    }

    #[test]
    fn idle_and_waiting_are_not_busy() {
        let time = CpuTime::parse("cpu  10 0 10 70 10 0 0 0 5 0\ncpu0 1 1 1 1\n").unwrap();
        assert_eq!(time, CpuTime { busy: 20, total: 100 });
    }
}
