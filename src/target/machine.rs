//! Facts about the machine that runs the client.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::watch::GpuInfo;

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
    /// Cloud instance type, where the machine's firmware tables name one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Accelerators by name, where their device files say so.
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
            instance: first_line("/sys/devices/virtual/dmi/id/product_name"),
            accelerators: accelerators(gpus.as_ref()),
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
}

fn field(path: &str, name: &str) -> Option<String> {
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

fn accelerators(gpus: Option<&GpuInfo>) -> Vec<String> {
    let mut found = gpus.map_or_else(Vec::new, |gpus| gpus.names.clone());
    if found.is_empty()
        && let Ok(cards) = fs::read_dir("/proc/driver/nvidia/gpus")
    {
        for card in cards.flatten() {
            let information = card.path().join("information");
            found.extend(field(&information.to_string_lossy(), "Model"));
        }
    }
    let neuron = fs::read_dir("/dev").map_or(0, |devices| {
        devices.flatten().filter(|device| device.file_name().to_string_lossy().starts_with("neuron")).count()
    });
    if neuron > 0 {
        found.push(format!("{neuron} AWS Neuron devices"));
    }
    found.sort();
    found
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
