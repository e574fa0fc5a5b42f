//! The thread that looks at a server once a second while others load it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::gpu::{self, Gpus};
use super::process::Group;
use super::sample::{Moment, Readings, Sample};
use crate::engine::{Transport, TransportOptions};
use crate::profile::Server;

/// How often it looks.
const PERIOD: Duration = Duration::from_secs(1);

/// The first look under load is half a period in, so that each stands for the second around it.
const FIRST: Duration = Duration::from_millis(500);

/// Whoever takes longer to tell its counters has not told them.
const PATIENCE: Duration = Duration::from_secs(2);

/// What there is to look at.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// How the server is talked to.
    pub(crate) transport: TransportOptions,
    /// Where its counters are.
    pub(crate) url: String,
    /// Whose names they may have.
    pub(crate) servers: Vec<&'static Server>,
    /// The process group of a server on this machine, which is then also the one that uses its graphics cards.
    pub(crate) group: Option<u32>,
}

/// A server that is being watched. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Vec<Sample>>>,
}

impl Watch {
    /// Takes the first sample, then goes on by itself. On a machine that has no thread left nothing is watched.
    pub(crate) fn begin(source: Source) -> Self {
        let (stop, stopped) = channel();
        let (ready, begun) = channel();
        let thread = std::thread::Builder::new().name("tokpace-watch".into());
        let thread = thread.spawn(move || watch(&mut Eyes::of(source), &ready, &stopped)).ok();
        let _ = begun.recv();
        Self { stop: Some(stop), thread }
    }

