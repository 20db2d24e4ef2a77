//! What to do about each thing that is missing.

use super::Preflight;
use crate::bench::{Kind, Lack};
use crate::dataset;

impl Preflight {
    /// What would mend it.
    pub(super) fn advice(&self, lack: &Lack) -> String {
        let image = &self.image;
        match &lack.kind {
            Kind::Driver if self.without_gpus.is_empty() => {
                "install it and load its module".to_owned()
            }
            Kind::Driver => format!("load it{}", self.profiles_without_gpus()),
            Kind::OldDriver => format!("update it{}", self.profiles_without_gpus()),
            Kind::Code => format!(
                "a card that the code is for, or a variant of newer wheels{}",
                self.profiles_without_gpus()
            ),
            Kind::Gpus => "run it where they are, or choose other cases by `--case`".to_owned(),
            Kind::Input { name, mode: None } => format!("`--input {name}=FILE`"),
            Kind::Input { name, mode: Some(mode) } => {
                format!("`--input {name}=FILE`, or choose the cases of mode `{mode}` too")
            }
            Kind::Memory => "nothing: a limit, only what is used counts".to_owned(),
            Kind::Offline => "`--mirror DIR` that has them, or go without `--offline`".to_owned(),
            Kind::Disk => "make room, or put the store elsewhere with `REPRO_HOME`".to_owned(),
            Kind::Lock => format!("`repro lock {image}` writes it{}", self.others()),
            Kind::OldLock => format!("`repro lock {image}` resolves the recipe again"),
            Kind::Unpinned if lack.there.starts_with("gone") => {
                format!("nothing brings it back{}", self.others())
            }
            Kind::Unpinned => format!("`repro lock {image}` asks again{}", self.others()),
            Kind::Data { name } => format!(
                "`repro fetch-data {name}`; `repro verify-data {name}` says what belongs where"
            ),
            Kind::UnknownData { .. } => format!("describe it in `{}`", dataset::FILE),
            Kind::UnpinnedData { name } => format!(
                "`repro fetch-data {name}` brings it or says where it is; `repro pin-data FILE` then pins each archive"
            ),
            Kind::DataFolder => {
                "make it, or name another with `--data DIR` or `$REPRO_DATA`".to_owned()
            }
            Kind::Engine => "`--engine embedded` needs no daemon".to_owned(),
        }
    }

    fn profiles_without_gpus(&self) -> String {
        match self.without_gpus.as_slice() {
            [] => String::new(),
            names => format!("; `--profile {}` needs no GPU", names.join("` or `--profile ")),
        }
    }

    /// The variants that can be built now.
    fn others(&self) -> String {
        let command = |name: &String| format!("; `repro build {name}` builds now");
        self.complete.iter().map(command).collect()
    }
}

/// What a missing thing belongs to.
pub(super) fn area(kind: &Kind) -> &'static str {
    match kind {
        Kind::Driver | Kind::OldDriver => "driver",
        Kind::Gpus => "GPUs",
        Kind::Code => "code",
        Kind::Input { .. } => "inputs",
        Kind::Memory => "shared memory",
        Kind::Offline => "store",
        Kind::Disk => "disk",
        Kind::Lock | Kind::OldLock | Kind::Unpinned => "lock",
        Kind::Engine => "engine",
        Kind::Data { .. }
        | Kind::UnknownData { .. }
        | Kind::UnpinnedData { .. }
        | Kind::DataFolder => "data",
    }
}
