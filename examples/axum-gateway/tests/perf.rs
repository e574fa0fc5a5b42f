//! What the gateway adds to the server's times: `cargo test --test perf`.

use std::error::Error;
use std::time::Duration;

use gateway::Gateway;
use tokpace::harness::Servers;
use tokpace::profile::Embedded;

tokpace::main!(servers = servers);

/// A simulated server, and the gateway in front of it. `tokpace.toml` has profiles for both.
fn servers(servers: &mut Servers) -> Result<(), Box<dyn Error + Send + Sync>> {
    let upstream = servers.simulate("UPSTREAM_URL", Embedded::default())?;
    // To see the gate fail: GATEWAY_DELAY_MS=5 cargo test --test perf
    let delay = std::env::var("GATEWAY_DELAY_MS").map_or(Ok(0), |text| text.parse())?;
    let gateway = Gateway { upstream, delay: Duration::from_millis(delay) };
    servers.serve("GATEWAY_URL", |listener| gateway.serve(listener))?;
    Ok(())
}
