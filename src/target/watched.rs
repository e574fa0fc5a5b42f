//! Where a target can be watched while it is measured.

use crate::target::{ManagedServer, Target};
use crate::watch::Source;

impl Target {
    /// What there is to watch: the server's counters, and the processes of one that this run has started.
    pub(crate) fn source(&self) -> Source {
        let root = self.base_url.rsplit_once('/').map_or(self.base_url.as_str(), |(root, _)| root);
        Source {
            transport: self.transport.clone(),
            url: format!("{root}{}", self.preset.server().metrics_path),
            servers: self.servers(),
            group: self.managed.as_ref().and_then(ManagedServer::group),
        }
    }
}
