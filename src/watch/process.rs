//! Memory and processor time of a group of processes, from Linux's `/proc`.

use std::collections::BTreeMap;
use std::fs;

/// How many looks the list of the group's processes serves: going through all processes of a machine takes longer than
/// looking at a few.
const LIST_SERVES: u32 = 5;

/// What a group of processes uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// Resident memory. What processes share counts once for each.
    pub(super) rss_bytes: u64,
    /// Processor time since the first look.
    pub(super) cpu_seconds: f64,
    pub(super) processes: u32,
}

/// A group of processes that is looked at again and again.
#[derive(Debug)]
pub(super) struct Group {
    id: u32,
    looks: u32,
    /// Its processes, each with its start and the time that it had used when it was last seen.
    members: BTreeMap<u32, Option<[u64; 2]>>,
    /// Clock ticks used since the first look.
    ticks: u64,
}

impl Group {
    pub(super) fn new(id: u32) -> Self {
        Self { id, looks: 0, members: BTreeMap::new(), ticks: 0 }
    }

    /// What it uses now; `None` where the system does not tell, or the group is gone.
    pub(super) fn look(&mut self) -> Option<Usage> {
        if self.looks.is_multiple_of(LIST_SERVES) {
            for id in processes() {
                self.members.entry(id).or_default();
            }
        }
        let first = self.looks == 0;
        self.looks += 1;
        let mut pages = 0;
        let (group, ticks) = (self.id, &mut self.ticks);
        self.members.retain(|id, known| {
            let text = fs::read_to_string(format!("/proc/{id}/stat"));
            let Some(stat) = text.ok().and_then(|text| Stat::read(&text)).filter(|stat| stat.group == group) else {
                return false;
            };
            pages += stat.pages;
            *ticks += match *known {
                Some([start, used]) if start == stat.start => stat.ticks.saturating_sub(used),
                // Who was there before the first look had used its time before.
                None if first => 0,
                _ => stat.ticks,
            };
            *known = Some([stat.start, stat.ticks]);
            true
        });
        let (page, second) = units();
        (!self.members.is_empty()).then(|| Usage {
            rss_bytes: pages * page,
            cpu_seconds: self.ticks as f64 / second as f64,
            processes: self.members.len() as u32,
        })
    }
}

/// All processes of the machine.
fn processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Bytes of a page, and clock ticks of a second.
#[cfg(unix)]
fn units() -> (u64, u64) {
    (rustix::param::page_size() as u64, rustix::param::clock_ticks_per_second().max(1))
}

/// Of processes that are never seen.
#[cfg(not(unix))]
fn units() -> (u64, u64) {
    (1, 1)
}

/// A line of `/proc/<id>/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    group: u32,
    /// Processor time in clock ticks.
    ticks: u64,
    /// When the process started, in clock ticks since the machine did.
    start: u64,
    /// Resident pages.
    pages: u64,
}

impl Stat {
    fn read(text: &str) -> Option<Self> {
        // The name before it is in parentheses and may hold anything, parentheses too.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        let number = |at: usize| fields.get(at)?.trim().parse::<u64>().ok();
        // What has ended and only waits to be noticed uses nothing any more.
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        Some(Self {
            group: fields.get(2)?.parse().ok()?,
            ticks: number(11)? + number(12)?,
            start: number(19)?,
            pages: number(21)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name() {
        let line = "4711 (a) 1 (b c) S 1 4242 4242 0 -1 4194560 900 0 3 0 70 30 5 6 20 0 4 0 123456 1000000 2048 \
                    18446744073709551615 1 1 0 0\n";
        assert_eq!(Stat::read(line), Some(Stat { group: 4242, ticks: 100, start: 123_456, pages: 2048 }));
        assert_eq!(Stat::read(&line.replace(" S ", " Z ")), None);
        assert_eq!(Stat::read("4711 (a) S 1"), None);
        assert_eq!(Stat::read(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_group_is_seen_with_what_it_starts() {
        use std::os::unix::process::CommandExt as _;
        use std::process::{Command, Stdio};
        use std::time::{Duration, Instant};

        let busy = "while :; do :; done & read line";
        let mut command = Command::new("sh");
        command.args(["-c", busy]).stdin(Stdio::piped()).process_group(0);
        let mut shell = command.spawn().unwrap();
        let mut group = Group::new(shell.id());
        let begin = Instant::now();
        let mut seen = group.look();
        while begin.elapsed() < Duration::from_secs(20)
            && seen.is_none_or(|usage| usage.processes < 2 || usage.cpu_seconds < 0.05)
        {
            std::thread::sleep(Duration::from_millis(20));
            seen = group.look();
        }
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", shell.id())]).status();
        shell.wait().unwrap();
        let usage = seen.unwrap();
        assert!(usage.processes == 2 && usage.cpu_seconds >= 0.05, "{usage:?}");
        assert!(usage.cpu_seconds < begin.elapsed().as_secs_f64() + 0.1, "{usage:?}");
        assert!((100_000..100_000_000).contains(&usage.rss_bytes), "{usage:?}");
        // The loop is not this process's child: it is killed, but nobody here can wait for its end.
        let begin = Instant::now();
        while Group::new(shell.id()).look().is_some() && begin.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(Group::new(shell.id()).look(), None);
    }
}
