use super::*;

fn scope() -> Scope {
    let floats = |values: &[f64]| {
        Binding::Series(values.iter().map(|value| Number::Float(*value)).collect())
    };
    let mut scope = Scope::new();
    scope.insert("time".to_owned(), floats(&[0.5, 0.25, 0.75, 0.25]));
    scope.insert("two".to_owned(), floats(&[1.0, 2.0]));
    scope.insert("empty".to_owned(), floats(&[]));
    scope.insert("batch_size".to_owned(), Binding::Number(Number::Int(2)));
    scope.insert("nothing".to_owned(), Binding::Unusable("`nothing` is a text".to_owned()));
    scope
}

fn run(text: &str) -> Result<Number, FormulaError> {
    Formula::parse(text)?.evaluate(&scope())
}

fn float(text: &str) -> f64 {
    match run(text) {
        Ok(Number::Float(value)) => value,
        other => panic!("`{text}` gives {other:?}"),
    }
}

fn int(text: &str) -> i64 {
    match run(text) {
        Ok(Number::Int(value)) => value,
        other => panic!("`{text}` gives {other:?}"),
    }
}

#[test]
fn operators_bind_as_everybody_expects() {
    assert_eq!(int("1 + 2 * 3"), 7);
    assert_eq!(int("(1 + 2) * 3"), 9);
    assert_eq!(int("10 - 4 - 3"), 3);
    assert_eq!(int("--2"), 2);
    assert_eq!(int("2 * -3"), -6);
    assert_eq!(float("8 / 2 / 2"), 2.0);
    assert_eq!(int("1 + 1 == 2"), 1);
}

#[test]
fn whole_numbers_stay_whole_until_they_are_divided() {
    assert_eq!(int("batch_size * 8"), 16);
    assert_eq!(float("batch_size / 1"), 2.0);
    assert_eq!(float("batch_size * 1.0"), 2.0);
    assert_eq!(int("round(2.5)"), 2);
    assert_eq!(float("round(2.5, 0)"), 2.0);
    assert_eq!(int("int(-1.9)"), -1);
    assert_eq!(float("float(2)"), 2.0);
    assert_eq!(int("count(time)"), 4);
}

#[test]
fn series_are_summed_up() {
    assert_eq!(float("mean(time)"), 0.4375);
    assert_eq!(float("median(time)"), 0.375);
    assert_eq!(float("sum(time)"), 1.75);
    assert_eq!(float("min(time) + max(time)"), 1.0);
    assert_eq!(float("first(time) - last(time)"), 0.25);
    assert_eq!(float("round(batch_size / mean(time), 3)"), 4.571);
    assert_eq!(float("trunc(batch_size / mean(time), 3)"), 4.571);
    assert_eq!(float("trunc(16 / 0.2895, 2)"), 55.26);
}

#[test]
fn series_are_computed_with_element_by_element() {
    assert_eq!(float("sum(1 / two)"), 1.5);
    assert_eq!(float("sum(two * two - 1)"), 3.0);
    assert_eq!(float("first(where(time, time > 0.5))"), 0.75);
    assert_eq!(int("count(where(time, (time < 0.6) * (time >= 0.5)))"), 1);
    assert_eq!(float("elapsed(10, 4) + 6"), clock_year());
}

#[test]
fn a_series_is_true_when_all_or_any_of_it_is() {
    assert_eq!(int("all(time > 0)"), 1);
    assert_eq!(int("all(time > 0.25)"), 0);
    assert_eq!(int("any(time > 0.5)"), 1);
    assert_eq!(int("any(time > 1)"), 0);
    assert_eq!(int("all(abs(time - 0.5) <= 0.25)"), 1);
    assert_eq!(int("abs(-3)"), 3);
    assert_eq!(float("abs(1 / -2)"), 0.5);
    assert_eq!(int("max(batch_size, 8)"), 8);
    assert_eq!(float("min(0.5, batch_size)"), 0.5);
    let empty = run("all(empty)").unwrap_err().to_string();
    assert_eq!(empty, "`all` of a series without values", "nothing was seen to hold");
    assert!(run("min(time, 1)").unwrap_err().to_string().contains("`min` needs a number"));
    assert!(run("all(1)").unwrap_err().to_string().contains("`all` needs a series"));
}

