//! Results of other tools, and of earlier runs, as values that the gate can judge. Pure: texts in, values out.

mod aiperf;
mod compare;
mod demands;
mod differ;
mod file;
mod guidellm;
mod json;
mod merge;
mod model;
mod sglang;
mod side;
mod time;
mod tokpace;
mod turns;
mod vllm;

#[cfg(test)]
mod tests;

pub use compare::{CompareOptions, Comparison, Demand, compare};
pub use file::{ImportError, Imported, read};
pub use merge::{Column, MergedCase, MergedRuns, MergedValue, merge};
pub use model::{Measured, Tool};
pub use side::{Side, Source};
