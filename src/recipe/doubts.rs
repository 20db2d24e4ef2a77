//! What of a recipe is well formed and can hardly be true.

use super::Recipe;

/// A commit of a real repository has more different digits than this: fewer come by chance once in 10^20.
const FEW_DIGITS: usize = 4;

/// How the title of the recipe that `repro init` writes begins.
const EXAMPLE_TITLE: &str = "Example: ";

impl Recipe {
    /// What can hardly be true, a fragment each; `today` is a date (`2026-11-20`).
    pub fn doubts(&self, today: &str) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.title.starts_with(EXAMPLE_TITLE) {
            doubts.push(format!("the title is that of the example: `{}`", self.title));
        }
        if self.guide.repository.ends_with("/OWNER/REPOSITORY") {
            doubts.push("the guide's repository is that of the example".to_owned());
        }
        let commit = &self.guide.commit;
        let mut digits: Vec<char> = commit.chars().collect();
        digits.sort_unstable();
        digits.dedup();
        let counts_up = "0123456789abcdef".repeat(4).contains(commit.as_str());
        if digits.len() <= FEW_DIGITS || counts_up || repeats(commit) {
            doubts.push(format!("the guide's commit is made up: `{commit}`"));
        }
        let as_of = &self.image.python.as_of;
        // Dates of this form sort as they follow each other.
        if as_of.get(..10).is_some_and(|day| day > today) {
            doubts.push(format!("`as-of` lies in the future: {as_of}, today is {today}"));
        }
        doubts
    }
}

/// Whether a text is a shorter one several times over (`deadbeefdeadbeef`).
fn repeats(text: &str) -> bool {
    let is_period =
        |period: &usize| text.as_bytes().windows(period + 1).all(|it| it[0] == it[*period]);
    (1..=text.len() / 3).any(|period| is_period(&period))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_can_hardly_be_true_is_told() {
        let text = Recipe::example("mine", "2026-11-20").unwrap();
        let doubts = |text: &str, today| {
            let file = Path::new("images/mine.toml");
            Recipe::parse(Path::new("images"), file, text).unwrap()[0].doubts(today)
        };
        let example = doubts(&text, "2026-11-20");
        assert_eq!(example.len(), 3, "{example:?}");
        let zeros = "0".repeat(40);
        let real = text
            .replace("Example: ", "")
            .replace("OWNER/REPOSITORY", "karpathy/micrograd")
            .replace(&zeros, "c911406e5ace8742e5841a7e0df113ecb5d54685");
        assert!(real != text && doubts(&real, "2026-11-20").is_empty());
        let future = doubts(&real, "2026-11-19");
        assert_eq!(future, ["`as-of` lies in the future: 2026-11-20, today is 2026-11-19"]);
        for commit in
            ["1".repeat(40), "deadbeef".repeat(5), "0123456789abcdef".repeat(3)[..40].to_owned()]
        {
            let text = real.replace("c911406e5ace8742e5841a7e0df113ecb5d54685", &commit);
            let told = doubts(&text, "2026-11-20");
            assert_eq!(told, [format!("the guide's commit is made up: `{commit}`")]);
        }
    }
}
