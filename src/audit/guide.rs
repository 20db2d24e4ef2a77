//! The guide's files at the recipe's commit.

use std::sync::atomic::AtomicBool;

use super::AuditError;
use crate::digest::CommitId;
use crate::fetch::{GitTree, Progress, git_tree};
use crate::recipe::{Audit, GitRecipe, Recipe};
use crate::settings::Settings;
use crate::store::Store;

/// The guide's files, out of the tree that the recipe names.
#[derive(Debug)]
pub struct Guide {
    audit: Audit,
    text: String,
    commit: CommitId,
    source: GitTree,
}

impl Guide {
    /// Brings the guide's files, and checks that they are of the recipe's tree.
    ///
    /// # Errors
    ///
    /// [`AuditError::OtherTree`] with both trees, and whatever keeps the commit from coming.
    pub fn fetch(
        settings: &Settings,
        store: &Store,
        recipe: &Recipe,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Self, AuditError> {
        let no_audit = || AuditError::NoAudit { system: recipe.system.clone() };
        let audit = recipe.audit.clone().ok_or_else(no_audit)?;
        let commit: CommitId = recipe.guide.commit.parse().expect("a recipe has checked it");
        let own = vec![recipe.guide.repository.clone()];
        let source = GitRecipe {
            name: format!("{}'s guide", recipe.system),
            urls: if audit.urls.is_empty() { own } else { audit.urls.clone() },
            commit,
            path: None,
            include: audit.include.clone(),
            exclude: Vec::new(),
        };
        let source = git_tree(settings, store, &source, progress, stop)?;
        if source.tree != audit.tree {
            let (expected, found) = (audit.tree, source.tree);
            return Err(AuditError::OtherTree { commit, expected, found });
        }
        Ok(Self { audit, text: recipe.guide.path.clone(), commit, source })
    }

    /// What is to be checked.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The commit that the files are of.
    pub fn commit(&self) -> CommitId {
        self.commit
    }

    /// The path in the repository of a file that the recipe names; the guide's text if it names none.
    pub fn path(&self, file: Option<&str>) -> String {
        match (file, self.audit.folder.as_str()) {
            (None, _) => self.text.clone(),
            (Some(file), "") => file.to_owned(),
            (Some(file), folder) => format!("{folder}/{file}"),
        }
    }

    /// The content of a file of the repository.
    ///
    /// # Errors
    ///
    /// [`AuditError::NoFile`] if it has none of this name.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, AuditError> {
        let no_file = || AuditError::NoFile { path: path.to_owned(), commit: self.commit };
        self.find(path)?.ok_or_else(no_file)
    }

    /// The content of a file of the repository; `None` if its tree has none of this name.
    ///
    /// # Errors
    ///
    /// [`AuditError::NotTaken`] if the recipe's `include` leaves it out, so that it cannot be read.
    pub fn find(&self, path: &str) -> Result<Option<Vec<u8>>, AuditError> {
        let archive = &self.source.archive;
        if archive.left_out().iter().any(|entry| entry.path == path) {
            return Err(AuditError::NotTaken { path: path.to_owned() });
        }
        let entry = archive.entries().iter().find(|entry| entry.path == path);
        let Some(entry) = entry else { return Ok(None) };
        let mut content = Vec::new();
        archive.content(entry, &mut |bytes| {
            content.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(Some(content))
    }

    /// A file as text; what is no Unicode is replaced.
    pub fn text(&self, path: &str) -> Result<String, AuditError> {
        Ok(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }
}
