//! `cargo tokpace sim`: the simulated server, for anybody.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::cli::CliError;
use crate::cli::surroundings::Surroundings;
use crate::harness::Stop;
use crate::profile::{self, Embedded, ProfileKind};
use crate::sim::{Server, ServerOptions};
use crate::units::Time;

/// Arguments of `cargo tokpace sim`.
#[derive(Debug, clap::Args)]
pub(super) struct SimArgs {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    port: u16,

    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,

    /// Embedded profile of `tokpace.toml` whose settings are served
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// Sets a key of the profile, such as `itl=8ms` or `slowdown.decode=10%`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,

    /// Seed of jitter, faults and answers
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Variable that holds the key which requests must bring
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,

    /// Stops after this long, such as `10m`
    #[arg(long = "for", value_name = "TIME")]
    lifetime: Option<Time>,
}

pub(super) fn sim(args: &SimArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let config = config(args)?;
    let api_key = match &args.api_key_env {
        None => None,
        Some(name) => Some(std::env::var(name).map_err(|_| {
            CliError::usage(
                format!("variable `{name}` is not set"),
                format!("export `{name}`, or leave `--api-key-env` out"),
            )
        })?),
    };
    let options = ServerOptions { addr: SocketAddr::new(args.host, args.port), seed: args.seed, api_key };
    let stop = Stop::listen();
    let server = Server::start(config.clone(), options).map_err(|error| CliError::Failed {
        exit_code: 3,
        message: format!("failed to listen on {}:{}: {error}", args.host, args.port),
        hint: Some("choose another port with `--port`, or a free one with `--port 0`".into()),
    })?;
    writeln!(out, "serving `{}` at {} (Ctrl-C stops it)", config.model, server.base_url())?;
    out.flush()?;
    let end = args.lifetime.map(|lifetime| Instant::now() + lifetime.duration());
    while !stop.requested() && end.is_none_or(|end| Instant::now() < end) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let (counters, lateness) = (server.counters(), server.lateness());
    server.shutdown();
    writeln!(
        out,
        "served {} requests; tokens left {:.3} ms late at p50, {:.3} ms at p99",
        counters.requests,
        crate::units::millis(lateness.p50()),
        crate::units::millis(lateness.p99())
    )?;
    // Being stopped is how a server ends: no failure.
    Ok(0)
}

/// The settings of the project's profile, or the defaults outside of a project.
fn config(args: &SimArgs) -> Result<Embedded, CliError> {
    let file = Surroundings::find().ok().map(|found| found.package.root.join("tokpace.toml"));
    let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let name = args.profile.as_deref().unwrap_or("embedded");
    let project = profile::load_with("tokpace.toml", &text, Some(name), &args.sets)
        .map_err(|problems| CliError::Failed { exit_code: 2, message: problems.to_string(), hint: None })?;
    match project.profiles.get(name).map(|profile| &profile.kind) {
        Some(ProfileKind::Embedded(config)) => Ok(config.clone()),
        Some(_) => {
            Err(CliError::usage(format!("profile `{name}` is not embedded"), "name one of `kind = \"embedded\"`"))
        }
        None => Err(CliError::usage(format!("no profile `{name}`"), "name one of `tokpace.toml`")),
    }
}
