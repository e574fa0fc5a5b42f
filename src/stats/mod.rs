//! The statistics that the gate stands on: quantiles, Student t, trimmed means, intervals, Holm, change points.

pub mod changepoint;
pub mod interval;
pub mod multiple;
pub mod quantile;
pub mod sign;
pub mod student;
pub mod trend;
pub mod trimmed;
pub mod variance;
