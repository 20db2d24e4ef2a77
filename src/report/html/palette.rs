//! The page's colours, in both schemes. A test computes that text on them can be read.

/// One colour with its name as a custom property.
type Colour = (&'static str, &'static str);

/// On white.
pub(super) const LIGHT: [Colour; 17] = [
    ("page", "#f5f6f8"),
    ("surface", "#ffffff"),
    ("sunk", "#eef0f4"),
    ("text", "#15181e"),
    ("muted", "#525966"),
    ("rule", "#d6dbe3"),
    ("accent", "#1d58b0"),
    ("good", "#10693b"),
    ("good-tint", "#e2f3e9"),
    ("bad", "#ab2116"),
    ("bad-tint", "#fde9e7"),
    ("warn", "#7d4600"),
    ("warn-tint", "#fcf0dc"),
    ("drift", "#6f3aa3"),
    ("hatch", "#8a92a0"),
    ("grid", "#e6e9ee"),
    ("bar", "#7ba3de"),
];

/// On almost black.
pub(super) const DARK: [Colour; 17] = [
    ("page", "#0e1116"),
    ("surface", "#161a21"),
    ("sunk", "#1f252e"),
    ("text", "#e8ebf0"),
    ("muted", "#a6afbc"),
    ("rule", "#303845"),
    ("accent", "#8ab6ff"),
    ("good", "#74d8a0"),
    ("good-tint", "#143020"),
    ("bad", "#ffa198"),
    ("bad-tint", "#3b1b18"),
    ("warn", "#f3c06c"),
    ("warn-tint", "#352711"),
    ("drift", "#cda4f5"),
    ("hatch", "#7d8796"),
    ("grid", "#252c36"),
    ("bar", "#4a76b8"),
];

/// Both schemes as CSS: the reader's own, and what the switch on the page says; paper is white.
pub(super) fn css() -> String {
    let rules = |colours: &[Colour], scheme: &str| {
        let each = colours.iter().map(|(name, value)| format!("--{name}:{value};"));
        format!("color-scheme:{scheme};{}", each.collect::<String>())
    };
    let (light, dark) = (rules(&LIGHT, "light"), rules(&DARK, "dark"));
    format!(
        ":root{{{light}}}\n\
        @media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n\
        :root:has(#scheme-light:checked){{{light}}}\n\
        :root:has(#scheme-dark:checked){{{dark}}}\n\
        @media print{{:root:root:root{{{light}}}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance by WCAG 2.2.
    fn luminance(colour: &str) -> f64 {
        let channel = |from: usize| {
            let value = f64::from(u8::from_str_radix(&colour[from..from + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// Every pair of text and ground that the style sheet uses.
    const TEXTS: [(&str, &[&str]); 6] = [
        ("text", &["page", "surface", "sunk", "good-tint", "bad-tint", "warn-tint"]),
        ("muted", &["page", "surface", "sunk"]),
        ("accent", &["page", "surface", "sunk"]),
        ("good", &["good-tint", "surface"]),
        ("bad", &["bad-tint", "surface"]),
        ("warn", &["warn-tint", "surface"]),
    ];

    /// What is drawn, and what it must stand out from.
    const DRAWN: [(&str, &[&str]); 6] = [
        ("accent", &["surface"]),
        ("text", &["bar"]),
        ("drift", &["surface"]),
        ("bad", &["surface"]),
        ("hatch", &["surface"]),
        ("warn", &["surface"]),
    ];

    #[test]
    fn the_formula_is_the_one_of_the_standard() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        assert!((contrast("#777777", "#ffffff") - 4.48).abs() < 0.005);
    }

    #[test]
    fn text_can_be_read_in_both_schemes() {
        for (scheme, colours) in [("light", LIGHT), ("dark", DARK)] {
            let find = |name: &str| colours.iter().find(|colour| colour.0 == name).unwrap().1;
            for (pairs, least) in [(TEXTS, 4.5), (DRAWN, 3.0)] {
                for (ink, grounds) in pairs {
                    for ground in grounds {
                        let contrast = contrast(find(ink), find(ground));
                        assert!(contrast >= least, "{scheme}: {ink} on {ground} {contrast:.2}");
                    }
                }
            }
        }
    }

    #[test]
    fn both_schemes_have_the_same_names() {
        assert_eq!(LIGHT.map(|colour| colour.0), DARK.map(|colour| colour.0));
    }
}
