//! Axes, ticks, titles and the words that stand for a plot: what all plots have in common.
//!
//! Places are percent of the drawing area, and only curves are stretched (with strokes that do not
//! stretch along): text has one size on a phone, a desk and paper, without a script.

use std::fmt::Write;

use super::scale::{self, Scale};

/// A plot in the making.
pub(in crate::report) struct Frame {
    x: Axis,
    y: Axis,
    /// Elements with places in percent of the area, below the curves.
    under: String,
    /// The same above them.
    marks: String,
    /// Curves in ten-thousandths of the area.
    curves: String,
    legend: Vec<Key>,
}

/// An axis with its title, which names the unit.
#[derive(Debug, Clone)]
pub(in crate::report) struct Axis {
    pub scale: Scale,
    pub title: String,
    /// About how many ticks there are; 0 for an axis without.
    pub ticks: usize,
    /// Whether there is nothing between whole numbers, as with steps and runs.
    pub is_whole: bool,
}

/// What a sign in a plot means.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    sign: Sign,
    text: String,
}

/// Signs of plots; each has a shape of its own, so that none is told by its colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Sign {
    Line,
    Dashed,
    Dotted,
    Median,
    Skipped,
    Outlier,
    Drift,
    Band,
    Published,
    Measured,
    Throttled,
    Disturbed,
    Seal,
    Setup,
    Host,
    Flagged,
}

/// What a reader who sees no plot is told instead.
pub(in crate::report) struct Words<'a> {
    /// Unique on the page.
    pub id: &'a str,
    pub title: &'a str,
    /// The same as the plot, with figures.
    pub description: &'a str,
}

/// The side of the square that curves are drawn in.
const SIDE: f64 = 10_000.0;

impl Frame {
    pub fn new(x: Axis, y: Axis) -> Self {
        Self {
            x,
            y,
            under: String::new(),
            marks: String::new(),
            curves: String::new(),
            legend: Vec::new(),
        }
    }

    /// Explains a sign below the title, once.
    pub fn key(&mut self, sign: Sign, text: impl Into<String>) {
        let key = Key { sign, text: text.into() };
        if !self.legend.contains(&key) {
            self.legend.push(key);
        }
    }

