//! `UPSTREAM_URL=http://127.0.0.1:8000 cargo run`: the gateway at 127.0.0.1:8080.

use std::error::Error;
use std::net::TcpListener;
use std::time::Duration;

use gateway::Gateway;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:8080")?;
    listener.set_nonblocking(true)?;
    Gateway { upstream: std::env::var("UPSTREAM_URL")?, delay: Duration::ZERO }.serve(listener).await?;
    Ok(())
}