fn clock_year() -> f64 {
    365.0 * 86_400.0
}

#[test]
fn a_formula_without_a_number_as_result_says_why() {
    let message = |text: &str| run(text).unwrap_err().to_string();
    assert_eq!(message("1 / 0"), "division by zero");
    assert_eq!(message("1 / (batch_size - 2)"), "division by zero");
    assert_eq!(message("mean(empty)"), "`mean` of a series without values");
    assert_eq!(message("first(where(time, time > 9))"), "`first` of a series without values");
    assert_eq!(message("nothing + 1"), "`nothing` is a text");
    assert_eq!(message("time"), "`the formula` needs a number");
    assert_eq!(message("mean(1)"), "`mean` needs a series");
    assert_eq!(message("time + two"), "`+` between series of 4 and 2 values");
    assert_eq!(
        message("9999999999 * 9999999999"),
        "the result is about 9.999999998e19, not a finite number"
    );
    assert_eq!(message("1e308 * 10.0"), "the result is inf, not a finite number");
    assert_eq!(message("round(1.5, 0 - 1)"), "`round` needs a whole number of digits");
    assert_eq!(message("int(1e30)"), "the result is 1e+30, not a finite number");
}

#[test]
fn an_unknown_name_is_named_with_the_nearest_one() {
    let message = run("mean(tiem)").unwrap_err().to_string();
    assert!(message.starts_with("unknown name `tiem`, did you mean `time`?"), "{message}");
    assert!(message.contains("batch_size, empty, nothing, time, two"), "{message}");
    let message = run("average(time)").unwrap_err().to_string();
    assert!(message.starts_with("unknown function `average`"), "{message}");
    let message = run("mean()").unwrap_err().to_string();
    assert_eq!(message, "`mean` has a wrong number of arguments\n  expected  1\n  found     0");
}

#[test]
fn a_text_that_is_no_formula_is_refused_with_the_place() {
    let message = |text: &str| Formula::parse(text).unwrap_err().to_string();
    assert_eq!(message(""), "a number, a name or `(` expected at character 1, found the end");
    assert_eq!(message("1 +"), "a number, a name or `(` expected at character 4, found the end");
    assert_eq!(message("(1"), "`)` expected at character 3, found the end");
    assert_eq!(message("1 2"), "an operator or the end expected at character 3, found `2`");
    assert_eq!(message("é"), "a number, a name or `(` expected at character 1, found `é`");
    assert_eq!(message("1 < 2 < 3"), "an operator or the end expected at character 7, found `<`");
    assert_eq!(message("."), "a number expected at character 1, found `.`");
    assert_eq!(message("mean(time"), "`,` or `)` expected at character 10, found the end");
}

#[test]
fn no_text_makes_the_parser_run_away() {
    let deep = format!("{}1{}", "(".repeat(400), ")".repeat(400));
    assert_eq!(Formula::parse(&deep), Err(FormulaError::TooLarge));
    assert_eq!(Formula::parse(&"-".repeat(900)), Err(FormulaError::TooLarge));
    assert_eq!(Formula::parse(&"1+".repeat(600)), Err(FormulaError::TooLarge));
    let chain = format!("{}1", "1+".repeat(499));
    assert_eq!(int(&chain), 500);
}

#[test]
fn the_names_of_a_formula_are_known_before_it_runs() {
    let formula = Formula::parse("round(batch_size / mean(time) * gpu_num, 3)").unwrap();
    let names: Vec<_> = formula.names().into_iter().collect();
    assert_eq!(names, ["batch_size", "gpu_num", "time"]);
}
