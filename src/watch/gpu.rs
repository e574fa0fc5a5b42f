//! Graphics cards, as far as a driver's library tells of them.

use super::sample::GpuReading;

/// What reads the machine's graphics cards.
pub(super) trait Gpus: Send {
    /// One reading a card, in the driver's order.
    fn read(&mut self) -> Vec<GpuReading>;
}

/// The machine's graphics cards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuInfo {
    /// Their names, in the driver's order.
    pub names: Vec<String>,
    /// Version of the driver.
    pub driver: String,
}

/// The graphics cards of this machine; the error says why there are none to be seen.
#[cfg(feature = "gpu")]
pub fn gpus() -> Result<GpuInfo, String> {
    let cards = nvml::Cards::open()?;
    Ok(GpuInfo { names: cards.names(), driver: cards.driver() })
}

/// The graphics cards of this machine; the error says why there are none to be seen.
#[cfg(not(feature = "gpu"))]
pub fn gpus() -> Result<GpuInfo, String> {
    Err("this build of tokpace has no feature `gpu`".into())
}

/// What reads them, if there are any.
#[cfg(feature = "gpu")]
pub(super) fn reader() -> Option<Box<dyn Gpus>> {
    Some(Box::new(nvml::Cards::open().ok()?))
}

/// What reads them, if there are any.
#[cfg(not(feature = "gpu"))]
pub(super) fn reader() -> Option<Box<dyn Gpus>> {
    None
}

/// NVIDIA's, through the management library that comes with their driver and is looked for at run time.
#[cfg(feature = "gpu")]
mod nvml {
    use std::sync::OnceLock;

    use nvml_wrapper::{Device, Nvml};

    use super::{GpuReading, Gpus};

    /// The library, with at least one card.
    pub(super) struct Cards {
        library: &'static Nvml,
        count: u32,
    }

    impl Cards {
        pub(super) fn open() -> Result<Self, String> {
            // Loading it takes a while, and it may be loaded once a process.
            static LIBRARY: OnceLock<Result<Nvml, String>> = OnceLock::new();
            let library = LIBRARY.get_or_init(|| Nvml::init().map_err(|error| error.to_string()));
            let library = library.as_ref().map_err(Clone::clone)?;
            let count = library.device_count().map_err(|error| error.to_string())?;
            if count == 0 { Err("the driver knows no card".into()) } else { Ok(Self { library, count }) }
        }

        fn devices(&self) -> impl Iterator<Item = Device<'static>> {
            let library = self.library;
            (0..self.count).filter_map(move |index| library.device_by_index(index).ok())
        }

        pub(super) fn names(&self) -> Vec<String> {
            self.devices().map(|device| device.name().unwrap_or_else(|_| "unknown".into())).collect()
        }

        pub(super) fn driver(&self) -> String {
            self.library.sys_driver_version().unwrap_or_else(|_| "unknown".into())
        }
    }

    impl Gpus for Cards {
        fn read(&mut self) -> Vec<GpuReading> {
            let reading = |device: Device<'_>| {
                let memory_bytes = device.memory_info().ok()?.used;
                Some(GpuReading { utilisation: f64::from(device.utilization_rates().ok()?.gpu) / 100.0, memory_bytes })
            };
            self.devices().filter_map(reading).collect()
        }
    }
}
