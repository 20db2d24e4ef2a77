//! The recipe that `repro init` writes: complete, commented, and to be changed line by line.
//!
//! It is a recipe that works, not a form to fill in: whoever changes one line at a time always has
//! something that runs. Its text lies beside this file and holds two words to replace.

use super::Recipe;
use super::names;

/// What marks a choice that a person has to make.
pub const CHOICE: &str = "CHOOSE";

const TEXT: &str = include_str!("example.toml");

impl Recipe {
    /// The text of a new recipe for the system `name`, resolved as of `date` (`2026-11-20`).
    ///
    /// `None` if a system cannot be called so.
    pub fn example(name: &str, date: &str) -> Option<String> {
        names::plain_name(name).then(|| TEXT.replace("@NAME@", name).replace("@DATE@", date))
    }

    /// What a system's name may be, in words.
    pub fn name_rule() -> &'static str {
        names::PLAIN_NAME
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_example_is_a_recipe_of_one_image_whatever_its_name() {
        for name in ["mine", "my-guide.2"] {
            let text = Recipe::example(name, "2026-11-20").unwrap();
            let file = format!("images/{name}.toml");
            let recipes = Recipe::parse(Path::new("images"), Path::new(&file), &text).unwrap();
            assert_eq!(recipes.len(), 1);
            assert_eq!(recipes[0].name, name);
            assert!(!text.contains("@NAME@") && !text.contains("@DATE@"));
        }
    }

    #[test]
    fn every_section_of_the_example_is_explained() {
        let lines: Vec<_> = TEXT.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let part = ["[image.env]", "[benchmark.log.step]", "[profile.smoke.variables]"];
            let is_header = line.starts_with('[') && line.ends_with(']');
            // A second table of the same kind, or a part of the one before.
            let is_further = lines[..at].contains(line) || part.contains(line);
            if is_header && !is_further {
                let above = lines[at - 1];
                let is_section = above.is_empty() && lines[at - 2].starts_with('#');
                assert!(above.starts_with('#') || is_section, "`{line}` has no comment");
            }
        }
    }

    #[test]
    fn a_name_that_would_leave_the_folder_is_refused() {
        assert_eq!(Recipe::example("../mine", "2026-11-20"), None);
        assert_eq!(Recipe::example("", "2026-11-20"), None);
    }
}
