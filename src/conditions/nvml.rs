//! GPUs through the driver's own library, `libnvidia-ml.so.1`, loaded when it is wanted.
//!
//! The library comes with the driver and may be older than any function that is asked for: each
//! value stands for itself, and what this driver does not tell has a reason.

use std::fmt::Display;

use nvml_wrapper::Device;
use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::error::NvmlError;
use serde::{Deserialize, Serialize};

use super::cards::{CardReader, CardReading};
use super::column::CardColumn;
use crate::engine::Card;

/// The driver's library, open.
#[derive(Debug)]
pub struct Library(Nvml);

impl Library {
    /// Loads it; why there is none, as a fragment.
    ///
    /// # Errors
    ///
    /// The loader's or the driver's reason: a machine without NVIDIA's driver has no such library.
    pub fn load() -> Result<Self, String> {
        Nvml::init().map(Self).map_err(|error| format!("the driver's library: {}", one_line(error)))
    }

    /// What is set of `card`; absent where the driver does not tell.
    pub fn settings(&self, card: &Card) -> Option<CardSettings> {
        let device = self.find(card).ok()?;
        let capability = device.cuda_compute_capability().ok();
        Some(CardSettings {
            index: card.index,
            memory: device.memory_info().ok().map(|memory| memory.total),
            compute_capability: capability.map(|it| format!("{}.{}", it.major, it.minor)),
            power_limit_watts: device.enforced_power_limit().ok().map(watts),
            default_power_limit_watts: device.power_management_limit_default().ok().map(watts),
            application_sm_mhz: device.applications_clock(Clock::SM).ok(),
            application_memory_mhz: device.applications_clock(Clock::Memory).ok(),
            max_sm_mhz: device.max_clock_info(Clock::SM).ok(),
            persistence_mode: device.is_in_persistent_mode().ok(),
            ecc: device.is_ecc_enabled().ok().map(|state| state.currently_enabled),
        })
    }

    /// The same card in the library's own count: by UUID, else by its device file.
    fn find(&self, card: &Card) -> Result<Device<'_>, String> {
        let count = self.0.device_count().map_err(one_line)?;
        let devices = (0..count).filter_map(|index| self.0.device_by_index(index).ok());
        let is_it = |device: &Device| match &card.uuid {
            Some(uuid) => device.uuid().is_ok_and(|found| found == *uuid),
            None => device.minor_number().is_ok_and(|minor| minor == card.minor),
        };
        let mut found = devices.into_iter().filter(is_it);
        found.next().ok_or_else(|| "the driver's library does not know this card".to_owned())
    }
}

impl CardReader for Library {
    fn read(&mut self, card: &Card) -> Result<CardReading, String> {
        let device = self.find(card)?;
        let values = CardColumn::ALL.into_iter().filter_map(|column| {
            let value = value(&device, column)?;
            Some((column, value.map_err(one_line)))
        });
        let computing = device.running_compute_processes().map_err(one_line);
        // Programs that draw compute as well, but not every driver tells of them.
        let drawing = device.running_graphics_processes().unwrap_or_default();
        let processes = computing.map(|computing| {
            computing.into_iter().chain(drawing).map(|process| process.pid).collect()
        });
        Ok(CardReading { values: values.collect(), processes })
    }
}

/// What the driver tells of one column; nothing for what is no value of its own.
fn value(device: &Device, column: CardColumn) -> Option<Result<f64, NvmlError>> {
    let (uncorrected, volatile) = (MemoryError::Uncorrected, EccCounter::Volatile);
    Some(match column {
        CardColumn::SmMhz => device.clock_info(Clock::SM).map(f64::from),
        CardColumn::MemoryMhz => device.clock_info(Clock::Memory).map(f64::from),
        CardColumn::Celsius => device.temperature(TemperatureSensor::Gpu).map(f64::from),
        CardColumn::Watts => device.power_usage().map(|milliwatts| f64::from(milliwatts) / 1000.0),
        CardColumn::WattsLimit => {
            device.enforced_power_limit().map(|milliwatts| f64::from(milliwatts) / 1000.0)
        }
        CardColumn::Utilisation => {
            device.utilization_rates().map(|percent| f64::from(percent.gpu) / 100.0)
        }
        CardColumn::MemoryUsed => device.memory_info().map(|memory| memory.used as f64),
        CardColumn::Throttle => {
            device.current_throttle_reasons().map(|reasons| reasons.bits() as f64)
        }
        CardColumn::EccErrors => {
            device.total_ecc_errors(uncorrected, volatile).map(|errors| errors as f64)
        }
        CardColumn::Others => return None,
    })
}

