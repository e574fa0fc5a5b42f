//! Which accelerators the machine has: from the vendors' tools where there are devices, else from the device files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::watch::GpuInfo;

/// A tool that takes longer is given up: its driver hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// The accelerators, each kind with its number: `2 × NVIDIA L4`. A missing tool is no error. `gpus` is what the driver's
/// library says, where it was asked.
pub(super) fn accelerators(gpus: Option<&GpuInfo>) -> Vec<String> {
    let mut names = gpus.map_or_else(nvidia, |gpus| gpus.names.clone());
    names.extend(neuron());
    counted(names)
}

/// Equal names once, with their number.
fn counted(names: Vec<String>) -> Vec<String> {
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        *numbers.entry(name).or_default() += 1;
    }
    numbers.into_iter().map(|(name, number)| format!("{number} × {name}")).collect()
}

fn nvidia() -> Vec<String> {
    // Tools are asked only where a driver is loaded: listing tests must stay quick. The second is Windows' subsystem.
    if !["/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/gpus"].iter().any(|path| Path::new(path).exists()) {
        return Vec::new();
    }
    let told = told("nvidia-smi", &["--query-gpu=name", "--format=csv,noheader"]);
    let names: Vec<String> = told.as_deref().map(lines).unwrap_or_default();
    if !names.is_empty() {
        return names;
    }
    let Ok(cards) = fs::read_dir("/proc/driver/nvidia/gpus") else { return Vec::new() };
    let model = |card: fs::DirEntry| super::machine::field(&card.path().join("information").to_string_lossy(), "Model");
    cards.flatten().filter_map(model).collect()
}

fn neuron() -> Vec<String> {
    let Ok(devices) = fs::read_dir("/dev") else { return Vec::new() };
    let is_device = |name: &str| {
        name.strip_prefix("neuron")
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let count = devices.flatten().filter(|device| is_device(&device.file_name().to_string_lossy())).count();
    if count == 0 {
        return Vec::new();
    }
    let told = told("neuron-ls", &["--json-output"]).as_deref().and_then(neuron_devices);
    told.unwrap_or_else(|| vec!["AWS Neuron device".to_owned(); count])
}

#[derive(Deserialize)]
struct NeuronDevice {
    nc_count: u32,
}

/// A name for each device of `neuron-ls`'s list, with its number of cores.
fn neuron_devices(text: &str) -> Option<Vec<String>> {
    let devices: Vec<NeuronDevice> = serde_json::from_str(text).ok()?;
    let names = devices.iter().map(|device| format!("AWS Neuron device of {} cores", device.nc_count));
    Some(names.collect()).filter(|names: &Vec<String>| !names.is_empty())
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// What a tool prints; `None` if it is not there, fails or hangs.
fn told(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let begin = Instant::now();
    // A few lines fit into the pipe, so that nobody has to read meanwhile.
    loop {
        match child.try_wait() {
            Ok(Some(_)) => break,
            Ok(None) if begin.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
    let output = child.wait_with_output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_counted_by_name() {
        let names = lines("NVIDIA L4\nNVIDIA L4 \n\nNVIDIA A10G\n");
        assert_eq!(counted(names), ["1 × NVIDIA A10G", "2 × NVIDIA L4"]);
        assert!(counted(Vec::new()).is_empty());
    }

    #[test]
    fn neuron_devices_are_named_by_their_cores() {
        let text = r#"[{"neuron_device":0,"nc_count":2,"memory_size":17179869184},{"neuron_device":1,"nc_count":2}]"#;
        assert_eq!(counted(neuron_devices(text).unwrap()), ["2 × AWS Neuron device of 2 cores"]);
        assert_eq!(neuron_devices("[]"), None);
        assert_eq!(neuron_devices("neuron-ls: no driver"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_tool_that_is_missing_or_fails_says_nothing() {
        assert_eq!(told("no-such-tool-of-any-vendor", &[]), None);
        assert_eq!(told("sh", &["-c", "echo broken; exit 9"]), None);
        assert_eq!(told("sh", &["-c", "echo NVIDIA L4"]).as_deref(), Some("NVIDIA L4\n"));
    }
}
