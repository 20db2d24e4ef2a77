//! Names, choice and commands of cases.

use repro::bench::{
    BenchError, PlannedCase, ProfileFile, Setting, check, expand, mistakes, plan, select,
};
use repro::digest::Digest;

use super::{Bench, Play, good_log, recipe, recipe_of};

fn names(patterns: &[&str]) -> Result<Vec<String>, BenchError> {
    let cases = expand(&recipe("seg"), "full", &[]).unwrap();
    let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    Ok(select(&cases, &patterns)?.into_iter().map(|case| case.name).collect())
}

fn planned(bench: &Bench) -> Vec<PlannedCase> {
    plan(&bench.setup()).unwrap()
}

/// The seg recipe with one text in place of another.
fn changed(from: &str, to: &str) -> repro::recipe::Recipe {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/guides/seg.toml");
    let text = std::fs::read_to_string(folder).unwrap();
    assert!(text.contains(from), "{from}");
    recipe_of("seg", &text.replacen(from, to, 1))
}

#[test]
fn the_matrix_is_walked_in_the_order_it_is_written() {
    let all = names(&[]).unwrap();
    assert_eq!(all.len(), 6);
    assert_eq!(all[0], "seg/fastscnn/sp/bs2/fp32");
    assert_eq!(all[1], "seg/fastscnn/mp/bs2/fp32");
    assert_eq!(all[5], "seg/ocrnet_hrnetw48/mp/bs2/fp32");
}

