use super::*;

fn patterns(once: &[(&str, &str)], step: &[(&str, &str)]) -> LogPatterns {
    LogPatterns::compile(&rule(once, step)).unwrap()
}

fn rule(once: &[(&str, &str)], step: &[(&str, &str)]) -> LogRule {
    let owned = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    LogRule {
        skip: 0,
        once: owned(once),
        step: owned(step),
        progress: String::new(),
        repeatable: Vec::new(),
        skip_of: BTreeMap::new(),
        arrival: BTreeMap::new(),
        total: BTreeMap::new(),
        running_mean: Vec::new(),
        counter: Vec::new(),
    }
}

fn times(log: &[u8]) -> Vec<String> {
    patterns(&[], &[("time", "time: (.*), data_time")]).read(log).series["time"].clone()
}

#[test]
fn all_matches_of_a_step_and_the_first_of_once_are_kept() {
    let patterns = patterns(
        &[("last", r"gpu_ids = range.{4}(\d)"), ("absent", "x=(y)")],
        &[("time", "time: (.*), data_time")],
    );
    let found = patterns.read(
        b"gpu_ids = range(0, 8)\ngpu_ids = range(0, 1)\neta: 0:1, time: 0.5, data_time: 0\n\
          time: 0.25, data_time: 1\n",
    );
    assert_eq!(found.once["last"].as_deref(), Some("8"));
    assert_eq!(found.once["absent"], None);
    assert_eq!(found.series["time"], ["0.5", "0.25"]);
}

#[test]
fn the_last_line_counts_without_a_newline() {
    assert_eq!(times(b"time: 1, data_time"), ["1"]);
}

#[test]
fn carriage_returns_end_lines_as_python_reads_them() {
    let log = b"50%|##\rtime: 1, data_time\r100%\r\ntime: 2, data_time\r\n\r\n";
    assert_eq!(times(log), ["1", "2"]);
    let spanning = patterns(&[], &[("next", r"^a\nb(.*)")]);
    assert_eq!(spanning.read(b"a\r\nb1\na\n\nb2\na\rb3").series["next"], ["1", "3"]);
}

#[test]
fn garbage_between_lines_does_not_hide_values() {
    let log = b"\xff\xfe\0\x80time: 1, data_time\0\n\0\0\ntime: \xff, data_time\n";
    assert_eq!(times(log), ["1", "\u{fffd}"]);
}

#[test]
fn the_pieces_a_log_comes_in_do_not_matter() {
    let log: &[u8] = b"a\r\nb1\r\ntime: 1, data_time\na\nb2\rtime: 2.5, data_time: \xc3\xa4\n";
    let patterns =
        patterns(&[("b", r"a\nb(.)")], &[("time", "time: (.*), data_time"), ("ab", r"a\nb(.)")]);
    let whole = patterns.read(log);
    assert_eq!(whole.series["ab"], ["1", "2"]);
    for size in 1..log.len() {
        let mut reader = patterns.reader();
        log.chunks(size).for_each(|chunk| reader.push(chunk));
        assert_eq!(reader.finish(), whole, "pieces of {size} bytes");
    }
}

#[test]
fn a_line_without_end_is_cut_and_counted() {
    let patterns = patterns(&[], &[("x", "x=(.)")]);
    let mut reader = patterns.reader();
    reader.push(b"x=1 ");
    for _ in 0..100 {
        reader.push(&[b'.'; 1 << 12]);
    }
    assert!(reader.line.len() <= LONGEST_LINE);
    reader.push(b"x=2\nx=3\n");
    let found = reader.finish();
    assert_eq!((found.cut_lines, &found.series["x"][..]), (1, &["1".into(), "3".into()][..]));
}

#[test]
fn values_of_absurd_length_are_dropped_and_counted() {
    let log = format!("x={}\n", "9".repeat(5000));
    let found = patterns(&[("once", "x=(.*)")], &[("x", "x=(.*)")]).read(log.as_bytes());
    assert_eq!(found.dropped_values, 1);
    assert_eq!(found.once["once"].as_ref().unwrap().len(), LONGEST_VALUE);
}

#[test]
fn every_bad_pattern_is_named() {
    let rule = rule(&[("a", "("), ("b", "no group")], &[("c", "(1)(2)"), ("d", "(fine)")]);
    let problems = LogPatterns::compile(&rule).unwrap_err();
    assert_eq!(problems.len(), 3);
    assert!(problems[0].starts_with("pattern of `a`: regex parse error"), "{problems:?}");
    assert!(problems[2].contains("needs one group, has 2"), "{problems:?}");
}