/// What is set of a GPU, which a reader compares before any figure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardSettings {
    /// Its number, as that of the card.
    pub index: u32,
    /// Bytes of memory.
    #[serde(default)]
    pub memory: Option<u64>,
    /// Generation of its instructions, `7.0`.
    #[serde(default)]
    pub compute_capability: Option<String>,
    /// Power that it may draw.
    #[serde(default)]
    pub power_limit_watts: Option<u32>,
    /// Power that it may draw if nobody has set anything.
    #[serde(default)]
    pub default_power_limit_watts: Option<u32>,
    /// Clock that programs get, where it does not boost.
    #[serde(default)]
    pub application_sm_mhz: Option<u32>,
    /// The same of its memory.
    #[serde(default)]
    pub application_memory_mhz: Option<u32>,
    /// The highest clock.
    #[serde(default)]
    pub max_sm_mhz: Option<u32>,
    /// Whether the driver stays with it while nobody uses it.
    #[serde(default)]
    pub persistence_mode: Option<bool>,
    /// Whether its memory corrects errors.
    #[serde(default)]
    pub ecc: Option<bool>,
}

/// What is set of each of `cards`; nothing where the driver's library is not there.
pub fn settings(cards: &[Card]) -> Vec<CardSettings> {
    let Ok(library) = Library::load() else { return Vec::new() };
    cards.iter().filter_map(|card| library.settings(card)).collect()
}

fn watts(milliwatts: u32) -> u32 {
    milliwatts.div_ceil(1000)
}

fn one_line(error: impl Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::{Folders, Sampler, View};
    use crate::engine::{Counter, Meter};

    #[test]
    fn a_machine_without_the_driver_is_told_so() {
        // Where a driver is, the test below looks at it.
        if let Err(reason) = Library::load() {
            assert!(reason.starts_with("the driver's library: "), "{reason}");
            assert!(settings(&[crate::conditions::cards::fake::card(0)]).is_empty());
        }
    }

    /// The first card of this machine.
    fn first(library: &Library) -> Card {
        let device = library.0.device_by_index(0).unwrap();
        let (uuid, minor) = (device.uuid().unwrap(), device.minor_number().unwrap());
        Card { index: 0, minor, uuid: Some(uuid), name: device.name().unwrap() }
    }

    #[test]
    #[ignore = "needs an NVIDIA GPU; .ci/run runs it"]
    fn a_real_card_shows_its_clocks_power_and_memory() {
        let mut library = Library::load().unwrap();
        let card = first(&library);
        let reading = library.read(&card).unwrap();
        for column in [CardColumn::SmMhz, CardColumn::Celsius, CardColumn::Throttle] {
            assert!(reading.values[&column].is_ok(), "{reading:?}");
        }
        let settings = library.settings(&card).unwrap();
        assert!(settings.compute_capability.is_some(), "{settings:?}");
        println!("{reading:#?}\n{settings:#?}");
        let unknown = Card { uuid: Some("GPU-none".to_owned()), ..card };
        assert!(library.read(&unknown).unwrap_err().contains("does not know"));
    }

    #[test]
    #[ignore = "needs an NVIDIA GPU; .ci/run runs it"]
    fn a_real_card_is_sampled_while_a_command_runs() {
        let cards = vec![first(&Library::load().unwrap())];
        let view = View { root: "/".into(), folders: Folders::default(), cards };
        let meter = Meter::new();
        let sampler = Sampler::start(view, &meter);
        let running = meter.begin(Counter::Tree(std::process::id()));
        std::thread::sleep(std::time::Duration::from_secs(5));
        drop(running);
        let watched = sampler.finish().unwrap();
        println!("{:#?}\n{}", watched.record, String::from_utf8_lossy(&watched.csv));
        assert!(watched.record.summary["gpu0_sm_mhz"].max > 0.0);
        assert!(watched.record.cpu_time.unwrap() < 0.5, "a tenth of a processor");
    }
}