#[test]
fn the_recipe_may_give_another_order_of_the_axes() {
    let order = "batch-size = [2, 4]\norder = [\"model\", \"batch-size\", \"mode\", \"precision\"]";
    let cases = expand(&changed("batch-size = [2]", order), "full", &[]).unwrap();
    let names: Vec<_> = cases.iter().take(5).map(|case| case.name.as_str()).collect();
    let expected = [
        "seg/fastscnn/sp/bs2/fp32",
        "seg/fastscnn/mp/bs2/fp32",
        "seg/fastscnn/sp/bs4/fp32",
        "seg/fastscnn/mp/bs4/fp32",
        "seg/segformer_b0/sp/bs2/fp32",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_profile_that_says_what_it_leaves_out_leaves_out_nothing_else() {
    let order = "batch-size = [2]\nexclude = [\"*/mp/*\"]";
    let mut recipe = changed("batch-size = [2]", order);
    assert_eq!(expand(&recipe, "smoke", &[]).unwrap().len(), 3);
    let smoke = recipe.profiles.get_mut("smoke").unwrap();
    (smoke.matrix.mode, smoke.matrix.exclude) = (None, Some(vec!["*/sp/*".to_owned()]));
    let cases = expand(&recipe, "smoke", &[]).unwrap();
    assert!(cases.len() == 3 && cases.iter().all(|case| case.mode == "mp"));
    assert!(expand(&recipe, "full", &[]).unwrap().iter().all(|case| case.mode == "sp"));
}

#[test]
fn globs_cross_slashes_and_keep_the_order_of_the_matrix() {
    let fastscnn = ["seg/fastscnn/sp/bs2/fp32", "seg/fastscnn/mp/bs2/fp32"];
    assert_eq!(names(&["seg/fastscnn/*"]).unwrap(), fastscnn);
    assert_eq!(names(&["*fp32"]).unwrap().len(), 6);
    assert_eq!(names(&["*/mp/*", "seg/fastscnn/sp/bs2/fp32"]).unwrap().len(), 4);
    assert_eq!(names(&["*/fastscnn/*", "seg/fast*"]).unwrap(), fastscnn);
}

#[test]
fn a_part_of_exactly_one_name_is_enough() {
    assert_eq!(names(&["fastscnn/sp"]).unwrap(), ["seg/fastscnn/sp/bs2/fp32"]);
    let message = names(&["fastscnn"]).unwrap_err().to_string();
    let expected =
        "`fastscnn` is more than one case\n  seg/fastscnn/sp/bs2/fp32\n  seg/fastscnn/mp/bs2/fp32";
    assert_eq!(message, expected);
}

#[test]
fn an_unknown_case_is_named_with_the_nearest() {
    let message = names(&["seg/fastscn/sp/bs2/fp32"]).unwrap_err().to_string();
    assert!(
        message
            .starts_with("no case is named `seg/fastscn/sp/bs2/fp32`\n  nearest  seg/fastscnn/sp")
    );
    let message = names(&["zzz*"]).unwrap_err().to_string();
    assert_eq!(message, "no case is named `zzz*` (6 cases are known)");
    assert!(matches!(names(&["[a"]), Err(BenchError::CaseGlob { .. })));
    assert!(names(&[""]).is_err());
}

#[test]
fn a_plan_is_the_exact_command_with_its_surroundings() {
    let bench = Bench::new();
    let cases = planned(&bench);
    assert_eq!(cases.len(), 3);
    let job = &cases[0].job;
    let expected = [
        "python",
        "tools/train.py",
        "configs/fastscnn.py",
        "--no-validate",
        "--options",
        "runner.max_iters=60",
        "data.samples_per_gpu=2",
        "data.workers_per_gpu=5",
        "--smoke",
        "yes",
    ];
    assert_eq!(job.command, expected);
    assert_eq!(job.workdir, "/home/mmsegmentation");
    assert_eq!(job.timeout.as_secs(), 600);
    assert_eq!(job.shm_size, 1 << 30);
    let env: Vec<String> = job.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["CUDA_VISIBLE_DEVICES=0", "LC_ALL=C.UTF-8", "OMP_NUM_THREADS=1"]);
    let mounts: Vec<_> =
        job.mounts.iter().map(|mount| (mount.target.as_str(), mount.writable)).collect();
    assert_eq!(mounts, [("/home/data/cityscapes", false), ("/opt/smoke/sitecustomize.py", false)]);
    assert_eq!(cases[0].log_file, "fastscnn_sp_bs2_fp32_1");
    assert_eq!(cases[0].lacks, None);
}

#[test]
fn variables_of_profile_and_model_win_in_their_order() {
    let bench = Bench::new();
    let command = &planned(&bench)[2].job.command;
    assert!(command.contains(&"runner.max_iters=30".to_owned()), "{command:?}");
    assert!(command.contains(&"data.workers_per_gpu=3".to_owned()), "{command:?}");
    let full = Bench::of(recipe("seg"), "full").cases(&["*fastscnn/sp*"]);
    let command = planned(&full).remove(0).job.command;
    assert_eq!(command.last().unwrap(), "data.workers_per_gpu=5", "an empty list adds no argument");
}

#[test]
fn a_mode_that_has_fewer_processes_in_a_profile_is_named_and_started_by_their_number() {
    let mut seg = recipe("seg");
    let profile = seg.profiles.get_mut("smoke").unwrap();
    profile.matrix.mode = None;
    profile.gpus_of = [("mp".to_owned(), 2)].into();
    let guides = planned(&Bench::of(seg.clone(), "full").cases(&["*fastscnn/mp*"])).remove(0);
    let case = planned(&Bench::of(seg, "smoke").cases(&["*fastscnn/mp*"])).remove(0);
    assert_eq!(case.log_file, "fastscnn_mp_bs2_fp32_2");
    assert_eq!(case.record_file.as_deref(), Some("fastscnn_mp_bs2_fp32_2_speed"));
    assert_eq!(case.job.command.last().unwrap(), "2");
    assert_eq!(case.guide_command, guides.guide_command, "the guide types what it types");
    assert_eq!(guides.log_file, "fastscnn_mp_bs2_fp32_8");
}

#[test]
fn what_a_user_sets_is_used_and_recorded() {
    let bench = Bench::new().set(&["batch_size=18", "iterations=7"]).cases(&["*ocrnet*"]);
    let case = planned(&bench).remove(0);
    assert_eq!(case.case.name, "seg/ocrnet_hrnetw48/sp/bs18/fp32");
    assert!(case.job.command.contains(&"data.samples_per_gpu=18".to_owned()));
    assert!(case.job.command.contains(&"runner.max_iters=7".to_owned()));
    let names: Vec<_> = case.case.deviations.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["batch_size", "iterations"]);
}

