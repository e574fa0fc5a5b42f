//! A server watched from the side while it is measured: its own counters, its processes, the graphics cards.

mod gpu;
mod process;
mod sample;
mod sampler;
mod view;

pub use gpu::{GpuInfo, gpus};
pub use sample::{GpuReading, Moment, Readings, Sample};
pub(crate) use sampler::{Source, Watch};
pub use view::{GpuView, Observed, ServerView, Spread};
