//! What the client costs, and how much it can hold.
//!
//! ```text
//! cargo bench --bench client                     CPU a token, beside a program that only reads the bytes; start-up
//! cargo bench --bench client -- --streams 10000  so many streams open at once: failures, memory a stream
//! cargo bench --bench client -- --rate 2000      an open loop of so many requests a second: how late they leave
//! ```
//!
//! Server and clients are processes of their own, so that the kernel's figures of a process are those of one of them.

#![expect(clippy::print_stdout, reason = "a bench is for its output")]

mod figures;
mod load;
mod server;
mod whole;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use figures::{Figures, median};
use load::Load;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// Streams at once while the cost of a token is measured.
const STREAMS: u32 = 32;
/// Each client runs so often, the two in turns.
const REPEATS: usize = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["server"] => server::serve(),
        ["client", name, load] => client(name, load),
        [] => cost().and_then(|()| whole::run()),
        ["--streams", streams] => number(streams).and_then(hold),
        ["--rate", rate] => number(rate).and_then(keep_rate),
        _ => Err("usage: cargo bench --bench client [-- --streams N | --rate N]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> Outcome<u32> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| format!("`{text}` is not a positive number").into())
}

/// The table of costs.
fn cost() -> Outcome<()> {
    let server = Server::start()?;
    println!("{STREAMS} streams, medians of {REPEATS} runs a client; CPU of the client's process, user and system");
    println!(
        "{:<20} {:<8} {:>12} {:>12} {:>10} {:>12} {:>10}",
        "tokens", "client", "CPU/token", "tokens/s", "CPU", "peak memory", "failed"
    );
    for (name, requests, tokens, gap_us) in
        [("every 2 ms", 4 * STREAMS, 512, 2_000), ("as fast as possible", 80 * STREAMS, 512, 0)]
    {
        let load =
            Load { port: server.port, users: STREAMS, requests, tokens, gap_us, ramp_ms: 0, rate: 0, embedded: false };
        let mut runs: [Vec<Figures>; 2] = Default::default();
        for _ in 0..REPEATS {
            for (client, runs) in ["tokpace", "plain"].into_iter().zip(&mut runs) {
                runs.push(run(client, &load)?);
            }
        }
        let mut cpu = [0.0; 2];
        for ((client, runs), cpu) in ["tokpace", "plain"].into_iter().zip(&runs).zip(&mut cpu) {
            *cpu = median(runs, |f| f.cpu_ns as f64 / f.tokens as f64 / 1e3);
            println!(
                "{name:<20} {client:<8} {cpu:>9.2} µs {:>12.0} {:>8.0} % {:>8.0} MiB {:>10}",
                median(runs, Figures::tokens_per_second),
                median(runs, |f| f.cpu_ns as f64 / f.wall_ns as f64 * 100.0),
                median(runs, |f| f.peak_kib as f64 / 1024.0),
                runs.iter().map(|f| f.failed).sum::<u64>(),
            );
        }
        println!("{:<20} {:<8} {:>9.2} x", "", "ratio", cpu[0] / cpu[1]);
        if gap_us > 0 {
            println!("{:<20} {:<8} {:>25.0}", "", "asked", f64::from(STREAMS) * 1e6 / f64::from(gap_us));
        }
    }
    Ok(())
}

/// Many streams at once.
fn hold(streams: u32) -> Outcome<()> {
    let server = Server::start()?;
    // Two thousand new streams a second, and a token a second in each: all are open for at least five seconds.
    let ramp_ms = streams.div_ceil(2);
    let tokens = ramp_ms / 1000 + 6;
    let load = Load {
        port: server.port,
        users: streams,
        requests: streams,
        tokens,
        gap_us: 1_000_000,
        ramp_ms,
        rate: 0,
        embedded: false,
    };
    let figures = run("tokpace", &load)?;
    println!("streams asked for       {streams}");
    println!("most open at once       {}", figures.in_flight);
    println!("failed                  {}", figures.failed);
    if let Some(failure) = &figures.failure {
        println!("first failure           {failure}");
    }
    println!("tokens                  {} ({:.0} a second)", figures.tokens, figures.tokens_per_second());
    println!(
        "memory                  {:.1} KiB a stream (from {:.1} MiB to {:.1} MiB)",
        figures.peak_kib.saturating_sub(figures.base_kib) as f64 / f64::from(streams),
        figures.base_kib as f64 / 1024.0,
        figures.peak_kib as f64 / 1024.0
    );
    println!("CPU                     {:.1} % of a core", figures.cpu_ns as f64 / figures.wall_ns as f64 * 100.0);
    println!("{}", figures.judgement());
    Ok(())
}

/// An open loop for ten seconds, against a server elsewhere and against the embedded one.
fn keep_rate(rate: u32) -> Outcome<()> {
    let server = Server::start()?;
    for embedded in [false, true] {
        let requests = rate * 10;
        let load = Load { port: server.port, users: 0, requests, tokens: 4, gap_us: 0, ramp_ms: 0, rate, embedded };
        let figures = run("tokpace", &load)?;
        println!(
            "server                  {}",
            if embedded { "embedded, in the client's process" } else { "another process" }
        );
        println!("requests planned        {requests} (Poisson arrivals, {rate} a second)");
        println!("sent                    {}", figures.requests);
        println!("failed                  {}", figures.failed);
        if let Some(failure) = &figures.failure {
            println!("first failure           {failure}");
        }
        println!("most in flight          {}", figures.in_flight);
        println!("send lag                p50 {:.3} ms, p99 {:.3} ms", figures.send_lag_ms[0], figures.send_lag_ms[1]);
        println!("wake-up lag             p50 {:.3} ms, p99 {:.3} ms", figures.wake_lag_ms[0], figures.wake_lag_ms[1]);
        println!("ttft                    p50 {:.3} ms, p99 {:.3} ms", figures.ttft_ms[0], figures.ttft_ms[1]);
        println!("load worker             {:.0} % of its core", figures.worker_share * 100.0);
        println!("{}\n", figures.judgement());
    }
    Ok(())
}

/// One run of a client, in a process of its own.
fn run(client: &str, load: &Load) -> Outcome<Figures> {
    let output = itself()?
        .args(["client", client, &serde_json::to_string(load)?])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    serde_json::from_str(&text)
        .map_err(|_| format!("the client `{client}` ended with {}: {text}", output.status).into())
}

fn client(name: &str, load: &str) -> Outcome<()> {
    let load: Load = serde_json::from_str(load)?;
    let figures = match name {
        "tokpace" => load::tokpace(&load)?,
        "plain" => load::plain(&load)?,
        _ => return Err(format!("no client `{name}`").into()),
    };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

fn itself() -> Outcome<Command> {
    Ok(Command::new(std::env::current_exe()?))
}

/// The server's process. It ends when its standard input does.
struct Server {
    port: u16,
    process: Child,
    input: Option<ChildStdin>,
}

impl Server {
    fn start() -> Outcome<Self> {
        let mut process = itself()?.arg("server").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let input = process.stdin.take();
        Ok(Self { port: line.trim().parse().map_err(|_| format!("the server did not start: {line}"))?, process, input })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.input = None;
        // Whether it ended well does not matter any more.
        let _ = self.process.wait();
    }
}
