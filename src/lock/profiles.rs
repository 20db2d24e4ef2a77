//! What profiles mount: pinned inputs of a run, and no part of the image.

use super::Lock;
use crate::digest::Digest;

impl Lock {
    /// The lock as if there were no profiles: the part that decides the image.
    pub fn without_profiles(&self) -> Self {
        let mut bare = self.clone();
        bare.profile_files.clear();
        let (of_profiles, of_image): (Vec<_>, Vec<_>) =
            bare.builds.into_iter().partition(|build| build.profile.is_some());
        bare.builds = of_image;
        for build in of_profiles {
            bare.asked.builds.remove(&build.name);
        }
        bare
    }

    /// What `profile` mounts, path in the job and digest; files that were not compiled yet are
    /// not among them.
    pub fn mounted(&self, profile: &str) -> Vec<(&str, Digest)> {
        let files = self.profile_files.iter().filter(|file| file.profile == profile);
        let files = files.map(|file| (file.path.as_str(), file.sha256));
        let builds = self.builds.iter().filter(|build| build.profile.as_deref() == Some(profile));
        let built = builds.flat_map(|build| &build.files);
        files.chain(built.map(|file| (file.path.as_str(), file.sha256))).collect()
    }
}
