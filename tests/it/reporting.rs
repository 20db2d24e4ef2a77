//! What people and programs are shown of runs: tables, CSV, JSON, one page, a case over runs.

use std::fs;
use std::path::Path;

use repro::bench::RunRecord;
use repro::report::{Format, History, Report};
use repro::results;
use repro::results::scrub::Known;
use serde_json::{Value, json};

/// A record of a real run, written before repetitions, verdicts and conditions existed.
const OLD: &str = include_str!("fixtures/record.json");

fn old() -> Value {
    serde_json::from_str(OLD).unwrap()
}

/// The old record with other fields, as JSON paths and values.
fn with(changes: &[(&str, Value)]) -> RunRecord {
    let mut record = old();
    for (path, value) in changes {
        match record.pointer_mut(path) {
            Some(place) => *place = value.clone(),
            None => record[path.trim_start_matches('/')] = value.clone(),
        }
    }
    serde_json::from_value(record).unwrap()
}

/// Repetition `number` of three with this throughput, judged by a published one of 4 images/s.
fn repeat(number: usize, throughput: f64) -> RunRecord {
    let published = json!({ "case": "*", "metric": "throughput", "value": 4.0, "unit": "images/s",
        "tolerance": [-0.05, 0.05], "basis": "made up", "conditions": "one V100" });
    let flags = json!([{ "kind": "throttled", "text": "GPU 0 throttled for 3 s of 13 s", "from": 2.0, "to": 5.0 }]);
    with(&[
        ("/repeat", json!({ "number": number, "of": 3 })),
        ("/throughput/value", json!(throughput)),
        ("/published", json!([published])),
        (
            "/comparisons",
            json!([{ "published": published, "measured": throughput,
            "ratio": throughput / 4.0, "verdict": { "state": "within" } }]),
        ),
        ("/conditions", json!({ "interval": 1.0, "samples": 13, "summary": {}, "flags": flags })),
    ])
}

fn text(records: &[RunRecord], width: Option<usize>) -> String {
    Report::of_records(records).table(Format::Text(width))
}

#[test]
fn a_record_of_an_older_program_is_reported_like_any_other() {
    let expected = "\
run 20261122T031146Z-9d1710effc1d

seg-debian@sha256:9d1710effc1d6b13d74711d2cd4132dfb51224d731b84d8dc1c7311d55e84193, profile smoke, engine embedded
AMD EPYC, 2 processors, 23.5 GiB, no GPU

case                      status        FINAL_RESULT      throughput  verdict       steps    spread  over steps    time              memory  repeated
------------------------  ------  ------------------  --------------  ------------  -----  --------  ----------  ------  ------------------  --------------
seg/fastscnn/sp/bs2/fp32  ok      1.963 iterations/s  3.925 images/s  no reference      6  ± 11.1 %  ▂▄█▁▃▁      13.2 s  487 MiB with cache  same as before

erratum final-result: the guide's script prints 1 / avg_time and calls it images/s; it is iterations per second, too small by batch size times GPUs. FINAL_RESULT is kept so, the true throughput stands beside it
erratum configs: the guide's mmseg_benchmark_configs are a download that is gone; the recipe's own configurations follow mmsegmentation 0.17.0 with BN in place of SyncBN, because sp runs have no process group for SyncBN and train.py of 0.17.0 does not replace it
";
    assert_eq!(text(&[with(&[])], None), expected);
}

