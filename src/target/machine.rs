//! Facts about the machine that runs the client.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use super::accelerators;

/// The client's machine and build. Whatever the system does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and architecture: `linux x86_64`.
    pub os: String,
    /// Distribution and kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Processor model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// Main memory in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Cloud instance type, where the machine's firmware tables name one: on Amazon EC2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Accelerators, each kind with its number, where the vendor's tool or the device files say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accelerators: Vec<String>,
    /// Version of the graphics cards' driver, with feature `gpu` and a card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_driver: Option<String>,
    /// `debug` or `release`: how tokpace itself was built.
    pub build: String,
    /// Commit of the project that is measured, with `-dirty` where files were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Environment variables that change how servers and clients behave.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// Variables worth recording; none of them holds a secret.
const VARIABLES: [&str; 9] = [
    "CUDA_VISIBLE_DEVICES",
    "NEURON_RT_VISIBLE_CORES",
    "OMP_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "VLLM_ATTENTION_BACKEND",
    "VLLM_USE_V1",
    "VLLM_CPU_OMP_THREADS_BIND",
    "GITHUB_RUN_ID",
    "RUNNER_NAME",
];

impl Machine {
    /// Reads what this machine tells about itself; `project` is the folder whose commit is named.
    pub fn read(project: &std::path::Path) -> Self {
        let gpus = crate::watch::gpus().ok();
        Self {
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            os_version: os_version(),
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: field("/proc/meminfo", "MemTotal")
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
                .map(|kib| kib / 1024),
            instance: instance(|name| first_line(&format!("/sys/devices/virtual/dmi/id/{name}"))),
            accelerators: accelerators::accelerators(gpus.as_ref()),
            gpu_driver: gpus.map(|gpus| gpus.driver),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
            commit: commit(project),
            variables: VARIABLES
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
                .collect(),
        }
    }

    /// The machine's class: what has to be equal for stored figures to be comparable.
    pub fn class(&self) -> String {
        let cpu = self.cpu.as_deref().unwrap_or("unknown cpu");
        format!("{}, {cpu}, {} cores", self.os, self.cores)
    }

    /// What a server on this machine has besides processors: `64 GiB, 2 × NVIDIA L4, g6.12xlarge`.
    pub fn equipment(&self) -> String {
        // What a kernel keeps for itself differs from build to build.
        let memory = self.memory_mib.map(|mib| format!("{:.0} GiB", (mib as f64 / 1024.0).round()));
        let parts: Vec<String> =
            memory.into_iter().chain(self.accelerators.clone()).chain(self.instance.clone()).collect();
        parts.join(", ")
    }
}

pub(super) fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

fn os_version() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok();
    let name = release.as_deref().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("PRETTY_NAME="))?;
        Some(line.split_once('=')?.1.trim_matches('"').to_owned())
    });
    let kernel = first_line("/proc/sys/kernel/osrelease");
    match (name, kernel) {
        (Some(name), Some(kernel)) => Some(format!("{name}, kernel {kernel}")),
        (name, kernel) => name.or(kernel),
    }
}

/// Other clouds' tables have names of virtual machines there that say nothing of their size.
fn instance(firmware: impl Fn(&str) -> Option<String>) -> Option<String> {
    firmware("sys_vendor").filter(|vendor| vendor == "Amazon EC2")?;
    firmware("product_name")
}

fn commit(project: &std::path::Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").arg("-C").arg(project).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let clean = git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if clean { commit } else { format!("{commit}-dirty") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cloud_that_says_so_names_its_instance_type() {
        let firmware = |vendor: &'static str| {
            move |name: &str| Some(if name == "sys_vendor" { vendor } else { "g6.12xlarge" }.to_owned())
        };
        assert_eq!(instance(firmware("Amazon EC2")).as_deref(), Some("g6.12xlarge"));
        assert_eq!(instance(firmware("QEMU")), None);
        assert_eq!(instance(|_| None), None);
    }

    #[test]
    fn equipment_names_what_is_known() {
        let machine = Machine {
            memory_mib: Some(64_123),
            accelerators: vec!["2 × NVIDIA L4".into()],
            instance: Some("g6.12xlarge".into()),
            ..Machine::default()
        };
        assert_eq!(machine.equipment(), "63 GiB, 2 × NVIDIA L4, g6.12xlarge");
        assert_eq!(Machine::default().equipment(), "");
    }
}