    /// Takes the last sample and gives back all of them.
    pub(crate) fn end(mut self) -> Vec<Sample> {
        self.stop = None;
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Looks before, then on every beat until `stopped` has nobody at its other end, then once more.
fn watch(eyes: &mut Eyes, ready: &Sender<()>, stopped: &Receiver<()>) -> Vec<Sample> {
    let before = eyes.look();
    // Who has no counters before does not get them later.
    if !before.has_counters() {
        eyes.server = None;
    }
    let blind = before == Readings::default();
    let mut samples = vec![Sample { moment: Moment::Before, t_s: 0.0, values: before }];
    let begin = Instant::now();
    let _ = ready.send(());
    if blind {
        return samples;
    }
    let mut beat = FIRST;
    loop {
        let over = stopped.recv_timeout(beat.saturating_sub(begin.elapsed())) != Err(RecvTimeoutError::Timeout);
        let t_s = begin.elapsed().as_secs_f64();
        let moment = if over { Moment::After } else { Moment::During };
        samples.push(Sample { moment, t_s, values: eyes.look() });
        if over {
            return samples;
        }
        while beat <= begin.elapsed() {
            beat += PERIOD;
        }
    }
}

/// What looks.
struct Eyes {
    server: Option<Scrape>,
    group: Option<Group>,
    gpus: Option<Box<dyn Gpus>>,
}

/// How counters are asked for.
struct Scrape {
    runtime: tokio::runtime::Runtime,
    transport: Transport,
    url: String,
    servers: Vec<&'static Server>,
}

impl Eyes {
    fn of(source: Source) -> Self {
        let gpus = source.group.and_then(|_| gpu::reader());
        Self { group: source.group.map(Group::new), gpus, server: Scrape::of(source) }
    }

    fn look(&mut self) -> Readings {
        let mut values = self.server.as_ref().and_then(Scrape::read).unwrap_or_default();
        if let Some(usage) = self.group.as_mut().and_then(Group::look) {
            values.rss_bytes = Some(usage.rss_bytes);
            values.cpu_seconds = Some(usage.cpu_seconds);
            values.processes = Some(usage.processes);
        }
        if let Some(gpus) = &mut self.gpus {
            values.gpus = gpus.read();
        }
        values
    }
}

impl Scrape {
    fn of(source: Source) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        // Of the counters' own connection, which the load does not share.
        let options = TransportOptions { http2: false, ..source.transport };
        let transport = Transport::new(&options).ok()?;
        Some(Self { runtime, transport, url: source.url, servers: source.servers })
    }

    fn read(&self) -> Option<Readings> {
        let text = self.runtime.block_on(async {
            let answer = self.transport.client.get(&self.url).timeout(PATIENCE).send().await.ok()?;
            if answer.status().is_success() { answer.text().await.ok() } else { None }
        })?;
        Some(Readings::of(&text, &self.servers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Embedded, Preset};
    use crate::sim::{Server as Simulated, ServerOptions};
    use crate::watch::{GpuReading, Observed, ServerView};

    fn source(url: String) -> Source {
        let transport = TransportOptions::default();
        Source { transport, url, servers: Preset::ALL.map(Preset::server).to_vec(), group: None }
    }

    #[test]
    fn a_server_is_seen_before_during_and_after() {
        let server = Simulated::start(Embedded::default(), ServerOptions::default()).unwrap();
        let watch = Watch::begin(source(format!("http://{}/metrics", server.addr())));
        std::thread::sleep(Duration::from_millis(1700));
        let samples = watch.end();
        let moments: Vec<Moment> = samples.iter().map(|sample| sample.moment).collect();
        assert_eq!(moments[0], Moment::Before);
        assert_eq!(*moments.last().unwrap(), Moment::After);
        // A busy machine may miss a beat, but makes none up.
        assert!((3..=4).contains(&samples.len()), "{samples:?}");
        assert!(
            samples[1].t_s >= 0.5 && samples.iter().all(|sample| sample.values.running == Some(0.0)),
            "{samples:?}"
        );
    }

    #[test]
    fn a_server_without_counters_is_asked_once() {
        let server = Simulated::start(Embedded::default(), ServerOptions::default()).unwrap();
        for path in ["/nowhere", "/health"] {
            let watch = Watch::begin(source(format!("http://{}{path}", server.addr())));
            std::thread::sleep(Duration::from_millis(700));
            let samples = watch.end();
            assert_eq!(samples.len(), 1, "{samples:?}");
            assert_eq!(ServerView::of(&[Observed { samples, ..Observed::default() }]), None);
        }
    }

    #[test]
    fn a_watch_that_is_given_up_ends() {
        let server = Simulated::start(Embedded::default(), ServerOptions::default()).unwrap();
        let begin = Instant::now();
        drop(Watch::begin(source(format!("http://{}/metrics", server.addr()))));
        assert!(begin.elapsed() < Duration::from_secs(10));
    }

    /// Cards that are one per cent busier at each look.
    struct Fake(u32);

    impl Gpus for Fake {
        fn read(&mut self) -> Vec<GpuReading> {
            self.0 += 1;
            let busy = |card: u32| GpuReading {
                utilisation: f64::from(self.0 + card) / 100.0,
                memory_bytes: u64::from(card + 1) << 30,
            };
            (0..2).map(busy).collect()
        }
    }

    #[test]
    fn cards_are_read_beside_everything_else() {
        let mut eyes = Eyes { server: None, group: None, gpus: Some(Box::new(Fake(0))) };
        let (stop, stopped) = channel();
        let (ready, _begun) = channel();
        let stopper = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(700));
            drop(stop);
        });
        let samples = watch(&mut eyes, &ready, &stopped);
        stopper.join().unwrap();
        assert!(samples.len() >= 3, "{samples:?}");
        let view = ServerView::of(&[Observed { samples, ..Observed::default() }]).unwrap();
        assert_eq!(view.gpus.len(), 2);
        assert!(view.gpus[1].utilisation.min >= 0.03 && view.gpus[1].memory_bytes.max >= 2e9, "{view:?}");
    }

    #[test]
    fn a_machine_without_cards_says_why() {
        // Where the tests run with a card, there is nothing to assert.
        if let Err(why) = gpu::gpus() {
            assert!(!why.is_empty() && gpu::reader().is_none());
        }
    }
}