#[test]
fn repetitions_are_one_line_with_mean_and_spread() {
    let records = [repeat(1, 3.9), repeat(2, 4.0), repeat(3, 4.1)];
    let expected = "\
run 20261122T031146Z-9d1710effc1d

do not compare this figure: its case is flagged (throttled)
seg-debian@9d1710effc1d, profile smoke, engine embedded
AMD EPYC, 2 processors, 23.5 GiB, no GPU

case                      status      throughput       published  verdict          spread  flags
------------------------  ------  --------------  --------------  -------  --------------  ---------
seg/fastscnn/sp/bs2/fp32  ok      4.000 images/s  4.000 images/s  within   ± 2.5 % over 3  throttled

seg/fastscnn/sp/bs2/fp32 throttled: GPU 0 throttled for 3 s of 13 s
erratum final-result: the guide's script prints 1 / avg_time and calls it images/s; it is
  iterations per second, too small by batch size times GPUs. FINAL_RESULT is kept so, the true
  throughput stands beside it
erratum configs: the guide's mmseg_benchmark_configs are a download that is gone; the recipe's own
  configurations follow mmsegmentation 0.17.0 with BN in place of SyncBN, because sp runs have no
  process group for SyncBN and train.py of 0.17.0 does not replace it
no room here for FINAL_RESULT, steps, over steps, time, memory, repeated; `--markdown` shows all
";
    assert_eq!(text(&records, Some(100)), expected);
}

#[test]
fn markdown_has_every_column_whatever_the_terminal_is_like() {
    let expected = "\
## run 20261122T031146Z-9d1710effc1d

do not compare this figure: its case is flagged (throttled)
seg-debian@sha256:9d1710effc1d6b13d74711d2cd4132dfb51224d731b84d8dc1c7311d55e84193, profile smoke, engine embedded
AMD EPYC, 2 processors, 23.5 GiB, no GPU

| case | status | FINAL_RESULT | throughput | published | verdict | steps | spread | over steps | flags | time | memory | repeated |
| --- | --- | ---: | ---: | ---: | --- | ---: | ---: | --- | --- | ---: | ---: | --- |
| seg/fastscnn/sp/bs2/fp32 | ok | 1.963 iterations/s | 3.900 images/s | 4.000 images/s | within | 6 | ± 11.1 % | ▂▄█▁▃▁ | throttled | 13.2 s | 487 MiB with cache | same as before |

- seg/fastscnn/sp/bs2/fp32 throttled: GPU 0 throttled for 3 s of 13 s
- erratum final-result: the guide's script prints 1 / avg_time and calls it images/s; it is iterations per second, too small by batch size times GPUs. FINAL_RESULT is kept so, the true throughput stands beside it
- erratum configs: the guide's mmseg_benchmark_configs are a download that is gone; the recipe's own configurations follow mmsegmentation 0.17.0 with BN in place of SyncBN, because sp runs have no process group for SyncBN and train.py of 0.17.0 does not replace it
";
    assert_eq!(Report::of_records(&[repeat(1, 3.9)]).table(Format::Markdown), expected);
}

#[test]
fn a_result_of_sixteen_digits_leaves_room_for_the_other_columns() {
    let value = json!(0.427_521_710_086_840_3);
    let record = with(&[("/final_result/value", value.clone()), ("/metrics/2/value", value)]);
    for format in [Format::Text(None), Format::Text(Some(120)), Format::Markdown] {
        let text = Report::of_records(std::slice::from_ref(&record)).table(format);
        assert!(text.contains("0.4275 iterations/s"), "{text}");
    }
    let report = Report::of_records(std::slice::from_ref(&record));
    assert!(report.csv().contains(",final_result,0.4275217100868403,"), "{}", report.csv());
    assert!(report.json().to_string().contains("0.4275217100868403"));
}

#[test]
fn what_stands_above_the_table_fits_into_a_narrow_terminal() {
    let record = with(&[("/host/gpus", json!(vec!["NVIDIA H200"; 8]))]);
    let text = text(&[record], Some(40));
    let above: Vec<&str> = text.lines().take_while(|line| *line != "case").collect();
    let expected = [
        "run 20261122T031146Z-9d1710effc1d",
        "",
        "seg-debian@9d1710effc1d, profile",
        "  smoke, engine embedded",
        "AMD EPYC, 2 processors, 23.5 GiB, 8 ×",
        "  NVIDIA H200",
        "",
    ];
    assert_eq!(above, expected);
}

