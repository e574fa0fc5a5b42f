//! `report.html`: a page that needs nothing but itself. Figures in, text out.

mod blocks;
mod case;
mod checks;
mod distribution;
mod environment;
mod input;
mod page;
mod past;
mod points;
mod prefix;
mod scale;
mod series;
mod strip;
mod svg;
mod sweep;
mod timeline;
mod validity;
mod writer;

pub use input::{BaselineJob, CaseBaseline, CaseHistory, Page, PastRun, RequestRow};
pub use page::html;