#[test]
fn arrival_series_have_the_seconds_between_lines_that_match() {
    let arrival = BTreeMap::from([("gap".to_owned(), "^step".to_owned())]);
    let rule = LogRule { arrival, ..rule(&[], &[("loss", "loss (.)")]) };
    let patterns = LogPatterns::compile(&rule).unwrap();
    assert!(patterns.needs_arrivals());
    let mut reader = patterns.timed_reader();
    // A line arrives with the piece that ends it; several lines may come in one piece.
    reader.push_at(1_000_000, b"head\nstep 1 lo");
    reader.push_at(1_500_000, b"ss 3\n");
    reader.push_at(3_000_000, b"other\nstep 2 loss 2\nstep 3 loss 1\nste");
    reader.push_at(9_000_000, b"p 4");
    let findings = reader.finish();
    assert_eq!(findings.series["gap"], ["1.500000", "0.000000", "6.000000"]);
    assert_eq!(findings.series["loss"], ["3", "2", "1"]);
    assert!(findings.not_measured.is_empty());
    let alone = patterns.read(b"step 1\nstep 2\n");
    assert!(alone.not_measured.contains("gap") && !alone.series.contains_key("gap"));
}

#[test]
fn the_last_count_is_kept_wherever_the_log_is_cut() {
    let patterns = LogPatterns::compile(&counting(r"(\d+)/(\d+)")).unwrap();
    let count = |log: &str| patterns.read(log.as_bytes()).progress["step"];
    assert_eq!(count("nothing\n"), None);
    let last = count("10/30\n20/30\r30/30").unwrap();
    assert_eq!((last.step, last.total, last.interval), (30, 30, Some(10)));
    assert!(!count("10/30\n20/3").unwrap().is_complete());
    let bad = LogPatterns::compile(&counting("(1)")).unwrap_err();
    assert!(bad[0].contains("needs two groups, has 1"), "{bad:?}");
}

/// A rule that counts by one pattern.
fn counting(pattern: &str) -> LogRule {
    let total = crate::recipe::TotalRule { pattern: pattern.to_owned(), from_zero: false };
    LogRule { total: BTreeMap::from([("step".to_owned(), total)]), ..rule(&[], &[]) }
}

/// A rule whose steps have a number and a time, `epoch` in a line of its own.
fn counted(counter: &[&str]) -> LogPatterns {
    let counter = counter.iter().map(|text| (*text).to_owned()).collect();
    let rule =
        LogRule { counter, ..rule(&[], &[("time", "time: ([0-9.]+)"), ("ap", r"^AP\n(.*)$")]) };
    LogPatterns::compile(&rule).unwrap()
}

#[test]
fn a_step_that_is_told_again_is_the_same_step() {
    let patterns = counted(&[r"Iter (\d+)"]);
    let read = |log: &str| {
        let found = patterns.read(log.as_bytes());
        (
            found.series["time"].join(" "),
            found.series["ap"].join(" "),
            found.repeated_lines,
            found.miscounted,
        )
    };
    let clean = ("0.5 0.6".to_owned(), "37".to_owned());
    let same = |found: (String, String, u64, Option<String>), repeated| {
        assert_eq!(found, (clean.0.clone(), clean.1.clone(), repeated, None));
    };
    same(read("Iter 1 time: 0.5\nIter 2 time: 0.6\nAP\n37\n"), 0);
    // Every line twice.
    same(
        read(
            "Iter 1 time: 0.5\nIter 1 time: 0.5\nIter 2 time: 0.6\nIter 2 time: 0.6\nAP\nAP\n37\n37\n",
        ),
        4,
    );
    // Two handlers with heads of their own, and ranks whose lines come late.
    same(read("Iter 1 time: 0.5\nINFO:Iter 1 time: 0.5\nIter 2 time: 0.6\nAP\n37\n"), 1);
    same(
        read(
            "Iter 1 time: 0.5\nIter 2 time: 0.6\nr1 Iter 1 time: 0.5\nr1 Iter 2 time: 0.6\nAP\n37\n",
        ),
        2,
    );
}