#[test]
fn csv_has_a_line_for_each_figure_of_each_repetition() {
    let csv = Report::of_records(&[repeat(1, 3.9), repeat(2, 4.0)]).csv();
    let lines: Vec<&str> = csv.lines().collect();
    let expected = "run,case,repeat,image,seal,profile,start,status,flags,metric,value,unit,published,tolerance,ratio,verdict,reasons,engine";
    assert_eq!(lines[0], expected);
    let of_first: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split_once(",1,seg-debian,"))
        .map(|(_, rest)| rest)
        .collect();
    let seal = with(&[]).image.seal.to_string();
    let begin = format!("{seal},smoke,2026-11-22T03:11:46Z,ok,throttled,");
    let ends: Vec<&str> =
        of_first.iter().map(|line| line.strip_prefix(begin.as_str()).unwrap()).collect();
    let expected = [
        "avg_time,0.5095,s,,,,,,embedded",
        "gpus_logged,1,,,,,,,embedded",
        "final_result,1.963,iterations/s,,,,,,embedded",
        "throughput,3.925417075564279,images/s,4.0,± 5 %,0.975,within,,embedded",
        "duration,13.199756687,s,,,,,,embedded",
        "cpu_time,12.173593632,s,,,,,,embedded",
        "peak_memory,510992384,bytes,,,,,,embedded",
        "peak_job_memory,,bytes,,,,,,embedded",
        "time.mean,0.5095,s,,,,,,embedded",
    ];
    assert_eq!(ends[..9], expected);
}

