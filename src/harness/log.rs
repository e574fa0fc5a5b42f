//! The run's log: what happened when, without secrets.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Mutex;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::redact::Redactor;

/// Sends events to `file` from now on. `RUST_LOG` chooses which (default `tokpace=info`).
///
/// Only the first call of a process counts, and a program that has a log of its own keeps it.
pub(crate) fn to_file(file: File, redactor: Redactor) {
    // By target and level only: filters on spans' fields would need a regular expression engine in every build.
    let asked = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_target("tokpace", tracing::Level::INFO));
    let layer =
        tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Redacting { file: Mutex::new(file), redactor });
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
}

struct Redacting {
    file: Mutex<File>,
    redactor: Redactor,
}

/// One event, written as a whole so that a secret cannot hide across two writes.
struct Event<'a> {
    sink: &'a Redacting,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Redacting {
    type Writer = Event<'a>;

    fn make_writer(&'a self) -> Event<'a> {
        Event { sink: self, bytes: Vec::new() }
    }
}

impl Write for Event<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes);
        let redacted = self.sink.redactor.redact(&text);
        if let Ok(mut file) = self.sink.file.lock() {
            // A full disk is reported where results are written; the log must not end the run.
            let _ = file.write_all(redacted.as_bytes());
        }
    }
}