#[test]
fn what_cannot_be_set_is_refused() {
    let refuse = |text: &str| {
        expand(&recipe("seg"), "smoke", &[Setting::parse(text).unwrap()]).unwrap_err().to_string()
    };
    let message = refuse("iteration=7");
    assert!(
        message.starts_with("cannot set `iteration`: no such variable, did you mean `iterations`?")
    );
    assert!(message.contains("batch_size, iterations, options, precision, workers"), "{message}");
    assert!(refuse("batch_size=0").contains("a batch size is a whole number"));
    assert!(refuse("model=x").contains("cases are chosen by their names"));
}

#[test]
fn an_unknown_profile_is_named_with_those_there_are() {
    let message = expand(&recipe("seg"), "smok", &[]).unwrap_err().to_string();
    assert_eq!(
        message,
        "`seg` has no profile `smok`, did you mean `smoke`?\n  known    full, smoke"
    );
}

#[test]
fn a_missing_data_set_is_refused_before_anything_runs() {
    let mut bench = Bench::new();
    bench.data.clear();
    bench.files.clear();
    let message = plan(&bench.setup()).unwrap_err().to_string();
    assert!(message.contains("data set `cityscapes-tiny` at `/home/data/cityscapes`"), "{message}");
    assert!(message.contains("file `seg/sitecustomize.py`"), "{message}");
}

#[test]
fn mistakes_that_only_a_case_shows_are_found_without_running_it() {
    let changes = [
        ("mean(time), 3)", "mean(tiem), 3)", "unknown name `tiem`, did you mean `time`?"),
        ("gpu_end - gpu_first", "gpu_end -", "formula of `gpus`: a number, a name or `(` expected"),
        ("={workers}", "={worker}", "command: unknown variable `worker`, did you mean `workers`?"),
        ("={workers}", "={workers...}", "it has to be a whole argument"),
        ("/home/mmsegmentation", "/home/{folder}", "`workdir`: unknown variable `folder`"),
        ("\"=gpus\"", "\"=gpu\"", "record key `gpu_num`: unknown name `gpu`"),
        ("gpus == 1", "gpus = 1", "record key `run_mode`: an operator or the end expected"),
        ("iterations = 500,", "batch_size = 500,", "variable `batch_size` is given by the matrix"),
        ("iterations = 500,", "iterations = inf,", "variable `iterations` is not a finite number"),
        ("{gpu_num}_speed\"", "{gpu_num}\"", "have to be two names other than `record.json`"),
        ("{gpu_num}_speed\"", "{data}\"", "`file`: unknown variable `data`"),
        ("name = \"gpus\"", "name = \"time\"", "`time` is given twice, in step and in metric"),
        ("name = \"gpus\"", "name = \"a-b\"", "`a-b` cannot be a name"),
        ("[\"fp32\"]", "[\"fp32\"]\nexclude = [\"[\"]", "`exclude` has `[`: "),
    ];
    for (from, to, expected) in changes {
        let message = check(&changed(from, to)).unwrap_err().to_string();
        assert!(message.starts_with("the benchmark of `seg` cannot be run\n  "), "{message}");
        assert!(message.contains(expected), "{to}: {message}");
    }
}

/// Line and first line of the message of each mistake in the rules for figures.
fn written_wrong(recipe: &repro::recipe::Recipe) -> Vec<(usize, String)> {
    let problems = recipe.problems(&mistakes(recipe).unwrap()).into_iter();
    let first = |message: &str| message.lines().next().unwrap_or_default().to_owned();
    problems.map(|problem| (problem.line, first(&problem.message))).collect()
}