#[test]
fn memory_is_the_jobs_own_and_an_older_record_says_that_it_counts_page_cache() {
    let memory = |records: &[RunRecord]| {
        let markdown = Report::of_records(records).table(Format::Markdown);
        let cells = |start: &str| -> Vec<String> {
            let line = markdown.lines().find(|line| line.starts_with(start)).unwrap();
            line.split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        let place = cells("| case").iter().position(|name| name == "memory").unwrap();
        cells("| seg/")[place].clone()
    };
    let newer = |bytes: u64| with(&[("/peak_job_memory", json!(bytes))]);
    assert_eq!(memory(&[with(&[])]), "487 MiB with cache");
    assert_eq!(memory(&[newer(200 << 20)]), "200 MiB");
    // One kind is never taken for the other, whichever is larger.
    let both = [repeat(1, 3.9), RunRecord { peak_job_memory: Some(200 << 20), ..repeat(2, 4.0) }];
    assert_eq!(memory(&both), "200 MiB");
    let json = Report::of_records(&[newer(200 << 20)]).json();
    let json = &json["runs"][0]["cases"][0]["repeats"][0];
    assert_eq!(json["peak_memory_bytes"], 510_992_384);
    assert_eq!(json["peak_job_memory_bytes"], 200 << 20);
}

#[test]
fn json_has_what_the_table_shows_with_every_digit() {
    let json = Report::of_records(&[repeat(1, 3.9), repeat(2, 4.0), repeat(3, 4.1)]).json();
    let case = &json["runs"][0]["cases"][0];
    assert_eq!(case["status"], "ok");
    assert_eq!(case["verdict"], "within");
    assert_eq!(case["flags"], json!(["throttled"]));
    assert_eq!(case["throughput"]["mean"], 4.0);
    assert_eq!(case["throughput"]["count"], 3);
    assert_eq!(case["repeats"].as_array().unwrap().len(), 3);
    assert_eq!(case["repeats"][1]["repeat"], json!({ "number": 2, "of": 3 }));
    assert_eq!(case["repeats"][0]["series"]["time"]["median"], 0.494);
}

/// Vertices of the curve of the first plot.
fn vertices(page: &str) -> usize {
    let path = page.split(r#"<path class="line" d=""#).nth(1).unwrap().split('"').next().unwrap();
    path.matches(['M', 'L']).count()
}

#[test]
fn a_page_has_every_step_of_a_case_and_says_the_same_in_words() {
    let page = Report::of_records(&[with(&[])]).html(&Known::default());
    assert_eq!(vertices(&page), 10);
    let words = "time of 10 steps, the first 4 skipped. Of the others: median 0.4940 s, mean 0.5095 s, \
        smallest 0.4600 s, largest 0.6150 s, spread ± 11.1 %, 0 outliers.";
    assert!(page.contains(&format!("<desc id=\"c0-0-s0-d\">{words}</desc>")), "{page}");
    for part in ["4 steps skipped", "median 0.4940 s", "time in s", "logged step, 1 to 10"] {
        assert!(page.contains(part), "{part}");
    }
    for id in ["final-result", "configs"] {
        assert!(page.contains(&format!("<b>{id}</b>")), "erratum {id}");
    }
    assert!(page.contains("repro run --image seg-debian@sha256:9d1710"), "{page}");
}

#[test]
fn a_million_steps_are_drawn_as_a_few_hundred_with_their_extremes() {
    let mut values = vec!["0.5"; 100_000];
    values[70_000] = "9.75";
    let record =
        with(&[("/series/time/values", json!(values)), ("/series/time/used", json!(99_996))]);
    let page = Report::of_records(&[record]).html(&Known::default());
    assert_eq!(vertices(&page), 400);
    assert!(page.contains("mean of about 250 steps, with extremes"));
    assert!(page.len() < 100_000, "{}", page.len());
}

#[test]
fn what_a_log_says_is_never_markup_on_a_page() {
    let hostile = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\u{1b}[31m";
    let record = with(&[
        ("/status", json!({ "state": "failed", "reason": hostile })),
        ("/case", json!("seg/\"><script>alert(3)</script>/sp")),
        ("/host/cpu", json!("<b>cpu</b>")),
        ("/engine", json!("'><svg onload=alert(4)>")),
    ]);
    let page = Report::of_records(&[record]).html(&Known::default());
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    assert!(!page.contains("<img") && !page.contains("<b>cpu") && !page.contains("<svg onload"));
    assert!(!page.contains('\u{1b}'));
    assert!(page.contains("&lt;script&gt;") || page.contains("&#60;script&#62;"));
}

#[test]
fn a_page_asks_for_nothing_and_names_no_path_of_the_machine() {
    let page = Report::of_records(&[with(&[])]).html(&Known::default());
    for part in ["src=", "@import", "url(http", "/home/somebody", "<link rel=\"stylesheet"] {
        assert!(!page.contains(part), "{part}");
    }
    assert!(
        page.contains("default-src &#39;none&#39;")
            || page.contains("default-src &#x27;none&#x27;")
            || page.contains("default-src 'none'")
    );
    let links = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    for link in links {
        assert!(link.starts_with('#') || link == "data:,", "{link}");
    }
}

#[test]
fn the_same_records_give_the_same_page() {
    let page = || Report::of_records(&[repeat(1, 3.9), repeat(2, 4.0)]).html(&Known::default());
    assert_eq!(page(), page());
}

#[test]
fn a_page_that_would_be_too_large_says_what_it_leaves_out() {
    let case = |index: usize| {
        with(&[("/index", json!(index)), ("/case", json!(format!("seg/m{index}/sp/bs2/fp32")))])
    };
    let records: Vec<RunRecord> = (1..800).map(case).collect();
    let page = Report::of_records(&records).html(&Known::default());
    assert!(page.len() < 6_000_000, "{}", page.len());
    let plotted = page.matches("<article").count();
    assert!(plotted > 20 && plotted < 799, "{plotted}");
    assert!(
        page.contains(&format!("Plots and provenance of {plotted} of 799 cases are on this page"))
    );
    assert_eq!(
        page.matches("<th scope=\"row\">seg/").count()
            + page.matches("<th scope=\"row\"><a href=\"#c0-").count(),
        799
    );
}

#[test]
fn only_series_of_figures_are_drawn_and_the_others_are_told_in_words() {
    let series = |values: Value| {
        json!({ "values": values, "skipped": 0, "used": 3, "mean": 5.0,
        "median": 5.0, "deviation": 1.0, "min": 1.0, "max": 9.0,
        "interval": { "low": 1.1, "high": 66.9, "level": 0.95 } })
    };
    let mut all = old()["series"].clone();
    for (name, values) in [
        ("iteration", json!(["19", "39", "44"])),
        ("step", json!(["1", "3", "5", "1", "3", "5"])),
        ("steps", json!(["5", "5", "5"])),
        ("evaluated", json!(["11/22 15:40:33", "11/22 15:41:33"])),
        ("box_ap", json!(["0.0000"])),
        ("accuracy", json!(["45", "52", "58"])),
    ] {
        all[name] = series(values);
    }
    let record = with(&[("/series", all)]);
    let report = Report::of_records(std::slice::from_ref(&record));
    let page = report.html(&Known::default());
    let titles = page.split("<figcaption><h5>").skip(1);
    let titles: Vec<&str> = titles.map(|rest| rest.split('<').next().unwrap()).collect();
    let drawn = ["time over the steps", "Distribution of time", "accuracy over the steps"];
    assert_eq!(titles, [drawn.as_slice(), &["loss over the steps"]].concat());
    for words in [
        "iteration: counts from 19 to 44",
        "step: counts from 1 to 5",
        "steps: always 5",
        "evaluated: clock times, 11/22 15:40:33 to 11/22 15:41:33",
        "box_ap: one value, 0.0000",
    ] {
        assert!(page.contains(&format!("<dt>logged, not drawn</dt><dd>{words}</dd>")), "{words}");
    }
    let json = report.json();
    let of = |name: &str, key: &str| {
        json["runs"][0]["cases"][0]["repeats"][0]["series"][name][key].clone()
    };
    assert_eq!(of("iteration", "kind"), "counter");
    assert_eq!(of("iteration", "interval"), Value::Null);
    assert_eq!(of("evaluated", "kind"), "time");
    assert_eq!(of("accuracy", "kind"), "figure");
    assert_eq!(of("accuracy", "interval")["high"], 66.9);
}

#[test]
fn the_series_that_counts_steps_is_drawn_whatever_its_values_are_like() {
    let record = with(&[("/series/time/values", json!(["1", "2", "3", "4", "5", "6"]))]);
    let page = Report::of_records(&[record]).html(&Known::default());
    assert!(page.contains("<figcaption><h5>time over the steps</h5>"));
    // The first three are skipped, and too far from the others to have a place in the frame.
    assert_eq!(vertices(&page), 3);
    let alone = with(&[("/series/time/values", json!(["1.5"]))]);
    let page = Report::of_records(&[alone]).html(&Known::default());
    assert!(!page.contains("time over the steps"));
    assert!(page.contains("time: one value, 1.5"));
}

#[test]
fn a_series_has_a_unit_only_where_a_figure_tells_it() {
    let page = |formula: &str, unit: &str| {
        let record =
            with(&[("/metrics/0/formula", json!(formula)), ("/metrics/0/unit", json!(unit))]);
        Report::of_records(&[record]).html(&Known::default())
    };
    for (formula, unit) in [("mean(time)", "s"), ("last(time)", "s"), ("1000 * mean(time)", "ms")] {
        let page = page(formula, unit);
        assert!(page.contains(">time in s</text>"), "{formula}");
        assert!(page.contains("<span>median time</span> <b>0.4940 s</b>"), "{formula}");
    }
    let page = page("1000 * seconds", "ms");
    assert!(page.contains(">time (as logged)</text>"));
    assert!(page.contains("<span>median time (as logged)</span> <b>0.4940</b>"));
}

#[test]
fn why_a_figure_is_missing_may_be_folded_where_a_figure_may_not() {
    let why = "`first` of a series without values (`box_ap`: 1 found, 0 skipped)";
    let figure = json!({ "name": "box_ap_at_target", "value": null, "unit": "s", "reason": why,
        "formula": "first(box_ap)", "about": "box AP of that evaluation" });
    let record = with(&[("/metrics/0", figure)]);
    let page = Report::of_records(&[record]).html(&Known::default());
    assert!(page.contains(&format!("<td class=\"why\">{why}</td>")), "{page}");
    assert!(page.contains("<td class=\"num\">1.963 iterations/s</td>"));
}

/// Run `number` of a history: one an hour.
fn run(number: usize, throughput: f64, changes: &[(&str, Value)]) -> RunRecord {
    let mut all = vec![
        ("/run", json!(format!("20260101T{number:02}0000Z-9d1710effc1d"))),
        ("/start", json!(format!("2026-01-01T{number:02}:00:00Z"))),
        ("/throughput/value", json!(throughput)),
    ];
    all.extend_from_slice(changes);
    with(&all)
}

#[test]
fn a_history_tells_where_the_level_the_image_and_the_machine_changed() {
    let noise = [0.01, -0.01, 0.0, 0.02, -0.02, 0.01];
    let other = json!(format!("sha256:{}", "ab".repeat(32)));
    let records: Vec<RunRecord> = (0..12)
        .map(|number| {
            let level = if number < 6 { 4.0 } else { 3.0 };
            let late = [("/image/seal", other.clone()), ("/host/driver", json!("470"))];
            run(number, level + noise[number % 6], if number < 6 { &[] } else { &late })
        })
        .chain([run(20, 9.0, &[("/profile/name", json!("full"))])])
        .collect();
    let older = Report::of_records(&records[..12]);
    let history = History::of(&older, "seg/fastscnn/sp/bs2/fp32").unwrap();
    let text = history.table(Format::Text(None));
    let new = text.lines().find(|line| line.contains("new level")).unwrap();
    assert!(new.starts_with("2026-01-01 06:00 UTC"), "{text}");
    assert!(new.contains("new level, \u{2212}25.0 %"), "{text}");
    assert!(
        new.contains("image seg-debian@") && new.contains("driver none \u{2192} 470"),
        "{text}"
    );
    assert_eq!(text.matches("new level").count(), 1);
    let page = history.html();
    assert_eq!(vertices(&page), 12);
    assert!(page.contains("sign-seal") && page.contains("sign-host"));
    let all = Report::of_records(&records);
    let newest = History::of(&all, "seg/fastscnn/sp/bs2/fp32").unwrap();
    assert_eq!(newest.json()["left_out"], json!({ "of another profile": 12 }));
    assert!(History::of(&all, "seg/none").is_none());
}

/// Twelve runs: from the seventh on another engine, recipe and level, and two of them disturbed.
fn disturbed_history() -> Vec<RunRecord> {
    let noise = [0.01, -0.01, 0.0, 0.02, -0.02, 0.01];
    let flags = json!({ "interval": 1.0, "samples": 13, "summary": {}, "flags": [
        { "kind": "disturbed", "text": "others used 1.9 processors", "from": 2.0, "to": 3.0 }] });
    let other = json!(format!("sha256:{}", "ab".repeat(32)));
    let record = |number: usize| {
        let mut changes = Vec::new();
        if number >= 6 {
            changes.push(("/engine", json!("docker")));
            changes.push(("/image/recipe", other.clone()));
        }
        if number == 2 || number == 6 {
            changes.push(("/conditions", flags.clone()));
        }
        run(number, if number < 6 { 4.0 } else { 3.0 } + noise[number % 6], &changes)
    };
    (0..12).map(record).collect()
}

#[test]
fn a_history_tells_which_runs_were_disturbed_and_where_another_engine_begins() {
    let records = disturbed_history();
    let report = Report::of_records(&records);
    let history = History::of(&report, "seg/fastscnn/sp/bs2/fp32").unwrap();
    let text = history.table(Format::Text(None));
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
    let new = line("2026-01-01 06:00");
    assert!(new.contains("new level") && new.contains("disturbed"), "{text}");
    let changed = "engine embedded \u{2192} docker; recipe 84f366dc926c \u{2192} abababababab";
    assert!(new.ends_with(changed), "{text}");
    assert!(line("2026-01-01 02:00").contains("disturbed"), "{text}");
    assert!(!line("2026-01-01 03:00").contains("disturbed"), "{text}");
    let json = history.json();
    assert_eq!(json["points"][6]["flags"], json!(["disturbed"]));
    assert_eq!(json["points"][6]["engine"], "docker");
    assert_eq!(json["points"][6]["other_setup"].as_array().unwrap().len(), 2);
    assert_eq!(json["points"][7]["flags"], json!([]));
    assert_eq!(json["points"][7]["other_setup"], json!([]));
    let page = history.html();
    assert_eq!(page.matches("href=\"#sign-flagged\"").count(), 2);
    assert_eq!(page.matches("href=\"#sign-setup\"").count(), 1);
    assert!(page.contains("<i class=\"key flagged\"></i>disturbed, throttled or the like"));
    assert!(page.contains("<i class=\"key setup\"></i>another engine, recipe or lock"));
    assert!(page.contains("2 runs with flags: disturbed at 20260101T020000Z-9d1710effc1d"));
    assert!(
        page.contains("1 change of inputs, engine or machine: engine embedded \u{2192} docker")
    );
}

#[test]
fn a_lock_that_changed_is_told_where_no_other_image_says_so() {
    let lock = json!(format!("sha256:{}", "cd".repeat(32)));
    let seal = json!(format!("sha256:{}", "ef".repeat(32)));
    let records = [
        run(0, 4.0, &[]),
        run(1, 4.0, &[("/image/lock", lock.clone())]),
        run(2, 4.0, &[("/image/seal", seal)]),
    ];
    let report = Report::of_records(&records);
    let history = History::of(&report, "seg/fastscnn/sp/bs2/fp32").unwrap();
    let json = history.json();
    let setup = |index: usize| json["points"][index]["other_setup"].clone();
    assert_eq!(setup(1), json!(["lock bd2e39efd8a2 \u{2192} cdcdcdcdcdcd"]));
    assert_eq!(setup(2), json!([]));
    assert_eq!(json["points"][1]["lock"], lock);
}

#[test]
fn runs_that_a_terminal_has_no_line_for_are_counted_with_their_flags() {
    let flags = json!({ "interval": 1.0, "samples": 13, "summary": {}, "flags": [
        { "kind": "throttled", "text": "too hot", "from": 2.0, "to": 3.0 }] });
    let hot = [("/conditions", flags)];
    let records: Vec<RunRecord> =
        (0..20).map(|number| run(number, 4.0, if number == 2 { &hot } else { &[] })).collect();
    let report = Report::of_records(&records);
    let history = History::of(&report, "seg/fastscnn/sp/bs2/fp32").unwrap();
    let text = history.table(Format::Text(None));
    let note = "4 runs without a change, 1 of them with flags, not shown here";
    assert!(text.contains(note), "{text}");
    assert!(history.table(Format::Markdown).contains("| throttled |"));
}

#[test]
fn conditions_beside_a_record_are_drawn_with_what_disturbed_it() {
    let folder = tempfile::tempdir().unwrap();
    let case = folder.path().join("RUN/seg/fastscnn/sp/bs2/fp32");
    fs::create_dir_all(&case).unwrap();
    let samples = "seconds,cpu_others,gpu0_watts\n0,0.1,250\n1,0.2,260\n2,1.9,\n3,1.8,270\n";
    fs::write(case.join("conditions.csv"), samples).unwrap();
    let mut record = old();
    record["conditions"] = json!({ "file": "conditions.csv", "interval": 1.0, "samples": 4, "summary": {},
        "digest": repro::digest::Digest::of(samples.as_bytes()),
        "flags": [{ "kind": "disturbed", "text": "others used 1.9 processors", "from": 2.0, "to": 3.0 }] });
    let write = |record: &Value| fs::write(case.join("record.json"), record.to_string()).unwrap();
    let page = |folder: &Path| {
        Report::of_stored(&results::load(&[folder.to_owned()]).records).html(&Known::default())
    };
    write(&record);
    let drawn = page(folder.path());
    for part in ["Load of others", "GPU power", "class=\"disturbed\"", "\u{26a0} disturbed"] {
        assert!(drawn.contains(part), "{part}");
    }
    record["conditions"]["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    write(&record);
    let refused = page(folder.path());
    assert!(!refused.contains("Load of others"));
    assert!(refused.contains("is not what was recorded"));
}

#[test]
fn the_page_says_what_was_measured_and_names_the_cases_that_ran() {
    let mut image = old()["image"].clone();
    image["title"] = json!("Segmentation on a processor");
    image["python"] = json!("3.9");
    let software = json!({ "torch": "1.9.1+cu102", "numpy": "1.21.6" });
    let record = with(&[("/image", image.clone()), ("/software", software)]);
    let page = Report::of_records(&[record]).html(&Known::default());
    assert!(page.contains("torch 1.9.1+cu102, CUDA 10.2, Python 3.9<"));
    assert!(page.contains("Segmentation on a processor"));
    let run = page.split("The same image again").nth(1).unwrap();
    assert!(run.split("</code>").next().unwrap().contains("--case seg/fastscnn/sp/bs2/fp32"));
    let runtime = json!({ "torch": "2.5.1", "nvidia-cuda-runtime-cu12": "12.4.127" });
    let record = with(&[("/image", image), ("/software", runtime)]);
    let page = Report::of_records(&[record]).html(&Known::default());
    assert!(page.contains("torch 2.5.1, CUDA 12.4.127, Python 3.9<"));
}

#[test]
fn figures_of_repetitions_are_those_of_all() {
    let of = |number: usize, throughput: f64, seconds: f64, bytes: u64| RunRecord {
        duration: Some(seconds),
        peak_job_memory: Some(bytes),
        ..repeat(number, throughput)
    };
    let records = [of(1, 3.9, 10.0, 1 << 30), of(2, 4.0, 20.0, 2 << 30), of(3, 4.1, 33.0, 1 << 30)];
    let report = Report::of_records(&records);
    let markdown = report.table(Format::Markdown);
    assert!(markdown.contains("| 21.0 s | 2.0 GiB |"), "{markdown}");
    let page = report.html(&Known::default());
    assert!(page.contains("<b>21.0 s</b> <small>mean of 3 repetitions, 2.0 GiB at most</small>"));
    assert!(page.contains("<b>18 used</b> <small>12 skipped, "));
    assert!(page.contains("do not compare this figure: its case is flagged (throttled)"));
}

#[test]
fn a_chart_has_the_throughput_of_every_case() {
    let other = RunRecord { case: "seg/other/sp/bs2/fp32".to_owned(), index: 2, ..with(&[]) };
    let page = Report::of_records(&[with(&[]), other]).html(&Known::default());
    assert!(page.contains("<h5>throughput of each case</h5>"));
    assert!(page.contains(">seg/other/sp/bs2/fp32: 3.925 images/s</text>"));
    assert!(
        !Report::of_records(&[with(&[])]).html(&Known::default()).contains("of each case</h5>")
    );
}
