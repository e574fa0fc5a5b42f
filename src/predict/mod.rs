//! What a measurement on the embedded server will show, computed in virtual time: the harness without sockets and
//! clocks. Pure.

mod duration;
mod forecast;
mod virtual_run;

pub use duration::{Duration, remembered, simulated};
pub use forecast::{CheckForecast, Forecast, Terms, forecast, forecast_pairs};
pub use virtual_run::{VirtualJob, VirtualPairs, job, pairs, planned, trials};

#[cfg(test)]
mod tests;