#[test]
fn steps_that_cannot_be_told_apart_are_named() {
    let miscounted = |counter: &[&str], log: &str| {
        counted(counter).read(log.as_bytes()).miscounted.unwrap_or_default()
    };
    let iter = [r"Iter (\d+)"];
    let ranks = miscounted(&iter, "Iter 1 time: 0.5\nr1 Iter 1 time: 0.7\n");
    assert_eq!(
        ranks,
        "line 2 of the log tells step 1 again, with other values\n  before  time 0.5\n  now     time 0.7"
    );
    let restart = miscounted(&iter, "Iter 10 time: 0.5\nIter 20 time: 0.5\nIter 10 time: 0.4\n");
    assert!(
        restart.starts_with(
            "the log counts back from step 20 to 10 (line 3): it is of more than one run"
        ),
        "{restart}"
    );
    let resumed = miscounted(&iter, "Iter 10 time: 0.5\nIter 20 time: 0.5\nIter 15 time: 0.5\n");
    assert!(resumed.starts_with("the log counts back from step 20 to 15"), "{resumed}");
    let glued = miscounted(&[r"^Iter (\d+)"], "Iter 10 time: 0.5Iter 20 time: 0.5\n");
    assert_eq!(glued, "line 1 of the log is two lines in one: step 10 and another");
    // An epoch is no way back, whether its number stands in the same line or in one of its own.
    let epochs = "Epoch 1\nIter 1 time: 1\nIter 2 time: 2\nEpoch 2\nIter 1 time: 3\n";
    assert_eq!(miscounted(&[r"^Epoch (\d+)", iter[0]], epochs), "");
    assert!(miscounted(&iter, epochs).contains("or `counter` lacks the epoch"));
    let again = format!("{epochs}{}", epochs.replace("3", "4"));
    assert!(miscounted(&[r"^Epoch (\d+)", iter[0]], &again).contains("tells step 2/1 again"));
}

#[test]
fn where_arrivals_count_no_step_may_come_late() {
    let arrival = BTreeMap::from([("gap".to_owned(), "^step".to_owned())]);
    let counter = vec![r"^step (\d+)".to_owned()];
    let rule = LogRule { arrival, counter, ..rule(&[], &[("loss", "loss (.)")]) };
    let patterns = LogPatterns::compile(&rule).unwrap();
    let mut reader = patterns.timed_reader();
    reader.push_at(0, b"step 1 loss 3\n");
    reader.push_at(1_000_000, b"step 2 loss 2\n");
    reader.push_at(1_000_100, b"step 2 loss 2\n");
    reader.push_at(2_000_000, b"step 3 loss 1\n");
    assert_eq!(reader.findings().series["gap"], ["1.000000", "1.000000"]);
    assert_eq!(reader.findings().miscounted, None);
    reader.push_at(9_000_000, b"step 1 loss 3\n");
    assert!(reader.finish().miscounted.unwrap().contains("back from step 3 to 1"));
}

#[test]
fn a_number_is_read_to_its_end_where_the_pattern_stops_within_it() {
    let read = |log: &str| {
        patterns(&[], &[("x", r"x=([0-9.]+)")]).read(log.as_bytes()).series["x"].join(" ")
    };
    let cases = [
        ("x=1,234 y", "1,234"),
        ("x=0,512", "0,512"),
        ("x=1'234.5", "1'234.5"),
        ("x=1\u{202f}234", "1\u{202f}234"),
        ("x=9.3e-05, y", "9.3e-05"),
        ("x=0.69[1,1]<stdout>:epoch: 1", "0.69[1,1]<stdout>:epoch"),
        ("x=0.5s x=2MB x=3, x=4. x=5,", "0.5 2 3 4. 5"),
    ];
    for (log, expected) in cases {
        assert_eq!(read(log), expected, "{log}");
    }
    // What the pattern has after the value says where it ends.
    let list = patterns(&[], &[("x", "AP: ([0-9.]+),")]);
    assert_eq!(list.read(b"AP: 37.8,58.5\n").series["x"], ["37.8"]);
}

#[test]
fn terminal_colours_hide_no_line() {
    let log = b"\xef\xbb\xbf\x1b[32m[03/31 14:01:33 d2]: \x1b[0m time: 1, data_time\x1b[0m\n";
    let patterns = patterns(&[("start", r"^\[(\S+ \S+)")], &[("time", "time: (.*), data_time$")]);
    let found = patterns.read(log);
    assert_eq!(found.once["start"].as_deref(), Some("03/31 14:01:33"));
    assert_eq!(found.series["time"], ["1"]);
}