    /// A line through points; a point that is absent leaves a gap.
    pub fn line(&mut self, class: &str, points: impl IntoIterator<Item = Option<(f64, f64)>>) {
        let mut path = String::new();
        let mut pen = 'M';
        for point in points {
            let Some((x, y)) = point else {
                pen = 'M';
                continue;
            };
            let _ = write!(path, "{pen}{} {}", self.across(x), self.down(y));
            pen = 'L';
        }
        let _ = write!(self.curves, r#"<path class="{class}" d="{path}"/>"#);
    }

    /// The area between two curves over the same places.
    pub fn area(&mut self, class: &str, points: &[(f64, f64, f64)]) {
        let upper = points.iter().map(|(x, _, high)| (*x, *high));
        let lower = points.iter().rev().map(|(x, low, _)| (*x, *low));
        let corners = upper.chain(lower);
        let path: Vec<String> =
            corners.map(|(x, y)| format!("{} {}", self.across(x), self.down(y))).collect();
        let _ = write!(self.curves, r#"<path class="{class}" d="M{}Z"/>"#, path.join("L"));
    }

    /// A rectangle between four values, with what it says when somebody points at it.
    pub fn rectangle(&mut self, class: &str, x: (f64, f64), y: (f64, f64), says: &str) {
        let (left, right) = (self.x.scale.part(x.0) * 100.0, self.x.scale.part(x.1) * 100.0);
        let (top, bottom) = (self.percent_down(y.0.max(y.1)), self.percent_down(y.0.min(y.1)));
        let _ = write!(
            self.under,
            r#"<rect class="{class}" x="{left:.2}%" y="{top:.2}%" width="{:.2}%" height="{:.2}%">{}</rect>"#,
            right - left,
            bottom - top,
            tip(says)
        );
    }

    /// Words at the left edge, at this height.
    pub fn label(&mut self, y: f64, says: &str) {
        let top = self.percent_down(y);
        let _ =
            write!(self.marks, r#"<text class="label" x="4" y="{top:.2}%">{}</text>"#, text(says));
    }

    /// A band over the whole height between two values of the horizontal axis.
    pub fn span(&mut self, class: &str, from: f64, to: f64, says: &str) {
        self.rectangle(class, (from, to), (self.y.scale.low(), self.y.scale.high()), says);
    }

    /// A horizontal line at a value.
    pub fn level(&mut self, class: &str, from: f64, to: f64, y: f64) {
        let (left, right) = (self.x.scale.part(from) * 100.0, self.x.scale.part(to) * 100.0);
        let top = self.percent_down(y);
        let _ = write!(
            self.marks,
            r#"<line class="{class}" x1="{left:.2}%" x2="{right:.2}%" y1="{top:.2}%" y2="{top:.2}%"/>"#
        );
    }

    /// A vertical line at a value.
    pub fn plumb(&mut self, class: &str, x: f64, says: &str) {
        let left = self.x.scale.part(x) * 100.0;
        let _ = write!(
            self.marks,
            r#"<line class="{class}" x1="{left:.2}%" x2="{left:.2}%" y1="0" y2="100%">{}</line>"#,
            tip(says)
        );
    }

    /// A dot of a curve.
    pub fn dot(&mut self, class: &str, x: f64, y: f64, says: &str) {
        let (left, top) = (self.x.scale.part(x) * 100.0, self.percent_down(y));
        let _ = write!(
            self.marks,
            r#"<circle class="{class}" cx="{left:.2}%" cy="{top:.2}%" r="3">{}</circle>"#,
            tip(says)
        );
    }

    /// A sign that the page has drawn once.
    pub fn sign(&mut self, sign: Sign, x: f64, y: f64, says: &str) {
        let (left, top) = (self.x.scale.part(x) * 100.0, self.percent_down(y));
        let _ = write!(
            self.marks,
            r##"<use class="{0}" href="#sign-{0}" x="{left:.2}%" y="{top:.2}%">{1}</use>"##,
            sign.name(),
            tip(says)
        );
    }

    /// The figure as HTML: title, legend, drawing with its words.
    pub fn finish(self, words: &Words, class: &str) -> String {
        let mut html =
            format!(r#"<figure class="plot {class}"><figcaption><h5>{}</h5>"#, text(words.title));
        if !self.legend.is_empty() {
            html.push_str("<ul class=\"keys\">");
            for key in &self.legend {
                let (name, text) = (key.sign.name(), text(&key.text));
                let _ = write!(html, r#"<li><i class="key {name}"></i>{text}</li>"#);
            }
            html.push_str("</ul>");
        }
        let (id, title, description) = (words.id, text(words.title), text(words.description));
        let _ = write!(
            html,
            r#"</figcaption><div class="frame"><svg class="area" role="img" aria-labelledby="{id}-t {id}-d"><title id="{id}-t">{title}</title><desc id="{id}-d">{description}</desc>"#
        );
        self.axes(&mut html);
        let _ = write!(
            html,
            r#"{}<svg class="curves" viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none">{}</svg>{}</svg></div></figure>"#,
            self.under, self.curves, self.marks
        );
        html
    }

    fn axes(&self, html: &mut String) {
        let (x, y) = (&self.x, &self.y);
        for (tick, label) in y.labels() {
            let top = self.percent_down(tick);
            let _ = write!(
                html,
                r#"<line class="grid" x1="0" x2="100%" y1="{top:.2}%" y2="{top:.2}%"/><text class="tick y" x="-8" y="{top:.2}%">{label}</text>"#
            );
        }
        for (tick, label) in x.labels() {
            let left = x.scale.part(tick) * 100.0;
            // A long number at the end must not stand out of the page.
            let end = if left > 94.0 { " end" } else { "" };
            let _ =
                write!(html, r#"<text class="tick x{end}" x="{left:.2}%" y="100%">{label}</text>"#);
        }
        let _ = write!(
            html,
            r#"<line class="base" x1="0" x2="100%" y1="100%" y2="100%"/><text class="axis y" x="0" y="0">{}</text><text class="axis x" x="100%" y="100%">{}</text>"#,
            text(&y.title),
            text(&x.title)
        );
    }

    fn across(&self, x: f64) -> u32 {
        (self.x.scale.part(x) * SIDE).round() as u32
    }

    fn down(&self, y: f64) -> u32 {
        ((1.0 - self.y.scale.part(y)) * SIDE).round() as u32
    }

    fn percent_down(&self, y: f64) -> f64 {
        (1.0 - self.y.scale.part(y)) * 100.0
    }
}

impl Axis {
    pub fn new(scale: Scale, title: impl Into<String>, ticks: usize) -> Self {
        Self { scale, title: title.into(), ticks, is_whole: false }
    }

    /// The axis with ticks at whole numbers only.
    pub fn whole(self) -> Self {
        Self { is_whole: true, ..self }
    }

    fn labels(&self) -> Vec<(f64, String)> {
        if self.ticks == 0 {
            return Vec::new();
        }
        let decimals = if self.is_whole { 0 } else { self.scale.decimals(self.ticks) };
        let ticks = self.scale.ticks(self.ticks).into_iter();
        let ticks = ticks.filter(|tick| !self.is_whole || (tick - tick.round()).abs() < 1e-9);
        ticks.map(|tick| (tick, scale::label(tick, decimals))).collect()
    }
}

impl Sign {
    /// Its class on the page, and the end of its symbol's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Dashed => "dashed",
            Self::Dotted => "dotted",
            Self::Median => "median",
            Self::Skipped => "skipped",
            Self::Outlier => "outlier",
            Self::Drift => "drift",
            Self::Band => "band",
            Self::Published => "published",
            Self::Measured => "measured",
            Self::Throttled => "throttled",
            Self::Disturbed => "disturbed",
            Self::Seal => "seal",
            Self::Setup => "setup",
            Self::Host => "host",
            Self::Flagged => "flagged",
        }
    }
}

fn tip(says: &str) -> String {
    if says.is_empty() { String::new() } else { format!("<title>{}</title>", text(says)) }
}

/// Text between tags or in a quoted attribute: nothing of it is markup.
pub(in crate::report) fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let axis = |title: &str| Axis::new(Scale::between(0.0, 10.0), title, 2);
        Frame::new(axis("step"), axis("<time>"))
    }

    const WORDS: Words = Words { id: "p", title: "a & b", description: "\"<script>\"" };

    #[test]
    fn nothing_that_a_log_says_becomes_markup() {
        assert_eq!(text("<a b='c'>&\"\u{1b}[0m"), "&lt;a b=&#39;c&#39;&gt;&amp;&quot;\u{fffd}[0m");
        let mut frame = frame();
        frame.dot("dot", 1.0, 1.0, "</title><script>alert(1)</script>");
        frame.key(Sign::Line, "<b>");
        let html = frame.finish(&WORDS, "steps");
        assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains("<time>"));
    }

    #[test]
    fn a_plot_has_a_title_and_a_description() {
        let html = frame().finish(&WORDS, "steps");
        assert!(html.contains(r#"role="img" aria-labelledby="p-t p-d""#), "{html}");
        assert!(html.contains(r#"<title id="p-t">a &amp; b</title><desc id="p-d">&quot;&lt;"#));
    }

    #[test]
    fn an_axis_of_steps_has_ticks_at_whole_steps_only() {
        let labels = |low: f64, high: f64| {
            let axis = Axis::new(Scale::between(low, high), "step", 5).whole();
            axis.labels().into_iter().map(|(_, label)| label).collect::<Vec<_>>()
        };
        assert_eq!(labels(0.5, 2.5), ["1", "2"]);
        assert_eq!(labels(0.5, 3.5), ["1", "2", "3"]);
        assert_eq!(labels(0.5, 10.5), ["2", "4", "6", "8", "10"]);
    }

    #[test]
    fn a_missing_point_leaves_a_gap() {
        let mut frame = frame();
        let points = [Some((0.0, 0.0)), Some((5.0, 10.0)), None, Some((10.0, 5.0))];
        frame.line("line", points);
        assert!(frame.curves.contains(r#"d="M0 10000L5000 0M10000 5000""#), "{}", frame.curves);
    }

    #[test]
    fn values_outside_of_the_axes_are_drawn_on_the_edge() {
        let mut frame = frame();
        frame.dot("dot", 99.0, -5.0, "");
        assert!(frame.marks.contains(r#"cx="100.00%" cy="100.00%""#), "{}", frame.marks);
    }
}