#[test]
fn mistakes_in_formulas_are_found_in_the_recipe_with_their_lines() {
    assert_eq!(written_wrong(&recipe("seg")), []);
    let changes = [
        (
            "mean(time), 3)",
            "mean(tiem), 3)",
            "formula of `final_result`: unknown name `tiem`, did you mean `time`?",
        ),
        ("gpu_end - gpu_first", "gpu_end -", "formula of `gpus`: a number, a name or `(` expected"),
        ("mean(time), 3)", "meen(time), 3)", "formula of `final_result`: unknown function `meen`"),
        ("\"=gpus\"", "\"=gpu\"", "record key `gpu_num`: unknown name `gpu`"),
        ("\"gpus == 1", "\"gpu == 1", "record key `run_mode`: unknown name `gpu`"),
        ("\"gpus == 1", "\"gpus = 1", "record key `run_mode`: an operator or the end expected"),
    ];
    for (from, to, expected) in changes {
        let recipe = changed(from, to);
        let found = written_wrong(&recipe);
        let line = recipe.text[..recipe.text.find(to).unwrap()].lines().count();
        assert_eq!(found.len(), 1, "{to}: {found:?}");
        assert_eq!(found[0].0, line, "{to}");
        assert!(found[0].1.starts_with(expected), "{to}: {found:?}");
    }
}

#[test]
fn a_name_that_only_some_cases_lack_is_told_with_the_first_of_them() {
    let mut recipe = recipe("seg");
    let own = recipe.benchmark.model.entry("fastscnn".to_owned()).or_default();
    own.insert("crop".to_owned(), repro::recipe::Value::Integer(2));
    recipe.benchmark.metrics[1].formula = "crop / mean(time)".to_owned();
    let found = mistakes(&recipe).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].path, ["benchmark", "metric", "1", "formula"]);
    assert!(found[0].message.starts_with("formula of `final_result`: unknown name `crop`"));
    assert!(found[0].message.ends_with("\n  case     seg/segformer_b0/sp/bs2/fp32"), "{found:?}");
}

#[test]
fn a_mode_with_rules_of_its_own_has_its_mistakes_there() {
    let mut recipe = recipe("mindspore");
    let metrics = recipe.benchmark.mode.get_mut("eval").unwrap().metrics.as_mut().unwrap();
    metrics[0].formula = "sum(nothing)".to_owned();
    let found = mistakes(&recipe).unwrap();
    assert_eq!(found[0].path, ["benchmark", "mode", "eval", "metric", "0", "formula"]);
}

#[test]
fn every_mistake_is_reported_at_once() {
    let mut recipe = recipe("seg");
    recipe.benchmark.metrics[1].formula = "1 +".to_owned();
    recipe.benchmark.log.step.insert("x".to_owned(), "(".to_owned());
    recipe.benchmark.record.as_mut().unwrap().throughput = "speed".to_owned();
    let message = check(&recipe).unwrap_err().to_string();
    for part in ["formula of `final_result`", "pattern of `x`", "no metric is named `speed`"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_file_that_was_compiled_for_the_profile_is_mounted_and_named_in_the_record() {
    let mut bench = Bench::new().cases(&["*fastscnn*"]);
    let stub = ProfileFile {
        target: "/opt/smoke/libstub.so".to_owned(),
        source: "/store/blobs/stub".into(),
        digest: Digest::of(b"stub"),
    };
    bench.files.push(stub.clone());
    let planned = plan(&bench.setup()).unwrap();
    let mut mounts = planned[0].job.mounts.iter();
    assert!(mounts.any(|mount| mount.source == stub.source && !mount.writable));
    let record = bench.run(&[Play::log(good_log())]).records.remove(0);
    let files: Vec<_> = record.profile.files.iter().map(|file| (&file.path, file.digest)).collect();
    assert_eq!(files[0], (&stub.target, stub.digest), "sorted by path");
}
